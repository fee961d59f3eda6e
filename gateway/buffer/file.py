"""The buffer's SQLite file: opened or created, and replaced when it is damaged.

A damaged file is never thrown away: every row that can still be read is copied into a new file beside it,
the old one is moved aside, and the new one takes its place. Each step may be cut short by a power failure;
the next start finishes or repeats it.
"""

import logging
import os
import secrets
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from datetime import datetime
from pathlib import Path

from gateway.buffer.atomic_file import sync_folder
from gateway.buffer.epoch import settle_epoch
from gateway.buffer.salvage import PAGE_BYTES, salvage
from telemetry.wire import MAX_READOUTS

log = logging.getLogger(__name__)

VERSION = 3
# An append is one synced page; of 1,024 bytes it mostly touches one of a card's 4,096-byte blocks.
_LOG_PAGES = 4_000  # then the write-ahead log is copied into the file and begun anew: at about 4 MB
_BROKEN = {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}
_UNREADABLE = {sqlite3.SQLITE_IOERR_READ, sqlite3.SQLITE_IOERR_SHORT_READ, sqlite3.SQLITE_IOERR_CORRUPTFS}
_SURROUNDINGS = {  # while a file is opened; all else that can go wrong then lies in the file
    sqlite3.SQLITE_BUSY,
    sqlite3.SQLITE_CANTOPEN,
    sqlite3.SQLITE_FULL,
    sqlite3.SQLITE_IOERR,
    sqlite3.SQLITE_LOCKED,
    sqlite3.SQLITE_NOMEM,
    sqlite3.SQLITE_PERM,
    sqlite3.SQLITE_READONLY,
}
_MOST_BATCHES = 1 << 52
_LATER_VERSIONS = 1_000  # a higher number is no version, but damage
_CREATE = """
create table life (
    seal_key text not null,           -- of this file for good: priority.py
    next_batch integer not null,      -- more than the number of any batch that was deleted
    last_alive integer,               -- milliseconds since 1970
    stored_at integer not null default 0, -- the latest time at which the other end has stored something
    epoch text not null,              -- epoch.py, as the rest
    machine text not null default '',
    boot text not null default '',
    opening text not null default ''
) strict;
create table entries (
    id integer primary key,           -- order of appending, in two queues: priority.py
    since integer not null,           -- milliseconds since 1970: the instant (historical: when it came)
    body blob not null                -- entry.py
) strict;
create table batches (
    number integer primary key,
    first integer not null,           -- its entries' ids, both ends included
    last integer not null,
    acknowledged integer not null default 0, -- or Run.seal
    stored_at integer not null default 0 -- milliseconds since 1970, by the other end's clock (0: not told)
) strict;
create table held (                   -- read while the clock was not set
    id integer primary key,
    boot text not null,
    monotonic integer not null,       -- milliseconds on that boot's monotonic clock
    seal integer not null,            -- CRC-32 of both
    at integer not null,              -- milliseconds since 1970 on the clock as it was
    body blob not null
) strict;
insert into life (seal_key, next_batch, epoch)
values (lower(hex(randomblob(8))), 1, lower(hex(randomblob(8))))
"""


_FROM_2 = """
alter table life rename column epoch to seal_key;
alter table life add column stored_at integer not null default 0;
alter table batches add column stored_at integer not null default 0;
alter table life add column epoch text not null default '';
alter table life add column machine text not null default '';
alter table life add column boot text not null default '';
alter table life add column opening text not null default '';
update life set epoch = seal_key
"""


class OtherVersionError(Exception):
    """The file was written by a later Hesper, and is left alone."""


def open_file(path: Path, now: Callable[[], datetime]) -> sqlite3.Connection:
    """A connection to a sound file at `path`, new or old.

    Raises OSError, sqlite3.Error and OtherVersionError where there can be no file.
    """
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    _finish_replacement(path, now)
    try:
        return _opened(path)
    except (sqlite3.Error, UnicodeDecodeError) as error:
        code = _code(error) & 0xFF
        if code == sqlite3.SQLITE_READONLY and os.access(path, os.W_OK) and os.access(path.parent, os.W_OK):
            return replace_file(path, now, "it says that it can only be read")
        if code in _SURROUNDINGS and not is_damage(error):
            raise
        return replace_file(path, now, str(error))


def replace_file(path: Path, now: Callable[[], datetime], reason: str) -> sqlite3.Connection:
    """Put a new file, with all that can be read of the damaged one, in its place. Raises like `open_file`."""
    fresh = _replacement(path)
    _remove(fresh)
    with closing(_open(fresh)) as target:
        target.execute("pragma synchronous = normal")  # all of it is synced when it is closed
        target.execute("pragma wal_checkpoint(truncate)")
        target.execute("begin")
        salvaged = salvage(path, target, fresh)
        target.execute("commit")
    aside = _move_aside(path, now())
    fresh.rename(path)
    sync_folder(path)
    log.error(
        "buffer damaged, moved aside; a new epoch begins with what could be read",
        extra={
            "aside": str(aside),
            "reason": reason,
            "saved": salvaged.rows,
            "unreadable": salvaged.unreadable,
        },
    )
    return _opened(path)


def is_damage(error: Exception) -> bool:
    """True where the file's content is broken, or cannot be read any more, and not its surroundings."""
    return _code(error) & 0xFF in _BROKEN or _code(error) in _UNREADABLE


def _code(error: Exception) -> int:
    return getattr(error, "sqlite_errorcode", None) or sqlite3.SQLITE_ERROR


def _make_private(path: Path) -> None:
    """Let only the gateway's user read what people consume; SQLite gives new companions the file's mode."""
    with suppress(
        OSError
    ):  # what cannot be opened SQLite tells; another owner's file is as that one wants it
        path.touch(mode=0o600)
        for part in _parts(path):
            part.chmod(0o600)


def _opened(path: Path) -> sqlite3.Connection:
    """A connection to the file, in its epoch or another."""
    connection = _open(path)
    try:
        settle_epoch(connection, path)
    except BaseException:
        connection.close()
        raise
    return connection


def _open(path: Path) -> sqlite3.Connection:
    _make_private(path)
    connection = sqlite3.connect(path, timeout=10.0, check_same_thread=False, isolation_level=None)
    try:
        connection.execute(f"pragma page_size = {PAGE_BYTES}")  # of a file that is new
        connection.execute("pragma journal_mode = wal")
        connection.execute("pragma synchronous = full")
        connection.execute(f"pragma wal_autocheckpoint = {_LOG_PAGES}")
        (found,) = connection.execute("pragma quick_check(1)").fetchone()
        if found != "ok":
            raise _damaged(found)
        (version,) = connection.execute("pragma user_version").fetchone()
        if VERSION < version <= _LATER_VERSIONS:
            raise OtherVersionError(
                f"it was written by another version of Hesper (schema {version}, not {VERSION})"
            )
        if not version:
            _write_schema(connection, _CREATE)
        elif version == 2:
            _write_schema(connection, _FROM_2)
        _check(connection)
    except BaseException:
        connection.close()
        raise
    return connection


def _check(connection: sqlite3.Connection) -> None:
    """What SQLite cannot know to be wrong."""
    lives = connection.execute("select epoch, seal_key, next_batch from life").fetchall()
    if len(lives) != 1 or not all(lives[0][:2]) or not 1 <= lives[0][2] <= _MOST_BATCHES:
        raise _damaged("it does not tell its epoch")
    before = 0
    for number, first, last in connection.execute("select number, first, last from batches order by first"):
        if not (1 <= number <= _MOST_BATCHES and before < first <= last < first + MAX_READOUTS):
            raise _damaged(f"batch {number} cannot have had the rows that it names")
        before = last


def _damaged(reason: str) -> sqlite3.DatabaseError:
    error = sqlite3.DatabaseError(reason)
    error.sqlite_errorcode = sqlite3.SQLITE_CORRUPT
    return error


def _write_schema(connection: sqlite3.Connection, statements: str) -> None:
    with connection:
        connection.execute("begin immediate")
        for statement in statements.split(";"):
            connection.execute(statement)
        connection.execute(f"pragma user_version = {VERSION}")


def _finish_replacement(path: Path, now: Callable[[], datetime]) -> None:
    """After a power cut within `replace_file`. The damaged file goes only when the new one is complete."""
    if path.exists():
        _remove(_replacement(path))
    elif _replacement(path).exists():
        _move_aside(path, now())
        _replacement(path).rename(path)
        sync_folder(path)


def _move_aside(path: Path, now: datetime) -> Path:
    """The file itself first: a log without its file is nothing, a file without its log misses rows."""
    stamp = now.strftime("%Y%m%dT%H%M%S")
    aside = path.with_name(f"{path.name}.damaged-{stamp}-{secrets.token_hex(2)}")
    for part in _parts(path):
        part.rename(aside.with_name(aside.name + part.name[len(path.name) :]))
    return aside


def _remove(path: Path) -> None:
    for part in _parts(path):
        part.unlink()


def _parts(path: Path) -> Iterator[Path]:
    for suffix in ("", "-wal", "-shm"):
        part = path.with_name(path.name + suffix)
        if part.exists():
            yield part


def _replacement(path: Path) -> Path:
    return path.with_name(f"{path.name}.replacement")
