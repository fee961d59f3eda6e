"""Migrations: numbered plain-SQL files, applied once each, in order, under one advisory lock.

Parts: `core` runs on any PostgreSQL; `plain` where there is no TimescaleDB; `timescale` where the server has
the extension, and `timescale/community` where its licence offers columnstore, continuous aggregates and
policies. What a server can do is asked of it at every run, so a database that gains the extension later
gains those parts. A file is never changed once it was applied anywhere: `schema_migrations` has its checksum.

`rights` is another kind: it says who may do what (roles, row security, the views of readers, rights) as a
whole. Its files may change, and all of them are applied anew, in one transaction, whenever one of them or
anything before them did.
"""

import hashlib
import re
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

import psycopg

from store.postgres.errors import StoreError

_FOLDER = Path(__file__).parents[1] / "migrations"
_FILE = re.compile(r"(?P<number>\d{4})_(?P<name>[a-z0-9_]+)\.sql")
_LOCK = 0x4845_5350_4552  # "HESPER"

_JOURNAL = """
    create table if not exists schema_migrations (
        part       text not null,
        number     int not null,
        name       text not null,
        checksum   text not null,                             -- SHA-256 of the file
        applied_at timestamptz not null default now(),
        primary key (part, number)
    )
"""


# Readers' views stand in the way of whoever replaces what they show; `rights` makes them anew.
_WITHDRAW_VIEWS = """
    drop view if exists utility_readings, utility_latest_readings, utility_readings_hourly,
                        utility_readings_daily
"""
_RIGHTS = "rights"
_UNPARTITION = "unpartition.sql"


class MigrationPart(Enum):
    """The folders of `migrations/` with numbered files, in the order of their application."""

    CORE = "core"
    PLAIN = "plain"
    TIMESCALE = "timescale"
    COMMUNITY = "timescale/community"


@dataclass(frozen=True, slots=True)
class Migration:
    """File of a part. `checksum` is the SHA-256 of its text."""

    part: str
    number: int
    name: str
    sql: str
    checksum: str

    def __str__(self) -> str:
        return f"{self.part}/{self.number:04d}_{self.name}"


class MigrationError(StoreError):
    """The database and the files do not agree."""

    advice = "use the release of Hesper that this database was migrated with, or a newer one, unchanged"


def migrate(connection: psycopg.Connection, folder: Path = _FOLDER) -> list[Migration]:
    """Applies what is missing, and returns it; nothing when all is there.

    Each file runs in a transaction of its own. Others that migrate at the same time wait. The connection
    must be outside a transaction. Raises MigrationError when an applied file was changed since, is unknown
    to this release, or fails.
    """
    autocommit = connection.autocommit
    connection.autocommit = True
    try:
        connection.execute("select set_config('lock_timeout', '0', false)")
        connection.execute("select pg_advisory_lock(%s)", (_LOCK,))
        try:
            return _apply_missing(connection, folder)
        finally:
            connection.execute("select pg_advisory_unlock(%s)", (_LOCK,))
            connection.execute("reset lock_timeout")
    finally:
        connection.autocommit = autocommit


def make_roles(connection: psycopg.Connection, folder: Path = _FOLDER) -> None:
    """Makes the roles that are missing, also where there are no tables yet: a dump names them."""
    connection.execute(load(_RIGHTS, folder)[0].sql.encode())


def renew_rights(connection: psycopg.Connection) -> None:
    """Lets the next `migrate` grant all rights anew, as after a restore that left them out."""
    connection.execute("delete from schema_migrations where part = %s", (_RIGHTS,))


def parts(connection: psycopg.Connection) -> list[MigrationPart]:
    """The parts that the server can take, in order."""
    row = connection.execute(
        """
        select exists (select from pg_extension where extname = 'timescaledb')
               or exists (select from pg_available_extensions where name = 'timescaledb')
                  and current_setting('timescaledb.max_background_workers', true) is not null,  -- preloaded
               current_setting('timescaledb.license', true)
        """
    ).fetchone()
    assert row is not None
    available, licence = row
    if not available:
        return [MigrationPart.CORE, MigrationPart.PLAIN]
    if licence != "timescale":
        return [MigrationPart.CORE, MigrationPart.TIMESCALE]
    return [MigrationPart.CORE, MigrationPart.TIMESCALE, MigrationPart.COMMUNITY]


def load(part: str, folder: Path = _FOLDER) -> list[Migration]:
    """The files of a part by number. Raises MigrationError for two of one number."""
    found: dict[int, Migration] = {}
    for path in sorted((folder / part).glob("*.sql")):
        match = _FILE.fullmatch(path.name)
        if not match:
            raise MigrationError(f"{path.name} is not named NNNN_what_it_does.sql")
        sql = path.read_text(encoding="utf-8")
        number = int(match["number"])
        if number in found:
            raise MigrationError(f"two migrations of {part} have the number {number:04d}")
        checksum = hashlib.sha256(sql.encode()).hexdigest()
        found[number] = Migration(part, number, match["name"], sql, checksum)
    return [found[number] for number in sorted(found)]


def _apply_missing(connection: psycopg.Connection, folder: Path) -> list[Migration]:
    # asked first: "create table if not exists" needs the right to create even where the table exists
    if connection.execute("select to_regclass('schema_migrations')").fetchone() == (None,):
        connection.execute(_JOURNAL)
    applied: list[Migration] = []
    for part in MigrationPart:  # asked anew for each: the licence is known once the extension is there
        if part not in parts(connection):
            continue
        done = _journal(connection, part.value)
        files = load(part.value, folder)
        _check(part.value, files, done)
        if part is MigrationPart.TIMESCALE and _journal(connection, MigrationPart.PLAIN.value):
            _apply(connection, [], first=(folder / _UNPARTITION).read_text(encoding="utf-8"))
        for migration in files:
            if migration.number not in done:
                _apply(connection, [migration])
                applied.append(migration)
    rights = load(_RIGHTS, folder)
    said = {number: checksum for number, (_, checksum) in _journal(connection, _RIGHTS).items()}
    if rights and (applied or said != {migration.number: migration.checksum for migration in rights}):
        _apply(connection, rights)
        applied += rights
    return applied


def _journal(connection: psycopg.Connection, part: str) -> dict[int, tuple[str, str]]:
    rows = connection.execute("select number, name, checksum from schema_migrations where part = %s", (part,))
    return {number: (name, checksum) for number, name, checksum in rows}


def _check(part: str, files: list[Migration], done: dict[int, tuple[str, str]]) -> None:
    known = {migration.number: migration for migration in files}
    for number, (name, checksum) in sorted(done.items()):
        migration = known.get(number)
        if migration is None:
            raise MigrationError(
                f"the database has {part}/{number:04d}_{name}, which this release does not know"
            )
        if migration.checksum != checksum:
            raise MigrationError(f"{migration} was changed after it was applied to this database")


def _apply(connection: psycopg.Connection, files: list[Migration], first: str = "") -> None:
    """Applies files and notes them, all or none. Rights are withdrawn first: they come last, anew."""
    migration: Migration | str = _UNPARTITION
    try:
        with connection.transaction():
            connection.execute(_WITHDRAW_VIEWS)
            connection.execute("delete from schema_migrations where part = %s", (_RIGHTS,))
            connection.execute(first.encode())
            for migration in files:
                # the text is a file of this package, never input
                connection.execute(migration.sql.encode())
                connection.execute(
                    "insert into schema_migrations (part, number, name, checksum) values (%s, %s, %s, %s)",
                    (migration.part, migration.number, migration.name, migration.checksum),
                )
    except psycopg.Error as error:
        raise MigrationError(
            f"{migration} failed and was rolled back: {error}",
            advice="the message above is the server's; mend its cause and run `hesper migrate` again",
        ) from error
