"""`hesper deliver`: where billing readings go, what became of them, files, and an account's statement."""

import getpass
import json
import os
import signal
import threading
from collections.abc import Iterable
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated

import psycopg
import typer
from rich.console import Console
from rich.table import Table

from hesper.commands.store_url import DatabaseUrl, DataFolder, administration, check_login
from ingest.billing.calendar import PeriodError, names
from ingest.billing.delivery.address import DestinationError, parse
from ingest.billing.delivery.signature import new_secret
from ingest.billing.delivery.worker import main
from ingest.billing.formats import formats
from ingest.billing.formats.delimited import DIALECTS
from ingest.billing.formats.reading_types import UnsayableError
from store import outbox
from store.billing import utility as utility_of
from store.billing import utility_codes
from store.content import decimal, instant
from store.errors import StoreError
from store.outgoing import held, issue
from store.roles import Role
from store.statements import Line, exclusions, reconcile, totals, versions

app = typer.Typer(no_args_is_help=True)

Utility = Annotated[str | None, typer.Option(help="Whose; needed only where there are several utilities.")]
AsJson = Annotated[bool, typer.Option("--json", help="As JSON on stdout.")]
DestinationId = Annotated[int, typer.Argument(metavar="DESTINATION", help="Its number in `destinations`.")]


class DeliveryError(StoreError):
    """What was asked for cannot be done."""


@app.callback()
def _group() -> None:
    """Billing readings to billing systems."""


@app.command()
def add(
    url: Annotated[str, typer.Argument(help="Where signed messages are posted to, https://...")],
    *,
    utility: Utility = None,
    allow_private: Annotated[
        bool, typer.Option(help="It may be an address of your own network, and http://.")
    ] = False,
    since: Annotated[
        str | None, typer.Option(metavar="YYYY-MM", help="Send what was closed from this period on, too.")
    ] = None,
    author: Annotated[
        str | None, typer.Option(help="Who adds it; default: the user of this session.")
    ] = None,
    database_url: DatabaseUrl = None,
    data: DataFolder = None,
) -> None:
    """Register a destination. Its signing secret is shown once: give it to the billing system.

    Every close from now on puts what it adds into the outbox, in its own transaction.

        hesper deliver add https://billing.example/hesper --utility aurora

    Exit code: 0 when it is registered, 1 when not.
    """
    with administration(database_url, data) as connection:
        code = _utility(connection, utility)
        try:
            parse(url, allow_private=allow_private)
        except DestinationError as error:
            raise DeliveryError(f"nothing can be sent to this address: {error}") from None
        secret = new_secret()
        number = outbox.add_destination(
            connection, code, url, secret, author or getpass.getuser(), allow_private=allow_private
        )
        waiting = outbox.put_closed(connection, number, _period(since)) if since else 0
    typer.echo(f"destination {number} of {code}, {waiting} messages wait for it", err=True)
    typer.echo(secret)


@app.command()
def rotate(
    destination: DestinationId,
    *,
    hours: Annotated[int, typer.Option(min=0, help="How long the old secret signs beside the new.")] = 24,
    database_url: DatabaseUrl = None,
    data: DataFolder = None,
) -> None:
    """Give a destination a new signing secret, shown once. Both sign until the old one's hours are over."""
    with administration(database_url, data) as connection:
        secret = new_secret()
        outbox.rotate(connection, destination, secret, datetime.now(UTC) + timedelta(hours=hours))
    typer.echo(secret)


@app.command()
def remove(destination: DestinationId, database_url: DatabaseUrl = None, data: DataFolder = None) -> None:
    """Send nothing more to a destination. What was sent stays on record."""
    with administration(database_url, data) as connection:
        outbox.remove_destination(connection, destination, datetime.now(UTC))


@app.command()
def destinations(
    *, json_output: AsJson = False, database_url: DatabaseUrl = None, data: DataFolder = None
) -> None:
    """List the destinations; never their secrets."""
    with administration(database_url, data) as connection:
        rows = outbox.destinations(connection)
    if json_output:
        typer.echo(json.dumps([asdict(row) for row in rows], default=_text, indent=2))
        return
    _show(
        ("", "utility", "address", "private", "removed"),
        (
            (row.id, row.utility, row.url, "allowed" if row.allow_private else "", _when(row.removed_at))
            for row in rows
        ),
    )


@app.command("list")
def list_(
    *,
    dead: Annotated[bool, typer.Option("--dead", help="Only what was given up.")] = False,
    waiting: Annotated[bool, typer.Option("--waiting", help="Only what is still to be sent.")] = False,
    period: Annotated[str | None, typer.Option(metavar="YYYY-MM", help="Only this period.")] = None,
    utility: Utility = None,
    json_output: AsJson = False,
    database_url: DatabaseUrl = None,
    data: DataFolder = None,
) -> None:
    """List messages and what became of them, the last error beside each. `retry` sends dead ones again."""
    state = outbox.State.DEAD if dead else outbox.State.WAITING if waiting else None
    with administration(database_url, data) as connection:
        whose = utility_of(connection, _utility(connection, utility)).id if utility else None
        rows = outbox.messages(connection, utility_id=whose, state=state, period=period)
    if json_output:
        typer.echo(json.dumps([asdict(row) for row in rows], default=_text, indent=2))
        return
    _show(
        ("", "utility", "period", "readings", "address", "state", "attempts", "last error"),
        (
            (row.id, row.utility, row.period, row.readings, row.url, row.state, row.attempts, row.last_error)
            for row in rows
        ),
    )


@app.command()
def show(
    message: Annotated[int, typer.Argument(help="Its number in `list`.")],
    database_url: DatabaseUrl = None,
    data: DataFolder = None,
) -> None:
    """Reconcile a message, as JSON: what was sent, what billing last said it has, and where they differ."""
    with administration(database_url, data) as connection:
        row = outbox.message(connection, message)
        if row is None:
            raise DeliveryError(f"there is no message {message}", advice="`hesper deliver list` lists them")
        sent = {name: decimal(total) for name, total in outbox.sent_totals(connection, row).items()}
        claim = outbox.last_claim(connection, message)
    told = asdict(row) | {
        "sent": {"count": row.readings, "totals": sent},
        "acknowledged": None if claim is None else asdict(claim),
        "differences": {} if claim is None else outbox.differences(sent, claim.totals),
    }
    typer.echo(json.dumps(told, default=_text, indent=2))


@app.command()
def retry(
    messages: Annotated[list[int] | None, typer.Argument(help="Dead messages by number; none: all.")] = None,
    *,
    database_url: DatabaseUrl = None,
    data: DataFolder = None,
) -> None:
    """Let dead messages wait again, with all their attempts."""
    with administration(database_url, data) as connection:
        count = outbox.requeue(connection, messages or None, datetime.now(UTC))
    typer.echo(f"{count} messages wait again")


@app.command()
def run(
    database_url: Annotated[str, typer.Option(envvar="DATABASE_URL", help="The store.")],
) -> None:
    """Send what waits until told to stop. Any number of these may run."""
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda _number, _frame: stop.set())
    check_login(database_url, Role.DELIVER)
    main(database_url, stop)


@app.command("file")
def file_(
    *,
    period: Annotated[str, typer.Option(metavar="YYYY-MM", help="The period.")],
    utility: Utility = None,
    format_: Annotated[str, typer.Option("--format", help="csv, parquet, espi or iec61968.")] = "csv",
    dialect: Annotated[
        str, typer.Option(help="Of CSV: rfc4180, or de (semicolons, decimal commas).")
    ] = "rfc4180",
    cursor: Annotated[
        int | None, typer.Option(help="As it was up to this cursor; default: all that was issued.")
    ] = None,
    output: Annotated[
        Path | None, typer.Option(help="Where to; default: <utility>-<period>-<cursor> here.")
    ] = None,
    database_url: DatabaseUrl = None,
    data: DataFolder = None,
) -> None:
    """Write a period's billing readings to a file: the highest version of each.

    The same period up to the same cursor gives the same bytes; the cursor is part of the name.

        hesper deliver file --period 2026-10 --format csv --dialect de

    Exit code: 0 when the file is there whole, 1 when nothing was issued or it could not be written.
    """
    with administration(database_url, data) as connection:
        if dialect not in DIALECTS or format_ not in (known := formats(dialect)):
            raise DeliveryError(
                f"there is no format {format_} with dialect {dialect}",
                advice=f"formats: csv, parquet, espi, iec61968; dialects of CSV: {', '.join(DIALECTS)}",
            )
        found = issue(connection, _utility(connection, utility), _period(period), cursor)
        if found is None:
            raise DeliveryError(f"nothing was issued for {period}", advice=f"run `hesper close {period}`")
        kind = known[format_]
        path = output or Path(f"{found.utility}-{found.period}-{found.cursor}.{kind.suffix}")
        unfinished = path.with_name(f"{path.name}.part")
        try:
            with unfinished.open("wb") as out:
                count = kind.write(found, held(connection, found), out)
                out.flush()
                os.fsync(out.fileno())
        except (UnsayableError, OSError) as error:
            unfinished.unlink(missing_ok=True)
            raise DeliveryError(f"{path} was not written: {error}") from error
        unfinished.replace(path)
    typer.echo(f"{path}: {count} billing readings up to cursor {found.cursor}")


@app.command()
def statement(
    *,
    account: Annotated[str, typer.Option(help="The billing system's account.")],
    first: Annotated[str, typer.Option("--from", metavar="YYYY-MM", help="First period.")],
    last: Annotated[
        str | None, typer.Option("--to", metavar="YYYY-MM", help="Last; default: the first.")
    ] = None,
    utility: Utility = None,
    json_output: AsJson = False,
    database_url: DatabaseUrl = None,
    data: DataFolder = None,
) -> None:
    """Reconcile an account: what was issued, what billing acknowledged, and why they differ.

        hesper deliver statement --account 40001 --from 2026-01 --to 2026-10

    Exit code: 0 when both sides agree, 3 when they differ.
    """
    with administration(database_url, data) as connection:
        whose = utility_of(connection, _utility(connection, utility)).id
        span = (_period(first), _period(last or first))
        lines = reconcile(
            versions(connection, whose, account, *span), exclusions(connection, whose, account, *span)
        )
    if not lines:
        typer.echo(f"nothing was issued or left out for account {account}", err=True)
    if json_output:
        typer.echo(json.dumps([_told(line) for line in lines], indent=2))
    else:
        _show_statement(lines)
    if any(line.difference for line in lines):
        raise typer.Exit(3)


def _show_statement(lines: list[Line]) -> None:
    _show(
        ("period", "service point", "register", "issued", "acknowledged", "difference", "why"),
        (
            (
                line.period,
                line.service_point,
                f"{line.obis} {line.unit}",
                decimal(line.ours.consumption) if line.ours else "",
                decimal(line.theirs.consumption) if line.theirs else "",
                decimal(line.difference),
                "\n".join(line.remarks),
            )
            for line in lines
        ),
    )
    for total in totals(lines):
        typer.echo(
            f"{total.period} {total.register}: issued {decimal(total.ours)}, "
            f"acknowledged {decimal(total.theirs)}, difference {decimal(total.ours - total.theirs)}"
        )


def _told(line: Line) -> dict[str, object]:
    sides = {
        name: None if side is None else {"version": side.version, "consumption": decimal(side.consumption)}
        for name, side in (("issued", line.ours), ("acknowledged", line.theirs))
    }
    return {
        "period": line.period,
        "service_point": line.service_point,
        "obis": line.obis,
        "unit": line.unit,
        **sides,
        "difference": decimal(line.difference),
        "remarks": list(line.remarks),
    }


def _show(headings: Iterable[str], rows: Iterable[Iterable[object]]) -> None:
    table = Table(*headings)
    for row in rows:
        table.add_row(*("" if cell is None else str(cell) for cell in row))
    Console().print(table, markup=False)


def _utility(connection: psycopg.Connection, wanted: str | None) -> str:
    codes = utility_codes(connection)
    if wanted is None and len(codes) == 1:
        return codes[0]
    if wanted not in codes:
        raise DeliveryError(
            f"no utility has the code {wanted!r}" if wanted else "there is not just one utility",
            advice=f"name one with --utility: {', '.join(codes)}",
        )
    return wanted


def _period(text: str) -> str:
    try:
        return next(names(text, text))
    except PeriodError as error:
        raise DeliveryError(str(error)) from None


def _when(at: datetime | None) -> str:
    return instant(at) if at else ""


def _text(value: object) -> str:
    return instant(value) if isinstance(value, datetime) else str(value)
