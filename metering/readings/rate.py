"""Rate of a register, learned from its own history: the measure for what is usual and what is impossible.

Each local week is summed up in four figures, and the rate of a week is learned from the last 26 weeks that
have readings, its own among them; that of the first four from all four, so that a new meter is judged by
more than its first day. So what is said of a week is settled when it is over, whatever comes years later.
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np
import numpy.typing as npt

Int64Array = npt.NDArray[np.int64]
BoolArray = npt.NDArray[np.bool_]
FloatArray = npt.NDArray[np.float64]

HOUR = 3_600_000_000  # microseconds
DAY = 24 * HOUR

LEARNED_FROM = 20  # forward steps below which nothing is called impossible
AT_FULL_RATE = 6 * HOUR
BEYOND = 2  # times the ceiling: no meter measures that, whatever its register is told to be
IMPOSSIBLE = 50  # times what is brisk here; real households stay below 12 times
WEEKS, FIRST_WEEKS = 26, 4
_BRISK = 0.95  # of the forward steps of a week, and of the weeks
_BITS = 44  # for a value beside its week in one sortable integer
_MOST = (1 << _BITS) - 1
_SHIFT = 1 << 20  # weeks, before and after 1970
EARLIEST_WEEK = -_SHIFT


@dataclass(frozen=True, slots=True)
class LearnedRate:
    """Usual and possible movement of a register at one of its readings.

    `jitter`: micro-units that it commonly moves in at most an hour; a backward step of no more than that
    harms nobody. `rate`: brisk forward rate, micro-units per microsecond, None before `LEARNED_FROM` forward
    steps. `interval`: median distance of readings in microseconds. `ceiling`: micro-units per microsecond
    that the meter's Qmax or the fuse lets through, so that a burst is not taken for another register; None
    where nobody told.
    """

    jitter: int
    rate: float | None
    interval: int
    ceiling: float | None = None

    def usual(self, elapsed: int) -> int | None:
        """Micro-units that a brisk `elapsed` microseconds bring, None where nothing was learned yet."""
        return None if self.rate is None else int(self.rate * max(elapsed, self.interval))

    def possible(self, step: int, elapsed: int) -> bool:
        """True where a forward step (micro-units) within `elapsed` microseconds can be consumption."""
        mine = (self.jitter, _nan(self.rate), self.interval, _nan(self.ceiling))
        one = LearnedRates(*(np.array([each]) for each in mine))
        return not impossible(np.array([step]), np.array([elapsed]), one)[0]


@dataclass(frozen=True, slots=True)
class LearnedRates:
    """The rate of each reading's week: arrays of shape (n,), as in `LearnedRate`, NaN where that has None."""

    jitter: Int64Array
    rate: FloatArray
    interval: Int64Array
    ceiling: FloatArray

    def at(self, reading: int) -> LearnedRate:
        """The rate of one reading."""
        rate, ceiling = float(self.rate[reading]), float(self.ceiling[reading])
        return LearnedRate(
            int(self.jitter[reading]),
            None if np.isnan(rate) else rate,
            int(self.interval[reading]),
            None if np.isnan(ceiling) else ceiling,
        )

    def part(self, which: slice | Int64Array) -> "LearnedRates":
        """That of some readings."""
        return LearnedRates(*(getattr(self, field.name)[which] for field in fields(self)))


def impossible(steps: Int64Array, elapsed: Int64Array, rates: LearnedRates) -> BoolArray:
    """Forward steps (micro-units, in microseconds) that are no consumption: bool, shape (n,).

    `rates` are those of the readings that the steps lead to. What can flow at full rate counts for six hours
    at the most: nothing runs so for days, and another register's level may be that near.
    """
    longest = np.maximum(elapsed, rates.interval)
    through = rates.ceiling * np.minimum(longest, np.maximum(rates.interval, AT_FULL_RATE))
    with np.errstate(invalid="ignore"):  # NaN: not known, and never too fast
        too_fast = (steps > IMPOSSIBLE * rates.rate * longest) & ~(steps <= through)
        too_fast |= ~np.isnan(rates.rate) & (steps > BEYOND * rates.ceiling * longest)
    return np.asarray(too_fast)


@dataclass(frozen=True, slots=True)
class WeeklyRates:
    """Figures of the weeks with readings: arrays of shape (m,), register after register, in order of time.

    `row`: the register; `week`: counted from 1970, Monday is its first day. `interval`: median distance of
    readings, microseconds; `jitter`: median of what an hour or less moved, `brisk`: 95th percentile of the
    forward rates, both micro-units (an hour) and -1 without a forward step; `forward`: how many there were.
    A step belongs to the week in which it ends.
    """

    row: Int64Array
    week: Int64Array
    interval: Int64Array
    jitter: Int64Array
    brisk: Int64Array
    forward: Int64Array

    def part(self, which: slice | BoolArray | Int64Array) -> "WeeklyRates":
        """Some of them."""
        return WeeklyRates(*(getattr(self, field.name)[which] for field in fields(self)))

    @classmethod
    def joined(cls, parts: Sequence["WeeklyRates"]) -> "WeeklyRates":
        """All of them, in the order of registers."""
        columns = [np.concatenate([getattr(part, field.name) for part in parts]) for field in fields(cls)]
        order = np.argsort(columns[0], kind="stable")
        return cls(*(column[order] for column in columns))


def week_of(clock: Int64Array) -> Int64Array:
    """The week of local clock times (microseconds since 1970-01-01T00:00 local, a Thursday)."""
    return (clock // DAY + 3) // 7


def weekly(rows: Int64Array, times: Int64Array, values: Int64Array, week: Int64Array) -> WeeklyRates:
    """The figures of each register's weeks. All arrays int64, of shape (n,), in order of row and time."""
    same = rows[1:] == rows[:-1]
    row, of, took, moved = rows[1:][same], week[1:][same], np.diff(times)[same], np.diff(values)[same]
    new = np.ones(len(row), dtype=np.bool_)
    new[1:] = (row[1:] != row[:-1]) | (of[1:] != of[:-1])
    number, begins = np.cumsum(new) - 1, np.flatnonzero(new)
    interval = _quantile(number, took, 0.5, len(begins))
    forward = moved > 0
    where, moved, took = number[forward], moved[forward], took[forward]
    in_an_hour = (moved * np.minimum(1.0, HOUR / took)).astype(np.int64)
    an_hour = np.minimum(moved / np.maximum(took, interval[where]) * HOUR, _MOST).astype(np.int64)
    return WeeklyRates(
        row[begins],
        of[begins],
        interval,
        _quantile(where, in_an_hour, 0.5, len(begins)),
        _quantile(where, an_hour, _BRISK, len(begins)),
        np.bincount(where, minlength=len(begins)).astype(np.int64),
    )


def _quantile(where: Int64Array, x: Int64Array, share: float, count: int) -> Int64Array:
    """The lower quantile of the `x` of each place (`where`, in order), -1 where there are none: shape
    (count,)."""
    found = np.full(count, -1, dtype=np.int64)
    size = 1 << (62 - _BITS)
    for first in range(0, count, size):
        part = slice(*np.searchsorted(where, [first, first + size]))
        key = (where[part] - first << _BITS) | np.minimum(x[part], _MOST)
        key.sort()
        places, begins, counts = np.unique(key >> _BITS, return_index=True, return_counts=True)
        at = begins + ((counts - 1) * share).astype(np.int64)
        found[places + first] = key[at] & _MOST
    return found


def rates_of(
    rows: Int64Array,
    week: Int64Array,
    weeks: WeeklyRates,
    settled: BoolArray,
    max_rate: FloatArray,
    *,
    least: int = LEARNED_FROM,
) -> LearnedRates:
    """The rate of each reading. `rows`, `week`: of the readings, shape (n,).

    `settled`: registers (shape (k,)) whose first weeks are over and need not be among `weeks`. `max_rate`:
    micro-units an hour that each can measure at all, NaN where nobody told.
    """
    key = weeks.row * 2 * _SHIFT + weeks.week + _SHIFT
    begin, end = np.searchsorted(weeks.row, weeks.row, "left"), np.searchsorted(weeks.row, weeks.row, "right")
    at = np.arange(len(key))
    first_are_over = np.where(settled[weeks.row], at, begin + FIRST_WEEKS - 1)
    learned = np.minimum(np.maximum(at, first_are_over), end - 1)
    window = learned[:, None] + np.arange(1 - WEEKS, 1)
    known = window >= begin[:, None]
    window = np.maximum(window, 0)

    def of_weeks(figures: Int64Array, share: float) -> FloatArray:
        past = np.where(known & (figures[window] >= 0), figures[window], np.nan)
        past.sort(axis=1)
        count = np.count_nonzero(~np.isnan(past), axis=1)
        return np.asarray(past[at, np.rint(np.maximum(count - 1, 0) * share).astype(np.int64)])

    enough = np.where(known, weeks.forward[window], 0).sum(axis=1) >= least
    jitter = np.nan_to_num(of_weeks(weeks.jitter, 0.5))
    rate = np.where(enough, of_weeks(weeks.brisk, _BRISK) / HOUR, np.nan)
    interval = of_weeks(weeks.interval, 0.5)

    mine = rows * 2 * _SHIFT + week + _SHIFT
    place = np.searchsorted(key, mine)
    # a first reading has no step that led to it: it takes the figures of the next week with one
    found = place < len(key)
    found[found] = weeks.row[place[found]] == rows[found]

    def of_readings(figures: FloatArray, default: float) -> FloatArray:
        spread = np.full(len(rows), default)
        spread[found] = figures[place[found]]
        return spread

    return LearnedRates(
        of_readings(jitter, 0).astype(np.int64),
        of_readings(rate, np.nan),
        of_readings(interval, HOUR).astype(np.int64),
        (max_rate / HOUR)[rows],
    )


def learn(
    times: Int64Array, values: Int64Array, max_rate: int | None = None, least: int = LEARNED_FROM
) -> LearnedRates:
    """The rates of one register's readings in the order of time, by weeks of UTC.

    `times`: microseconds since 1970, `values`: micro-units, both int64 of shape (n,). `least`: forward steps
    below which no rate is learned.
    """
    rows, week = np.zeros(len(times), dtype=np.int64), week_of(times)
    weeks = weekly(rows, times, values, week)
    most = np.array([np.nan if max_rate is None else float(max_rate)])
    return rates_of(rows, week, weeks, np.zeros(1, dtype=np.bool_), most, least=least)


def _nan(figure: float | None) -> float:
    return np.nan if figure is None else float(figure)
