"""`hesper store`: how long data is kept, what is done about it every day, and what gateways give back."""

from datetime import UTC, datetime
from typing import Annotated

import typer

from hesper.commands.store_url import DatabaseUrl, DataFolder, administration
from store.gateways.stored import ask_all
from store.postgres.retention import keep as keep_for
from store.postgres.retention import settings, upkeep

app = typer.Typer(no_args_is_help=True)


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


@app.command("send-again")
def send_again(
    since: Annotated[datetime, typer.Argument(help="From when on, in UTC, such as 2026-11-30T18:00:00.")],
    gateway: Annotated[str | None, typer.Option(help="Ask this one only, by its code.")] = None,
    database_url: DatabaseUrl = None,
    data: DataFolder = None,
) -> None:
    """Let gateways send again what they read or sent since an instant, as far as they still have it.

    For readings that are gone here; what is here already is not counted twice. A database that was put back
    from a backup asks by itself.

        hesper store send-again 2026-11-30T18:00:00

    Exit code: 0 when gateways are asked (for a day, if they are away), 1 where there is none.
    """
    instant = since if since.tzinfo else since.replace(tzinfo=UTC)
    with administration(database_url, data) as connection:
        asked = ask_all(connection, instant, gateway)
    for code in asked:
        typer.echo(f"{code} is asked to send again what it has since {instant.isoformat()}")
    if not asked:
        typer.echo("There is no such gateway. `hesper registry show` lists them.", err=True)
        raise typer.Exit(1)
