"""The building as a registry document: what a utility would have typed in or imported."""

from datetime import timedelta

from hesper.demo.building import GATEWAY, TIME_ZONE, UTILITY, Building, BuildingMeter
from store.registry import (
    GatewayEntry,
    InstallationEntry,
    MeterEntry,
    RegisterEntry,
    Registry,
    ServicePointEntry,
    SiteEntry,
    UtilityEntry,
)
from telemetry.micro import from_micro

_HOUSE = "linden-street-4"


def registry_of(building: Building) -> Registry:
    """Utility, site, gateway, all meters with their billed register, service points and installations."""
    utility = UtilityEntry(
        code=UTILITY,
        name="Demo Utility",
        time_zone=TIME_ZONE.key,
        sites=[SiteEntry(_HOUSE, "Linden Street 4", "Linden Street 4, 24 flats")],
        gateways=[GatewayEntry(GATEWAY, _HOUSE)],
        meters=[_meter(meter) for meter in building.meters],
        service_points=_service_points(building),
    )
    return Registry([utility])


def _meter(meter: BuildingMeter) -> MeterEntry:
    register = RegisterEntry(
        meter.obis, meter.unit, digits=meter.digits, billed=True, interval=timedelta(hours=1)
    )
    return MeterEntry(meter.meter, meter.medium, meter.model, GATEWAY, _HOUSE, registers=[register])


def _service_points(building: Building) -> list[ServicePointEntry]:
    points: dict[str, list[BuildingMeter]] = {}
    for meter in building.meters:
        points.setdefault(meter.point, []).append(meter)
    return [
        ServicePointEntry(
            code=point,
            medium=meters[0].medium,
            name=meters[0].point_name,
            site=_HOUSE,
            account=meters[0].account,
            installations=[_installation(building, meter) for meter in meters],
        )
        for point, meters in points.items()
    ]


def _installation(building: Building, meter: BuildingMeter) -> InstallationEntry:
    """A fitter writes down what both registers show at a swap."""
    begins, ends = meter.installed_from, meter.installed_to
    return InstallationEntry(
        meter=meter.meter,
        valid_from=begins or building.begins,
        valid_to=ends,
        start_values={} if begins is None else {meter.obis: str(from_micro(meter.value(begins)))},
        end_values={} if ends is None else {meter.obis: str(from_micro(meter.value(ends)))},
    )
