"""`hesper edit`: what people with an account decide about single readings, and why; nothing is altered."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer
from psycopg import Connection
from rich.console import Console
from rich.table import Table

from hesper.commands.person import person_here
from hesper.commands.store_url import DatabaseUrl, DataFolder, administration
from hesper.commands.utility import the_utility
from metering.access import Scope
from store.validation import edits
from store.validation.edits import Action, Edit, EditError, EditRow
from telemetry.micro import ValueOutOfRangeError, to_micro

app = typer.Typer(no_args_is_help=True)

Meter = Annotated[str, typer.Argument(help="The meter's id, such as KAM-06855817.")]
Register = Annotated[str, typer.Argument(help="The register's OBIS code.")]
At = Annotated[str, typer.Argument(help="The reading's instant, exactly: 2026-10-01T00:00:00Z.")]
Reason = Annotated[str, typer.Option(help="Why; kept with the edit.")]
Utility = Annotated[str | None, typer.Option(help="Whose; needed only where there are several utilities.")]


def _decision(action: Action, what: str) -> None:
    """A command for an edit of a reading that is there."""

    @app.command(action.value, help=what)
    def decide(
        meter: Meter,
        register: Register,
        at: At,
        *,
        reason: Reason,
        utility: Utility = None,
        database_url: DatabaseUrl = None,
        data: DataFolder = None,
    ) -> None:
        with _session(database_url, data, utility) as (connection, utility_id):
            _make(connection, utility_id, meter, register, at, action, reason)


_decision(Action.EXCLUDE, "Leave a reading out: it is judged no more, and nothing is billed from it.")
_decision(Action.ACCEPT, "Take a reading as it is, although rules object to it.")
_decision(Action.RESTORE, "Undo the last edit of a reading that holds.")


@app.command()
def enter(
    meter: Meter,
    register: Register,
    at: At,
    value: Annotated[str, typer.Argument(help="What the register showed, in its unit: 1234.567")],
    *,
    reason: Reason,
    utility: Utility = None,
    database_url: DatabaseUrl = None,
    data: DataFolder = None,
) -> None:
    """Enter a value for an instant without a reading."""
    with _session(database_url, data, utility) as (connection, utility_id):
        _make(connection, utility_id, meter, register, at, Action.ENTER, reason, _micro(value))


@app.command()
def approve(
    edit: Annotated[int, typer.Argument(help="The edit's number, as `hesper edit list` shows it.")],
    *,
    utility: Utility = None,
    database_url: DatabaseUrl = None,
    data: DataFolder = None,
) -> None:
    """Let an edit of a closed period hold; by another person than its author."""
    with _session(database_url, data, utility) as (connection, utility_id):
        approver = person_here(connection).allowed(connection, utility_id, Scope.BILLING_APPROVE)
        _tell(edits.approve(connection, utility_id, edit, approver))


@app.command("list")
def list_(
    *,
    waiting: Annotated[bool, typer.Option("--waiting", help="Only what waits for an approval.")] = False,
    utility: Utility = None,
    json_output: Annotated[bool, typer.Option("--json", help="As JSON on stdout.")] = False,
    database_url: DatabaseUrl = None,
    data: DataFolder = None,
) -> None:
    """All edits, the last one first."""
    with _session(database_url, data, utility) as (connection, utility_id):
        found = edits.edits_page(connection, utility_id, waiting=waiting or None)
    if json_output:
        typer.echo(json.dumps([asdict(row) for row in found], default=str, indent=2))
        return
    table = Table("edit", "meter", "register", "reading of", "what", "value", "by", "approved by", "reason")
    for row in found:
        what = row.action if row.undoes is None else f"{row.action} (undoes {row.undoes})"
        approval = "waits" if row.waits else row.approved_by or ""
        at = row.measured_at.isoformat()
        table.add_row(
            str(row.id), row.meter, row.obis, at, what, edits.told(row), row.author, approval, row.reason
        )
    Console().print(table)


@contextmanager
def _session(
    database_url: str | None, data: Path | None, utility: str | None
) -> Iterator[tuple[Connection, int]]:
    with administration(database_url, data) as connection:
        yield connection, the_utility(connection, utility).id


def _make(  # noqa: PLR0917 - the commands' own arguments, in their order
    connection: Connection,
    utility_id: int,
    meter: str,
    register: str,
    at: str,
    action: Action,
    reason: str,
    value: int | None = None,
) -> None:
    register_id = edits.register_named(connection, utility_id, meter, register)
    edit = Edit(register_id, _instant(at), action, person_here(connection).with_account(), reason, value)
    _tell(edits.add(connection, edit))


def _tell(row: EditRow) -> None:
    state = "waits for a second person: `hesper edit approve`" if row.waits else "holds"
    typer.echo(
        f"edit {row.id}: {row.action} {row.meter} {row.obis} {row.measured_at.isoformat()} "
        f"{edits.told(row)}{' ' if row.value is not None else ''}{state}"
    )


def _instant(text: str) -> datetime:
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        raise EditError(f"{text!r} is no instant", advice="write 2026-10-01T00:00:00Z") from None
    if at.tzinfo is None:
        raise EditError(f"{text!r} has no offset from UTC", advice="write 2026-10-01T00:00:00Z") from None
    return at.astimezone(UTC)


def _micro(text: str) -> int:
    try:
        return to_micro(text)
    except ValueOutOfRangeError as error:
        raise EditError(str(error), advice="write 1234.567") from None
