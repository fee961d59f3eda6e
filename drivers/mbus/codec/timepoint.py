"""Dates and times in telegrams: types F, G, I and J (EN 13757-3, annex A), in the meter's local time."""

from dataclasses import dataclass
from datetime import date, datetime, time, timedelta, tzinfo

_TYPE_G, _TYPE_J, _TYPE_F, _TYPE_I = 2, 3, 4, 6  # bytes
_FIRST_YEAR_OF_1900 = 81  # 81 to 99 are 1981 to 1999, 0 to 80 are 2000 to 2080


@dataclass(frozen=True, slots=True)
class TimePoint:
    """A date, a time of day, or both, as the meter's own clock and calendar show it.

    `summer` is the meter's summer time flag (types F and I; it names the second 02:30 of an autumn night).
    """

    day: date | None = None
    clock: time | None = None
    summer: bool = False

    def __str__(self) -> str:
        """ISO 8601 without an offset: '2014-03-13T13:09:00', '2013-05-31', '13:09:00'."""
        return "T".join(part.isoformat() for part in (self.day, self.clock) if part is not None)

    @property
    def wall_clock(self) -> str:
        """The same text for a date and for midnight at its beginning, whatever the summer flag."""
        return str(TimePoint(self.day, self.clock or time()))

    def local(self, time_zone: tzinfo) -> datetime:
        """The aware instant; a date alone is its local midnight. Raises ValueError for a time alone."""
        if self.day is None:
            raise ValueError("a time of day alone is no instant")
        if self.clock is None:
            return datetime.combine(self.day, time(), time_zone)
        return datetime.combine(self.day, self.clock, time_zone).replace(fold=0 if self.summer else 1)

    def boundary(self) -> "TimePoint":
        """The set-day instant that a meter means (docs/decisions/006): the end of a month's last day.

        A date alone is midnight at its beginning, but the last day of a month is midnight at its end; so
        is a stored time of 23:59, the last minute that types F and I can show of a day.
        """
        if self.day is None:
            return self
        tomorrow = self.day + timedelta(days=1) if self.day < date.max else self.day
        month_ends = self.clock is None and tomorrow.day == 1
        day_ends = self.clock is not None and (self.clock.hour, self.clock.minute) == (23, 59)
        return TimePoint(tomorrow) if month_ends or day_ends else self


def decode_timepoint(raw: bytes) -> TimePoint | None:
    """The time point in 2 (G), 3 (J), 4 (F) or 6 (I) bytes, least significant first.

    None where the meter marks it invalid or sends a pattern ("every day", all zeros) instead of a date,
    and for other lengths.
    """
    try:
        match len(raw):
            case 2:
                return TimePoint(_date(raw[0], raw[1], 0))
            case 3:
                return TimePoint(None, time(raw[2] & 0x1F, raw[1] & 0x3F, raw[0] & 0x3F))
            case 4 if not raw[0] & 0x80:
                clock = time(raw[1] & 0x1F, raw[0] & 0x3F)
                return TimePoint(_date(raw[2], raw[3], raw[1] >> 5 & 0x03), clock, bool(raw[1] & 0x80))
            case 6 if not raw[1] & 0x80:
                clock = time(raw[2] & 0x1F, raw[1] & 0x3F, raw[0] & 0x3F)
                return TimePoint(_date(raw[3], raw[4], 0), clock, bool(raw[0] & 0x40))
    except ValueError:
        return None  # no such day or time: month 0, day 31 of June, minute 63 ("every minute")
    return None


def _date(low: int, high: int, century: int) -> date:
    """Day in bits 0-4, month in bits 8-11, year in bits 5-7 and 12-15; type F adds hundreds from 1900 on."""
    year = low >> 5 | (high & 0xF0) >> 1
    if century:
        return date(1900 + 100 * century + year, high & 0x0F, low & 0x1F)
    if year > 99:
        raise ValueError("year 127 means every year")
    return date((1900 if year >= _FIRST_YEAR_OF_1900 else 2000) + year, high & 0x0F, low & 0x1F)


def encode_timepoint(point: TimePoint, size: int) -> bytes:
    """The bytes of type G (size 2), J (3), F (4) or I (6). Raises ValueError where they do not hold it."""
    clock = point.clock or time()
    if size == _TYPE_J and point.clock and point.day is None:
        return bytes((clock.second, clock.minute, clock.hour))
    if point.day is None or not 1981 <= point.day.year <= 2080:
        raise ValueError(f"{point} has no date between 1981 and 2080")
    year = point.day.year % 100
    day = bytes((point.day.day | (year & 0x07) << 5, point.day.month | (year & 0x78) << 1))
    if size == _TYPE_G:
        return day
    if size == _TYPE_F:
        return bytes((clock.minute, clock.hour | point.summer << 7)) + day
    if size == _TYPE_I:
        return bytes((clock.second | point.summer << 6, clock.minute, clock.hour)) + day + b"\0"
    raise ValueError(f"{point} does not fit into {size} bytes")
