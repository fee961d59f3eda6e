"""The life of a register: the readings that tell one consistent story, told apart from those that do not.

A counter's readings should form a chain in which each follows plausibly from the one before. Around every
impossible step there are several ways to restore that: leave out a few readings (they were glitches, or
came from another register), or accept that the register itself was reset, rolled over or exchanged. The
cheapest explanation of the series wins, found by dynamic programming. Costs are hundredths of a left-out
reading: up to three wrong readings in a row are glitches, four that agree with each other are a new level.

    leaving out a reading           100, a stretch of them at most 650
    a small backward step             1
    a roll-over                     150
    a break (reset, other level)    350; a there-and-back of any length is left out, not broken twice
"""

from dataclasses import dataclass
from enum import Enum

import numpy as np

from anomaly.input.series import BoolArray, Int64Array, Series
from metering.readings.rate import LearnedRates, impossible

GLITCH_READINGS = 3  # in a row; more than that agree with each other
_LEFT_OUT, _STRETCH = 100, 650
_LOOK_BACK = 64  # pieces; a piece is a single reading near an impossible step, else a quiet stretch


class Link(Enum):
    """How a reading follows from the one before it in the chain. The value is the cost."""

    PLAUSIBLE = 0
    JITTER = 1
    ROLLOVER = 150
    BREAK = 350


@dataclass(frozen=True, slots=True)
class Lifeline:
    """`chain`: bool, shape (n,), readings that belong to the story. `links`: of the chain's readings, in
    order of time, those that do not follow plausibly: (index before, index, link)."""

    chain: BoolArray
    links: tuple[tuple[int, int, Link], ...]


def trace(series: Series, rates: LearnedRates) -> Lifeline:
    """The cheapest explanation of a series. The same for every order of arrival, as it looks at time only."""
    first, last = _pieces(series, rates)
    on_chain = _cheapest(series, rates, first, last)
    chain = np.zeros(len(series), dtype=np.bool_)
    for piece in on_chain:
        chain[first[piece] : last[piece] + 1] = True
    return Lifeline(chain, _links(series, rates, np.flatnonzero(chain)))


def link(series: Series, rates: LearnedRates, before: int, after: int) -> Link:
    """How the reading `after` follows from the earlier reading `before` (indices)."""
    a, b = int(series.values[before]), int(series.values[after])
    step, elapsed = series.step(before, after), _elapsed(series.times, before, after)
    learned = rates.at(after)
    if step >= 0:
        return Link.PLAUSIBLE if learned.possible(step, elapsed) else Link.BREAK
    if -step <= learned.jitter:
        return Link.JITTER
    capacity = series.capacity
    near_top = capacity is not None and 9 * capacity <= 10 * a <= 10 * capacity and 10 * b <= capacity
    if capacity is not None and near_top and learned.possible(step + capacity, elapsed):
        return Link.ROLLOVER
    return Link.BREAK


def _links(series: Series, rates: LearnedRates, chain: Int64Array) -> tuple[tuple[int, int, Link], ...]:
    steps, elapsed = series.steps(chain), np.diff(series.times[chain])
    for i in np.flatnonzero(np.diff(chain) > 1):
        elapsed[i] = _elapsed(series.times, int(chain[i]), int(chain[i + 1]))
    suspects = np.flatnonzero((steps < 0) | impossible(steps, elapsed, rates.part(chain[1:])))
    return tuple(
        (int(chain[i]), int(chain[i + 1]), link(series, rates, int(chain[i]), int(chain[i + 1])))
        for i in suspects
    )


def _elapsed(times: Int64Array, before: int, after: int) -> int:
    """Time in which the register can have moved on from one reading to a later one.

    Beside a few left-out readings only the longest interval counts: or a jump to another level would become
    plausible by calling its first readings glitches.
    """
    if after - before > _STRETCH // _LEFT_OUT + 1:
        return int(times[after] - times[before])
    return max(int(times[i + 1] - times[i]) for i in range(before, after))


def _pieces(series: Series, rates: LearnedRates) -> tuple[Int64Array, Int64Array]:
    """First and last index of each piece: readings near an impossible step, and quiet stretches."""
    n = len(series)
    if n == 0:
        nothing = np.zeros(0, dtype=np.int64)
        return nothing, nothing
    steps, elapsed = series.steps(), np.diff(series.times)
    later = rates.part(slice(1, None))
    odd = np.flatnonzero((steps < -later.jitter) | impossible(steps, elapsed, later))
    near = np.zeros(n, dtype=np.bool_)
    for offset in range(-GLITCH_READINGS, GLITCH_READINGS + 2):
        near[np.clip(odd + offset, 0, n - 1)] = True
    starts = np.ones(n, dtype=np.bool_)
    starts[1:] = near[1:] | near[:-1]
    first = np.flatnonzero(starts).astype(np.int64)
    return first, np.append(first[1:] - 1, n - 1).astype(np.int64)


def _cheapest(series: Series, rates: LearnedRates, first: Int64Array, last: Int64Array) -> list[int]:
    """The pieces of the cheapest chain, in order of time."""
    count = len(first)
    if count < 2:
        return list(range(count))
    cost = np.zeros(count, dtype=np.int64)
    came_from = np.full(count, -1, dtype=np.int64)
    for piece in range(count):
        cost[piece] = _left_out(int(first[piece]))
        lowest = max(0, piece - _LOOK_BACK)
        for earlier in range(piece - 1, lowest - 1, -1):
            between = _left_out(int(first[piece] - last[earlier] - 1))
            total = int(cost[earlier]) + between
            if total > cost[piece]:
                continue
            total += link(series, rates, int(last[earlier]), int(first[piece])).value
            if total < cost[piece] or (
                total == cost[piece] and _higher(series, last, earlier, came_from[piece])
            ):
                cost[piece], came_from[piece] = total, earlier
    final = min(
        range(count), key=lambda piece: (cost[piece] + _left_out(len(series) - 1 - int(last[piece])), -piece)
    )
    chain = []
    while final >= 0:
        chain.append(final)
        final = int(came_from[final])
    return chain[::-1]


def _left_out(readings: int) -> int:
    return min(_LEFT_OUT * readings, _STRETCH)


def _higher(series: Series, last: Int64Array, earlier: int, chosen: np.int64) -> bool:
    """Of two equally cheap explanations: the one in which the lower reading was the glitch."""
    return bool(chosen < 0 or series.values[last[earlier]] > series.values[last[chosen]])
