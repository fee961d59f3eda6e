"""Counts what arrived of what was due, now and then, for the process that also validates.

A day of a block of registers is counted from its stored readings whenever new ones came, at most once in
`EVERY` seconds: the figure is a function of what is stored, and a reading costs nothing when it is written.
"""

import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

from psycopg import Connection

from store.readings import completeness

EVERY = 15.0  # seconds
_DAY = 86_400.0


class ArrivalCount:
    """To be asked for a step again and again; most of them do nothing."""

    def __init__(
        self,
        connection: Connection[Any],
        *,
        every: float = EVERY,
        monotonic: Callable[[], float] = time.monotonic,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._connection = connection
        self._every = every
        self._monotonic = monotonic
        self._clock = clock
        self._due = monotonic()
        self._forget_due = monotonic()

    def step(self) -> int:
        """Count if it is time; how many days of blocks were counted."""
        now = self._monotonic()
        if now < self._due:
            return 0
        counted = completeness.count(self._connection)
        if not counted:  # else there may be more, and the next step sees to it
            self._due = now + self._every
        if now >= self._forget_due:
            self._forget_due = now + _DAY
            with self._connection.transaction():
                completeness.forget(
                    self._connection, self._clock().date() - timedelta(days=completeness.KEPT_DAYS)
                )
        return counted
