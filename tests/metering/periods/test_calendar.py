"""Periods: local midnights, as UTC instants, whatever the clocks do."""

from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from metering.periods.calendar import PeriodError, names, neighbour, period_of

MADRID = ZoneInfo("Europe/Madrid")
ZONES = [
    "UTC",
    "Europe/Madrid",
    "Europe/Moscow",
    "Asia/Kolkata",
    "America/Havana",
    "Asia/Beirut",
    "Pacific/Apia",
]


def test_month_runs_from_local_midnight_to_local_midnight() -> None:
    period = period_of("2016-03", MADRID)
    assert period.starts_at == datetime(2016, 2, 29, 23, tzinfo=UTC)
    assert period.ends_at == datetime(2016, 3, 31, 22, tzinfo=UTC)
    assert (period.start_offset, period.end_offset) == (timedelta(hours=1), timedelta(hours=2))


def test_month_with_the_repeated_hour_is_an_hour_longer() -> None:
    period = period_of("2016-10", MADRID)
    assert period.ends_at - period.starts_at == timedelta(days=31, hours=1)


def test_early_reading_day_begins_the_month_that_it_names() -> None:
    period = period_of("2026-10", MADRID, reading_day=5)
    assert period.starts_at.astimezone(MADRID).date() == date(2026, 10, 5)
    assert period.ends_at.astimezone(MADRID).date() == date(2026, 11, 5)


def test_late_reading_day_ends_in_the_month_that_it_names() -> None:
    period = period_of("2026-01", MADRID, reading_day=25)
    assert period.starts_at.astimezone(MADRID).date() == date(2025, 12, 25)
    assert period.ends_at.astimezone(MADRID).date() == date(2026, 1, 25)


def test_day_whose_midnight_was_skipped_begins_when_the_clocks_were_put_forward() -> None:
    period = period_of("2018-03", ZoneInfo("America/Havana"), reading_day=11)
    assert period.starts_at == datetime(2018, 3, 11, 5, tzinfo=UTC)
    assert period.start_offset == timedelta(hours=-4)


@given(
    st.sampled_from(ZONES),
    st.integers(1990, 2035),
    st.integers(1, 12),
    st.integers(1, 28),
    st.integers(1, 24),
)
def test_consecutive_periods_meet_without_gap_or_overlap(
    zone: str, year: int, month: int, reading_day: int, count: int
) -> None:
    first = f"{year}-{month:02d}"
    periods = [period_of(name, ZoneInfo(zone), reading_day) for name in names(first, neighbour(first, count))]
    assert len(periods) == count + 1
    for period, following in pairwise(periods):
        assert period.ends_at == following.starts_at
        assert period.end_offset == following.start_offset
    for period in periods:
        assert timedelta(days=27, hours=22) < period.ends_at - period.starts_at < timedelta(days=31, hours=26)
        local = period.starts_at.astimezone(ZoneInfo(zone))
        assert local.day == reading_day
        assert local.utcoffset() == period.start_offset


@pytest.mark.parametrize(
    "text", ["2026", "2026-13", "2026-00", "26-10", "2026-1", "2026-10-01", "0000-01", ""]
)
def test_text_that_is_no_period_is_refused(text: str) -> None:
    with pytest.raises(PeriodError, match="2026-10"):
        period_of(text, MADRID)


def test_range_the_wrong_way_round_is_refused() -> None:
    with pytest.raises(PeriodError, match="comes before"):
        list(names("2026-10", "2026-09"))
