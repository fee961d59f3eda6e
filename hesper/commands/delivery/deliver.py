"""`hesper deliver`: destinations of billing readings, their messages, files, and an account's statement."""

import json
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Annotated

import typer
from psycopg import Connection

from hesper.clock import process_clock
from hesper.commands.delivery.files import AsJson, Utility, file_, statement
from hesper.commands.delivery.shared import DeliveryError, period_name, show_table
from hesper.commands.person import person_here
from hesper.commands.store_url import DatabaseUrl, DataFolder, administration, check_login, refusals_told
from hesper.commands.utility import the_utility, utility_code
from hesper.secret_keys import SecretKeys, sealing_keyring
from hesper.settings import Settings
from hesper.stop import until_told
from ingest.delivery.address import AddressError, parse
from ingest.delivery.signature import new_secret
from ingest.delivery.worker import main
from metering.billing.canonical_hash import decimal, instant
from metering.delivery.control_totals import differences
from store.delivery import destinations as places
from store.delivery import outbox
from store.delivery.acknowledgements import last_report, sent_totals
from store.postgres.roles import Role

app = typer.Typer(no_args_is_help=True)
app.command("file")(file_)
app.command()(statement)

DestinationId = Annotated[
    int, typer.Argument(metavar="DESTINATION", help="Number from `hesper deliver destinations`.")
]


@app.command()
def add(
    url: Annotated[str, typer.Argument(help="Address that signed messages are posted to (https://...).")],
    *,
    utility: Utility = None,
    allow_private: Annotated[
        bool, typer.Option(help="Allow an address in your own network, and http://.")
    ] = False,
    since: Annotated[
        str | None, typer.Option(metavar="YYYY-MM", help="Send the closes from this period on, too.")
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
        code = utility_code(connection, utility)
        try:
            parse(url, allow_private=allow_private)
        except AddressError as error:
            raise DeliveryError(f"nothing can be sent to this address: {error}") from None
        secret, author = new_secret(), person_here(connection).name
        sealed = _sealed(connection, secret, data)
        number = places.add(connection, code, url, sealed, author, allow_private=allow_private)
        waiting = outbox.put_closed(connection, number, period_name(since)) if since else 0
    typer.echo(f"destination {number} of {code}, {waiting} messages wait for it", err=True)
    typer.echo(secret)


@app.command()
def rotate(
    destination: DestinationId,
    *,
    hours: Annotated[
        int, typer.Option(min=0, help="Hours for which the old secret signs beside the new one.")
    ] = 24,
    database_url: DatabaseUrl = None,
    data: DataFolder = None,
) -> None:
    """Give a destination a new signing secret, shown once. The old one signs beside it for some hours."""
    with administration(database_url, data) as connection:
        secret = new_secret()
        sealed = _sealed(connection, secret, data)
        places.rotate(connection, destination, sealed, datetime.now(UTC) + timedelta(hours=hours))
    typer.echo(secret)


@app.command()
def remove(destination: DestinationId, database_url: DatabaseUrl = None, data: DataFolder = None) -> None:
    """Send nothing more to a destination. What was sent stays on record."""
    with administration(database_url, data) as connection:
        places.remove(connection, destination, datetime.now(UTC))


@app.command()
def destinations(
    *, json_output: AsJson = False, database_url: DatabaseUrl = None, data: DataFolder = None
) -> None:
    """List the destinations, without their secrets."""
    with administration(database_url, data) as connection:
        rows = places.listing(connection)
    if json_output:
        typer.echo(json.dumps([asdict(row) for row in rows], default=_text, indent=2))
        return
    show_table(
        ("", "utility", "address", "private", "removed"),
        (
            (row.id, row.utility, row.url, "allowed" if row.allow_private else "", _when(row.removed_at))
            for row in rows
        ),
    )


@app.command("list")
def list_(
    *,
    dead: Annotated[bool, typer.Option("--dead", help="Only messages that were given up.")] = False,
    waiting: Annotated[bool, typer.Option("--waiting", help="Only messages still to be sent.")] = False,
    period: Annotated[str | None, typer.Option(metavar="YYYY-MM", help="Only this period.")] = None,
    utility: Utility = None,
    json_output: AsJson = False,
    database_url: DatabaseUrl = None,
    data: DataFolder = None,
) -> None:
    """List messages with their state and last error. `hesper deliver retry` sends dead ones again."""
    state = outbox.MessageState.DEAD if dead else outbox.MessageState.WAITING if waiting else None
    with administration(database_url, data) as connection:
        whose = the_utility(connection, utility).id if utility else None
        rows = outbox.messages(connection, utility_id=whose, state=state, period=period)
    if json_output:
        typer.echo(json.dumps([asdict(row) for row in rows], default=_text, indent=2))
        return
    show_table(
        ("", "utility", "period", "readings", "address", "state", "attempts", "last error"),
        (
            (row.id, row.utility, row.period, row.readings, row.url, row.state, row.attempts, row.last_error)
            for row in rows
        ),
    )


@app.command()
def show(
    message: Annotated[int, typer.Argument(help="Number from `hesper deliver list`.")],
    database_url: DatabaseUrl = None,
    data: DataFolder = None,
) -> None:
    """Show a message as JSON: the totals sent, those that billing reported last, and where they differ."""
    with administration(database_url, data) as connection:
        row = outbox.message(connection, message)
        if row is None:
            raise DeliveryError(f"there is no message {message}", advice="`hesper deliver list` lists them")
        sent = {name: decimal(total) for name, total in sent_totals(connection, row).items()}
        report = last_report(connection, message)
    told = asdict(row) | {
        "sent": {"count": row.readings, "totals": sent},
        "acknowledged": None if report is None else asdict(report),
        "differences": {} if report is None else differences(sent, report.totals),
    }
    typer.echo(json.dumps(told, default=_text, indent=2))


@app.command()
def retry(
    messages: Annotated[
        list[int] | None, typer.Argument(help="Numbers of dead messages; default: all.")
    ] = None,
    *,
    database_url: DatabaseUrl = None,
    data: DataFolder = None,
) -> None:
    """Let dead messages wait again, with all their attempts."""
    with administration(database_url, data) as connection:
        count = outbox.requeue(connection, messages or None, datetime.now(UTC))
    typer.echo(f"{count} messages wait again")


@app.command()
def run(database_url: Annotated[str, typer.Option(envvar="DATABASE_URL", help="The store.")]) -> None:
    """Send waiting messages until told to stop. Any number of these may run."""
    stop = until_told()
    check_login(database_url, Role.DELIVER)
    keys = SecretKeys.of(Settings().data)
    with refusals_told(1):
        main(database_url, stop, process_clock(), partial(sealing_keyring, keys=keys))


def _sealed(connection: Connection, secret: str, data: Path | None) -> str:
    """The secret as it is kept."""
    return sealing_keyring(connection, SecretKeys.of(data or Settings().data)).seal(secret)


def _when(at: datetime | None) -> str:
    return instant(at) if at else ""


def _text(value: object) -> str:
    return instant(value) if isinstance(value, datetime) else str(value)
