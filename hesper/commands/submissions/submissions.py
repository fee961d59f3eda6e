"""`hesper submissions`: when a utility takes readings that people hand in, and what was handed in."""

import getpass
from datetime import datetime
from typing import Annotated

import typer
from psycopg import Connection
from rich.console import Console
from rich.table import Table

from hesper.commands.store_url import DatabaseUrl, DataFolder, administration
from metering.billing.canonical_hash import decimal, instant
from store.billing.measured import utility as utility_of
from store.postgres.errors import StoreError
from store.submissions.submissions import listing, set_window, window_days
from store.submissions.windows import Window
from telemetry.obis import Medium

app = typer.Typer(no_args_is_help=True)

Utility = Annotated[str, typer.Option(help="Whose.")]


class WindowError(StoreError):
    """A window that cannot be set."""


@app.callback()
def _group() -> None:
    """Readings that people hand in."""


@app.command()
def window(
    medium: Annotated[str, typer.Argument(help="Such as cold-water, heat, electricity.")],
    opens: Annotated[int, typer.Argument(help="First day of the month; -7 is the seventh last.")],
    closes: Annotated[int, typer.Argument(help="Last day, of the next month if it comes before the first.")],
    *,
    utility: Utility,
    valid_from: Annotated[
        datetime, typer.Option("--from", formats=["%Y-%m-%d"], help="In force from here on.")
    ],
    previous_month: Annotated[
        bool, typer.Option(help="It counts for the month before the one that it opens in.")
    ] = False,
    refuse_late: Annotated[
        bool, typer.Option(help="Outside nothing is taken; else what comes late counts with the next window.")
    ] = False,
    author: Annotated[
        str | None, typer.Option(help="Who says so; default: the user of this session.")
    ] = None,
    database_url: DatabaseUrl = None,
    data: DataFolder = None,
) -> None:
    """Say on which days of a month readings of a medium are taken.

        hesper submissions window electricity 15 25 --utility moscow --from 2026-01-01
        hesper submissions window heat -- -7 1 --utility kyiv --from 2026-01-01 --refuse-late

    Exit code: 0 when it is set, 1 when not.
    """
    names = {each.label.replace(" ", "-"): each for each in Medium}
    with administration(database_url, data) as connection:
        if medium not in names:
            raise WindowError(f"there is no medium {medium}", advice=f"use one of: {', '.join(names)}")
        if any(not 1 <= abs(day) <= 28 for day in (opens, closes)):
            raise WindowError("a day is 1 to 28, or -28 to -1 counted from the end of the month")
        wanted = Window(valid_from.date(), opens, closes, -1 if previous_month else 0, refuse_late)
        whose = _id(connection, utility)
        try:
            set_window(connection, whose, names[medium], wanted, author or getpass.getuser())
        except LookupError as error:
            raise WindowError(str(error)) from None


@app.command()
def windows(*, utility: Utility, database_url: DatabaseUrl = None, data: DataFolder = None) -> None:
    """List the windows of a utility; a medium without one is taken at any time."""
    with administration(database_url, data) as connection:
        rows = window_days(connection, _id(connection, utility))
    table = Table("medium", "from", "opens", "closes", "counts in", "outside")
    for number, start, opens, closes, offset, late in rows:
        counted = "its own month" if offset == 0 else "the month before"
        outside = "refused" if late == "refuse" else "counts with the next"
        table.add_row(Medium(number).label, str(start), str(opens), str(closes), counted, outside)
    Console().print(table)


@app.command("list")
def list_(
    *,
    utility: Utility,
    limit: Annotated[int, typer.Option(min=1, help="How many, the latest first.")] = 50,
    database_url: DatabaseUrl = None,
    data: DataFolder = None,
) -> None:
    """List what was handed in, accepted or not, with who read it and what they were told."""
    with administration(database_url, data) as connection:
        rows = listing(connection, _id(connection, utility), limit)
    table = Table("at", "service point", "value", "read at", "by", "verdict", "counts in", "photo")
    for code, row in rows:
        table.add_row(
            instant(row.at),
            code,
            decimal(row.value),
            instant(row.read_at),
            f"{row.author} ({row.role})",
            row.verdict,
            row.counts_in or "",
            row.photo,
        )
    Console().print(table, markup=False)


def _id(connection: Connection, utility: str) -> int:
    try:
        return utility_of(connection, utility).id
    except LookupError as error:
        raise WindowError(str(error)) from None
