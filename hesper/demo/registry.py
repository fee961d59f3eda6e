"""The building as a registry document: what a utility would have typed in or imported."""

from datetime import date, timedelta

from hesper.demo.building import FLATS, GATEWAY, TIME_ZONE, UTILITY, Building, BuildingMeter
from metering.registry.entries import (
    ContractEntry,
    FuseEntry,
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
from telemetry.obis import Medium

_HOUSE, _CELLAR = "linden-street-4", "cellar"

# by model: Q4 (water) or qs (heat) in m3/h; the largest current in A, and phases
_QMAX = {
    "Zelsius C5 pulse": "3.125",
    "flowIQ 2200": "5",
    "flowIQ 3200": "12.5",
    "Multical 302": "1.2",
    "Multical 603": "30",
}
_IMAX = {"SDM120": ("45", 1), "SDM630": ("100", 3), "ZMD310": ("100", 3)}
_FUSES = {
    "flat": ("35", 1),
    "common": ("35", 3),
    "house": ("100", 3),
}  # by the first part of the point's code


def registry_of(building: Building) -> Registry:
    """Utility, house and flats, gateway, all meters with their billed register, service points.

    And what is known of these: installations, fuses, and that each is paid for.
    """
    utility = UtilityEntry(
        code=UTILITY,
        name="Demo Utility",
        time_zone=TIME_ZONE.key,
        sites=[
            SiteEntry(_HOUSE, "Linden Street 4", "Linden Street 4, 24 flats"),
            SiteEntry(_CELLAR, "Cellar and stairs", parent=_HOUSE),
            *(SiteEntry(_flat(flat), f"Flat {flat}", parent=_HOUSE) for flat in range(1, FLATS + 1)),
        ],
        gateways=[GatewayEntry(GATEWAY, _HOUSE)],
        meters=[_meter(building, meter) for meter in building.meters],
        service_points=_service_points(building),
    )
    return Registry([utility])


def _meter(building: Building, meter: BuildingMeter) -> MeterEntry:
    register = RegisterEntry(
        meter.obis, meter.unit, digits=meter.digits, billed=True, interval=timedelta(hours=1)
    )
    imax, phases = _IMAX.get(meter.model, (None, None))
    return MeterEntry(
        meter.meter,
        meter.medium,
        meter.model,
        GATEWAY,
        _place(meter.point),
        qmax=_QMAX.get(meter.model),
        imax=imax,
        phases=phases,
        verified_until=meter.verified_until or _verified_until(building, meter),
        registers=[register],
    )


def _verified_until(building: Building, meter: BuildingMeter) -> date:
    """Spread over the years to come, as meters of a house that were not all fitted at once are."""
    return date(building.born.year + 1 + meter.address % 5, 1 + (meter.address * 7) % 12, 28)


def _service_points(building: Building) -> list[ServicePointEntry]:
    points: dict[str, list[BuildingMeter]] = {}
    for meter in building.meters:
        points.setdefault(meter.point, []).append(meter)
    return [
        ServicePointEntry(
            code=point,
            medium=meters[0].medium,
            name=meters[0].point_name,
            site=_place(point),
            account=meters[0].account,
            installations=[_installation(building, meter) for meter in meters],
            fuses=_fuses(building, meters[0]),
            contracts=[ContractEntry(building.begins, account=meters[0].account)],
        )
        for point, meters in points.items()
    ]


def _flat(number: int) -> str:
    return f"flat-{number:02d}"


def _place(point: str) -> str:
    """The part of the house that a service point serves; the house itself for its main meters."""
    if point.startswith("house"):
        return _HOUSE
    return point.rpartition("-")[0] if point.startswith("flat") else _CELLAR


def _fuses(building: Building, meter: BuildingMeter) -> list[FuseEntry]:
    if meter.medium is not Medium.ELECTRICITY:
        return []
    amperes, phases = _FUSES[meter.point.partition("-")[0]]
    return [FuseEntry(building.begins.astimezone(TIME_ZONE).date(), amperes, phases)]


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
