"""`hesper store`: how long data is kept, and what is done about it every day."""

from typing import Annotated

import typer

from hesper.commands.store_url import DatabaseUrl, DataFolder, administration
from store.postgres.retention import keep as keep_for
from store.postgres.retention import settings, upkeep

app = typer.Typer(no_args_is_help=True)


@app.callback()
def _group() -> None:
    """How long data is kept."""


@app.command()
def retention(
    kind: Annotated[
        str | None, typer.Argument(help="What to set; without it all settings are shown.")
    ] = None,
    keep: Annotated[
        str | None, typer.Argument(help="How long, such as '90 days' or '3 years', or 'forever'.")
    ] = None,
    database_url: DatabaseUrl = None,
    data: DataFolder = None,
) -> None:
    """Show or set how long each kind of data is kept.

    A validator removes what is too old once a day. Telegrams behind a billing reading are kept apart.

        hesper store retention telegrams "90 days"

    Exit code: 0 when it is set, 1 when not.
    """
    with administration(database_url, data) as connection:
        if kind is not None and keep is not None:
            keep_for(connection, kind, None if keep == "forever" else keep)
        for each in settings(connection):
            if kind in (None, each.kind):
                typer.echo(f"{each.kind}: {each.keep or 'forever'} ({each.what})")


@app.command()
def maintain(database_url: DatabaseUrl = None, data: DataFolder = None) -> None:
    """Do now what a validator does once a day: make room for the months to come, remove what is too old."""
    with administration(database_url, data) as connection:
        connection.commit()
        connection.autocommit = True
        removed = upkeep(connection)
    for kind, count in removed.items():
        if count:
            typer.echo(f"{kind}: {count} removed")
