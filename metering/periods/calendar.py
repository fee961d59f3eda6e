"""Billing periods of a utility's calendar, as UTC instants with their local offsets.

A period runs from one local midnight to another: of the first of the month, or of the utility's reading day.
It is named for the month in which most of it lies: with reading day 1 to 15 it begins in that month, from
16 on it ends in it (2026-10 with reading day 25: from 25 September to 25 October).
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

_NAME = re.compile(r"(?P<year>\d{4})-(?P<month>0[1-9]|1[0-2])")
_LAST_DAY_BEGINNING = 15  # reading days up to this begin the month that they name


class PeriodError(ValueError):
    """Text that is not a period, or a period that cannot be closed; the message says what to do."""


@dataclass(frozen=True, slots=True)
class Period:
    """Period from `starts_at` to `ends_at` (excluded), both UTC; offsets are local minus UTC there."""

    name: str
    starts_at: datetime
    ends_at: datetime
    start_offset: timedelta
    end_offset: timedelta


@dataclass(frozen=True, slots=True)
class UtilityCalendar:
    """Calendar of a utility, and how far its closes interpolate."""

    id: int
    code: str
    time_zone: str
    reading_day: int
    interpolation_limit: timedelta

    @property
    def zone(self) -> ZoneInfo:
        """Time zone by which its days begin."""
        return ZoneInfo(self.time_zone)

    def period(self, name: str) -> Period:
        """Its period of this name. Raises PeriodError."""
        return period_of(name, self.zone, self.reading_day)


def period_of(name: str, zone: ZoneInfo, reading_day: int = 1) -> Period:
    """Period `YYYY-MM` of a calendar with `reading_day` 1 to 28. Raises PeriodError."""
    year, month = _parsed(name)
    first = (year, month) if reading_day <= _LAST_DAY_BEGINNING else _moved(year, month, -1)
    start = _local_midnight(date(*first, reading_day), zone)
    end = _local_midnight(date(*_moved(*first, 1), reading_day), zone)
    return Period(name, start.astimezone(UTC), end.astimezone(UTC), _offset(start), _offset(end))


def neighbour(name: str, months: int) -> str:
    """Name of the period so many months later (negative: earlier). Raises PeriodError."""
    year, month = _moved(*_parsed(name), months)
    return f"{year:04d}-{month:02d}"


def names(first: str, last: str) -> Iterator[str]:
    """Periods from `first` to `last`, both included. Raises PeriodError where `last` comes first."""
    if _parsed(last) < _parsed(first):
        raise PeriodError(f"{last} comes before {first}; write the earlier period first")
    name = first
    while _parsed(name) <= _parsed(last):
        yield name
        name = neighbour(name, 1)


def _parsed(name: str) -> tuple[int, int]:
    match = _NAME.fullmatch(name)
    year = int(match["year"]) if match else 0
    if match is None or not 1900 <= year <= 9000:
        raise PeriodError(f"{name!r} is not a period; write year and month, such as 2026-10")
    return year, int(match["month"])


def _moved(year: int, month: int, months: int) -> tuple[int, int]:
    count = 12 * year + month - 1 + months
    return count // 12, count % 12 + 1


def _local_midnight(day: date, zone: ZoneInfo) -> datetime:
    """First instant of a local day: of a midnight that occurs twice the first, and where clocks were put
    forward over midnight, the instant at which they were."""
    return datetime.combine(day, time(), zone)


def _offset(local: datetime) -> timedelta:
    """Local minus UTC at the instant (not at the wall-clock time, which may never have been)."""
    offset = local.astimezone(UTC).astimezone(local.tzinfo).utcoffset()
    assert offset is not None
    return offset
