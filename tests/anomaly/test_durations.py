"""What a rule declares of its duration holds, and another value would lose something or cost something.

Each rule has a series in which it finds something, seen as time goes by. With what it declares, a judgement
from the last settled Monday says what one from the beginning says; with a wrong value it says something else,
or takes more readings or less than it should.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest

from anomaly import checkpoint
from anomaly.catalogue import REGISTER_KINDS, RULES
from anomaly.input.block import UNKNOWN
from anomaly.input.series import DAY, HOUR
from anomaly.judge import examine
from anomaly.rule import Duration, Rule
from telemetry.status import Status
from tests.support.blocks import LITRE, START, UNIT, UTC, Made, at, register, shown, used
from tests.support.checkpoints import Compared, Series, compare, made

DAYS = 103
UNTILS = [START + round((45.5 + 7 * week) * DAY) for week in range(9)]  # Thursdays at noon
FLAT = np.tile([0.0] * 6 + [8.0] * 18, DAYS)  # litres an hour: rests at night
HOUSE = np.full(24 * DAYS, 8.0)
POWER = np.tile([100.0] * 6 + [400.0] * 18, DAYS)
OVER = slice(58 * 24, 58 * 24 + 6)  # hours of an event that is over before a cut, and seen by then
ON = slice(67 * 24, 90 * 24)  # of one that begins on a Friday and goes on across three cuts
AGAIN = 100 * 24  # the hour of a second break, much later

Case = Sequence[Series]


def changed(hours: np.ndarray, where: slice, *, times: float = 1, more: float = 0) -> np.ndarray:
    return np.where(np.isin(np.arange(len(hours)), np.arange(len(hours))[where]), hours * times + more, hours)


def water(hours: np.ndarray = FLAT, **facts: object) -> Series:
    return Series.of(used(register(**facts), hours))  # type: ignore[arg-type]


def shows(change: Callable[[np.ndarray], None], **facts: object) -> Case:
    """A flat whose register shows something else than was used."""
    of = used(register(**facts), FLAT)  # type: ignore[arg-type]
    change(of.values)
    return [Series.of(of)]


def glitch(values: np.ndarray) -> None:
    values[OVER.start] = 0
    values[AGAIN:] -= values[AGAIN]


def jitter(values: np.ndarray) -> None:
    for day in (52, 72):
        values[day * 24 + 12] -= 9 * LITRE


def reset(values: np.ndarray) -> None:
    values[OVER.start :] -= values[OVER.start]
    values[AGAIN] = 0


def rollover(values: np.ndarray) -> None:
    values[:] = (values - values[OVER.start]) % (10 * UNIT)
    values[AGAIN:] += 7_000 * UNIT


def swap(values: np.ndarray) -> None:
    values[OVER.start :] += 7_000 * UNIT
    values[AGAIN:] += 7_000 * UNIT


def unit(values: np.ndarray) -> None:
    values[OVER] *= 10


def bit(status: Status) -> Case:
    of = used(register(), FLAT)
    shown_ = np.zeros(len(of.times), dtype=np.int64)
    shown_[OVER] = int(status)
    return [Series.of(replace(of, status=shown_))]


def arrives(late: int) -> Case:
    of = used(register(), FLAT)
    column = np.full(len(of.times), HOUR)
    column[OVER] = late
    return [Series.of(of, late=column)]


def drifting() -> Case:
    of = used(register(), FLAT)
    ahead = np.full(len(of.times), UNKNOWN)
    ahead[OVER] = 600_000_000
    return [Series.of(of, ahead=ahead)]


def without(hours: slice, step: int = 1) -> Case:
    of = used(register(), FLAT)
    kept = np.ones(len(of.times), dtype=np.bool_)
    kept[hours.start : hours.stop : step] = False
    return [Series.of(of).part(kept)]


def electricity(use: np.ndarray, *parts: Made) -> Case:
    return [Series.of(used(register("1-0:1.8.0"), use)), *map(Series.of, parts)]


def profile() -> Case:
    energy = np.full(24 * DAYS, 500_000)
    energy[ON] = 400_000
    return electricity(HOUSE * 62.5, shown(register("1-0:1.29.0", unit="kW.h"), energy))


def evenings() -> Case:
    hours = np.where(
        np.arange(24 * DAYS) % 168 // 5 == 27, 1000.0, 200.0 + np.arange(24 * DAYS) // 168 % 3 * 20
    )
    hours[58 * 24 + 2 : 58 * 24 + 6] = 1500.0
    return electricity(hours)


def phases() -> Case:
    parts = [changed(HOUSE * 12, ON, times=times) for times in (2.8, 0.1, 0.1)]
    return electricity(
        np.sum(parts, axis=0),
        *(used(register(f"1-0:{code}.8.0"), part) for code, part in zip((21, 41, 61), parts, strict=True)),
    )


def heat(*, energy: float = 1, volume: float = 1, flow: int = 60, back: int = 35) -> Case:
    """2 kWh and 69 litres an hour (25 K); while it goes on, times these and at these temperatures."""
    flows = changed(np.full(24 * DAYS, 60), ON, times=0, more=flow)
    backs = changed(np.full(24 * DAYS, 35), ON, times=0, more=back)
    return [
        Series.of(used(register("6-0:1.0.0"), changed(np.full(24 * DAYS, 2000.0), ON, times=energy))),
        Series.of(used(register("6-0:2.0.0"), changed(np.full(24 * DAYS, 68.8), ON, times=volume))),
        Series.of(shown(register("6-0:10.0.0"), flows * UNIT)),
        Series.of(shown(register("6-0:11.0.0"), backs * UNIT)),
    ]


def summer() -> Case:
    """No heat but in the last days of June, of a year that begins in April."""
    hours = changed(np.zeros(24 * DAYS), slice(0, 40 * 24), more=2000)
    of = Series.of(used(register("6-0:1.0.0"), changed(hours, ON, more=2000)))
    return [replace(of, times=of.times + 91 * DAY)]


def of_files() -> Iterator[tuple[str, Callable[[], Case]]]:
    """Series that the test of a detector gives itself, as `CASES`."""
    for path in sorted((Path(__file__).parent / "detectors").glob("test_*.py")):
        module = import_module(f"tests.anomaly.detectors.{path.stem}")
        yield from getattr(module, "CASES", {}).items()


CASES: dict[str, Callable[[], Case]] = {
    "negative_step.glitch": lambda: shows(glitch),
    "negative_step.jitter": lambda: shows(jitter),
    "negative_step.rollover": lambda: shows(rollover, capacity=10 * UNIT),
    "negative_step.reset": lambda: shows(reset),
    "negative_step.swap_suspect": lambda: shows(swap),
    "reverse_flow": lambda: [water(changed(FLAT, OVER, times=0, more=-30))],
    "stuck": lambda: [water(changed(HOUSE, slice(67 * 24, 100 * 24), times=0))],
    "zero": lambda: [water(changed(FLAT, slice(66 * 24, 78 * 24), times=0))],
    "missing": lambda: without(OVER),
    "interval": lambda: without(slice(57 * 24, 58 * 24), step=2),
    "future": lambda: arrives(-HOUR),
    "too_old": lambda: arrives(500 * DAY),
    "clock_drift": drifting,
    "unsynchronised": lambda: bit(Status.UNSYNCHRONISED),
    "status.permanent_error": lambda: bit(Status.PERMANENT_ERROR),
    "status.temporary_error": lambda: bit(Status.TEMPORARY_ERROR),
    "status.application_error": lambda: bit(Status.APPLICATION_ERROR),
    "status.abnormal": lambda: bit(Status.ABNORMAL),
    "status.power_low": lambda: bit(Status.POWER_LOW),
    "tamper": lambda: bit(Status.TAMPER),
    "verification_expired": lambda: [water(verified_until=at(60 * 24))],
    "max_rate": lambda: [water(changed(FLAT, slice(1400, 1401), more=4000), max_rate=2_500_000)],
    "high_low.high": lambda: [water(changed(FLAT, ON, times=10))],
    "high_low.low": lambda: [water(changed(FLAT * 10, ON, times=0.01))],
    "spike": lambda: [water(changed(FLAT, slice(1400, 1401), more=250))],
    "unit_or_multiplier": lambda: shows(unit),
    "sibling": lambda: electricity(
        POWER * 2,
        used(register("1-0:1.8.1"), POWER),
        used(register("1-0:1.8.2"), changed(POWER, ON, times=0.6)),
    ),
    "sum_check": profile,
    "inactive_consumption": lambda: [water(contracts=((START - DAY, at(50 * 24)), (at(58 * 24), None)))],
    "leak": lambda: [water(changed(FLAT, ON, more=12))],
    "burst": lambda: [water(changed(FLAT, OVER, more=800), max_rate=3_125_000)],
    "catch_up": lambda: without(slice(54 * 24, 58 * 24)),
    "level_shift": lambda: [water(changed(FLAT, ON, times=10))],
    "seasonal_outlier": evenings,
    "heat.return_temperature": lambda: heat(back=58),
    "heat.small_difference": lambda: heat(volume=8, flow=57, back=53),
    "heat.swapped_sensors": lambda: heat(flow=35, back=50, energy=0),
    "heat.energy_without_volume": lambda: heat(volume=0),
    "heat.volume_without_energy": lambda: heat(energy=0),
    "heat.off_season": summer,
    "theft_like_drop": lambda: electricity(changed(POWER, ON, times=1 / 3)),
    "base_load_jump": lambda: electricity(changed(POWER, ON, more=200)),
    "phase_imbalance": phases,
    "negative_load": lambda: electricity(POWER, used(register("1-0:2.8.0"), changed(HOUSE * 0, ON, more=50))),
    **dict(of_files()),
}
WRONG = {
    Duration.READINGS: Duration.DAYS,
    Duration.BREAK: Duration.READINGS,
    Duration.DAYS: Duration.READINGS,
    Duration.STANDSTILL: Duration.READINGS,
    Duration.DATE: Duration.READINGS,
}


def outcome(case: Case) -> Compared | None:
    """What it takes to judge the series from cuts; None where that says something else than the whole."""
    begin = int(case[0].times[0]) // DAY * DAY - START
    try:
        return compare(case, [until + begin for until in UNTILS], UTC)
    except AssertionError:
        return None


@pytest.mark.parametrize("kind", REGISTER_KINDS)
def test_duration_of(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    assert kind in CASES, (
        "a rule needs a series in which it finds something: here, or in the test of its detector"
    )
    case, rule = CASES[kind](), RULES[kind]
    judged = examine(made(case, int(case[0].times[-1]), [None] * len(case), UTC)).judged
    assert kind in {finding.kind for each in judged for finding in each.findings}
    right = outcome(case)
    assert right
    assert right.registers
    for wrong in wrongs(rule):
        monkeypatch.setattr(checkpoint, "RULES", {**RULES, kind: wrong})
        assert outcome(case) != right, f"nothing changes if {kind} is declared to last as {wrong.lasts}"


def wrongs(rule: Rule) -> list[Rule]:
    shorter = [replace(rule, joins=DAY)] if rule.joins > DAY else []
    return [replace(rule, lasts=WRONG[rule.lasts]), *shorter]


def test_no_series_is_of_a_kind_that_nobody_declares() -> None:
    assert set(CASES) == set(REGISTER_KINDS)
