"""`hesper registry apply`: utilities, gateways, meters and service points from a file into the store."""

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from hesper.commands.store_url import DatabaseUrl, DataFolder, store_url
from store.database import StoreError, connect
from store.migrate import migrate
from store.registry import Summary, load
from store.registry import apply as apply_registry
from store.roles import Role, assume

app = typer.Typer(no_args_is_help=True)


@app.callback()
def _group() -> None:
    """Utilities, gateways, meters, service points."""


@app.command()
def apply(
    file: Annotated[Path, typer.Argument(help="The registry as TOML.")],
    database_url: DatabaseUrl = None,
    data: DataFolder = None,
) -> None:
    """Add what a registry file lists and change what differs; nothing is deleted.

    All of the file is applied or, when an entry cannot be used, nothing. Applying it again changes nothing.

    Exit code: 0 when the registry is as the file says, 1 when not; the message names the entry.
    """
    try:
        registry = load(file)
        with (
            store_url(database_url, data) as url,
            connect(url, application="hesper registry") as connection,
        ):
            migrate(connection)
            assume(connection, Role.ADMIN)
            summary = apply_registry(connection, registry)
    except StoreError as error:
        typer.echo(f"{error}\n{error.advice}".rstrip(), err=True)
        raise typer.Exit(1) from None
    Console().print(table(summary))


def table(summary: Summary) -> Table:
    """What was done, for people."""
    shown = Table()
    shown.add_column("entries")
    for heading in ("added", "changed", "unchanged"):
        shown.add_column(heading, justify="right")
    for kind, count in summary.counts.items():
        figures = (str(count.added), str(count.changed), str(count.unchanged))
        shown.add_row(kind.replace("_", " "), *figures)
    return shown
