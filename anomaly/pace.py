"""How a register usually moves, learned from its own history: the measure for what is small or impossible."""

from dataclasses import dataclass

import numpy as np

from anomaly.series import HOUR, Series

LEARNED_FROM = 20  # forward steps below which nothing is called impossible
IMPOSSIBLE = 50  # times the register's 99th percentile rate; real households stay below 6 times


@dataclass(frozen=True, slots=True)
class Pace:
    """`jitter`: micro-units that it commonly moves in at most an hour; a backward step of no more than that
    harms nobody. `rate`: 99th percentile of its forward rates, micro-units per microsecond, None before
    `LEARNED_FROM` forward steps. `interval`: median distance of readings in microseconds.
    """

    jitter: int
    rate: float | None
    interval: int

    def usual(self, elapsed: int) -> int | None:
        """Micro-units that a brisk `elapsed` microseconds bring, None where nothing was learned yet."""
        return None if self.rate is None else int(self.rate * max(elapsed, self.interval))

    def possible(self, step: int, elapsed: int) -> bool:
        """Whether a forward step (micro-units) within `elapsed` microseconds can be consumption."""
        usual = self.usual(elapsed)
        return usual is None or step <= IMPOSSIBLE * usual


def learn(series: Series) -> Pace:
    """The pace of a series of any length."""
    if len(series) < 2:
        return Pace(0, None, HOUR)
    steps, elapsed = np.diff(series.values), np.diff(series.times)
    interval = int(np.median(elapsed))
    forward = steps > 0
    if not forward.any():
        return Pace(0, None, interval)
    moved, took = steps[forward], elapsed[forward]
    jitter = int(np.median(moved * np.minimum(1.0, HOUR / took)))
    if len(moved) < LEARNED_FROM:
        return Pace(jitter, None, interval)
    return Pace(jitter, float(np.percentile(moved / np.maximum(took, interval), 99)), interval)
