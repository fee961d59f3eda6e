"""`hesper restore`: a database out of a backup."""

from pathlib import Path
from typing import Annotated

import typer

from hesper.commands.store_url import DatabaseUrl, DataFolder, refusals_told, store_url
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
