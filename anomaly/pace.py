"""How a register usually moves, learned from its own history: the measure for what is small or impossible."""

from dataclasses import dataclass

import numpy as np

from anomaly.series import HOUR, Series

LEARNED_FROM = 20  # forward steps below which nothing is called impossible
AT_FULL_RATE = 6 * HOUR
BEYOND = 2  # times the ceiling: no meter measures that, whatever its register is told to be
IMPOSSIBLE = 50  # times the register's 99th percentile rate; real households stay below 6 times


@dataclass(frozen=True, slots=True)
class Pace:
    """`jitter`: micro-units that it commonly moves in at most an hour; a backward step of no more than that
    harms nobody. `rate`: 99th percentile of its forward rates, micro-units per microsecond, None before
    `LEARNED_FROM` forward steps. `interval`: median distance of readings in microseconds. `ceiling`:
    micro-units per microsecond that the meter's Qmax or the fuse lets through, so that a burst is not taken
    for another register; None where nobody told.
    """

    jitter: int
    rate: float | None
    interval: int
    ceiling: float | None = None

    def usual(self, elapsed: int) -> int | None:
        """Micro-units that a brisk `elapsed` microseconds bring, None where nothing was learned yet."""
        return None if self.rate is None else int(self.rate * max(elapsed, self.interval))

    def possible(self, step: int, elapsed: int) -> bool:
        """Whether a forward step (micro-units) within `elapsed` microseconds can be consumption."""
        usual = self.usual(elapsed)
        if usual is None:
            return True
        if self.ceiling is not None and step > BEYOND * self.ceiling * max(elapsed, self.interval):
            return False
        return step <= max(IMPOSSIBLE * usual, self.through(elapsed))

    def through(self, elapsed: int) -> int:
        """Micro-units that can flow in `elapsed` microseconds, counting at most `AT_FULL_RATE`: nothing
        runs at full rate for days, and another register's level may be that near."""
        if self.ceiling is None:
            return 0
        return int(self.ceiling * min(max(elapsed, self.interval), max(self.interval, AT_FULL_RATE)))


def learn(series: Series, max_rate: int | None = None) -> Pace:
    """The pace of a series of any length. `max_rate`: micro-units an hour that the meter can measure at
    all."""
    ceiling = None if max_rate is None else max_rate / HOUR
    if len(series) < 2:
        return Pace(0, None, HOUR, ceiling)
    steps, elapsed = np.diff(series.values), np.diff(series.times)
    interval = int(np.median(elapsed))
    forward = steps > 0
    if not forward.any():
        return Pace(0, None, interval, ceiling)
    moved, took = steps[forward], elapsed[forward]
    jitter = int(np.median(moved * np.minimum(1.0, HOUR / took)))
    if len(moved) < LEARNED_FROM:
        return Pace(jitter, None, interval, ceiling)
    return Pace(jitter, float(np.percentile(moved / np.maximum(took, interval), 99)), interval, ceiling)
