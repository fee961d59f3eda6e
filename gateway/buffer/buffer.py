"""The gateway's memory: readouts on disk from the moment they are read until the ingester has committed them.

SQLite with a write-ahead log and a full sync at every commit, so what `append` has returned from survives a
power cut. `epoch.py` tells its batch numbers from those of every copy of the file.
"""

import logging
import sqlite3
import threading
import time
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo
from pathlib import Path

import msgspec

from drivers.driver import Clock
from gateway.buffer.batches import Batches
from gateway.buffer.disk import BufferDisk, NoRoomError
from gateway.buffer.entry import DamagedEntryError, Entry, PackedEntry, pack, status_of, unpack
from gateway.buffer.file import OtherVersionError, is_damage, open_file, replace_file
from gateway.buffer.priority import Priority
from gateway.buffer.source import BufferLimits, Monotonic, SourceError
from telemetry.readout import Readout
from telemetry.status import Status
from telemetry.wire import Batch, Miss, Outcome, from_milliseconds, to_milliseconds, wire_readout

log = logging.getLogger(__name__)

_LIMITS = BufferLimits()
_MOVE_AT_ONCE = 1_000  # held entries
_LAST_INSTANT = 253_402_300_799_999  # of the wire contract
_LATEST = 50_000  # entries of each queue


class BufferFailedError(SourceError):
    """The buffer cannot be written or read: disk full, card broken, file removed. `path` says which file."""

    advice = (
        "free space on its disk, check that this user may write there, and replace the card "
        "if the errors stay"
    )

    def __init__(self, path: Path, reason: str) -> None:
        super().__init__(f"the buffer {path} cannot be used: {reason}; {self.advice}")
        self.path = path


class BufferFullError(BufferFailedError):
    """It is full of what nobody has acknowledged, which is never deleted to make room."""

    advice = "it keeps what it has; bring back the connection to the broker, or give the buffer more room"


@dataclass(frozen=True, slots=True)
class Backlog:
    """Backlog that waits for an acknowledgement; `held` of these wait for the clock to be set.

    `oldest` is the instant of the oldest readout, None without any. `full`: nothing more is taken.
    """

    readouts: int
    oldest: datetime | None
    held: int = 0
    full: bool = False


class Buffer:
    """A `BatchSource` on disk. Thread-safe.

    A batch is formed when `MAX_BATCH_READOUTS` wait or the first of them has waited `max_age` seconds;
    `priority.py` has the order. `zone` is the local time whose midnights bills are made of.
    """

    def __init__(
        self,
        path: Path,
        clock: Clock,
        *,
        zone: tzinfo = UTC,
        limits: BufferLimits = _LIMITS,
        max_age: float = 2.0,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """Open or create the file. A damaged one is moved aside, and its readouts go on in a new epoch.

        Raises BufferFailedError where there can be no file at all.
        """
        self.path = path
        self._clock = clock
        self._zone = zone
        self._limits = limits
        self._max_age = max_age
        self._monotonic = monotonic
        self._lock = threading.Lock()
        self._damage = ""
        try:
            self._begin(open_file(path, clock))
        except (OSError, sqlite3.Error, OtherVersionError) as error:
            raise BufferFailedError(path, str(error)) from error

    @property
    def epoch(self) -> str:
        """The epoch of its batch numbers; another one begins also when a damaged file is replaced."""
        return self._batches.epoch

    def append(
        self,
        readouts: Sequence[Readout],
        misses: Sequence[Miss] = (),
        *,
        unsynchronised: Monotonic | None = None,
    ) -> None:
        """Keep readouts and misses, all or none; they are on the disk when this returns.

        `unsynchronised`: the clock was not set when they came; the latest of them came at this monotonic
        instant. They are held until `synchronise` or `release_unsynchronised`, except instants that are not
        the gateway's own (readouts without `Status.UNSYNCHRONISED`).
        One that the wire contract does not allow, such as of an instant before 1970, is logged and left out.
        Raises BufferFailedError.
        """
        given: list[Entry] = [*map(wire_readout, readouts), *misses]
        entries = [packed for packed in map(_checked, given) if packed is not None]
        held: list[tuple[object, ...]] = []
        if unsynchronised is not None:
            waiting = [
                (e, body)
                for e, body in entries
                if isinstance(e, Miss) or Status.UNSYNCHRONISED in status_of(e)
            ]
            entries = [packed for packed in entries if packed not in waiting]
            latest = round(unsynchronised.seconds * 1000) - max((e.at for e, _ in waiting), default=0)
            boot = unsynchronised.boot
            held = [(boot, latest + e.at, _seal(boot, latest + e.at), e.at, body) for e, body in waiting]
        if entries or held:
            with self._guarded():
                hold = "insert into held (boot, monotonic, seal, at, body) values (?, ?, ?, ?, ?)"
                self._batches.insert(entries, hold, held)

    def next_batches(self, limit: int) -> Sequence[Batch]:
        """See `BatchSource`. After a restart, batches of the earlier process come first, as they were."""
        with self._guarded():
            return self._batches.next(limit)

    def acknowledge(self, epoch: str, outcomes: Mapping[int, Outcome | None]) -> None:
        """See `BatchSource`. Their readouts stay as a local history until the limits are reached."""
        with self._guarded():
            if epoch == self.epoch:
                self._batches.acknowledge(outcomes)

    def send_again(self, since: datetime) -> int:
        """Let what was read or stored since then be sent once more; how many entries there still are of it.

        Raises BufferFailedError.
        """
        with self._guarded():
            return self._batches.send_again(max(0, to_milliseconds(since)))

    def synchronise(self, boot: str, wall_at_monotonic_zero: datetime) -> None:
        """The clock is set: what was held in this boot gets its true instants. Raises BufferFailedError."""
        self._release(boot, to_milliseconds(wall_at_monotonic_zero))

    def release_unsynchronised(self) -> None:
        """Let all that is held go with the instants that it has. Raises BufferFailedError."""
        self._release(None, 0)

    def note_alive(self, instant: datetime) -> None:
        """The gateway runs at this instant. Call often: it is written once a minute, with what else is.

        That it cannot be written is told by `append`.
        """
        with self._lock:
            try:
                self._disk.alive(instant)
            except sqlite3.Error as error:
                log.debug("being alive is not noted", extra={"reason": str(error)})

    def last_alive(self) -> datetime | None:
        """The instant of the last run, to a minute; None in a new file. Raises BufferFailedError."""
        with self._guarded():
            return self._disk.last_alive()

    def kept_since(self, instant: datetime) -> dict[str, list[datetime]]:
        """Instants, from this one on, of the latest readouts and misses by meter, acknowledged or not.

        What meters kept by themselves is left out. Raises BufferFailedError.
        """
        kept: dict[str, list[datetime]] = {}
        with self._guarded():
            for queue in self._batches.queues.by_name.values():
                rows = self._disk.connection.execute(
                    "select id, body from entries where id between ? and ? and since >= ?",
                    (queue.last - _LATEST, queue.last, to_milliseconds(instant)),
                ).fetchall()
                for row, body in rows:
                    entry = self._batches.read(row, body)
                    if entry and (isinstance(entry, Miss) or Status.HISTORICAL not in status_of(entry)):
                        kept.setdefault(entry.meter, []).append(from_milliseconds(entry.at))
        return kept

    def backlog(self) -> Backlog:
        """The readouts that are not yet acknowledged. Raises BufferFailedError."""
        with self._guarded():
            connection = self._disk.connection
            held, held_since = connection.execute("select count(*), min(at) from held").fetchone()
            since = [] if held_since is None else [held_since]
            runs = self._batches.runs
            for priority in Priority:
                if firsts := [run.first for run in runs if Priority.of(run.first) is priority]:
                    oldest = "select since from entries where id = ?"
                    since += connection.execute(oldest, (min(firsts),)).fetchone() or []
            since = [at for at in since if isinstance(at, int) and 0 <= at <= _LAST_INSTANT]
            return Backlog(
                readouts=sum(map(len, runs)) + held,
                oldest=from_milliseconds(min(since)) if since else None,
                held=held,
                full=self._disk.full.active,
            )

    def close(self) -> None:
        """Close the file; nothing is lost by not calling this."""
        with self._lock, closing(self._disk.connection):
            try:
                self._disk.settle()
            except sqlite3.Error as error:
                log.debug("acknowledgements are not noted", extra={"reason": str(error)})

    def _begin(self, connection: sqlite3.Connection) -> None:
        self._disk = BufferDisk(self.path, connection, self._limits, self._clock, self._monotonic)
        self._batches = Batches(
            self._disk,
            zone=self._zone,
            max_age=self._max_age,
            clock=self._clock,
            monotonic=self._monotonic,
        )

    def _release(self, boot: str | None, wall_zero: int) -> None:
        """Number what is held of a boot, corrected; of every boot, as it is, without one."""
        select = "select id, monotonic, seal, body from held where ?1 is null or boot = ?1 limit ?2"
        more = True
        while more:
            with self._guarded():
                rows = self._disk.connection.execute(select, (boot, _MOVE_AT_ONCE)).fetchall()
                entries = [
                    PackedEntry(entry, body)
                    if boot is None or seal != _seal(boot, monotonic)
                    else _corrected(entry, wall_zero + monotonic)
                    for row, monotonic, seal, body in rows
                    if (entry := self._batches.read(row, body))
                ]
                if rows:
                    self._batches.insert(entries, "delete from held where id = ?", [row[:1] for row in rows])
                more = len(rows) == _MOVE_AT_ONCE

    @contextmanager
    def _guarded(self) -> Iterator[None]:
        """The lock; and what SQLite raises as BufferFailedError. A file found damaged is replaced."""
        with self._lock:
            try:
                if self._damage:  # met earlier, when there was no room or no right to mend it
                    self._replace(self._damage)
                yield
            except NoRoomError as error:
                raise BufferFullError(self.path, str(error)) from None
            except (OSError, sqlite3.Error) as error:
                if isinstance(error, sqlite3.Error) and is_damage(error):
                    self._replace(str(error))
                raise BufferFailedError(self.path, str(error)) from error

    def _replace(self, damage: str) -> None:
        self._damage = damage
        self._disk.connection.close()
        try:
            self._begin(replace_file(self.path, self._clock, damage))
        except (OSError, sqlite3.Error) as error:
            raise BufferFailedError(self.path, str(error)) from error
        self._damage = ""


def _checked(entry: Entry) -> PackedEntry | None:
    """The entry as it is read back, or None with a log record for what could not be, to be sent."""
    body = pack(entry)
    try:
        return PackedEntry(unpack(body), body)
    except DamagedEntryError as error:
        log.error("readout cannot be sent", extra={"meter": entry.meter, "reason": str(error)})
        return None


def _seal(boot: str, monotonic: int) -> int:
    """A worn card may have made another instant of it; then it is not used."""
    return zlib.crc32(f"{boot} {monotonic}".encode())


def _corrected(entry: Entry, at: int) -> PackedEntry:
    """With its true instant, in milliseconds."""
    right: Entry
    if isinstance(entry, Miss):
        right = msgspec.structs.replace(entry, at=max(0, at))
    else:
        status = (status_of(entry) & ~Status.UNSYNCHRONISED) | Status.CLOCK_CORRECTED
        right = msgspec.structs.replace(entry, at=max(0, at), status=int(status))
    return PackedEntry(right, pack(right))
