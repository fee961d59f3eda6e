"""Consumption: across roll-overs and multipliers, never across a reset, and adding up from month to month."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from metering.billing.boundary import Boundary
from metering.billing.consumption import BilledStretch, Unbillable, consumption, multiplied, quality_of
from metering.billing.evidence import RegisterEvent
from metering.billing.method import Method
from telemetry.quality import Quality

START = datetime(2026, 9, 30, 22, tzinfo=UTC)


def at(days: int, value: int, method: Method = Method.READING) -> Boundary:
    instant = START + timedelta(days=days)
    return Boundary(instant, value, method, instant)


def event(days: int, rule: str) -> RegisterEvent:
    return RegisterEvent(START + timedelta(days=days), rule)


def test_end_minus_start_times_the_multiplier() -> None:
    assert consumption(BilledStretch(at(0, 1000), at(30, 1500), Decimal(40))) == 20_000


def test_rollover_adds_the_capacity() -> None:
    stretch = BilledStretch(at(0, 900), at(30, 100), Decimal(2), 1000, (event(10, "rollover"),))
    assert consumption(stretch) == 400


def test_rollover_of_another_month_does_not_count() -> None:
    events = (event(0, "rollover"), event(31, "rollover"))
    assert consumption(BilledStretch(at(0, 100), at(30, 200), capacity=1000, events=events)) == 100


def test_rollover_at_the_very_end_counts_in_this_month_only() -> None:
    events = (event(30, "rollover"),)
    assert consumption(BilledStretch(at(0, 900), at(30, 0), capacity=1000, events=events)) == 100
    assert consumption(BilledStretch(at(30, 0), at(60, 50), capacity=1000, events=events)) == 50


def test_nothing_is_billed_across_a_reset_even_where_it_looks_positive() -> None:
    reset = event(10, "reset")
    assert consumption(BilledStretch(at(0, 10), at(30, 500), events=(reset,))) == Unbillable("reset", reset)


def test_negative_consumption_is_not_billed() -> None:
    assert consumption(BilledStretch(at(0, 10), at(30, 9))) == Unbillable("negative_consumption")


def test_rollover_without_a_known_capacity_is_not_billed() -> None:
    found = consumption(BilledStretch(at(0, 900), at(30, 100), events=(event(10, "rollover"),)))
    assert isinstance(found, Unbillable)
    assert found.reason == "rollover"


def test_multiplication_rounds_half_to_even() -> None:
    assert [multiplied(value, Decimal("0.5")) for value in (1, 3, 5)] == [0, 2, 2]


def test_quality_is_that_of_both_ends_or_mixed() -> None:
    valid, interpolated = at(0, 0), at(0, 0, Method.INTERPOLATION)
    assert quality_of([valid, valid]) is Quality.VALID
    assert quality_of([interpolated, interpolated]) is Quality.INTERPOLATED
    assert quality_of([valid, interpolated]) is Quality.MIXED


@given(
    st.lists(st.integers(0, 999_999), min_size=2, max_size=14),
    st.decimals("0.001", "400", places=3, allow_nan=False),
)
def test_months_add_up_to_the_difference_of_their_outer_boundaries(
    used: list[int], multiplier: Decimal
) -> None:
    """Whatever the multiplier, and however often the register rolls over in between."""
    capacity, total = 1_000_000, 0
    boundaries, events = [at(0, 0)], []
    for month, step in enumerate(used, 1):
        if (total + step) // capacity > total // capacity:
            events.append(event(30 * month - 5, "rollover"))
        total += step
        boundaries.append(at(30 * month, total % capacity))
    months = [
        consumption(BilledStretch(start, end, multiplier, capacity, tuple(events)))
        for start, end in pairwise(boundaries)
    ]
    assert all(isinstance(month, int) for month in months)
    whole = multiplied(total % capacity, multiplier) + len(events) * multiplied(capacity, multiplier)
    assert sum(month for month in months if isinstance(month, int)) == whole
