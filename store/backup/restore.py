"""Restored dump: into an empty database, all or nothing, and counted again.

Roles belong to the server and are in no dump: they are made where they are missing. Rights are not taken from
the dump either; the migrations grant them anew.
"""

from pathlib import Path

import psycopg
from psycopg import sql

from store.backup.dump import count_rows, tables, timescale
from store.backup.manifest import DUMP, BackupManifest, read_manifest
from store.backup.programs import BackupError, program, run
from store.postgres.database import connect
from store.postgres.migrate import make_roles, migrate, renew_rights


def restore(url: str, backup: Path) -> BackupManifest:
    """Brings a backup into the empty database of `url`, and to this version's schema.

    Raises BackupError when the database is not empty, when the dump is not what was written, or when a table
    has not as many rows as it had; StoreError for what else the database refuses.
    """
    manifest = read_manifest(backup)
    with connect(url, application="hesper restore") as connection:
        connection.autocommit = True
        _is_empty(connection)
        _has_timescale(connection, manifest.timescale)
        try:
            make_roles(connection)
        except psycopg.Error as error:
            raise BackupError(
                f"the roles cannot be made: {error}", advice="what the hint says; then restore again"
            ) from error
        version = connection.info.server_version
        how = ["--single-transaction", "--exit-on-error", "--no-owner", "--no-privileges", "--no-comments"]
        if manifest.timescale is not None:
            connection.execute("select timescaledb_pre_restore()")
        try:
            run(program("pg_restore", version), [*how, str(backup / DUMP)], url)
        finally:
            if manifest.timescale is not None:
                connection.execute("select timescaledb_post_restore()")
        _is_complete(connection, manifest)
        renew_rights(connection)
        migrate(connection)
        _grant_members(connection, manifest.members)
        connection.execute("analyze")
    return manifest


def _is_empty(connection: psycopg.Connection) -> None:
    found = tables(connection)
    if found:
        raise BackupError(
            f"the database is not empty: it has {len(found)} tables, {found[0]} among them",
            advice="name a new database (`create database`) or a new data folder",
        )


def _has_timescale(connection: psycopg.Connection, wanted: str | None) -> None:
    if wanted is None or timescale(connection) == wanted:
        return
    raise BackupError(
        f"the backup is of TimescaleDB {wanted}, the database has {timescale(connection) or 'none'}",
        advice=f"let an administrator run there: create extension timescaledb version '{wanted}'",
    )


def _is_complete(connection: psycopg.Connection, manifest: BackupManifest) -> None:
    found = count_rows(connection)
    wrong = [
        f"{table} has {found.get(table, 0)} rows instead of {manifest.rows.get(table, 0)}"
        for table in sorted(found.keys() | manifest.rows.keys())
        if found.get(table) != manifest.rows.get(table)
    ]
    if wrong:
        raise BackupError(
            f"what was restored is not what was backed up: {'; '.join(wrong)}",
            advice="use another backup, and a new database",
        )


def _grant_members(connection: psycopg.Connection, members: dict[str, list[str]]) -> None:
    """Gives roles back to the logins that are there; the others have to be made by an administrator."""
    present = {name for (name,) in connection.execute("select rolname from pg_roles")}
    for role, logins in members.items():
        for login in present.intersection(logins):
            connection.execute(sql.SQL("grant {} to {}").format(sql.Identifier(role), sql.Identifier(login)))
