"""Submission window: the days on which a utility takes readings that people hand in, and where those count.

Moscow takes electricity from the 15th to the 25th; Kyiv takes heat in the last week of a month and on the
first of the next, and electricity in the first days of a month for the month before. A rule set says so by
`[[submission]]`. Receipt, close, page and command ask `SubmissionCalendar`; nobody else computes a window.
"""

import calendar
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from enum import StrEnum
from zoneinfo import ZoneInfo

import msgspec

from metering.periods.calendar import neighbour, period_of

_LAST_DAY_BEGINNING = 15  # reading days up to this begin the month that names the period
_BEFORE, _AFTER = 3, 3  # periods around an instant that may take a reading of it: windows reach no further


class LateReading(StrEnum):
    """Fate of a reading that comes when no window is open: it counts with the next one, or is not taken."""

    NEXT = "next"
    REFUSE = "refuse"


class SubmissionWindow(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Local days of a month, both included; negative ones count from the month's end.

    Where it would close before it opens, it closes in the month after. `counts_in`: the period that it is
    for, in months from the one in which it opens (-1: the month before); without it the period whose end
    comes first at or after its first day: 15 to 25 for the end of that month, 25 to 1 across it, 1 to 5 for
    the month that has just ended. `media` are OBIS value groups A; none: all. In force for the periods that
    begin on `from` or later.
    """

    from_day: int
    until_day: int
    media: tuple[int, ...] = ()
    counts_in: int | None = None
    late: LateReading = LateReading.NEXT
    since: date = msgspec.field(name="from", default=date.min)

    def takes(self, medium: int) -> bool:
        """True for the media that it is for."""
        return not self.media or medium in self.media

    def problem(self) -> str | None:
        """Advice on what to write instead, where it cannot be used."""
        if any(not 1 <= abs(day) <= 28 for day in (self.from_day, self.until_day)):
            return (
                "days of a submission window lie from 1 to 28, which every month has, or from -28 to -1, "
                "counted from its end"
            )
        if self.counts_in not in {None, -1, 0, 1}:
            return (
                "`counts_in` of a submission window is -1, 0 or 1: the month before, its own, the one after"
            )
        return None

    def opening(self, period: str, reading_day: int) -> tuple[date, date]:
        """The first and the last day on which it takes readings for a period."""
        counts_in = self.counts_in
        if counts_in is None:
            ends_in = 1 if reading_day <= _LAST_DAY_BEGINNING else 0  # months from the period's name
            counts_in = (0 if 0 < self.from_day <= reading_day else 1) - ends_in
        month = neighbour(period, -counts_in)
        first, last = _day(month, self.from_day), _day(month, self.until_day)
        return first, last if last >= first else _day(neighbour(month, 1), self.until_day)


@dataclass(frozen=True, slots=True)
class Opening:
    """Days, both included, on which readings are taken for `period`; `window`: None where any day will do."""

    period: str
    first: date
    last: date
    window: SubmissionWindow | None

    def refuses(self, day: date) -> bool:
        """True where a reading of that day is not taken, as it is late for the opening before."""
        return day < self.first and self.window is not None and self.window.late is LateReading.REFUSE


@dataclass(frozen=True, slots=True)
class SubmissionCalendar:
    """Openings of a register's submission window, period by period.

    `window_on`: the window for the period that begins on a local day, None where readings are taken at any
    time. A reading counts in the first period whose opening is not over when it comes.
    """

    zone: ZoneInfo
    reading_day: int
    window_on: Callable[[date], SubmissionWindow | None]

    def opening(self, period: str) -> Opening:
        """The days on which readings are taken for a period."""
        begins, last = self.days(period)
        window = self.window_on(begins)
        if window is None:
            return Opening(period, begins, last, None)
        return Opening(period, *window.opening(period, self.reading_day), window)

    def place(self, day: date) -> Opening:
        """The opening that a local day lies in, else the next one."""
        around = self.period_of_day(day)
        near = (self.opening(neighbour(around, months)) for months in range(-_BEFORE, _AFTER + 1))
        return next(each for each in near if each.last >= day)

    def span(self, period: str) -> tuple[datetime, datetime]:
        """First instant and end (excluded) of the days whose `place` is a period, as UTC; those that it
        refuses are left out. It is empty where an opening before is over no sooner."""
        own = self.opening(period)
        before = [self.opening(neighbour(period, -months)).last for months in range(1, _BEFORE + _AFTER + 1)]
        begins = max(before) + timedelta(days=1)
        if own.refuses(begins):
            begins = own.first
        ends = max(own.last + timedelta(days=1), begins)
        return self.midnight(begins), self.midnight(ends)

    def days(self, period: str) -> tuple[date, date]:
        """The first and the last local day of a period."""
        span = period_of(period, self.zone, self.reading_day)
        begins, ends = (at.astimezone(self.zone).date() for at in (span.starts_at, span.ends_at))
        return begins, ends - timedelta(days=1)

    def period_of_day(self, day: date) -> str:
        """The period that contains a local day."""
        name = f"{day:%Y-%m}"
        if self.reading_day <= _LAST_DAY_BEGINNING:
            return name if day.day >= self.reading_day else neighbour(name, -1)
        return name if day.day < self.reading_day else neighbour(name, 1)

    def midnight(self, day: date) -> datetime:
        """The first instant of a local day, as UTC."""
        return datetime.combine(day, time(), self.zone).astimezone(UTC)


def _day(month: str, number: int) -> date:
    """Day 25 of a month (YYYY-MM), or -1 its last."""
    first = date.fromisoformat(f"{month}-01")
    length = calendar.monthrange(first.year, first.month)[1]
    return first.replace(day=number if number > 0 else length + 1 + number)
