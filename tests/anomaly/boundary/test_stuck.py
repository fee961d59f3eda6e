"""A register is stuck when it stands still for longer than it ever did, and then some."""

import numpy as np

from anomaly.boundary.stuck import StuckParameters
from anomaly.input.series import DAY, HOUR, Finding, Series
from tests.support.counters import judge

LITRE = 1_000


def used(hours: list[int]) -> Series:
    """Litres used in each hour, as a register."""
    values = 5_000 * LITRE + np.cumsum(np.array(hours, dtype=np.int64)) * LITRE
    return Series.of(np.arange(len(hours), dtype=np.int64) * HOUR, values)


def stuck(series: Series, rule: StuckParameters | None = None) -> list[Finding]:
    return [finding for finding in judge(series, rule).findings if finding.kind == "stuck"]


BUSY = [3] * 24 * 60  # never at rest
FLAT = ([0] * 8 + [5] * 16) * 60  # rests at night
AWAY = [0] * 24


def test_main_meter_that_never_rested_is_stuck_after_three_days() -> None:
    assert not stuck(used(BUSY + AWAY * 3))
    (finding,) = stuck(used(BUSY + AWAY * 4))
    assert finding.ended_at is None
    assert finding.started_at == (len(BUSY) - 1) * HOUR
    assert finding.evidence["limit_hours"] == 72


def test_meter_that_repeats_a_value_for_an_hour_is_not_stuck() -> None:
    assert not stuck(used([0, 4] * 24 * 60))


def test_weekend_away_is_not_stuck() -> None:
    assert not stuck(used(FLAT + AWAY * 3 + FLAT))


def test_holiday_is_not_stuck() -> None:
    assert not stuck(used(FLAT + AWAY * 10 + FLAT + AWAY * 19 + FLAT))


def test_flat_is_stuck_after_three_weeks() -> None:
    assert stuck(used(FLAT + AWAY * 22))


def test_standing_still_ends_with_the_first_change() -> None:
    (finding,) = stuck(used(FLAT + AWAY * 40 + FLAT))
    assert finding.ended_at == (len(FLAT) + 40 * 24 + 8) * HOUR
    assert finding.evidence["hours"] == 40 * 24 + 8


def test_register_that_never_moved_is_unused_not_stuck() -> None:
    assert not stuck(used([0] * 24 * 200))


def test_first_weeks_are_too_short_to_know_the_meter() -> None:
    assert not stuck(used([3] * 24 * 20 + AWAY * 20))


def test_glitch_does_not_end_a_standstill() -> None:
    series = used(BUSY + AWAY * 10)
    series.values[len(BUSY) + 50] = 0
    (finding,) = stuck(series)
    assert finding.ended_at is None


def test_later_events_do_not_change_what_was_right_to_report() -> None:
    before = stuck(used(BUSY + AWAY * 10 + BUSY))
    after = stuck(used(BUSY + AWAY * 10 + BUSY + AWAY * 60 + BUSY))
    assert after[: len(before)] == before


def test_heating_register_may_rest_all_summer() -> None:
    summer = StuckParameters(least=200 * DAY, rest=200 * DAY)
    assert not stuck(used(FLAT + AWAY * 150 + FLAT), summer)
    assert stuck(used(FLAT + AWAY * 250), summer)
