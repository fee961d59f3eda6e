"""Faults planted into real series: each takes a household's readings and gives them as the fault would
leave them.

Readings are (times, values): int64, microseconds since 1970 and micro-m3. All that is random comes from the
generator that is passed in, so a seed names a bench exactly.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from anomaly.input.series import DAY, HOUR

Int64Array = npt.NDArray[np.int64]
LITRE = 1_000  # micro-m3


@dataclass(frozen=True, slots=True)
class Planted:
    """A household's readings with a fault from `start` to `end` in them."""

    times: Int64Array
    values: Int64Array
    start: int
    end: int


Plant = Callable[[np.random.Generator, Int64Array, Int64Array, Int64Array, Int64Array], Planted]


@dataclass(frozen=True, slots=True)
class Fault:
    """`kinds`: findings that count as having found it. `hard`: recall of 0.9 was promised."""

    name: str
    kinds: tuple[str, ...]
    plant: Plant
    hard: bool = True


def leak(litres_an_hour: float) -> Plant:
    """Runs day and night for ten to forty days."""

    def plant(random: np.random.Generator, times: Int64Array, values: Int64Array, *_: Int64Array) -> Planted:
        length = int(random.integers(10, 41)) * DAY
        start = _moment(random, times, length, 60 * DAY)
        return _running(times, values, start, length, litres_an_hour)

    return plant


def drift(random: np.random.Generator, times: Int64Array, values: Int64Array, *_: Int64Array) -> Planted:
    """A wheel that wears: over 120 days the meter comes to count half of what flows."""
    length = 120 * DAY
    start = _moment(random, times, length, 60 * DAY)
    counts = 1 - 0.5 * np.clip((times[1:] - start) / length, 0, 1)
    counted = np.cumsum(np.diff(values) * counts) // LITRE * LITRE
    return Planted(times, values[0] + np.concatenate(([0], counted)).astype(np.int64), start, start + length)


def burst(random: np.random.Generator, times: Int64Array, values: Int64Array, *_: Int64Array) -> Planted:
    """600 to 1,500 litres an hour until somebody shuts the valve, three to twelve hours later."""
    length = int(random.integers(3, 13)) * HOUR
    start = _moment(random, times, length, 60 * DAY)
    return _running(times, values, start, length, float(random.uniform(600, 1500)))


def stuck(random: np.random.Generator, times: Int64Array, values: Int64Array, *_: Int64Array) -> Planted:
    """The wheel stands still for sixty to ninety days, until the meter is mended in place."""
    length = int(random.integers(60, 91)) * DAY
    start = _moment(random, times, length, 90 * DAY)
    first, last = np.searchsorted(times, [start, start + length])
    held = values.copy()
    held[first:last] = values[first - 1]
    held[last:] -= values[last - 1] - values[first - 1]
    return Planted(times, held, start, start + length)


def glitch(random: np.random.Generator, times: Int64Array, values: Int64Array, *_: Int64Array) -> Planted:
    """One to three readings of 0, or far below or above the level."""
    count = int(random.integers(1, 4))
    start = _moment(random, times, 4 * HOUR, 60 * DAY)
    at = int(np.searchsorted(times, start))
    wrong = values.copy()
    away = int(random.integers(2_000, 50_000)) * LITRE
    wrong[at : at + count] = random.choice(
        np.array([0, max(0, int(values[at]) - away), int(values[at]) + away * 5])
    )
    return Planted(times, wrong, int(times[at]), int(times[at + count]))


def reset(random: np.random.Generator, times: Int64Array, values: Int64Array, *_: Int64Array) -> Planted:
    """The register begins again at 0."""
    at = int(np.searchsorted(times, _moment(random, times, 4 * HOUR, 60 * DAY)))
    again = values.copy()
    again[at:] -= values[at]
    return Planted(times, again, int(times[at]), int(times[at]))


def swap(
    random: np.random.Generator, times: Int64Array, values: Int64Array, others: Int64Array, other: Int64Array
) -> Planted:
    """From some day on the readings are those of another household's meter."""
    at = int(np.searchsorted(times, _moment(random, times, 4 * HOUR, 60 * DAY)))
    swapped = values.copy()
    swapped[at:] = np.interp(times[at:], others, other).astype(np.int64) // LITRE * LITRE
    return Planted(times, swapped, int(times[at]), int(times[at]))


def silence(random: np.random.Generator, times: Int64Array, values: Int64Array, *_: Int64Array) -> Planted:
    """No reading for three to twenty days, then one that has gone on."""
    length = int(random.integers(3, 21)) * DAY
    start = _moment(random, times, length, 60 * DAY)
    heard = (times < start) | (times >= start + length)
    return Planted(times[heard], values[heard], start, start + length)


def reverse(random: np.random.Generator, times: Int64Array, values: Int64Array, *_: Int64Array) -> Planted:
    """The register runs backward by 20 to 100 litres an hour for four to twelve hours."""
    length = int(random.integers(4, 13)) * HOUR
    start = _moment(random, times, length, 60 * DAY)
    first, last = np.searchsorted(times, [start, start + length])
    back = np.floor((times[first:last] - times[first - 1]) / HOUR * float(random.uniform(20, 100)))
    ran = values.copy()
    ran[first:last] = values[first - 1] - back.astype(np.int64) * LITRE
    ran[last:] -= values[last - 1] - ran[last - 1]
    return Planted(times, ran, start, start + length)


def _running(times: Int64Array, values: Int64Array, start: int, length: int, litres: float) -> Planted:
    """So many litres an hour more, for so long."""
    ran = np.floor(np.clip(times - start, 0, length) / HOUR * litres).astype(np.int64) * LITRE
    return Planted(times, values + ran, start, start + length)


def _moment(random: np.random.Generator, times: Int64Array, length: int, after: int) -> int:
    """A time, `after` a while of history, from which most hours of `length` have a reading.

    Raises ValueError where a household has no such time.
    """
    low, high = int(times[0]) + after, int(times[-1]) - length - DAY
    for _ in range(200):
        if low >= high:
            break
        start = int(random.integers(low, high))
        first, last = np.searchsorted(times, [start - 2 * HOUR, start + length])
        if last - first >= 0.8 * length / HOUR:
            return start
    raise ValueError("no stretch of this household is read often enough")


LEVEL = ("negative_step.swap_suspect", "negative_step.reset")
FAULTS = (
    Fault("leak 100 l/h", ("leak",), leak(100)),
    Fault("leak 30 l/h", ("leak",), leak(30)),
    Fault("leak 10 l/h", ("leak",), leak(10)),
    Fault("leak 5 l/h", ("leak",), leak(5), hard=False),
    Fault("leak 2 l/h", ("leak",), leak(2), hard=False),
    Fault("leak 1 l/h", ("leak",), leak(1), hard=False),
    Fault("leak 0.5 l/h", ("leak",), leak(0.5), hard=False),
    Fault("drift to half", ("level_shift",), drift, hard=False),
    Fault("burst", ("burst",), burst),
    Fault("stuck", ("stuck",), stuck),
    Fault("glitch", ("negative_step.glitch",), glitch),
    Fault("reset", ("negative_step.reset",), reset),
    Fault("swap", LEVEL, swap),
    Fault("catch-up", ("catch_up",), silence),
    Fault("reverse flow", ("reverse_flow",), reverse),
)
