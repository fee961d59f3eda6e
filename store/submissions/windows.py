"""When a utility takes readings that people hand in, by medium: from a local day of the month to another.

Moscow takes electricity from the 15th to the 25th; Kyiv takes heat in the last week of a month and on the
first of the next, and electricity in the first days of a month for the month before. All are two days and an
offset.
"""

import calendar
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, timedelta

_LAST_DAY_BEGINNING = 15


@dataclass(frozen=True, slots=True)
class Window:
    """Days from `opens_day` to `closes_day`, both included; negative ones count from the end of the month.

    Where it would close before it opens, it closes in the month after. A reading in it counts for the month
    in which it opens (`month_offset` 0) or the month before (-1). `refuses_late`: outside nothing is taken;
    otherwise what comes late counts with the next window. In force from `valid_from`.
    """

    valid_from: date
    opens_day: int
    closes_day: int
    month_offset: int = 0
    refuses_late: bool = False


@dataclass(frozen=True, slots=True)
class Opening:
    """A window in one month. `counts_in` is the period (YYYY-MM)."""

    first: date
    last: date
    counts_in: str


def in_force(windows: Sequence[Window], day: date) -> Window | None:
    """The latest of those that are in force on a day."""
    return max(
        (window for window in windows if window.valid_from <= day),
        key=lambda window: window.valid_from,
        default=None,
    )


def opening(window: Window, day: date) -> Opening:
    """The opening that a local day lies in, else the next one."""
    return next(each for each in _openings(window, day) if each.last >= day)


def period_containing(day: date, reading_day: int) -> str:
    """The billing period (YYYY-MM) of a local day: with reading day 1 to 15 the month in which it begins,
    from 16 on that in which it ends (as `metering/periods/calendar.py` names them)."""
    month = day.replace(day=1)
    if reading_day <= _LAST_DAY_BEGINNING and day.day < reading_day:
        month = (month - timedelta(days=1)).replace(day=1)
    elif reading_day > _LAST_DAY_BEGINNING and day.day >= reading_day:
        month = _following(month)
    return f"{month:%Y-%m}"


def _openings(window: Window, around: date) -> Iterator[Opening]:
    """The openings that begin in the month before `around` or later, in order."""
    month = (around.replace(day=1) - timedelta(days=1)).replace(day=1)
    while True:
        first = _day(month, window.opens_day)
        last = _day(month, window.closes_day)
        following = _following(month)
        if last < first:
            last = _day(following, window.closes_day)
        counted = month if window.month_offset == 0 else month - timedelta(days=1)
        yield Opening(first, last, f"{counted:%Y-%m}")
        month = following


def _following(month: date) -> date:
    return (month + timedelta(days=31)).replace(day=1)


def _day(month: date, number: int) -> date:
    """Day 25 of a month, or -1 its last."""
    length = calendar.monthrange(month.year, month.month)[1]
    return month.replace(day=number if number > 0 else length + 1 + number)
