"""Events that do not flap: a condition must hold for some days to open one, and be gone for some to close it.

A day of which nothing is known neither opens nor closes anything; but what opens or closes has to be seen
within six weeks.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from anomaly.input.series import BoolArray, FloatArray, Int64Array


@dataclass(frozen=True, slots=True)
class Episode:
    """An event of register `row`: from day `first`; `end` is the first day on which it was over, None while
    it goes on; `last` is the last day of it. `reference` is what was normal when it began."""

    row: int
    first: int
    last: int
    end: int | None
    reference: float = 0.0

    @property
    def days(self) -> slice:
        """Its columns."""
        return slice(self.first, self.last + 1)


@dataclass(frozen=True, slots=True)
class Hysteresis:
    """Days in a row (unknown ones not counted) that open and close an event; `settle`: days after which what
    began as an event is the new normal, None for never."""

    opens: int
    closes: int
    settle: int | None = None


RUN_WITHIN = 42  # days

_By = Hysteresis | Callable[[int], Hysteresis]  # of all registers, or of each


def episodes(
    opening: tuple[BoolArray, BoolArray],
    closing: tuple[BoolArray, BoolArray],
    by: _By,
    *,
    since: Int64Array | None = None,
) -> list[Episode]:
    """Events of conditions of each day: bool, shape (k, days).

    `opening`: days that count towards an event, and those that interrupt such a run; `closing`: days that
    count towards its end, and those that interrupt that. `since`: the first day on which an event of each
    register may begin, int64, shape (k,).
    """
    found: list[Episode] = []
    for row in map(int, np.flatnonzero(opening[0].any(axis=1))):

        def ends(_: int, row: int = row) -> tuple[BoolArray, BoolArray, float]:
            return closing[0][row], closing[1][row], 0.0

        found += _of_row(row, (opening[0][row], opening[1][row]), ends, _by(by, row), _since(since, row))
    return found


def departures(
    x: FloatArray,
    reference: FloatArray,
    rise: tuple[npt.ArrayLike, npt.ArrayLike],
    fall: tuple[npt.ArrayLike, npt.ArrayLike],
    by: _By,
    *,
    since: Int64Array | None = None,
) -> list[Episode]:
    """Events in which `x` leaves what was normal. Both float64, shape (k, days), NaN where not known.

    A day counts towards an event above `reference * rise[0] + rise[1]`, and towards its end at or below
    `reference * fall[0] + fall[1]`, the reference as it was when the event began. `rise` and `fall` are of
    all registers or of each; `since` as in `episodes`.
    """
    k = len(x)
    up, plus = (np.broadcast_to(np.asarray(each, dtype=np.float64), (k,)) for each in rise)
    back, less = (np.broadcast_to(np.asarray(each, dtype=np.float64), (k,)) for each in fall)
    with np.errstate(invalid="ignore"):
        on = x > reference * up[:, None] + plus[:, None]
    known = ~np.isnan(x)
    found: list[Episode] = []
    for row in map(int, np.flatnonzero(on.any(axis=1))):

        def ends(day: int, row: int = row) -> tuple[BoolArray, BoolArray, float]:
            normal = float(reference[row, day])
            off = x[row] <= normal * back[row] + less[row]  # NaN compares as False
            return off, known[row] & ~off, normal

        found += _of_row(row, (on[row], known[row] & ~on[row]), ends, _by(by, row), _since(since, row))
    return found


def _by(by: _By, row: int) -> Hysteresis:
    return by if isinstance(by, Hysteresis) else by(row)


def _since(since: Int64Array | None, row: int) -> int:
    return 0 if since is None else int(since[row])


def _of_row(
    row: int,
    opening: tuple[BoolArray, BoolArray],
    ends: Callable[[int], tuple[BoolArray, BoolArray, float]],
    by: Hysteresis,
    free: int,
) -> list[Episode]:
    """Events of one register that begin on day `free`, the first that belongs to no event yet, or later.

    `ends(first)` gives, for an event that began on day `first`, the days that count towards its end, those
    that interrupt that, and what was normal.
    """
    found: list[Episode] = []
    on, interrupts = opening
    for first, opened in _runs(on, interrupts, by.opens):
        if first < free:
            continue
        off, stays, normal = ends(first)
        over = _runs(off[opened + 1 :], stays[opened + 1 :], by.closes)
        end = None if not len(over) else int(over[0][0]) + opened + 1
        settled = None if by.settle is None or first + by.settle >= len(on) else first + by.settle
        if settled is not None and (end is None or settled < end):
            end = settled
        last = len(on) - 1 if end is None else end - 1
        found.append(Episode(row, int(first), last, end, normal))
        free = len(on) if end is None else end
    return found


def _runs(towards: BoolArray, interrupts: BoolArray, length: int) -> Int64Array:
    """Runs of at least `length` days that count, nothing interrupting: first day, and the day that
    completes it; int64, shape (runs, 2), one for every day on which a run could begin."""
    days = np.flatnonzero(towards)
    if len(days) < length:
        return np.zeros((0, 2), dtype=np.int64)
    first, last = days[: len(days) - length + 1], days[length - 1 :]
    broken = np.concatenate(([0], np.cumsum(interrupts)))
    whole = (broken[last + 1] == broken[first]) & (last - first < RUN_WITHIN)
    return np.stack((first[whole], last[whole]), axis=1).astype(np.int64)
