"""Local time of readings: what wall clocks show, where days begin, and which day is a Monday.

Local days are counted from 1970-01-01, a Thursday.
"""

from datetime import UTC, datetime
from functools import lru_cache
from zoneinfo import ZoneInfo

import numpy as np

from anomaly.input.series import DAY, HOUR, Int64Array

_YEAR = 366 * DAY


def local(times: Int64Array, zone: ZoneInfo) -> Int64Array:
    """What wall clocks of `zone` show, as microseconds since 1970-01-01T00:00 local: int64, same shape."""
    if not len(times):
        return times
    first, last = int(times.min()) // _YEAR, int(times.max()) // _YEAR
    begins, offsets = zip(
        *(part for year in range(first, last + 1) for part in _offsets(year, zone)), strict=True
    )
    return times + np.array(offsets, dtype=np.int64)[np.searchsorted(begins, times, side="right") - 1]


@lru_cache(maxsize=256)
def _offsets(year: int, zone: ZoneInfo) -> list[tuple[int, int]]:
    """From which instant on local time is how far ahead of UTC, in the year that begins at `year * _YEAR`."""
    start = year * _YEAR
    found = [(start, _offset(start, zone))]
    for day in range(start, start + _YEAR, DAY):
        if _offset(day + DAY, zone) != found[-1][1]:
            quarters = range(day, day + DAY + 1, HOUR // 4)  # clocks change at full quarters
            change = next(at for at in quarters if _offset(at, zone) != found[-1][1])
            found.append((change, _offset(change, zone)))
    return found


@lru_cache(maxsize=4096, typed=True)
def midnight(day: int, zone: ZoneInfo) -> int:
    """The instant at which local day `day` (counted from 1970-01-01) begins."""
    return day * DAY - _offset(day * DAY - _offset(day * DAY, zone), zone)


def _offset(instant: int, zone: ZoneInfo) -> int:
    """How far local time is ahead of UTC, in microseconds."""
    offset = datetime.fromtimestamp(instant // 1_000_000, UTC).astimezone(zone).utcoffset()
    assert offset is not None
    return round(offset.total_seconds()) * 1_000_000


def monday(instant: int, zone: ZoneInfo) -> int:
    """The local day of the Monday at or before an instant."""
    day = int(local(np.array([instant], dtype=np.int64), zone)[0]) // DAY
    return day - (day + 3) % 7
