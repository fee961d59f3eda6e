"""What is really wrong with the 46 meters of `daiad-water`, unlabelled by those who recorded it: looked at by hand.

An entry says that a finding of that kind that overlaps its time is no false alarm, and why. Silences need no entry:
a gap between two readings is what it is. What is not listed counts as a false alarm.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime

from bench.events import Event

_US = 1_000_000


@dataclass(frozen=True, slots=True)
class Real:
    """An event that somebody looked at, from one day to another (both inclusive)."""

    meter: str
    kind: str
    first: date
    last: date
    why: str


def _real(meter: str, kind: str, first: str, last: str, why: str) -> Real:
    return Real(meter, kind, date.fromisoformat(first), date.fromisoformat(last), why)


REAL: tuple[Real, ...] = ()


def real_events(meter: str, kinds: Sequence[str]) -> list[Event]:
    """Known events of a meter and some kinds."""
    return [
        Event(each.kind, _instant(each.first), _instant(each.last) + 86_400 * _US)
        for each in REAL
        if each.meter == meter and each.kind in kinds
    ]


def _instant(day: date) -> int:
    return int(datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp()) * _US
