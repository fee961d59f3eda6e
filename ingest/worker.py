"""Service loop of the processes that live on the database: work, and come back whenever it was away."""

import logging
from collections.abc import Callable
from contextlib import ExitStack
from threading import Event
from typing import TypeAlias

import psycopg
import structlog

from store.postgres.database import UnreachableError

IDLE_SECONDS = 1.0  # between two turns that found nothing to do
PAUSES = (0.1, 0.2, 0.5, 1.0, 2.0, 5.0)  # seconds before the database is tried again, by failures in a row

Turn: TypeAlias = Callable[[], bool]
"""One piece of work; False where nothing was to do, so that the next may wait."""


class Outage:
    """Absence of the database: told once when it begins and once when it ends; each try waits longer."""

    def __init__(self, logger: structlog.typing.FilteringBoundLogger, level: int = logging.WARNING) -> None:
        self.failures = 0
        """Tries in a row that failed; 0 while the database works."""
        self._log = logger
        self._level = level

    def failed(self, error: Exception, stop: Event) -> bool:
        """Wait before the next try; True when told to stop meanwhile."""
        if not self.failures:
            self._log.log(
                self._level, "the database is away; trying again", reason=" ".join(str(error).split())
            )
        pause = PAUSES[min(self.failures, len(PAUSES) - 1)]
        self.failures += 1
        return stop.wait(pause)

    def over(self) -> None:
        """The database did what it was asked for."""
        if self.failures:
            self._log.info("the database is back", failures=self.failures)
        self.failures = 0


def serve(begin: Callable[[ExitStack], Turn], stop: Event, outage: Outage) -> None:
    """Turn after turn until `stop` is set. `begin` opens sessions, which the stack closes, and gives the
    turn; it is asked anew whenever the database was away. What else a turn raises is raised here.
    """
    while not stop.is_set():
        try:
            with ExitStack() as sessions:
                turn = begin(sessions)
                while not stop.is_set():
                    busy = turn()
                    outage.over()
                    if not busy:
                        stop.wait(IDLE_SECONDS)
        except (UnreachableError, psycopg.OperationalError) as error:
            outage.failed(error, stop)
