"""When readings are taken: the calendars of the utilities that asked for them."""

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from metering.periods.calendar import period_of
from store.submissions.windows import Opening, Window, in_force, opening, period_containing

START = date(2026, 1, 1)
MOSCOW = Window(START, 15, 25)
KYIV_HEAT = Window(START, -7, 1)
KYIV_ELECTRICITY = Window(START, 1, 5, month_offset=-1)
UNTIL_25TH = Window(START, 1, 25)


@pytest.mark.parametrize(
    ("window", "day", "first", "last", "counts_in"),
    [
        (MOSCOW, "2026-11-14", "2026-11-15", "2026-11-25", "2026-11"),
        (MOSCOW, "2026-11-25", "2026-11-15", "2026-11-25", "2026-11"),
        (MOSCOW, "2026-11-26", "2026-12-15", "2026-12-25", "2026-12"),
        (MOSCOW, "2026-12-31", "2027-01-15", "2027-01-25", "2027-01"),
        (UNTIL_25TH, "2026-11-26", "2026-12-01", "2026-12-25", "2026-12"),
        (KYIV_HEAT, "2026-02-21", "2026-02-22", "2026-03-01", "2026-02"),
        (KYIV_HEAT, "2028-02-23", "2028-02-23", "2028-03-01", "2028-02"),
        (KYIV_HEAT, "2026-12-31", "2026-12-25", "2027-01-01", "2026-12"),
        (KYIV_HEAT, "2027-01-01", "2026-12-25", "2027-01-01", "2026-12"),
        (KYIV_HEAT, "2027-01-02", "2027-01-25", "2027-02-01", "2027-01"),
        (KYIV_ELECTRICITY, "2027-01-03", "2027-01-01", "2027-01-05", "2026-12"),
        (KYIV_ELECTRICITY, "2027-01-06", "2027-02-01", "2027-02-05", "2027-01"),
    ],
)
def test_a_day_lies_in_a_window_or_before_the_next(
    window: Window, day: str, first: str, last: str, counts_in: str
) -> None:
    expected = Opening(date.fromisoformat(first), date.fromisoformat(last), counts_in)
    assert opening(window, date.fromisoformat(day)) == expected


days = st.integers(-28, 28).filter(bool)


@given(days, days, st.dates(date(2000, 1, 1), date(2100, 1, 1)))
def test_every_day_has_one_window_that_is_not_over(opens: int, closes: int, day: date) -> None:
    found = opening(Window(date.min, opens, closes), day)
    assert found.first <= found.last
    assert found.last >= day
    assert found.last - day <= timedelta(days=93)
    assert opening(Window(date.min, opens, closes), found.first) in {
        found,
        opening(Window(date.min, opens, closes), day),
    }


def test_the_latest_window_in_force_holds() -> None:
    later = Window(date(2026, 6, 1), 1, 10)
    assert in_force([MOSCOW, later], date(2026, 5, 31)) == MOSCOW
    assert in_force([later, MOSCOW], date(2026, 6, 1)) == later
    assert in_force([MOSCOW], date(2025, 12, 31)) is None


@given(st.dates(date(2001, 1, 1), date(2100, 1, 1)), st.integers(1, 28))
def test_periods_are_those_of_the_close(day: date, reading_day: int) -> None:
    zone = ZoneInfo("Europe/Kyiv")
    span = period_of(period_containing(day, reading_day), zone, reading_day)
    noon = datetime(day.year, day.month, day.day, 12, tzinfo=zone).astimezone(UTC)
    assert span.starts_at <= noon < span.ends_at
