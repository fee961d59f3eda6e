"""Deliveries from MQTT's thread to the ingester's, bounded by their number and by their bytes.

A delivery counts until it is released, which is when it was acknowledged: so the bound holds for everything
that the process has taken and not yet stored, wherever it is.
"""

import threading
from collections import deque
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Delivery:
    """A message as it came. `message`, `qos` and `connection` are what acknowledging it needs.

    `retained`: it was published before we subscribed. `arrived`: seconds of the monotonic clock.
    """

    topic: str
    payload: bytes
    message: int = 0
    qos: int = 0
    connection: int = 0
    retained: bool = False
    arrived: float = 0.0


class Inbox:
    """First in, first out. Thread-safe."""

    def __init__(self, deliveries: int, size: int) -> None:
        """At most so many `deliveries`, of at most `size` bytes of payload together."""
        self._deliveries = deliveries
        self._limit = size
        self._waiting: deque[Delivery] = deque()
        self._held = 0
        self._size = 0
        self._closed = False
        self._changed = threading.Condition()

    def __len__(self) -> int:
        return self._held

    @property
    def size(self) -> int:
        """Bytes of payload that are not released."""
        return self._size

    @property
    def roomy(self) -> bool:
        """True while less than half of what it takes is held."""
        return self._held * 2 < self._deliveries and self._size * 2 < self._limit

    def offer(self, delivery: Delivery, patience: float = 0.0) -> bool:
        """Takes a delivery, or returns false after waiting `patience` seconds for room at the most.

        One that is larger than all room is taken where nothing is held, and none is once it is closed.
        """
        with self._changed:
            self._changed.wait_for(lambda: self._closed or self._has_room(delivery), patience)
            if self._closed or not self._has_room(delivery):
                return False
            self._waiting.append(delivery)
            self._held += 1
            self._size += len(delivery.payload)
            self._changed.notify_all()
            return True

    def take(self, timeout: float) -> Delivery | None:
        """The oldest, waited for at most `timeout` seconds; None where none came. Release it in the end."""
        with self._changed:
            if not self._changed.wait_for(lambda: self._waiting, max(0.0, timeout)):
                return None
            return self._waiting.popleft()

    def release(self, delivery: Delivery) -> None:
        """Frees the room of a delivery that was taken and is dealt with."""
        with self._changed:
            self._held -= 1
            self._size -= len(delivery.payload)
            self._changed.notify_all()

    def close(self) -> None:
        """Take nothing more, and let go who waits for room."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def _has_room(self, delivery: Delivery) -> bool:
        full = self._held >= self._deliveries or self._size + len(delivery.payload) > self._limit
        return not self._held or not full
