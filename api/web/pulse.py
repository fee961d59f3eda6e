"""Pulse of the database: that it answers is found by asking it, within a time limit of our own.

A server that hangs keeps none of the limits that it was given, and its socket stays open. So each question
has a limit on our side of the socket, at whose end the socket is shut. While the database does not answer,
requests are refused at once instead of each waiting for it.
"""

import asyncio
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import psycopg
import structlog

from store.postgres.database import StoreError, cut

log = structlog.get_logger(__name__)

LIMIT = 1.0  # s, after which the database does not answer
_FRESH = 0.5  # s for which an answer counts
_AGAIN = 1.0  # s between questions while it does not


class DatabasePulse:
    """Asks the database one question at a time, over a connection of its own, for all who want to know."""

    def __init__(self, connect: Callable[[], psycopg.Connection], seconds: float) -> None:
        """`seconds`: after which a connection that is watched is given up."""
        self._seconds = seconds
        self._watched: dict[psycopg.Connection, float] = {}  # and since when, by the monotonic clock
        self._watching: asyncio.Task[None] | None = None
        self._connect = connect
        self._connection: psycopg.Connection | None = None
        self._thread = ThreadPoolExecutor(1, "hesper pulse")
        self._asking: asyncio.Future[bool] | None = None
        self._waiting: asyncio.Task[None] | None = None
        self._fresh_until = 0.0
        self.beats = True

    def start(self) -> None:
        """Begin to watch, in the running loop."""
        self._watching = asyncio.get_running_loop().create_task(self._watch())

    @contextmanager
    def watched(self, connection: psycopg.Connection) -> Iterator[None]:
        """Meanwhile the connection is cut where it is used for too long: in any thread."""
        self._watched[connection] = time.monotonic()
        try:
            yield
        finally:
            del self._watched[connection]

    async def _watch(self) -> None:
        while True:
            await asyncio.sleep(_AGAIN)
            latest = time.monotonic() - self._seconds
            for connection, since in self._watched.copy().items():
                if since < latest:
                    self.missed()
                    cut(connection)

    async def ask(self) -> bool:
        """True if the database answers now, or did a moment ago; known within `LIMIT`."""
        if time.monotonic() < self._fresh_until:
            return True
        if self._asking is None or self._asking.done():
            self._asking = asyncio.get_running_loop().run_in_executor(self._thread, self._answers)
        done, _ = await asyncio.wait([self._asking], timeout=LIMIT)
        beats = bool(done) and self._asking.result()
        self._fresh_until = time.monotonic() + _FRESH if beats else 0.0
        if not beats:
            if not done and self._connection is not None:
                cut(self._connection)
            self.missed()
        return beats

    def missed(self) -> None:
        """The database did not answer somebody; if it answers nobody, requests are refused until it does."""
        if self._waiting is None or self._waiting.done():
            self._waiting = asyncio.get_running_loop().create_task(self._wait())

    async def _wait(self) -> None:
        self._fresh_until = 0.0
        if await self.ask():
            return  # it was one question that took too long
        self.beats = False
        log.error("the database does not answer; requests are refused until it does")
        while not await self.ask():
            await asyncio.sleep(_AGAIN)
        self.beats = True
        log.info("the database answers again")

    async def close(self) -> None:
        """End the connection, and the thread with it."""
        for task in (self._watching, self._waiting):
            if task is not None:
                task.cancel()
        if self._asking is not None and self._connection is not None and not self._asking.done():
            cut(self._connection)
            await asyncio.wait([self._asking], timeout=LIMIT)
        if self._connection is not None:
            self._connection.close()
        self._thread.shutdown(wait=False)

    def _answers(self) -> bool:
        try:
            if self._connection is None or self._connection.closed:
                self._connection = self._connect()
                self._connection.autocommit = True
            self._connection.execute("select")
        except (psycopg.Error, StoreError):
            return False
        return True
