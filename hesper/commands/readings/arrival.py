"""`hesper arrival`: the share of due readings that arrived."""

import json
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from hesper.commands.store_url import DatabaseUrl, DataFolder, session
from store.readings.completeness import ArrivalGroup, ArrivalShare, shares


def arrival(  # noqa: PLR0917 - typer passes them by name
    utility: Annotated[str, typer.Option(help="Whose readings.")],
    by: Annotated[
        ArrivalGroup, typer.Option(help="For each meter, gateway or site, or for all together.")
    ] = ArrivalGroup.METER,
    site: Annotated[str | None, typer.Option(help="Only meters of this site and of what is in it.")] = None,
    gateway: Annotated[str | None, typer.Option(help="Only meters of this gateway.")] = None,
    meter: Annotated[list[str] | None, typer.Option(help="Only this meter; may be given repeatedly.")] = None,
    json_output: Annotated[bool, typer.Option("--json", help="As JSON on stdout.")] = False,
    database_url: DatabaseUrl = None,
    data: DataFolder = None,
) -> None:
    """Expected against received: today so far, yesterday by 06:00 and later, and the last 30 whole days.

    A reading is due once in every expected interval of a register, as the registry says it; registers without
    one, or with one above a day, are not counted. The lowest share of yesterday comes first.
    """
    with session(database_url, data, application="hesper arrival") as connection:
        found = shares(
            connection, utility, datetime.now(UTC), by, site=site, gateway=gateway, meters=meter or None
        )
    if json_output:
        typer.echo(json.dumps([asdict(share) for share in found], indent=2))
    elif not found:
        typer.echo("no register of these has an expected interval; see `interval` in the registry")
    else:
        Console().print(table(by, found))


def table(by: ArrivalGroup, found: list[ArrivalShare]) -> Table:
    """The shares for people, with what was due in 30 days; `--json` has all the counts."""
    shown = Table()
    shown.add_column(by.value, no_wrap=True)
    for heading in ("registers", "today", "yesterday\nby 06:00", "yesterday\nwith late", "30 days", "due"):
        shown.add_column(heading, justify="right", no_wrap=True)
    for share in found:
        yesterday = share.yesterday_arrived + share.yesterday_late
        shown.add_row(
            share.name or "(none)",
            str(share.registers),
            _percent(share.today_arrived, share.today_due),
            _percent(share.yesterday_arrived, share.yesterday_due),
            _percent(yesterday, share.yesterday_due),
            _percent(share.month_arrived, share.month_due),
            str(share.month_due),
        )
    return shown


def _percent(arrived: int, due: int) -> str:
    """Rounded down, so that 100 % means all."""
    return f"{1_000 * arrived // due / 10:.1f} %" if due else "-"
