"""What the validator's process looks after beside series: buildings' balances, and whether all can be heard.

Both are functions of what is stored, and counted by one process at a time, so any number may go their rounds.
"""

import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from psycopg import Connection

from ingest.validation import buildings, communication
from store.gateways.hours import KEPT, forget

BALANCE_SECONDS = 15.0  # between two looks for days to count
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
        self._balance_due = self._look_due = self._forget_due = monotonic()

    def step(self) -> None:
        """Do what is due."""
        now = self._monotonic()
        if now >= self._balance_due and not buildings.count(self._connection, self._clock()):
            self._balance_due = now + BALANCE_SECONDS  # else there may be more, and the next step sees to it
        if now >= self._look_due:
            self._look_due = now + LOOK_SECONDS
            communication.look(self._connection, self._clock())
        if now >= self._forget_due:
            self._forget_due = now + _DAY
            with self._connection.transaction():
                forget(self._connection, self._clock() - KEPT)
