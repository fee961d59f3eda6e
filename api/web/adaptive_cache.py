"""Cache whose lifetime is twenty times its cost.

A fleet of a hundred meters is counted anew each time; one of a hundred thousand costs its database at most a
twentieth of its time, however many people look.
"""

import threading
import time
from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from typing import Generic, TypeVar

T = TypeVar("T")

_QUICK = 0.2  # s: what takes less is not kept
_TIMES = 20


@dataclass(slots=True)
class _Place(Generic[T]):
    lock: threading.Lock = field(default_factory=threading.Lock)
    value: T | None = None
    good_until: float = 0.0


class AdaptiveCache(Generic[T]):
    """Values by key. While one caller counts, the others wait for the result."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._places: dict[Hashable, _Place[T]] = {}

    def get(self, key: Hashable, count: Callable[[], T]) -> T:
        """Value that was counted for this key not long ago, or now. What `count` raises is not kept."""
        with self._lock:
            place = self._places.setdefault(key, _Place())
        with place.lock:
            began = self._clock()
            if place.value is not None and began < place.good_until:
                return place.value
            value = count()
            took = self._clock() - began
            place.value = value if took > _QUICK else None
            place.good_until = began + took + _TIMES * took
            return value
