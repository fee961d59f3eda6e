"""`hesper restore`: a database out of a backup."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from hesper.commands.store_url import DatabaseUrl, DataFolder, refusals_told, store_url
from hesper.settings import Settings
from store.backup.base import restore_base
from store.backup.manifest import BackupManifest
from store.backup.restore import restore as restore_dump
from store.postgres.database import connect

app = typer.Typer(no_args_is_help=True)


@app.callback()
def _group() -> None:
    """The database out of a backup."""


@app.command()
def dump(
    backup: Annotated[Path, typer.Argument(help="Folder that `hesper backup dump` printed.")],
    database_url: DatabaseUrl = None,
    data: DataFolder = None,
) -> None:
    """Bring a dump into an empty database, count every table, and make the roles that are missing.

    The database is DATABASE_URL, a new one (`create database`), or that of a new data folder. It is brought
    to this version's schema. Stop all processes before, start them after.

        hesper restore dump /mnt/backups/hesper-20261201T020000Z --data hesper-data

    Exit code: 0 when all that was backed up is there, 1 when nothing was restored or not all is there.
    """
    with refusals_told(1), store_url(database_url, data) as url:
        manifest = restore_dump(url, backup)
        _tell(url, manifest)


@app.command()
def base(
    backup: Annotated[Path, typer.Argument(help="Folder that `hesper backup base` printed.")],
    until: Annotated[
        datetime | None,
        typer.Option(
            formats=["%Y-%m-%dT%H:%M:%SZ", "%Y-%m-%dT%H:%M:%S%z"],
            help="The last instant to bring back; default the end of the log.",
        ),
    ] = None,
    data: DataFolder = None,
) -> None:
    """Bring an embedded server back as it was at an instant, in a new data folder.

    Every file of the copy is held to its hash; then the log in `log` beside it is replayed.

        hesper restore base /mnt/backups/base-20261201T020000Z --until 2026-12-01T09:41:00Z --data restored

    Exit code: 0 when the database is there as of that instant, 1 when not, and then nothing is left behind.
    """
    instant = until if until is None or until.tzinfo else until.replace(tzinfo=UTC)
    with refusals_told(1):
        restore_base((data or Settings().data) / "postgres", backup, instant)
    typer.echo(f"restored as of {instant or 'the end of the log'}")


def _tell(url: str, manifest: BackupManifest) -> None:
    typer.echo(
        f"{sum(manifest.rows.values())} rows in {len(manifest.rows)} tables, as of {manifest.taken_at}"
    )
    with connect(url, application="hesper restore") as connection:
        present = {name for (name,) in connection.execute("select rolname from pg_roles")}
    for role, logins in manifest.members.items():
        for login in logins:
            if login not in present:
                typer.echo(f"missing login: create role {login} login; grant {role} to {login};")
