"""The arrays that detectors look at: what moved between readings that may be billed from, and day by day.

Roll-overs are mended; across a break (reset, swap) and across a silence nothing is known.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from anomaly.input.block import Block, edges
from anomaly.input.local_time import local
from anomaly.input.series import DAY, HOUR, BoolArray, FloatArray, Int64Array, Judgement
from metering.readings.rate import AT_FULL_RATE, IMPOSSIBLE, LearnedRates
from telemetry.obis import RegisterKind

SILENCE = 3  # usual distances without a reading, after which nobody can say when something was used
_COVERED = 18.0  # hours of a day that must be known
_WHOLE = 36  # hours: a longer step, from one set day to the next, is no day's use
_FINE = 4.0  # hours: a longer interval hides whether nothing flowed for a while


@dataclass(frozen=True, slots=True)
class Steps:
    """Flat arrays of shape (m,), register after register in the order of time.

    `row`: the register; `first`, `last`: the readings before and after, counted in the register's series;
    `begin`, `end`: their instants; `moved`: micro-units (int64, below zero for a step back); `rate`:
    micro-units an hour (float64), over a quarter of an hour at least because a register shows whole digits;
    `whole`: not across a break; `known`: whole, and without a silence.
    """

    row: Int64Array
    first: Int64Array
    last: Int64Array
    begin: Int64Array
    end: Int64Array
    moved: Int64Array
    rate: FloatArray
    whole: BoolArray
    known: BoolArray

    def __len__(self) -> int:
        return len(self.row)


def steps_of(block: Block, judged: Sequence[Judgement], rates: LearnedRates) -> Steps:
    """Steps between the usable readings of every counter. `judged` is of each register, `rates` of each
    reading."""
    usable = np.concatenate([each.usable for each in judged]) if judged else np.zeros(0, dtype=np.bool_)
    counters = block.per_reading([each.kind is RegisterKind.COUNTER for each in block.registers])
    at, rows = np.flatnonzero(usable & (counters > 0)), block.rows
    same = rows[at[1:]] == rows[at[:-1]]
    first, last = at[:-1][same], at[1:][same]
    row = rows[first]
    moved = block.values[last] - block.values[first]
    broken = np.zeros(len(usable), dtype=np.bool_)
    for register, judgement in enumerate(judged):
        for mark in judgement.marks:
            where = int(block.bounds[register]) + mark.index
            if mark.rule == "rollover":
                moved[np.searchsorted(last, where)] += block.registers[register].capacity or 0
            elif mark.rule in ("reset", "swap_suspect"):
                broken[where] = True
    begin, end = block.times[first], block.times[last]
    elapsed = end - begin
    learned = rates.part(last)
    interval = learned.interval
    at_most = np.fmax(
        IMPOSSIBLE * np.where(np.isnan(learned.rate), np.inf, learned.rate) * np.maximum(elapsed, interval),
        learned.ceiling * np.clip(elapsed, interval, np.maximum(interval, AT_FULL_RATE)),
    )
    whole = ~broken[last] & (np.abs(moved) <= at_most)
    start = block.bounds[row]
    return Steps(
        row,
        first - start,
        last - start,
        begin,
        end,
        moved,
        moved / np.maximum(elapsed, HOUR // 4) * HOUR,
        whole,
        whole & (elapsed <= SILENCE * np.maximum(interval, HOUR)),
    )


@dataclass(frozen=True, slots=True)
class Days:
    """Matrices of shape (registers, days), float64: column `d` is local day `first + d` (days since 1970).

    `total`: micro-units of the day, NaN where less than 18 hours of it are known or a step is longer than
    36 hours, which says nothing of a single day; `least`: the smallest
    rate of any interval, micro-units an hour, and `rested`, the instant at which the last of these intervals
    ended; `night_least`, `night_mean`: the same from 02 to 05, and its mean; `highest`, `third`: the highest
    and third highest rate; `busiest`: the highest rate over two intervals; `level`: the mean of a gauge's
    readings. NaN where nothing is known. Int64, shape (registers,): events that begin before column `opens`
    are settled, and so are the figures before column `fresh`.
    """

    first: int
    total: FloatArray
    least: FloatArray
    rested: FloatArray
    night_least: FloatArray
    night_mean: FloatArray
    highest: FloatArray
    third: FloatArray
    busiest: FloatArray
    level: FloatArray
    opens: Int64Array
    fresh: Int64Array


COLUMNS = ("total", "least", "rested", "night_least", "night_mean", "highest", "third", "busiest", "level")


def days_of(block: Block, steps: Steps, two: FloatArray) -> Days:
    """Every register day by day, behind the days that are settled. A step belongs to the day in which its
    middle lies. `two` are the rates of `over_two`."""
    clock = local((steps.begin + steps.end) // 2, block.zone)
    day = clock // DAY
    kept = [(row, past) for row, past in enumerate(block.past) if past is not None and past.days.size]
    begins = [past.first_day for _, past in kept]
    ends = [past.first_day + past.days.shape[1] for _, past in kept]
    if len(day):
        begins.append(int(day.min()))
        ends.append(int(day.max()) + 1)
    first = min(begins, default=0)
    count = max(ends, default=first) - first
    shape = (len(block), count)
    found = _from_steps(steps, two, clock, first, shape) | {"level": _levels(block, first, shape)}
    opens, fresh = np.zeros((2, len(block)), dtype=np.int64)
    for row, past in kept:
        begin, end = past.first_day - first, past.first_day - first + past.days.shape[1]
        opens[row], fresh[row] = past.since - first, end
        for name, days in zip(COLUMNS, past.days, strict=True):
            found[name][row, :begin] = np.nan
            found[name][row, begin:end] = days
    return Days(first, **found, opens=opens, fresh=fresh)


def _from_steps(
    steps: Steps, two: FloatArray, clock: Int64Array, first: int, shape: tuple[int, int]
) -> dict[str, FloatArray]:
    hours = (steps.end - steps.begin) / HOUR
    known = steps.known & (steps.moved >= 0) & (hours <= _WHOLE)
    cell = steps.row * shape[1] + clock // DAY - first
    key, hours, rate, end = cell[known], hours[known], steps.rate[known], steps.end[known]

    def summed(where: Int64Array, weights: FloatArray) -> FloatArray:
        cells = np.bincount(where, weights, minlength=shape[0] * shape[1]).astype(np.float64)
        return np.asarray(cells[: shape[0] * shape[1]].reshape(shape))

    covered = summed(key, hours)
    total = np.where(covered >= _COVERED, summed(key, steps.moved[known].astype(np.float64)), np.nan)
    fine = hours <= _FINE
    hour = clock[known] % DAY // HOUR
    night = (hour >= 2) & (hour < 5) & fine
    night_hours = summed(key[night], hours[night])
    with np.errstate(invalid="ignore", divide="ignore"):
        night_mean = np.where(
            night_hours >= 2, summed(key[night], rate[night] * hours[night]) / night_hours, np.nan
        )
    night_least = np.where(night_hours >= 2, _least(key[night], rate[night], shape), np.nan)
    finely = summed(key[fine], hours[fine])
    least = np.where(finely >= _COVERED, _least(key[fine], rate[fine], shape), np.nan)
    at_least = fine & (rate <= least.ravel()[key])  # NaN compares as False
    rested = np.full(shape, np.nan)
    rested.ravel()[key[at_least]] = end[at_least]  # of several the last stays
    highest, third = _highest(key, rate, shape)
    pairs = np.flatnonzero(~np.isnan(two))
    return {
        "total": total,
        "least": least,
        "rested": rested,
        "night_least": night_least,
        "night_mean": night_mean,
        "highest": highest,
        "third": third,
        "busiest": -_least(cell[pairs], -two[pairs], shape),
    }


def over_two(steps: Steps) -> tuple[FloatArray, Int64Array]:
    """Micro-units an hour over each step and the one before, NaN where not both are known; and its
    beginning."""
    flow, begin = np.full(len(steps), np.nan), steps.begin.copy()
    pair = (steps.row[1:] == steps.row[:-1]) & steps.known[1:] & steps.known[:-1]
    pair &= steps.end[:-1] == steps.begin[1:]
    pair &= steps.end[1:] - steps.begin[:-1] <= 6 * HOUR
    begin[1:] = np.where(pair, steps.begin[:-1], steps.begin[1:])
    took = np.maximum(steps.end[1:] - begin[1:], HOUR)
    flow[1:] = np.where(pair, (steps.moved[1:] + steps.moved[:-1]) / took * HOUR, np.nan)
    return flow, begin


def _levels(block: Block, first: int, shape: tuple[int, int]) -> FloatArray:
    """The mean of a gauge's readings on each day."""
    levels = np.full(shape, np.nan)
    for row, register in enumerate(block.registers):
        if register.kind is RegisterKind.COUNTER:
            continue
        part = slice(int(block.bounds[row]), int(block.bounds[row + 1]))
        day = local(block.times[part], block.zone) // DAY - first
        inside = (day >= 0) & (day < shape[1])
        readings = np.bincount(day[inside], minlength=shape[1])
        summed = np.bincount(day[inside], block.values[part][inside].astype(np.float64), minlength=shape[1])
        with np.errstate(invalid="ignore", divide="ignore"):
            levels[row] = summed / np.where(readings > 0, readings, np.nan)
    return levels


def _least(key: Int64Array, rate: FloatArray, shape: tuple[int, int]) -> FloatArray:
    found = np.full(shape[0] * shape[1], np.nan)
    begins = np.flatnonzero(edges(key))
    if len(begins):
        found[key[begins]] = np.minimum.reduceat(rate, begins)
    return found.reshape(shape)


def _highest(key: Int64Array, rate: FloatArray, shape: tuple[int, int]) -> tuple[FloatArray, FloatArray]:
    """The highest and third highest rate of each day."""
    highest, third = np.full(shape[0] * shape[1], np.nan), np.full(shape[0] * shape[1], np.nan)
    begins = np.flatnonzero(edges(key))
    if len(begins):
        counts = np.diff(np.append(begins, len(key)))
        ordered = rate[np.lexsort((rate, key))]
        ends = begins + counts - 1
        highest[key[begins]] = ordered[ends]
        third[key[begins]] = np.where(counts >= 3, ordered[np.maximum(ends - 2, begins)], np.nan)
    return highest.reshape(shape), third.reshape(shape)


def recent(
    x: FloatArray, first_day: int, days: FloatArray, share: float, *, least: int = 14, begin: int = 0
) -> FloatArray:
    """What was usual before: the quantile `share` of the known values of the `days` before each week.

    `x` (k, columns) may hold NaN; `days` is of each row, NaN where it is not wanted. Learned anew on each
    Monday, so that it does not depend on where the series begins. NaN where fewer than `least` days are
    known, and in the weeks before that of column `begin`, of which nothing is asked.
    """
    usual = np.full(x.shape, np.nan)
    longest = int(np.nanmax(days, initial=0)) if not np.isnan(days).all() else 0
    too_old = np.arange(-longest, 0) < -np.nan_to_num(days)[:, None]
    mondays = np.arange(-((first_day + 3) % 7) % 7, x.shape[1], 7)
    for monday in mondays[mondays > begin - 7].tolist():
        window = x[:, max(0, monday - longest) : monday]
        window = np.where(too_old[:, longest - window.shape[1] :], np.nan, window)
        window = np.sort(window, axis=1)  # NaN go to the end
        known = np.count_nonzero(~np.isnan(window), axis=1)
        enough = np.flatnonzero(known >= max(least, 1))
        if len(enough):
            at = np.minimum((known[enough] * share).astype(np.int64), known[enough] - 1)
            usual[enough, monday : monday + 7] = window[enough, at][:, None]
    return usual
