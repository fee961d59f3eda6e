"""The virtual building: 24 flats and their house meters, what each register shows when, and its faults.

Everything is a function of (seed, now at the first start), which the demo's folder keeps, so that history,
live polls and a second start tell one story.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np

from hesper.demo.consumption import (
    Household,
    Part,
    SimulatedCounter,
    Sum,
    Use,
    cold_water,
    electricity,
    heating,
    hot_water,
    household,
    steady,
)
from hesper.demo.faults import Fault, Glitch, Leak, Leaking, Reset, Rollover, Source, Stuck, microseconds
from telemetry.meter_id import meter_id
from telemetry.micro import MICRO
from telemetry.obis import Medium

UTILITY = "demo"
GATEWAY = "house-1"
TIME_ZONE = ZoneInfo("Europe/Berlin")
FLATS = 24
HISTORY_MONTHS = 13

COLD, HOT, HEAT, POWER = "8-0:1.0.0", "9-0:1.0.0", "6-0:1.0.0", "1-0:1.8.0"

_NEVER = datetime(9999, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class BuildingMeter:
    """One meter: who it is, where it hangs, and what its billed register shows.

    `digits` are the register's whole digits. `silent` is a span in which it did not answer, for ever where it
    ends after the demo was born. `offset` is the place in the line's round, in seconds after the full hour.
    """

    meter: str
    medium: Medium
    model: str
    line: str
    address: int
    point: str
    point_name: str
    account: str
    obis: str
    unit: str
    digits: int
    source: Source
    offset: int
    profile: str | None = None
    installed_from: datetime | None = None
    installed_to: datetime | None = None
    silent: tuple[datetime, datetime] | None = None
    verified_until: date | None = None

    def value(self, instant: datetime) -> int:
        """Micro-units that the register shows."""
        return int(self.source.at(np.array([microseconds(instant)], dtype=np.int64))[0])


@dataclass(frozen=True, slots=True)
class Building:
    """All meters, history included; `meters_now` are those that hang there today."""

    meters: list[BuildingMeter]
    faults: list[Fault]
    begins: datetime
    born: datetime

    @property
    def meters_now(self) -> list[BuildingMeter]:
        return [meter for meter in self.meters if meter.installed_to is None]

    @property
    def answering(self) -> list[BuildingMeter]:
        """Those of them that are not dead."""
        return [meter for meter in self.meters_now if meter.silent is None or meter.silent[1] <= self.born]


def month_start(instant: datetime, months_back: int = 0) -> datetime:
    """The local midnight that begins the month of `instant`, or one of those before it; UTC."""
    local = instant.astimezone(TIME_ZONE)
    month = local.year * 12 + local.month - 1 - months_back
    return datetime(month // 12, month % 12 + 1, 1, tzinfo=TIME_ZONE).astimezone(UTC)


def build(seed: int, born: datetime, months: int = HISTORY_MONTHS) -> Building:
    """The building as of its first start at `born` (aware), with the history of so many full months."""
    return _Builder(seed, born, months).build()


@dataclass(frozen=True, slots=True)
class _Kind:
    """One medium's flat meters."""

    code: str
    name: str
    medium: Medium
    obis: str
    unit: str
    manufacturer: str
    model: str
    line: str
    digits: int
    resolution: int
    use: Callable[[Household], Use]
    start: tuple[int, int]  # whole units that a register may show when history begins
    profile: str | None = None


_FLAT_METERS = (
    _Kind(
        "cw", "cold water", Medium.COLD_WATER, COLD, "m3", "ZRI", "Zelsius C5 pulse", "water", 5, 1000,
        cold_water, (20, 900),
    ),
    _Kind(
        "hw", "hot water", Medium.HOT_WATER, HOT, "m3", "ZRI", "Zelsius C5 pulse", "water", 5, 1000,
        hot_water, (10, 500),
    ),
    _Kind(
        "heat", "heat", Medium.HEAT, HEAT, "kW.h", "KAM", "Multical 302", "heat", 7, MICRO,
        heating, (3_000, 60_000),
    ),
    _Kind(
        "el", "electricity", Medium.ELECTRICITY, POWER, "kW.h", "EAS", "SDM120", "electricity", 5, 10_000,
        electricity, (300, 9_000), "eastron-sdm120",
    ),
)  # fmt: skip


class _Builder:
    def __init__(self, seed: int, born: datetime, months: int) -> None:
        self.seed = seed
        self.born = born
        self.begins = month_start(born, months)
        self.origin = self.begins - timedelta(days=2)  # a counter's own beginning, safely before
        self.meters: list[BuildingMeter] = []
        self.faults: list[Fault] = []
        self.parts: dict[str, list[Part]] = {kind.code: [] for kind in _FLAT_METERS}
        self.addresses: dict[str, int] = {}

    def build(self) -> Building:
        for flat in range(1, FLATS + 1):
            home = household(self.seed, flat)
            for number, kind in enumerate(_FLAT_METERS):
                self._add_flat_meter(flat, home, number, kind)
        self._plant_faults()
        self._add_house_meters()
        return Building(self.meters, self.faults, self.begins, self.born)

    def _add_flat_meter(self, flat: int, home: Household, number: int, kind: _Kind) -> None:
        random = np.random.default_rng([self.seed, 2, number, flat])
        series = SimulatedCounter(
            (self.seed, 3, number, flat),
            self.origin,
            kind.use(home),
            start=int(random.integers(*kind.start)) * MICRO + int(random.integers(0, MICRO)),
            resolution=kind.resolution,
        )
        self.parts[kind.code].append(series)
        self._add(
            meter=meter_id(kind.manufacturer, f"{20_000_000 + 100_000 * number + 137 * flat:08d}"),
            medium=kind.medium,
            model=kind.model,
            line=kind.line,
            point=f"flat-{flat:02d}-{kind.code}",
            point_name=f"Flat {flat}, {kind.name}",
            account=f"{100_000 + flat}",
            obis=kind.obis,
            unit=kind.unit,
            digits=kind.digits,
            source=series,
            profile=kind.profile,
        )

    def _add_house_meters(self) -> None:
        common = SimulatedCounter(
            (self.seed, 4, 0), self.origin, steady(1.1), start=5_321 * MICRO, resolution=1000
        )
        water = Sum(self.parts["cw"] + self.parts["hw"], factor=1.02, start=9_120 * MICRO, resolution=1000)
        self._add(
            meter="KAM-61000001", medium=Medium.COLD_WATER, model="flowIQ 3200", line="water",
            point="house-cw", obis=COLD, unit="m3", digits=6, source=water,
            point_name="House, cold water intake",
        )  # fmt: skip
        heat = Sum(self.parts["heat"], factor=1.07, start=310_000 * MICRO, resolution=MICRO)
        self._add(
            meter="KAM-61000002", medium=Medium.HEAT, model="Multical 603", line="heat",
            point="house-heat", obis=HEAT, unit="kW.h", digits=7, source=heat,
            point_name="House, heat substation",
        )  # fmt: skip
        power = Sum([*self.parts["el"], common], factor=1.005, start=81_000 * MICRO, resolution=100_000)
        self._add(
            meter="EAS-61000003", medium=Medium.ELECTRICITY, model="SDM630", line="electricity",
            point="house-el", obis=POWER, unit="kW.h", digits=6, source=power, profile="eastron-sdm630",
            point_name="House, electricity",
        )  # fmt: skip
        self._add(
            meter="LGZ-61000004", medium=Medium.ELECTRICITY, model="ZMD310", line="optical",
            point="common-el", obis=POWER, unit="kW.h", digits=6, source=common,
            point_name="Stairs and lift, electricity",
        )  # fmt: skip
        heated = Sum(self.parts["hw"], factor=1.0, start=2_870 * MICRO, resolution=1000)
        self._add(
            meter="KAM-61000005", medium=Medium.COLD_WATER, model="flowIQ 2200", line="water",
            point="boiler-cw", obis=COLD, unit="m3", digits=6, source=heated,
            point_name="Boiler, cold water to be heated",
        )  # fmt: skip

    def _add(self, *, meter: str, line: str, account: str = "100000", **fields: object) -> None:
        address = self.addresses.get(line, 0) + 1
        self.addresses[line] = address
        offset = 3 + (address * 37) % 50
        self.meters.append(
            BuildingMeter(meter, line=line, address=address, account=account, offset=offset, **fields)  # type: ignore[arg-type]
        )

    # --- what real life brings -----------------------------------------------------------------------

    def _plant_faults(self) -> None:
        last_month = month_start(self.born, 1)
        this_month = month_start(self.born)
        self._change("flat-11-cw", "stuck", self.born - timedelta(days=45), Stuck)
        self._change("flat-03-hw", "glitch", last_month + timedelta(days=9, hours=7), Glitch)
        self._change("flat-15-el", "reset", last_month + timedelta(days=16, hours=11), Reset)
        rolled = min(self.begins + timedelta(days=200), self.born - timedelta(days=35))
        self._plant_rollover("flat-19-cw", rolled)
        for point, since, hours in (
            ("flat-08-el", timedelta(days=4), 7 * 24),
            ("flat-21-el", timedelta(hours=20), 33),
        ):
            at = this_month - since
            until = min(at + timedelta(hours=hours), self.born)
            self._plant(point, "silent", at, silent=(at, until))
        self._plant_swap("flat-05-heat", last_month + timedelta(days=12, hours=9))
        self._plant_leak("flat-07-cw", self.born - timedelta(days=23, hours=6), 14_000)  # a cistern's 14 l/h
        died = self.born - timedelta(days=6, hours=3)
        self._plant("flat-18-hw", "dead", died, silent=(died, _NEVER))
        day = self.born.date() - timedelta(days=54)
        expired = datetime(day.year, day.month, day.day, tzinfo=TIME_ZONE)
        self._plant("flat-12-heat", "verification expired", expired, verified_until=day)

    def _plant(self, point: str, kind: str, at: datetime, **changes: object) -> None:
        index, meter = self._find(point)
        self.meters[index] = replace(meter, **changes)  # type: ignore[arg-type]
        self.faults.append(Fault(meter.meter, kind, at))

    def _change(self, point: str, kind: str, at: datetime, fault: Callable[[Source, int], Source]) -> None:
        _, meter = self._find(point)
        self._plant(point, kind, at, source=fault(meter.source, microseconds(at)))

    def _plant_rollover(self, point: str, at: datetime) -> None:
        _, meter = self._find(point)
        series = meter.source
        assert isinstance(series, SimulatedCounter)
        capacity = 10**meter.digits * MICRO
        used = int(series.used(np.array([microseconds(at)], dtype=np.int64))[0])
        series.start_at(capacity - used)
        self._plant(point, "rollover", at, source=Rollover(series, capacity))

    def _plant_leak(self, point: str, at: datetime, per_hour: int) -> None:
        """It runs through the house meter, too."""
        _, meter = self._find(point)
        leak = Leak(microseconds(at), per_hour)
        self.parts["cw"].append(leak)
        self._plant(point, "leak", at, source=Leaking(meter.source, leak, 1000))

    def _plant_swap(self, point: str, at: datetime) -> None:
        _, old = self._find(point)
        manufacturer, _, serial = old.meter.partition("-")
        new = replace(
            old,
            meter=meter_id(manufacturer, f"{int(serial) + 9_000_000:08d}"),
            source=Reset(old.source, microseconds(at)),
            installed_from=at,
        )
        self._plant(point, "swap", at, installed_to=at)
        self.meters.append(new)

    def _find(self, point: str) -> tuple[int, BuildingMeter]:
        for index, meter in enumerate(self.meters):
            if meter.point == point:
                return index, meter
        raise KeyError(point)
