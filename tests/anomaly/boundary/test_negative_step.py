"""What a backward step, or an impossible jump, is called, and which readings may still be billed from."""

import numpy as np
import pytest

from anomaly.boundary.consistent_chain import Link, trace
from anomaly.input.series import HOUR, Judgement, Series
from telemetry.findings import Severity
from tests.support.counters import judge, learn

UNIT = 1_000_000
STEADY = [1000 + n for n in range(100)]  # a unit an hour


def series(values: list[float], capacity: int | None = None) -> Series:
    """Hourly readings of these values in units."""
    times = np.arange(len(values), dtype=np.int64) * HOUR
    return Series.of(
        times,
        np.array([round(value * UNIT) for value in values], dtype=np.int64),
        None if capacity is None else capacity * UNIT,
    )


def kinds(judged: Judgement) -> list[str]:
    return [finding.kind.removeprefix("negative_step.") for finding in judged.findings]


def unusable(judged: Judgement) -> list[int]:
    return np.flatnonzero(~judged.usable).tolist()


def test_steady_counter_gives_no_findings() -> None:
    judged = judge(series(STEADY))
    assert not judged.findings
    assert not judged.marks
    assert judged.usable.all()


@pytest.mark.parametrize("length", [1, 2, 3])
def test_momentary_zero_is_a_glitch_of_just_those_readings(length: int) -> None:
    values = [*STEADY[:50], *[0.0] * length, *STEADY[50 + length :]]
    judged = judge(series(values))
    assert kinds(judged) == ["glitch"]
    assert unusable(judged) == list(range(50, 50 + length))
    finding = judged.findings[0]
    assert (finding.started_at, finding.ended_at) == (50 * HOUR, (50 + length) * HOUR)
    assert finding.evidence["before"] == "1049"
    assert finding.evidence["lowest"] == "0"


def test_glitch_to_zero_never_becomes_a_consumption() -> None:
    """evcc issue 30592: a momentary 0 was taken for a reset, and the way back up for 53.7 MWh."""
    values = [53_700 + n * 0.5 for n in range(60)]
    values[30] = 0
    judged = judge(series(values, capacity=1_000_000))
    assert kinds(judged) == ["glitch"]
    usable = np.array(values)[judged.usable]
    assert (np.diff(usable) >= 0).all()
    assert np.diff(usable).sum() == pytest.approx(29.5)


def test_one_off_slightly_lower_value_is_the_glitch_not_the_higher_one_before_it() -> None:
    values = list(map(float, STEADY))
    values[50] = 1020.0
    judged = judge(series(values))
    assert kinds(judged) == ["glitch"]
    assert unusable(judged) == [50]


def test_step_back_from_an_upward_glitch_belongs_to_the_glitch() -> None:
    values = list(map(float, STEADY))
    values[50] = 9000.0
    judged = judge(series(values))
    assert kinds(judged) == ["glitch"]
    assert unusable(judged) == [50]


def test_glitch_at_the_end_of_the_series_is_still_open() -> None:
    judged = judge(series([*STEADY, 0.0]))
    assert kinds(judged) == ["glitch"]
    assert judged.findings[0].ended_at is None
    assert judged.findings[0].severity is Severity.WARNING
    assert unusable(judged) == [100]


def test_step_back_of_an_hours_usual_use_is_jitter_and_stays_usable() -> None:
    values = [*STEADY[:50], *[value - 1.0 for value in STEADY[50:]]]
    values[50] = STEADY[49] - 0.5
    judged = judge(series(values))
    assert kinds(judged) == ["jitter"]
    assert judged.findings[0].evidence == {"steps": 1, "largest": "0.5", "total": "0.5"}
    assert judged.usable.all()
    assert not judged.marks


def test_drop_to_near_zero_that_lasts_is_a_reset() -> None:
    judged = judge(series([*STEADY, *range(50)], capacity=100_000))
    assert kinds(judged) == ["reset"]
    assert judged.usable.all()
    assert [(mark.index, mark.rule, mark.usable) for mark in judged.marks] == [(100, "reset", True)]
    assert judged.findings[0].evidence["before"] == "1099"
    assert judged.findings[0].evidence["capacity"] == "100000"


def test_step_across_the_capacity_is_a_rollover() -> None:
    values = [float(n % 1000) for n in range(900, 1100)]
    judged = judge(series(values, capacity=1000))
    assert kinds(judged) == ["rollover"]
    assert [(mark.index, mark.rule) for mark in judged.marks] == [(100, "rollover")]


def test_without_a_known_capacity_the_same_step_is_a_reset() -> None:
    judged = judge(series([float(n % 1000) for n in range(900, 1100)]))
    assert kinds(judged) == ["reset"]
    assert judged.findings[0].evidence["capacity"] == "unknown"


@pytest.mark.parametrize("level", [400, 500_000])
def test_going_on_from_another_level_is_a_suspected_swap(level: int) -> None:
    judged = judge(series([*STEADY, *[level + n for n in range(100)]]))
    assert kinds(judged) == ["swap_suspect"]
    assert judged.findings[0].evidence["pattern"] == "other level"
    assert judged.usable.all()


def test_two_levels_in_turn_are_a_mix_up_in_which_neither_is_usable() -> None:
    values = [float(value) for value in STEADY]
    for visit in range(4):
        values[50 + 2 * visit] = 250_000.0 + 3 * visit
    judged = judge(series(values))
    assert kinds(judged) == ["swap_suspect"]
    assert judged.findings[0].evidence["pattern"] == "mix-up"
    assert judged.findings[0].evidence["visits"] == 4
    assert unusable(judged) == list(range(50, 57))
    assert {mark.rule for mark in judged.marks} == {"mix_up"}


def test_long_visit_to_another_level_and_back_is_left_out() -> None:
    values = [*STEADY[:50], *[300_000.0 + n for n in range(30)], *[value + 0.0 for value in STEADY[50:]]]
    judged = judge(series(values))
    assert kinds(judged) == ["swap_suspect"]
    assert unusable(judged) == list(range(50, 80))


def test_long_silence_with_catch_up_is_consumption() -> None:
    times = np.concatenate((np.arange(100), np.arange(400, 500))).astype(np.int64) * HOUR
    values = np.concatenate((np.arange(100), np.arange(380, 480))).astype(np.int64) * UNIT
    assert not judge(Series.of(times, values)).findings


def test_links_of_the_chain_tell_every_backward_step() -> None:
    s = series([*STEADY, *range(50)])
    assert trace(s, learn(s)).links == ((99, 100, Link.BREAK),)


@pytest.mark.parametrize("values", [[], [5.0], [5.0, 4.0]])
def test_shortest_series_are_judged_too(values: list[float]) -> None:
    assert len(judge(series(values)).usable) == len(values)


def test_two_readings_at_one_instant_are_refused() -> None:
    with pytest.raises(ValueError, match="same instant"):
        Series.of(np.zeros(2, np.int64), np.zeros(2, np.int64))
