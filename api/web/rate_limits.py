"""Limits: how often somebody may ask, and how soon again after failing. In memory, so for one process each.

The clock is an argument; what was not heard of for long is forgotten, the oldest first.
"""

import threading
from collections import OrderedDict
from collections.abc import Callable
from datetime import datetime, timedelta

_REMEMBERED = 10_000  # addresses, keys, persons


class TokenBuckets:
    """A bucket for each subject: it holds `burst` tokens, gains `rate` a second, and a request takes one."""

    def __init__(self, rate: float, burst: int, clock: Callable[[], datetime]) -> None:
        self._rate = rate
        self._burst = burst
        self._clock = clock
        self._buckets: OrderedDict[str, tuple[float, datetime]] = OrderedDict()
        self._lock = threading.Lock()

    def take(self, subject: str) -> timedelta | None:
        """Take a token; None if there was one, else how long until there is."""
        now = self._clock()
        with self._lock:
            tokens, since = self._buckets.get(subject, (float(self._burst), now))
            gained = max((now - since).total_seconds(), 0) * self._rate
            tokens = min(tokens + gained, self._burst)
            wait = None if tokens >= 1 else timedelta(seconds=(1 - tokens) / self._rate)
            self._buckets[subject] = (tokens if wait else tokens - 1, now)
            self._buckets.move_to_end(subject)
            if len(self._buckets) > _REMEMBERED:
                self._buckets.popitem(last=False)
        return wait


class Lockout:
    """After `free` failures a subject has to wait `first`, and after each further one twice as long.

    It never grows beyond `longest`, so that who fails on purpose keeps the rightful person out for so long
    only; a subject that kept quiet for twice that time begins anew.
    """

    def __init__(
        self, free: int, first: timedelta, longest: timedelta, clock: Callable[[], datetime]
    ) -> None:
        self._free = free
        self._first = first
        self._longest = longest
        self._clock = clock
        self._failures: OrderedDict[str, tuple[int, datetime]] = OrderedDict()
        self._lock = threading.Lock()

    def wait(self, subject: str) -> timedelta:
        """Time until the subject may try again; zero: now."""
        with self._lock:
            failures, last = self._remembered(subject)
        if failures < self._free:
            return timedelta(0)
        doublings = min(failures - self._free, 30)
        delay: timedelta = min(self._first * 2**doublings, self._longest)
        return max(delay - (self._clock() - last), timedelta(0))

    def failed(self, subject: str) -> None:
        """Note a failure."""
        with self._lock:
            failures, _ = self._remembered(subject)
            self._failures[subject] = (failures + 1, self._clock())
            self._failures.move_to_end(subject)
            if len(self._failures) > _REMEMBERED:
                self._failures.popitem(last=False)

    def forgive(self, subject: str) -> None:
        """Forget the failures: it was right at last."""
        with self._lock:
            self._failures.pop(subject, None)

    def _remembered(self, subject: str) -> tuple[int, datetime]:
        now = self._clock()
        failures, last = self._failures.get(subject, (0, now))
        return (0, now) if now - last > 2 * self._longest else (failures, last)
