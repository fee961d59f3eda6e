"""`hesper key`: API keys of billing systems and people."""

from datetime import UTC, datetime, timedelta
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from hesper.commands.store_url import DatabaseUrl, DataFolder, signed
from metering.access import BILLING_SYSTEM, Scope
from store.access import api_keys

app = typer.Typer(no_args_is_help=True)


@app.callback()
def _group() -> None:
    """API keys of billing systems and people."""


@app.command()
def create(
    *,
    utility: Annotated[str, typer.Option(help="Whose readings the key opens.")],
    name: Annotated[str, typer.Option(help="Who will use it, for the list of keys.")],
    scope: Annotated[
        list[Scope] | None,
        typer.Option(
            help="What it may do; may be repeated. Default: what a billing system needs, "
            "all but the registry, edits and approvals."
        ),
    ] = None,
    days: Annotated[
        int | None, typer.Option(min=1, max=3650, help="Valid for so long; default: ever.")
    ] = None,
    database_url: DatabaseUrl = None,
    data: DataFolder = None,
) -> None:
    """Make an API key. It is shown once and stored hashed."""
    expires_at = datetime.now(UTC) + timedelta(days=days) if days else None
    with signed(database_url, data) as connection:
        key = api_keys.issue(
            connection, utility, name, expires_at=expires_at, scopes=frozenset(scope or BILLING_SYSTEM)
        )
    typer.echo(key)


@app.command("list")
def list_(
    utility: Annotated[str | None, typer.Option(help="Only of this utility.")] = None,
    database_url: DatabaseUrl = None,
    data: DataFolder = None,
) -> None:
    """All keys: whose, what they may do, and when they were used last. The keys themselves nobody has."""
    table = Table("no.", "utility", "name", "scopes", "made", "expires", "last used", "revoked")
    with signed(database_url, data) as connection:
        for key in api_keys.listed(connection, utility):
            instants = (key.created_at, key.expires_at, key.last_used_at, key.revoked_at)
            table.add_row(
                str(key.id), key.utility, key.name, " ".join(key.scopes), *(_minute(one) for one in instants)
            )
    Console().print(table)


@app.command()
def revoke(
    number: Annotated[int, typer.Argument(help="Of the key, from `hesper key list`.")],
    database_url: DatabaseUrl = None,
    data: DataFolder = None,
) -> None:
    """End a key, and every session that it began, at once."""
    with signed(database_url, data) as connection:
        api_keys.revoke(connection, number)
    typer.echo(f"key {number} is revoked")


def _minute(instant: datetime | None) -> str:
    return f"{instant:%Y-%m-%d %H:%M}" if instant else ""
