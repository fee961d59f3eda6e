"""Growing, jittered distances between attempts, so that a fleet does not come back in one instant."""

import random


class Backoff:
    """Distances of `first` seconds, doubling up to `longest`; of each a random half to all is taken."""

    def __init__(self, first: float, longest: float, rng: random.Random) -> None:
        self.first = first
        self.longest = longest
        self._rng = rng
        self._distance = first

    def next(self) -> float:
        """Seconds until the next attempt."""
        distance = self._distance
        self._distance = min(distance * 2, self.longest)
        return distance * self._rng.uniform(0.5, 1.0)

    def reset(self) -> None:
        """An attempt succeeded: begin with `first` again."""
        self._distance = self.first
