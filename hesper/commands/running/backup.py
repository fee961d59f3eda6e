"""`hesper backup`: the database, in a form that `hesper restore` brings back."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from hesper.commands.store_url import DatabaseUrl, DataFolder, refusals_told, store_url
from store.backup.dump import dump as write_dump

app = typer.Typer(no_args_is_help=True)

Backups = Annotated[Path, typer.Argument(help="Folder of the backups, made where it is missing.")]


@app.callback()
def _group() -> None:
    """Backups of the database."""


@app.command()
def dump(folder: Backups, database_url: DatabaseUrl = None, data: DataFolder = None) -> None:
    """Write all of the database, as it is at this moment, into a new folder, and print its name.

    Everything goes on meanwhile. Log in as the owner of the database, who ran `hesper migrate`; no superuser
    is needed. Passwords of roles and the keys of secrets are not in it: back `secret-keys` up apart.

        hesper backup dump /mnt/backups

    Exit code: 0 when the backup is complete, 1 when not; what an interrupted one left ends in `.partial`.
    """
    with refusals_told(1), store_url(database_url, data) as url:
        typer.echo(write_dump(url, folder, datetime.now(UTC)))
