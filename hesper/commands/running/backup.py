"""`hesper backup`: the database, in a form that `hesper restore` brings back."""

import signal
import subprocess
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from hesper.commands.store_url import DatabaseUrl, DataFolder, refusals_told, store_url
from store.backup.base import base as copy_cluster
from store.backup.base import forget, log_command
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


@app.command()
def base(
    folder: Backups,
    keep: Annotated[
        int | None,
        typer.Option(min=1, help="Then keep so many copies, and the log since the oldest; default all."),
    ] = None,
    database_url: DatabaseUrl = None,
    data: DataFolder = None,
) -> None:
    """Copy the server's files into a new folder, to begin a recovery to an instant with, and print its name.

    Run `hesper backup log` on the same folder all the time: a copy and the log since bring back any instant.
    The login needs the right to replicate (`alter role hesper replication`); the embedded server's has it.

        hesper backup base /mnt/backups --keep 4

    Exit code: 0 when the copy is complete, 1 when not; what an interrupted one left ends in `.partial`.
    """
    with refusals_told(1), store_url(database_url, data) as url:
        typer.echo(copy_cluster(url, folder, datetime.now(UTC)))
    if keep is not None:
        for old in forget(folder, keep):
            typer.echo(f"removed {old}", err=True)


@app.command()
def log(folder: Backups, database_url: DatabaseUrl = None, data: DataFolder = None) -> None:
    """Receive the log of all changes as they happen, until it is stopped: a service of its own.

    While it is away, the server keeps the log for it; the embedded one 10 GB of it.

        hesper backup log /mnt/backups

    Exit code: that of pg_receivewal; 0 after SIGTERM or SIGINT.
    """
    with refusals_told(1), store_url(database_url, data) as url:
        command, environment = log_command(url, folder)
        receiver = subprocess.Popen(command, env=environment)  # noqa: S603 - PostgreSQL's program
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: receiver.terminate())
        code = receiver.wait()
    raise typer.Exit(code)
