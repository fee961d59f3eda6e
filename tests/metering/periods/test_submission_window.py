"""Submission windows of utilities that asked for them, and the one truth about where a reading counts."""

from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from metering.periods.calendar import neighbour, period_of
from metering.periods.submission_window import LateReading, SubmissionCalendar, SubmissionWindow

KYIV = ZoneInfo("Europe/Kyiv")
MOSCOW = SubmissionWindow(15, 25)
KYIV_HEAT = SubmissionWindow(-7, 1)
KYIV_ELECTRICITY = SubmissionWindow(1, 5)
UNTIL_25TH = SubmissionWindow(1, 25, counts_in=0)
ACROSS = SubmissionWindow(25, 5)


def days_of(*windows: SubmissionWindow | None, reading_day: int = 1) -> SubmissionCalendar:
    """The calendar of one window, or of several that take turns month by month."""
    return SubmissionCalendar(KYIV, reading_day, lambda day: windows[day.month % len(windows)])


@pytest.mark.parametrize(
    ("window", "day", "first", "last", "period"),
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
        (ACROSS, "2026-11-05", "2026-10-25", "2026-11-05", "2026-10"),
        (ACROSS, "2026-11-06", "2026-11-25", "2026-12-05", "2026-11"),
        (None, "2026-11-06", "2026-11-01", "2026-11-30", "2026-11"),
    ],
)
def test_a_day_lies_in_an_opening_or_before_the_next(
    window: SubmissionWindow | None, day: str, first: str, last: str, period: str
) -> None:
    found = days_of(window).place(date.fromisoformat(day))
    assert (found.first, found.last) == (date.fromisoformat(first), date.fromisoformat(last))
    assert (found.period, found.window) == (period, window)


@pytest.mark.parametrize(
    ("window", "period", "first"),
    [
        (SubmissionWindow(20, 25), "2026-10", date(2026, 10, 20)),  # the period ends on 25 October
        (SubmissionWindow(25, 28), "2026-10", date(2026, 10, 25)),
        (SubmissionWindow(26, 5), "2026-10", date(2026, 9, 26)),
        (SubmissionWindow(26, 5, counts_in=0), "2026-10", date(2026, 10, 26)),
    ],
)
def test_a_window_is_for_the_period_whose_end_comes_next_unless_it_says_which(
    window: SubmissionWindow, period: str, first: date
) -> None:
    assert days_of(window, reading_day=25).opening(period).first == first


days = st.integers(-28, 28).filter(bool)
windows = st.one_of(
    st.none(),
    st.builds(
        SubmissionWindow,
        days,
        days,
        counts_in=st.sampled_from([None, -1, 0, 1]),
        late=st.sampled_from(LateReading),
    ),
)


@given(
    st.lists(windows, min_size=1, max_size=3),
    st.integers(1, 28),
    st.datetimes(datetime(2000, 1, 1), datetime(2100, 1, 1)),  # noqa: DTZ001 - of any day and hour
)
def test_every_instant_counts_in_one_period_or_is_refused(
    taken: list[SubmissionWindow | None], reading_day: int, local: datetime
) -> None:
    """Receipts ask where a day counts, closes ask which days count: whatever the windows, one answer."""
    calendar = days_of(*taken, reading_day=reading_day)
    day, instant = local.date(), local.replace(tzinfo=KYIV).astimezone(UTC)
    instant = max(instant, calendar.midnight(day))  # a local hour that never was
    place = calendar.place(day)
    assert place.first <= place.last
    assert day <= place.last
    counted = []
    for months in range(-8, 9):
        since, until = calendar.span(neighbour(place.period, months))
        if since <= instant < until:
            counted.append(neighbour(place.period, months))
    assert counted == ([] if place.refuses(day) else [place.period])


@given(windows, st.integers(1, 28), st.dates(date(2001, 1, 1), date(2099, 1, 1)))
def test_windows_of_a_utility_that_keeps_them_are_over_within_a_quarter(
    window: SubmissionWindow | None, reading_day: int, day: date
) -> None:
    assert days_of(window, reading_day=reading_day).place(day).last - day <= timedelta(days=93)


@given(st.dates(date(2001, 1, 1), date(2100, 1, 1)), st.integers(1, 28))
def test_periods_are_those_of_the_close(day: date, reading_day: int) -> None:
    span = period_of(days_of(None, reading_day=reading_day).period_of_day(day), KYIV, reading_day)
    assert span.starts_at <= datetime.combine(day, time(12), KYIV).astimezone(UTC) < span.ends_at
