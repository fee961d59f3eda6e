"""The arrays that detectors look at: what moved between readings that may be billed from, and day by day.

Roll-overs are mended; across a break (reset, swap) and across a silence nothing is known.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from anomaly.block import Block, edges, local
from anomaly.pace import AT_FULL_RATE, IMPOSSIBLE, Pace
from anomaly.series import DAY, HOUR, BoolArray, Int64Array, Judgement
from telemetry.obis import RegisterKind

FloatArray = npt.NDArray[np.float64]
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


def steps_of(block: Block, judged: Sequence[Judgement], paces: Sequence[Pace]) -> Steps:
    """Steps between the usable readings of every counter. `judged` and `paces` are of each register."""
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
    interval = np.array([pace.interval for pace in paces], dtype=np.int64)[row]
    usual = np.array([np.inf if pace.rate is None else pace.rate for pace in paces], dtype=np.float64)
    ceiling = np.array([pace.ceiling or 0 for pace in paces], dtype=np.float64)
    at_most = np.maximum(
        IMPOSSIBLE * usual[row] * np.maximum(elapsed, interval),
        ceiling[row] * np.clip(elapsed, interval, np.maximum(interval, AT_FULL_RATE)),
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
    rate of any interval, micro-units an hour; `night_least`, `night_mean`: the same from 02 to 05, and its
    mean; `highest`, `third`: the highest and third highest rate. NaN where nothing is known.
    """

    first: int
    total: FloatArray
    least: FloatArray
    night_least: FloatArray
    night_mean: FloatArray
    highest: FloatArray
    third: FloatArray


def days_of(block: Block, steps: Steps) -> Days:
    """Every register day by day. A step belongs to the day in which its middle lies."""
    clock = local((steps.begin + steps.end) // 2, block.zone)
    day = clock // DAY
    first = int(day.min()) if len(day) else 0
    count = int(day.max()) - first + 1 if len(day) else 0
    shape = (len(block), count)
    hours = (steps.end - steps.begin) / HOUR
    known = steps.known & (steps.moved >= 0) & (hours <= _WHOLE)
    key = (steps.row * count + day - first)[known]
    hours = hours[known]
    rate = steps.rate[known]

    def summed(where: Int64Array, weights: FloatArray) -> FloatArray:
        cells = np.bincount(where, weights, minlength=shape[0] * count).astype(np.float64)
        return np.asarray(cells[: shape[0] * count].reshape(shape))

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
    highest, third = _highest(key, rate, shape)
    return Days(first, total, least, night_least, night_mean, highest, third)


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


def recent(x: FloatArray, first_day: int, days: FloatArray, share: float, least: int = 14) -> FloatArray:
    """What was usual before: the quantile `share` of the known values of the `days` before each week.

    `x` (k, columns) may hold NaN; `days` is of each row, NaN where it is not wanted. Learned anew on each
    Monday, so that it does not depend on where the series begins. NaN where fewer than `least` days are
    known.
    """
    usual = np.full(x.shape, np.nan)
    longest = int(np.nanmax(days, initial=0)) if not np.isnan(days).all() else 0
    too_old = np.arange(-longest, 0) < -np.nan_to_num(days)[:, None]
    for monday in range(-((first_day + 3) % 7) % 7, x.shape[1], 7):
        window = x[:, max(0, monday - longest) : monday]
        window = np.where(too_old[:, longest - window.shape[1] :], np.nan, window)
        window = np.sort(window, axis=1)  # NaN go to the end
        known = np.count_nonzero(~np.isnan(window), axis=1)
        enough = np.flatnonzero(known >= max(least, 1))
        if len(enough):
            at = np.minimum((known[enough] * share).astype(np.int64), known[enough] - 1)
            usual[enough, monday : monday + 7] = window[enough, at][:, None]
    return usual
