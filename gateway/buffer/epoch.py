"""Epoch of a buffer: what tells its batch numbers from those of every copy of its file.

A file goes on in its epoch only where it is surely the same file: on the same machine, in the same run of it,
and last opened as a mark says that lies apart from the file and does not outlive that run. A card put back
from an image, a clone of a card and a file copied back begin a new epoch. What had a number and was not
acknowledged gets another one, and acknowledgements of the epoch before mean nothing: what is sent twice by
that is stored once.
"""

import logging
import os
import secrets
import sqlite3
import tempfile
from contextlib import suppress
from hashlib import blake2b
from pathlib import Path

from gateway.buffer.priority import Run
from gateway.machine import boot_id, machine_id

log = logging.getLogger(__name__)


def settle_epoch(connection: sqlite3.Connection, path: Path) -> None:
    """Let the file at `path` go on in its epoch, or begin another. Raises sqlite3.Error."""
    here = (machine_id(), boot_id())
    machine, boot, opening = connection.execute("select machine, boot, opening from life").fetchone()
    mark = _mark_of(path)
    reason = ""
    if opening:  # else the file is new
        if machine != here[0]:
            reason = "the buffer comes from another machine"
        elif boot != here[1]:
            reason = "the machine was started anew"
        elif _read(mark) != opening:
            reason = "the buffer was copied or put back"
    opening = secrets.token_hex(8)
    with connection:
        connection.execute("begin immediate")
        if reason:
            _begin_another(connection)
        connection.execute("update life set machine = ?, boot = ?, opening = ?", (*here, opening))
    _write(mark, opening)
    if reason:
        log.info("a new epoch of the buffer begins", extra={"reason": reason, "path": str(path)})


def _begin_another(connection: sqlite3.Connection) -> None:
    (key,) = connection.execute("select seal_key from life").fetchone()
    rows = connection.execute("select number, first, last, acknowledged from batches").fetchall()
    numbers = [number for number, first, last, seal in rows if seal != Run(first, last).seal(key, number)]
    highest = max((number for number, *_ in rows), default=0)
    connection.execute(
        "update life set epoch = ?, next_batch = max(next_batch, ?)", (secrets.token_hex(8), highest + 1)
    )
    connection.executemany("delete from batches where number = ?", [(number,) for number in numbers])


def _mark_of(path: Path) -> Path:
    """Apart from the file: in a folder of this user's that systemd, the session or the system clears."""
    folder = os.environ.get("RUNTIME_DIRECTORY", "").partition(":")[0] or os.environ.get("XDG_RUNTIME_DIR")
    name = blake2b(str(path.absolute()).encode(), digest_size=8).hexdigest()
    return Path(folder or tempfile.gettempdir()) / f"hesper-{os.getuid()}" / f"{name}.opened"


def _read(mark: Path) -> str:
    """Empty where it is missing, or where somebody else may have written it."""
    try:
        if mark.parent.stat().st_uid != os.getuid() or mark.parent.stat().st_mode & 0o022:
            return ""
        return mark.read_text("ascii")
    except (OSError, UnicodeDecodeError):
        return ""


def _write(mark: Path, opening: str) -> None:
    """Without a mark the next start begins a new epoch, which costs no more than sending some of it again."""
    with suppress(OSError):
        mark.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        mark.write_text(opening, "ascii")
