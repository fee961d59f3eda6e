"""The buffer's commits, and room for them on the disk.

What is written wears out an SD card, so what need not be durable by itself rides along with what must be:
acknowledgements (what is sent again after a lost one is known at the other end) and the time at which the
gateway was last seen alive. Acknowledged readouts stay as a local history, whose oldest part makes room.
"""

import logging
import os
import sqlite3
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path

from drivers.driver import Clock
from gateway.buffer.priority import Run
from gateway.buffer.source import BufferLimits
from gateway.log_once import LogOnce
from telemetry.wire import from_milliseconds, to_milliseconds

log = logging.getLogger(__name__)

RESERVE_BYTES = 8_000_000  # of the disk, left to the numbering and forgetting of what is kept already
_ALIVE_SECONDS = 60.0
_MOST_ACKNOWLEDGED = 500  # batches, until it is written that they are
_FORGET_AT_ONCE = 20  # batches; more would keep a line waiting


class NoRoomError(Exception):
    """There is nothing acknowledged left that could make room."""


class BufferDisk:
    """Connection, and what is to be written next. Not thread-safe; raises sqlite3.Error throughout."""

    def __init__(
        self,
        path: Path,
        connection: sqlite3.Connection,
        limits: BufferLimits,
        clock: Clock,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self.connection = connection
        self.full = LogOnce(log, "buffer is full", "buffer has room again", logging.ERROR)
        self._path = path
        self._limits = limits
        self._clock = clock
        self._monotonic = monotonic
        self._alive: datetime | None = None
        self._alive_written: datetime | None = None
        self._acknowledged: dict[
            int, tuple[int, int]
        ] = {}  # batch number -> seal, stored_at; not yet written
        self._written_at = self._forget_at = monotonic()

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """One synced commit, or none of it."""
        with self.connection as connection:
            connection.execute("begin immediate")
            acknowledged, alive = list(self._acknowledged), self._alive if self._alive_is_due() else None
            self._ride_along()
            yield connection
        for number in acknowledged:
            self._acknowledged.pop(number, None)
        self._alive_written = alive or self._alive_written
        self._written_at = self._monotonic()

    def acknowledged(self, seals: Mapping[int, tuple[int, int]]) -> None:
        """These batches, with their seals and when they were stored, may be forgotten when room is needed."""
        self._acknowledged |= seals
        if len(self._acknowledged) >= _MOST_ACKNOWLEDGED:
            self.settle()

    def alive(self, instant: datetime) -> None:
        """The gateway runs; written after a minute at the latest."""
        self._alive = instant
        if self._alive_is_due() and self._monotonic() - self._written_at >= _ALIVE_SECONDS:
            self.settle()

    def last_alive(self) -> datetime | None:
        """The instant at which the gateway was last known to run, in this process or the one before."""
        if self._alive is not None:
            return self._alive
        (milliseconds,) = self.connection.execute("select last_alive from life").fetchone()
        return None if milliseconds is None else from_milliseconds(milliseconds)

    def settle(self) -> None:
        """Write what rides along, for once by itself."""
        with self.transaction():
            pass

    def write(self, coming: int, write: Callable[[], None]) -> None:
        """Do what adds about `coming` bytes, forgetting the oldest of the history if it needs their room.

        Raises NoRoomError.
        """
        while True:
            reason = self._short_of(coming)
            try:
                if not reason:
                    write()
                    self.full.end(path=str(self._path))
                    return
            except sqlite3.Error as error:
                reason = _full(error)
            if not self._forget():
                self.full.begin(path=str(self._path), reason=reason)
                raise NoRoomError(reason)

    def _short_of(self, coming: int) -> str:
        """What there is not enough of; empty if there is."""
        pages, unused, size = (self._pragma(name) for name in ("page_count", "freelist_count", "page_size"))
        if (pages - unused) * size + coming > self._limits.bytes:
            return f"it has reached its limit of {self._limits.bytes} bytes"
        disk = os.statvfs(self._path.parent)
        free = disk.f_bavail * disk.f_frsize
        if free < RESERVE_BYTES and unused * size < 2 * coming + 64 * size:
            return f"its disk has {free} bytes left"
        return ""

    def _forget(self) -> bool:
        """Delete the oldest acknowledged batches; whether there were any, and room to write that."""
        try:
            with self.transaction():
                oldest = self._oldest_acknowledged()
                self._delete(oldest)
        except sqlite3.Error as error:
            _full(error)
            return False
        return bool(oldest)

    def _oldest_acknowledged(self) -> list[tuple[int, Run]]:
        rows = self.connection.execute(
            "select seal_key, number, first, last, acknowledged from batches, life "
            "where acknowledged order by number limit ?",
            (_FORGET_AT_ONCE,),
        )
        batches = [(key, number, Run(first, last), seal) for key, number, first, last, seal in rows]
        return [(number, run) for key, number, run, seal in batches if seal == run.seal(key, number)]

    def _delete(self, batches: Sequence[tuple[int, Run]]) -> None:
        for number, run in batches:
            self.connection.execute("delete from entries where id between ? and ?", (run.first, run.last))
            self.connection.execute("delete from batches where number = ?", (number,))
            self.connection.execute("update life set next_batch = max(next_batch, ?)", (number + 1,))

    def _ride_along(self) -> None:
        if self._acknowledged:
            told = [(number, seal, at) for number, (seal, at) in self._acknowledged.items()]
            self.connection.executemany(
                "update batches set acknowledged = ?2, stored_at = ?3 where number = ?1", told
            )
            latest = max(at for _, _, at in told)
            self.connection.execute("update life set stored_at = max(stored_at, ?)", (latest,))
        if self._alive is not None and self._alive_is_due():
            alive = max(0, to_milliseconds(self._alive))
            self.connection.execute("update life set last_alive = ?", (alive,))
        if self._monotonic() >= self._forget_at:
            self._forget_at = self._monotonic() + _ALIVE_SECONDS
            until = to_milliseconds(self._clock() - timedelta(days=self._limits.days))
            self._delete([batch for batch in self._oldest_acknowledged() if self._kept_since(*batch) < until])

    def _kept_since(self, number: int, run: Run) -> int:
        """When it was read, or stored, whichever is later: a database may be put back from before that."""
        select = "select max(since, stored_at) from entries, batches where id = ? and number = ?"
        found = self.connection.execute(select, (run.last, number)).fetchone()
        return found[0] if found and isinstance(found[0], int) else 0

    def _alive_is_due(self) -> bool:
        """Whether what is written lags by a minute."""
        if self._alive is None or self._alive_written is None:
            return self._alive is not None
        return abs((self._alive - self._alive_written).total_seconds()) >= _ALIVE_SECONDS

    def _pragma(self, name: str) -> int:
        return int(self.connection.execute(f"pragma {name}").fetchone()[0])


def _full(error: sqlite3.Error) -> str:
    """What SQLite says of a full disk. Raises every other error."""
    if error.sqlite_errorcode != sqlite3.SQLITE_FULL:
        raise error
    return str(error)
