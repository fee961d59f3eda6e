"""`hesper key create`."""

from typing import Annotated

import typer

from hesper.settings import Settings
from store.api_keys import issue
from store.database import StoreError, connect
from store.roles import Role

app = typer.Typer(no_args_is_help=True)


@app.callback()
def _group() -> None:
    """API keys of billing systems and people."""


@app.command()
def create(
    utility: Annotated[str, typer.Option(help="Whose readings the key opens.")],
    name: Annotated[str, typer.Option(help="Who will use it, for the list of keys.")],
    database_url: Annotated[
        str | None, typer.Option(envvar="DATABASE_URL", help="The store; default: that of a running serve.")
    ] = None,
) -> None:
    """Make an API key. It is shown once and stored hashed."""
    from hesper.central import running

    found = running(Settings().data)
    url = database_url or (found.database_url if found else None)
    if url is None:
        typer.echo(
            "no DATABASE_URL, and no `hesper serve` runs on this data folder: start it, or set one", err=True
        )
        raise typer.Exit(2)
    try:
        with connect(url, role=Role.ADMIN) as connection:
            typer.echo(issue(connection, utility, name))
    except (StoreError, LookupError) as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(1) from None
