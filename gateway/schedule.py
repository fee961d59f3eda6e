"""Schedules: slots aligned to the local clock, as pure functions of time.

A slot is an instant at which a meter should be read. `15min` means :00, :15, :30 and :45 of the local hour;
`midnight` the first instant of every local day, so a day of 23 or 25 hours has one slot like any other.
Schedules can be combined, and one can run free of the clock, from an instant on.
"""

import re
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta, tzinfo

_INTERVAL = re.compile(r"(?P<count>\d{1,4})\s*(?P<unit>s|min|h|d)")
_SECONDS = {"s": 1, "min": 60, "h": 3600, "d": 86_400}
_HOUR = timedelta(hours=1)


class ScheduleError(ValueError):
    """A text that is not a schedule."""


class Schedule(ABC):
    """Slots in time. All instants are aware; results are UTC. `str()` gives the configuration's form."""

    @property
    @abstractmethod
    def period(self) -> timedelta:
        """The usual distance of two slots."""

    @abstractmethod
    def next_after(self, instant: datetime) -> datetime:
        """The first slot later than `instant`."""

    @abstractmethod
    def latest(self, instant: datetime) -> datetime:
        """The last slot that is not later than `instant`."""

    def between(self, after: datetime, until: datetime) -> Iterator[datetime]:
        """The slots later than `after` and not later than `until`."""
        slot = self.next_after(after)
        while slot <= until:
            yield slot
            slot = self.next_after(slot)


@dataclass(frozen=True, slots=True)
class Every(Schedule):
    """Slots on the local clock at multiples of `interval`, which divides an hour."""

    interval: timedelta
    zone: tzinfo

    def __str__(self) -> str:
        seconds = int(self.interval.total_seconds())
        unit = max((u for u in _SECONDS if seconds % _SECONDS[u] == 0), key=_SECONDS.__getitem__)
        return f"{seconds // _SECONDS[unit]}{unit}"

    @property
    def period(self) -> timedelta:
        return self.interval

    def next_after(self, instant: datetime) -> datetime:
        slot = self._floor(instant, self._offset(instant)) + self.interval
        # Where the local clock was changed by a part of the interval (Lord Howe: 30 minutes), slots after the
        # change stand elsewhere than counting on would put them.
        while (floor := self._floor(slot, self._offset(slot))) != slot:
            slot = floor + self.interval
        return slot

    def latest(self, instant: datetime) -> datetime:
        slot = self._floor(instant, self._offset(instant))
        while (floor := self._floor(slot, self._offset(slot))) != slot:
            slot = floor
        return slot

    def _offset(self, instant: datetime) -> timedelta:
        offset = instant.astimezone(self.zone).utcoffset()
        assert offset is not None
        return offset

    def _floor(self, instant: datetime, offset: timedelta) -> datetime:
        utc = instant.astimezone(UTC)
        since_hour = timedelta(minutes=utc.minute, seconds=utc.second, microseconds=utc.microsecond)
        return utc - (since_hour + offset) % self.interval


@dataclass(frozen=True, slots=True)
class Midnight(Schedule):
    """Slot at the first instant of each local day."""

    zone: tzinfo

    def __str__(self) -> str:
        return "midnight"

    @property
    def period(self) -> timedelta:
        return timedelta(days=1)

    def next_after(self, instant: datetime) -> datetime:
        local = instant.astimezone(self.zone)
        return self._midnight(local, days=1)

    def latest(self, instant: datetime) -> datetime:
        return self._midnight(instant.astimezone(self.zone), days=0)

    def _midnight(self, local: datetime, days: int) -> datetime:
        # fold=0: a midnight that the clock skips is the instant of the change, one that it repeats the first
        day = local.date() + timedelta(days=days)
        return datetime.combine(day, time(), tzinfo=self.zone).astimezone(UTC)


@dataclass(frozen=True, slots=True)
class Combined(Schedule):
    """Every slot of any of its parts; one that several have is one slot."""

    parts: tuple[Schedule, ...]

    def __str__(self) -> str:
        return " and ".join(map(str, self.parts))

    @property
    def period(self) -> timedelta:
        return min(part.period for part in self.parts)

    def next_after(self, instant: datetime) -> datetime:
        return min(part.next_after(instant) for part in self.parts)

    def latest(self, instant: datetime) -> datetime:
        return max(part.latest(instant) for part in self.parts)


@dataclass(frozen=True, slots=True)
class Since(Schedule):
    """Slots at `begin` and at every whole `interval` from it: where there is no clock to align them to."""

    begin: datetime
    interval: timedelta

    def __str__(self) -> str:
        return f"{self.interval} from {self.begin.isoformat()}"

    @property
    def period(self) -> timedelta:
        return self.interval

    def next_after(self, instant: datetime) -> datetime:
        return self.latest(instant) + self.interval

    def latest(self, instant: datetime) -> datetime:
        return instant - (instant - self.begin) % self.interval


def is_midnight(slot: datetime, zone: tzinfo) -> bool:
    """True where this instant begins a local day: the boundary that utilities bill by."""
    return Midnight(zone).latest(slot) == slot


def parse_interval(text: str) -> timedelta:
    """The length of '10s', '15min', '1h' or '1d'. Raises ScheduleError."""
    match = _INTERVAL.fullmatch(text.strip())
    if not match or not int(match["count"]):
        raise ScheduleError(f"{text!r} is not a length of time; write a number and its unit: 15min, 1h or 1d")
    return timedelta(seconds=int(match["count"]) * _SECONDS[match["unit"]])


def parse_schedule(texts: str | Sequence[str], zone: tzinfo) -> Schedule:
    """The schedule of '15min', '1h', '10s' or 'midnight', or of several, on the clock of `zone`.

    Raises ScheduleError.
    """
    if isinstance(texts, str):
        return _parse_one(texts, zone)
    parts = tuple(_parse_one(text, zone) for text in texts)
    if not parts:
        raise ScheduleError('there is no schedule in the list; write schedule = ["1h", "midnight"]')
    return parts[0] if len(parts) == 1 else Combined(parts)


def _parse_one(text: str, zone: tzinfo) -> Schedule:
    if text == "midnight":
        return Midnight(zone)
    with suppress(ScheduleError):
        interval = parse_interval(text)
        if not _HOUR % interval:
            return Every(interval, zone)
    raise ScheduleError(
        f"{text!r} is not a schedule; use an interval that divides the hour, such as 15min, 1h or 10s, "
        "or midnight"
    )
