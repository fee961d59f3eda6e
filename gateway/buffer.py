"""The gateway's memory: readouts on disk from the moment they are read until the ingester has committed them.

SQLite with a write-ahead log and a full sync at every commit, so what `append` has returned from survives a
power cut. `epoch` names one life of the file; a new file is a new epoch, in which batch numbers begin anew.
"""

import logging
import secrets
import sqlite3
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import msgspec

from drivers.driver import Clock
from gateway.source import MAX_BATCH_BYTES, MAX_BATCH_READOUTS, SourceError
from telemetry.readout import Readout
from telemetry.wire import Batch, Outcome, WireReadout, from_milliseconds, wire_readout

log = logging.getLogger(__name__)

_SCHEMA_VERSION = 1
_CREATE = """
begin immediate;
create table life (
    epoch text not null,
    next_batch integer not null
);
create table readouts (
    id integer primary key,       -- order of appending
    at integer not null,          -- milliseconds since 1970
    body blob not null,           -- a WireReadout as JSON
    batch integer                 -- null until it is numbered
);
create index readouts_by_batch on readouts (batch);
insert into life values (lower(hex(randomblob(8))), 1);
pragma user_version = 1;
commit;
"""


class BufferFailedError(SourceError):
    """The buffer cannot be written or read: disk full, card broken, file removed. `path` says which file."""

    def __init__(self, path: Path, reason: str) -> None:
        super().__init__(
            f"the buffer {path} cannot be used: {reason}; free space on its disk, check that this user may "
            "write there, and replace the card if the errors stay"
        )
        self.path = path


@dataclass(frozen=True, slots=True)
class Backlog:
    """What waits for an acknowledgement. `oldest` is the instant of the oldest readout, None without any."""

    readouts: int
    oldest: datetime | None


class Buffer:
    """A `BatchSource` on disk. Thread-safe.

    A batch is formed when `MAX_BATCH_READOUTS` wait or the first of them has waited `max_age` seconds.
    """

    def __init__(
        self,
        path: Path,
        clock: Clock,
        *,
        max_age: float = 2.0,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """Open or create the file. A damaged one is moved aside and a new epoch begins.

        Raises BufferFailedError where there can be no file at all.
        """
        self.path = path
        self._clock = clock
        self._max_age = max_age
        self._monotonic = monotonic
        self._lock = threading.Lock()
        self._handed_out = 0  # highest batch number that this object has handed out
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._connection = self._open_or_replace()
            self.epoch: str = self._connection.execute("select epoch from life").fetchone()[0]
            waiting = self._connection.execute(
                "select 1 from readouts where batch is null limit 1"
            ).fetchone()
        except (OSError, sqlite3.Error) as error:
            raise BufferFailedError(path, str(error)) from error
        self._waiting_since = monotonic() - max_age if waiting else None

    def append(self, readouts: Sequence[Readout]) -> None:
        """Keep readouts, all or none; they are on the disk when this returns. Raises BufferFailedError.

        One that the wire contract does not allow, such as of an instant before 1970, is logged and left out.
        """
        rows = [row for readout in readouts if (row := _row(readout))]
        with self._lock:
            try:
                with self._connection:
                    self._connection.executemany("insert into readouts (at, body) values (?, ?)", rows)
            except sqlite3.Error as error:
                raise BufferFailedError(self.path, str(error)) from error
            if rows and self._waiting_since is None:
                self._waiting_since = self._monotonic()

    def next_batches(self, limit: int) -> Sequence[Batch]:
        """See `BatchSource`. After a restart, batches of the earlier process come first, as they were."""
        with self._lock:
            try:
                numbers = [
                    number
                    for (number,) in self._connection.execute(
                        "select distinct batch from readouts where batch > ? order by batch limit ?",
                        (self._handed_out, limit),
                    )
                ]
                while len(numbers) < limit and (number := self._number_waiting()) is not None:
                    numbers.append(number)
                batches = [self._load(number) for number in numbers]
            except sqlite3.Error as error:
                raise BufferFailedError(self.path, str(error)) from error
            if numbers:
                self._handed_out = numbers[-1]
            return batches

    def acknowledge(self, epoch: str, outcomes: Mapping[int, Outcome | None]) -> None:
        """See `BatchSource`: the readouts of these batches are deleted."""
        if epoch != self.epoch:
            return
        with self._lock:
            try:
                with self._connection:
                    self._connection.executemany(
                        "delete from readouts where batch = ?", [(number,) for number in outcomes]
                    )
            except sqlite3.Error as error:
                raise BufferFailedError(self.path, str(error)) from error

    def backlog(self) -> Backlog:
        """How much is not yet acknowledged. Raises BufferFailedError."""
        with self._lock:
            try:
                count, oldest = self._connection.execute("select count(*), min(at) from readouts").fetchone()
            except sqlite3.Error as error:
                raise BufferFailedError(self.path, str(error)) from error
        return Backlog(count, None if oldest is None else from_milliseconds(oldest))

    def close(self) -> None:
        """Close the file; nothing is lost by not calling this."""
        with self._lock:
            self._connection.close()

    def _number_waiting(self) -> int | None:
        """Give the oldest waiting readouts the next batch number, durably; None if they may wait longer."""
        if self._waiting_since is None:
            return None
        rows = self._connection.execute(
            "select id, length(body) from readouts where batch is null order by id limit ?",
            (MAX_BATCH_READOUTS + 1,),
        ).fetchall()
        fitting = _how_many_fit([size for _, size in rows])
        due = self._monotonic() - self._waiting_since >= self._max_age
        if fitting == len(rows) and len(rows) < MAX_BATCH_READOUTS and not due:
            return None
        with self._connection:
            (number,) = self._connection.execute(
                "update life set next_batch = next_batch + 1 returning next_batch - 1"
            ).fetchone()
            self._connection.execute(
                "update readouts set batch = ? where batch is null and id <= ?",
                (number, rows[fitting - 1][0]),
            )
        if fitting == len(rows):
            self._waiting_since = None
        return int(number)

    def _load(self, number: int) -> Batch:
        bodies = self._connection.execute("select body from readouts where batch = ? order by id", (number,))
        readouts = [msgspec.json.decode(body, type=WireReadout) for (body,) in bodies]
        return Batch(epoch=self.epoch, batch=number, sent_at=0, readouts=readouts)

    def _open_or_replace(self) -> sqlite3.Connection:
        try:
            return _open(self.path)
        except sqlite3.DatabaseError as error:
            if isinstance(error, sqlite3.OperationalError):  # not the file's content: rights, space, locks
                raise
            reason = str(error)
        aside = self._move_aside()
        connection = _open(self.path)
        log.error("buffer damaged, moved aside; a new epoch begins", extra={"aside": aside, "reason": reason})
        return connection

    def _move_aside(self) -> str:
        stamp = self._clock().strftime("%Y%m%dT%H%M%S")
        aside = self.path.with_name(f"{self.path.name}.damaged-{stamp}-{secrets.token_hex(2)}")
        for suffix in ("", "-wal", "-shm"):
            part = self.path.with_name(self.path.name + suffix)
            if part.exists():
                part.rename(aside.with_name(aside.name + suffix))
        return str(aside)


def _row(readout: Readout) -> tuple[int, bytes] | None:
    """(milliseconds, body), or None with a log record for what could not be read back to be sent."""
    wire = wire_readout(readout)
    body = msgspec.json.encode(wire)
    try:
        msgspec.json.decode(body, type=WireReadout)
    except msgspec.ValidationError as error:
        log.error("readout cannot be sent", extra={"meter": readout.meter, "reason": str(error)})
        return None
    return wire.at, body


def _how_many_fit(sizes: Sequence[int]) -> int:
    """How many readouts, from the first, make one batch: within both limits, but at least one."""
    total = 200  # the batch's own fields
    for count, size in enumerate(sizes):
        total += size + 1
        if count == MAX_BATCH_READOUTS or (count and total > MAX_BATCH_BYTES):
            return count
    return len(sizes)


def _open(path: Path) -> sqlite3.Connection:
    """Raises sqlite3.DatabaseError for a file that is damaged or none of ours."""
    connection = sqlite3.connect(path, timeout=10.0, check_same_thread=False)
    try:
        connection.execute("pragma journal_mode = wal")
        connection.execute("pragma synchronous = full")
        (found,) = connection.execute("pragma quick_check(1)").fetchone()
        if found != "ok":
            raise sqlite3.DatabaseError(found)
        (version,) = connection.execute("pragma user_version").fetchone()
        if version == 0:
            connection.executescript(_CREATE)
        elif version != _SCHEMA_VERSION:
            raise sqlite3.OperationalError(
                f"it was written by another version of Hesper (schema {version}, not {_SCHEMA_VERSION})"
            )
    except sqlite3.Error:
        connection.close()
        raise
    return connection
