"""Salvage of a damaged buffer: around broken pages, only rows whose checksum is right.

What was acknowledged stays behind. All that is copied gets a new epoch and new numbers; sent twice, it is
stored once, since inserts are idempotent.
"""

import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gateway.buffer.entry import DamagedEntryError, unpack
from gateway.buffer.priority import Priority, Run

_MOST_ERRORS = 4_000  # in a row; a broken page costs about 45, and what lies beyond so many is given up
PAGE_BYTES = 1024  # of our files
_FARTHEST = 1 << 24  # ids beyond the first that are looked through where not even the last can be told

_ENTRIES = "select id, since, body from entries where id > ? and id <= ? order by id"
_HELD = "select id, boot, monotonic, seal, at, body from held where id > ? and id <= ? order by id"


@dataclass(slots=True)
class Salvaged:
    """Count of rows that were copied; `unreadable` were met, but damaged (lost pages come on top)."""

    rows: int = 0
    unreadable: int = 0


def salvage(damaged: Path, target: sqlite3.Connection, target_path: Path) -> Salvaged:
    """Copy every readable row that was not acknowledged into a new buffer's open transaction.

    Raises OSError, and sqlite3.Error of the target.
    """
    found = _copy(damaged, target)
    if not found.rows and (rebuilt := _with_first_page_of(target_path, damaged)):
        found = _copy(rebuilt, target)
        for part in rebuilt.parent.glob(f"{rebuilt.name}*"):
            part.unlink()
    return found


def _copy(damaged: Path, target: sqlite3.Connection) -> Salvaged:
    found = Salvaged()
    with (
        suppress(sqlite3.OperationalError),
        closing(sqlite3.connect(f"{damaged.absolute().as_uri()}?mode=ro", uri=True)) as source,
    ):
        _copy_entries(source, target, found)
        _copy_held(source, target, found)
    return found


def _with_first_page_of(sound: Path, damaged: Path) -> Path | None:
    """A copy whose first page, which names the tables and is written most often, is that of a new file.

    Tables are created in the same order in every file, so they begin on the same pages.
    """
    page = sound.read_bytes()[:PAGE_BYTES]
    if damaged.stat().st_size <= PAGE_BYTES:
        return None
    copy = damaged.with_name(f"{damaged.name}.rebuilt")
    shutil.copyfile(damaged, copy)
    pages = copy.stat().st_size // PAGE_BYTES
    with copy.open("r+b") as file:
        # "The Database Header": the size in pages at offset 28, then no free pages
        file.write(page[:28] + pages.to_bytes(4, "big") + bytes(8) + page[40:])
    log_file = damaged.with_name(f"{damaged.name}-wal")
    if log_file.exists():
        shutil.copyfile(log_file, copy.with_name(f"{copy.name}-wal"))
    return copy


def _copy_entries(source: sqlite3.Connection, target: sqlite3.Connection, found: Salvaged) -> None:
    acknowledged = _acknowledged(source)
    for priority in Priority:
        new = int(priority)
        for row, since, body in _readable(source, "entries", _ENTRIES, int(priority)):
            if any(run.first <= row <= run.last for run in acknowledged):
                continue
            try:
                unpack(body)
                instant = int(since)
            except (DamagedEntryError, ValueError, TypeError):
                found.unreadable += 1
                continue
            new += 1
            target.execute("insert into entries values (?, ?, ?)", (new, instant, body))
            found.rows += 1


def _copy_held(source: sqlite3.Connection, target: sqlite3.Connection, found: Salvaged) -> None:
    for _, boot, monotonic, seal, at, body in _readable(source, "held", _HELD, 0):
        try:
            unpack(body)
            row = (str(boot), int(monotonic), int(seal), int(at), body)
        except (DamagedEntryError, ValueError, TypeError):
            found.unreadable += 1
            continue
        target.execute("insert into held (boot, monotonic, seal, at, body) values (?, ?, ?, ?, ?)", row)
        found.rows += 1


def _acknowledged(source: sqlite3.Connection) -> list[Run]:
    """Without them, everything is sent once more."""
    runs: list[Run] = []
    with suppress(sqlite3.Error, ValueError, TypeError):
        select = "select seal_key, number, first, last, acknowledged from batches, life order by first"
        for key, number, first, last, seal in source.execute(select):
            run = Run(int(first), int(last))
            if seal != run.seal(key, number):
                continue
            if runs and run.first == runs[-1].last + 1:
                run = Run(runs.pop().first, run.last)
            runs.append(run)
    return runs


def _readable(source: sqlite3.Connection, table: str, select: str, before: int) -> Iterator[tuple[Any, ...]]:
    """Every row with an id after `before` in its queue. Around an error the range is halved."""
    errors = 0
    pending = [(before, _last_id(source, table, before))]
    while pending and errors < _MOST_ERRORS:
        low, high = pending.pop()
        try:
            for row in source.execute(select, (low, high)):
                low, errors = int(row[0]), 0
                yield row
        except (sqlite3.Error, ValueError, TypeError):
            errors += 1
            if high - low > 1:
                middle = (low + high) // 2
                pending += [(middle, high), (low, middle)]


def _last_id(source: sqlite3.Connection, table: str, before: int) -> int:
    ceiling = int(Priority.BILLING) if table == "entries" and before == Priority.ORDINARY else 1 << 62
    try:
        (last,) = source.execute(f"select max(id) from {table} where id <= ?", (ceiling,)).fetchone()  # noqa: S608 - ours
    except UnicodeDecodeError:  # within a message about a name that makes no sense
        return before
    except sqlite3.Error as error:
        nothing = error.sqlite_errorcode in (sqlite3.SQLITE_ERROR, sqlite3.SQLITE_NOTADB)  # no such table
        return before if nothing else before + _FARTHEST
    return before if last is None else int(last)
