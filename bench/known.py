"""What is really wrong with the 46 meters of `daiad-water`, unlabelled by those who recorded it: looked at
by hand.

An entry says that a finding of that kind that overlaps its time is no false alarm, and why. Silences need
no entry: a gap between two readings is what it is. What is not listed counts as a false alarm.
"""

from collections.abc import Container
from dataclasses import dataclass
from datetime import UTC, date, datetime

import numpy as np

from anomaly.detectors.water import CATCH_UP, CatchUpParameters
from anomaly.input.series import DAY, Int64Array
from bench.events import Event


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


_RUNS = "water runs through nearly every hour of days"
_BACK = "one reading steps back and the level goes on: the radio sent an old or wrong value"
REAL: tuple[Real, ...] = (
    _real(
        "da98dc95", "leak", "2016-03-23", "2016-06-23", f"{_RUNS}, 1 to 6 l/h: a cistern that began to run"
    ),
    _real("da98dc95", "leak", "2016-07-04", "2016-08-19", f"{_RUNS}: the same, 2 l/h"),
    _real("da98dc95", "leak", "2016-08-22", "2016-12-23", "2,878 intervals in a row without a dry one"),
    _real("da98dc95", "leak", "2017-01-02", "2017-02-28", f"{_RUNS}, again after ten dry days"),
    _real("78004e01", "leak", "2016-02-29", "2016-03-08", f"{_RUNS}: 165 of 172 intervals, 3 l/h"),
    _real("78004e01", "leak", "2016-04-23", "2016-04-29", f"{_RUNS}: 27 l/h, 3.9 m3, then dry at once"),
    _real("78004e01", "leak", "2016-05-05", "2016-05-15", f"{_RUNS}: 2 l/h, a week without a dry interval"),
    _real("14388098", "leak", "2016-08-05", "2016-08-14", f"{_RUNS}: 91 intervals in a row"),
    _real("14388098", "leak", "2016-09-15", "2016-09-24", f"{_RUNS}: 199 of 205 intervals"),
    _real("0e7d65c2", "burst", "2016-10-31", "2016-11-01", "12 m3 in a day and a night without a pause"),
    _real("14388098", "stuck", "2016-10-09", "2017-02-28", "five months at one value, in a used flat"),
    _real("9348c9bb", "negative_step.swap_suspect", "2017-01-17", "2017-01-17", "two registers in turn"),
    _real("05be51c3", "negative_step.glitch", "2016-06-11", "2016-06-11", _BACK),
    _real("1de2cf65", "negative_step.glitch", "2016-09-30", "2016-09-30", _BACK),
    _real("f7b27eee", "negative_step.glitch", "2016-07-13", "2016-09-08", _BACK),
    _real("219ffd09", "negative_step.glitch", "2017-01-13", "2017-01-13", _BACK),
    _real("94dbaa99", "negative_step.glitch", "2016-07-08", "2016-07-08", _BACK),
)


def real_events(meter: str, kinds: Container[str], times: Int64Array) -> list[Event]:
    """Known events of a meter (its readings at `times`) and some kinds, silences among them."""
    listed = [
        Event(each.kind, _instant(each.first), _instant(each.last) + DAY)
        for each in REAL
        if each.meter == meter and each.kind in kinds
    ]
    if CATCH_UP not in kinds:
        return listed
    silent = np.flatnonzero(np.diff(times) >= CatchUpParameters().silence)
    return listed + [Event(CATCH_UP, int(times[i]), int(times[i + 1])) for i in silent]


def _instant(day: date) -> int:
    return int(datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp()) * 1_000_000
