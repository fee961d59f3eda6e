"""What the validator's process looks after beside series: arrivals, buildings' balances, who can be heard.

All are functions of what is stored, and counted by one process at a time, so any number may go their rounds.
A day of a block of registers is counted whenever new readings of it came, but not with each of them: so a
reading costs nothing when it is written.
"""

import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

from psycopg import Connection

from ingest.validation import buildings, communication
from store.gateways import hours
from store.readings import completeness

COUNT_SECONDS = 15.0  # between two looks for days to count, of arrivals and of balances
LOOK_SECONDS = 600.0  # between two looks at gateways
_DAY = 86_400.0


class Rounds:
    """To be asked for a step again and again, outside of transactions; most of them do nothing."""

    def __init__(
        self,
        connection: Connection[Any],
        *,
        monotonic: Callable[[], float] = time.monotonic,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._connection = connection
        self._monotonic = monotonic
        self._clock = clock
        self._arrivals_due = self._balance_due = self._look_due = self._forget_due = monotonic()

    def step(self) -> None:
        """Do what is due. Where something was counted there may be more, and the next step sees to it."""
        connection, now = self._connection, self._monotonic()
        if now >= self._arrivals_due and not completeness.count(connection):
            self._arrivals_due = now + COUNT_SECONDS
        if now >= self._balance_due and not buildings.count(connection, self._clock()):
            self._balance_due = now + COUNT_SECONDS
        if now >= self._look_due:
            self._look_due = now + LOOK_SECONDS
            communication.look(connection, self._clock())
        if now >= self._forget_due:
            self._forget_due = now + _DAY
            with connection.transaction():
                hours.forget(connection, self._clock() - hours.KEPT)
                oldest = self._clock().date() - timedelta(days=completeness.KEPT_DAYS)
                completeness.forget(connection, oldest)
