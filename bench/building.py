"""Faults of heat and electricity planted into the demo's virtual building (`hesper/demo`), and into its
water balance."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime

import numpy as np

from anomaly.boundary.learned_rate import of_block
from anomaly.catalogue import parameters_of
from anomaly.detectors.balance import DRIFT, balance, drift
from anomaly.input.block import Block, Register
from anomaly.input.series import DAY, HOUR, Judgement
from anomaly.judge import examine
from anomaly.workspace import Study
from bench.events import DELAYS, MONTH, Event, Score, Trial, first_said, score
from bench.planted import Int64Array
from hesper.demo.building import TIME_ZONE, BuildingMeter, build
from hesper.demo.faults import microseconds
from telemetry.micro import MICRO
from telemetry.obis import Medium, Obis, RegisterKind
from telemetry.status import Status

SEED = 20260101
BORN = datetime(2026, 10, 1, tzinfo=UTC)
COPIES = 2
_DAYS = tuple(delay for delay in DELAYS if delay >= DAY)
_UNITS = {"6-0:1.0.0": "kW.h", "6-0:2.0.0": "m3", "6-0:10.0.0": "Cel", "6-0:11.0.0": "Cel"}
ENERGY, VOLUME, FLOW, RETURN = _UNITS
IMPORT, EXPORT, PHASES = "1-0:1.8.0", "1-0:2.8.0", ("1-0:21.8.0", "1-0:41.8.0", "1-0:61.8.0")


@dataclass(frozen=True, slots=True)
class Copy:
    """One meter's registers hour by hour: int64, shape (n,), by OBIS; `status` of each readout."""

    times: Int64Array
    values: dict[str, Int64Array]
    status: Int64Array

    def until(self, instant: int) -> "Copy":
        """As it stood then."""
        known = self.times <= instant
        return Copy(
            self.times[known], {code: each[known] for code, each in self.values.items()}, self.status[known]
        )


Plant = Callable[[np.random.Generator, Copy, int, int], Copy]


@dataclass(frozen=True, slots=True)
class Fault:
    """`days`: shortest and longest; `wants`: the least a day must use (kWh) for the fault to show itself."""

    name: str
    medium: Medium
    kind: str
    plant: Plant
    days: tuple[int, int]
    wants: float = 0.0
    summer: bool = False
    hard: bool = False


def _grown(values: Int64Array, first: int, last: int, factor: float) -> Int64Array:
    """The counter with `factor` times its use between two readings."""
    steps = np.diff(values, prepend=values[0])
    steps[first:last] = np.rint(steps[first:last] * factor).astype(np.int64)
    return np.asarray(values[0] + np.cumsum(steps))


def _with(copy: Copy, changed: dict[str, Int64Array]) -> Copy:
    return replace(copy, values=copy.values | changed)


def _counts(code: str, least: float, most: float) -> Plant:
    """A counter that counts so many times what is used."""

    def plant(random: np.random.Generator, copy: Copy, first: int, last: int) -> Copy:
        factor = float(random.uniform(least, most))
        return _with(copy, {code: _grown(copy.values[code], first, last, factor)})

    return plant


def _return_temperature(random: np.random.Generator, copy: Copy, first: int, last: int) -> Copy:
    hotter = copy.values[RETURN].copy()
    hotter[first:last] += int(random.integers(22, 30)) * MICRO
    return _with(copy, {RETURN: hotter})


def _swapped(_: np.random.Generator, copy: Copy, first: int, last: int) -> Copy:
    flow, back = copy.values[FLOW].copy(), copy.values[RETURN].copy()
    flow[first:last], back[first:last] = copy.values[RETURN][first:last], copy.values[FLOW][first:last]
    return _with(copy, {FLOW: flow, RETURN: back, ENERGY: _grown(copy.values[ENERGY], first, last, 0.0)})


def _off_season(random: np.random.Generator, copy: Copy, first: int, last: int) -> Copy:
    hours = np.clip(np.arange(len(copy.times)) - first, 0, last - first)
    more = np.floor(hours * float(random.uniform(0.2, 0.6))).astype(np.int64) * MICRO
    return _with(copy, {ENERGY: copy.values[ENERGY] + more, VOLUME: copy.values[VOLUME] + more // 30})


def _base_load(random: np.random.Generator, copy: Copy, first: int, last: int) -> Copy:
    hours = np.clip(np.arange(len(copy.times)) - first, 0, last - first)
    more = (hours * float(random.uniform(0.15, 0.4)) * MICRO).astype(np.int64)
    return _with(copy, {IMPORT: copy.values[IMPORT] + more})


def _imbalance(random: np.random.Generator, copy: Copy, first: int, last: int) -> Copy:
    """One phase lost: the two others carry nothing, or all of it goes through one."""
    used = np.diff(copy.values[IMPORT], prepend=copy.values[IMPORT][0])
    parts = np.full((3, len(used)), 1 / 3)
    parts[:, first:last] = 0.05
    parts[int(random.integers(0, 3)), first:last] = 0.9
    phases = {
        code: np.cumsum(np.rint(part * used).astype(np.int64))
        for code, part in zip(PHASES, parts, strict=True)
    }
    return _with(copy, phases)


def _fed_in(random: np.random.Generator, copy: Copy, first: int, last: int) -> Copy:
    hours = np.clip(np.arange(len(copy.times)) - first, 0, last - first)
    return _with(copy, {EXPORT: (hours * float(random.uniform(0.02, 0.2)) * MICRO).astype(np.int64)})


def _tamper(_: np.random.Generator, copy: Copy, first: int, last: int) -> Copy:
    flagged = copy.status.copy()
    flagged[first:last] |= int(Status.TAMPER)
    return replace(copy, status=flagged)


def _party(random: np.random.Generator, copy: Copy, first: int, _: int) -> Copy:
    hours = np.clip(np.arange(len(copy.times)) - first, 0, int(random.integers(4, 9)))
    return _with(copy, {IMPORT: copy.values[IMPORT] + hours * int(random.integers(1_000_000, 2_500_000))})


_small_difference, _theft = _counts(VOLUME, 7, 12), _counts(IMPORT, 0.1, 0.5)
_no_volume, _no_energy = _counts(VOLUME, 0, 0), _counts(ENERGY, 0, 0)
_HEAT, _POWER = Medium.HEAT, Medium.ELECTRICITY
FAULTS = (
    Fault(
        "return temperature", _HEAT, "heat.return_temperature", _return_temperature, (7, 30), 8.0, hard=True
    ),
    Fault("small difference", _HEAT, "heat.small_difference", _small_difference, (7, 30), 8.0, hard=True),
    Fault("swapped sensors", _HEAT, "heat.swapped_sensors", _swapped, (7, 30), 8.0, hard=True),
    Fault("energy, no volume", _HEAT, "heat.energy_without_volume", _no_volume, (7, 30), 8.0, hard=True),
    Fault("volume, no energy", _HEAT, "heat.volume_without_energy", _no_energy, (7, 30), 8.0, hard=True),
    Fault("off-season use", _HEAT, "heat.off_season", _off_season, (7, 30), summer=True),
    Fault("theft-like drop", _POWER, "theft_like_drop", _theft, (21, 60)),
    Fault("base load jump", _POWER, "base_load_jump", _base_load, (14, 60)),
    Fault("phase imbalance", _POWER, "phase_imbalance", _imbalance, (7, 30), 6.0, hard=True),
    Fault("negative load", _POWER, "negative_load", _fed_in, (3, 20), hard=True),
    Fault("tamper flag", _POWER, "tamper", _tamper, (1, 5), hard=True),
    Fault("odd hours", _POWER, "seasonal_outlier", _party, (1, 2)),
)


def scores(reported: bool, most: int | None = None) -> Iterator[tuple[str, Score, bool]]:
    """Each fault's score, on one half of the flats, or `most` of them."""
    building = build(SEED, BORN)
    flats = [meter for meter in building.meters_now if meter.point.startswith("flat-")]
    start, end = microseconds(building.begins), microseconds(BORN)
    for number, fault in enumerate(FAULTS):
        own = [_copy(meter, start, end) for meter in flats if meter.medium is fault.medium]
        own = own[reported::2][:most]
        trials, copies = [], []
        for which, copy in enumerate(own):
            for again in range(COPIES):
                random = np.random.default_rng([SEED, 100 + number, which, again])
                span = _moment(random, copy, fault)
                if span is None:
                    continue
                copies.append(fault.plant(random, copy, *span))
                first, last = (int(copy.times[i]) for i in span)
                trials.append(Trial(first, last, (end - start) / MONTH, ()))

        def as_it_stood(
            which: Sequence[int], until: Sequence[int], copies: list[Copy] = copies, kind: str = fault.kind
        ) -> list[list[Event]]:
            return _events([copies[i].until(at) for i, at in zip(which, until, strict=True)], kind)

        said = _events(copies, fault.kind)
        yield fault.name, score(trials, said, first_said(trials, as_it_stood, _DAYS)), fault.hard
    yield "balance drift", _balance_drift(building.meters_now, start, end, reported), False


def _copy(meter: BuildingMeter, start: int, end: int) -> Copy:
    """What the meter's registers show every hour, as `hesper/demo/meters.py` has them."""
    if meter.installed_from is not None:
        start = microseconds(meter.installed_from)
    times = np.arange(start, end, HOUR)
    counted = meter.source.at(times)
    if meter.medium is Medium.ELECTRICITY:
        return Copy(times, {IMPORT: counted}, np.zeros(len(times), dtype=np.int64))
    day_before = np.concatenate((np.full(24, counted[0]), counted[:-24]))
    kilowatts = np.maximum(counted - day_before, 0) // 24
    values = {
        ENERGY: counted,
        VOLUME: counted // 30 // 1000 * 1000,
        FLOW: 45 * MICRO + 6 * kilowatts,
        RETURN: 35 * MICRO + kilowatts,
    }
    return Copy(times, values, np.zeros(len(times), dtype=np.int64))


def _moment(random: np.random.Generator, copy: Copy, fault: Fault) -> tuple[int, int] | None:
    """First and last reading of a time that suits the fault, after 70 days of history."""
    counted = copy.values[ENERGY if fault.medium is Medium.HEAT else IMPORT]
    for _ in range(200):
        length = int(random.integers(fault.days[0], fault.days[1] + 1)) * 24
        if len(counted) < length + 75 * 24:
            return None
        first = int(random.integers(70 * 24, len(counted) - length - 48))
        months = copy.times[[first, first + length]].astype("datetime64[us]").astype("datetime64[M]")
        in_summer = np.isin(months.astype(np.int64) % 12 + 1, (6, 7, 8)).all()
        use = np.diff(counted[first : first + length + 1 : 24])
        if use.min() >= fault.wants * MICRO and (in_summer or not fault.summer):
            return first, first + length
    return None


def _events(copies: Sequence[Copy], kind: str) -> list[list[Event]]:
    registers: list[Register] = []
    for number, copy in enumerate(copies):
        for code in copy.values:
            obis = Obis.parse(code)
            registers.append(
                Register(
                    str(number), obis, obis.kind or RegisterKind.COUNTER, obis.unit or "", interval=HOUR,
                    parameters=parameters_of(obis),
                )
            )  # fmt: skip
    columns = [(copy.times, values, copy.status) for copy in copies for values in copy.values.values()]
    rows = np.repeat(np.arange(len(columns)), [len(times) for times, *_ in columns])
    times, values, status = (np.concatenate(column) for column in zip(*columns, strict=True))
    judged = examine(Block.of(registers, rows, times, values, status=status, zone=TIME_ZONE)).judged
    said: list[list[Event]] = [[] for _ in copies]
    for register, judgement in zip(registers, judged, strict=True):
        said[int(register.meter)] += [
            Event(f.kind, f.started_at, f.ended_at) for f in judgement.findings if f.kind == kind
        ]
    return said


def _balance_drift(meters: Sequence[BuildingMeter], start: int, end: int, reported: bool) -> Score:
    """A leak before the flats of 30 to 150 litres an hour for three to eight weeks."""
    points = [each for each in meters if each.medium in (Medium.COLD_WATER, Medium.HOT_WATER)]
    house = next(each for each in points if each.point == "house-cw")
    flats = [each for each in points if each.point.startswith("flat-")]
    times = np.arange(start, end, HOUR)
    rules = parameters_of(Obis.parse("8-0:1.0.0"))
    counted = [each.source.at(times) for each in (house, *flats)]
    trials, said = [], []
    for again in range(12):
        random = np.random.default_rng([SEED, 200, int(reported), again])
        length = int(random.integers(21, 57)) * 24
        first = int(random.integers(70 * 24, len(times) - length - 24))
        leaked = np.clip(np.arange(len(times)) - first, 0, length) * int(random.integers(30_000, 150_000))
        block = Block.of(
            [
                Register(str(row), Obis.parse("8-0:1.0.0"), unit="m3", parameters=rules)
                for row in range(len(counted))
            ],
            np.repeat(np.arange(len(counted)), len(times)),
            np.tile(times, len(counted)),
            np.concatenate([counted[0] + leaked, *counted[1:]]),
            zone=TIME_ZONE,
        )
        usable = [Judgement((), (), np.ones(len(times), dtype=np.bool_)) for _ in counted]
        days = Study(block, usable, of_block(block)[0]).days
        found = drift(balance(days.first, days.total[0], days.total[1:]), TIME_ZONE)
        said.append([Event(f.kind, f.started_at, f.ended_at) for f in found if f.kind == DRIFT])
        trials.append(Trial(int(times[first]), int(times[first + length]), (end - start) / MONTH, ()))
    return score(trials, said)
