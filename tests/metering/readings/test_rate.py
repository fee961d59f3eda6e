"""The rate of a register: what is usual for it, and what it cannot have counted."""

import numpy as np
import pytest

from metering.readings.rate import DAY, HOUR, Int64Array, learn

WEEK = 7 * DAY


def weeks(count: int, step: int) -> tuple[Int64Array, Int64Array]:
    """A reading a week, `step` micro-units apart."""
    return np.arange(count, dtype=np.int64) * WEEK, np.arange(count, dtype=np.int64) * step


def test_a_rate_is_learned_from_twenty_steps_or_from_as_many_as_are_enough() -> None:
    times, values = weeks(10, 1_000_000)
    assert learn(times, values).at(-1).usual(WEEK) is None
    assert learn(times, values, least=1).at(-1).usual(2 * WEEK) == pytest.approx(2_000_000, rel=1e-3)


def test_what_no_register_of_this_rate_counts_is_impossible_unless_the_meter_can_measure_it() -> None:
    times, values = weeks(30, 1_000_000)
    step = 100 * 1_000_000
    assert not learn(times, values).at(-1).possible(step, WEEK)
    assert learn(times, values).at(-1).possible(step // 3, WEEK)
    assert learn(times, values, max_rate=step // 5).at(-1).possible(step, 6 * HOUR)
