"""`hesper validate`: the process that judges what was stored, and the rules that it judges by."""

import getpass
import signal
import threading
from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from datetime import UTC, date, datetime
from typing import Annotated, Any
from zoneinfo import ZoneInfo

import typer
from rich.console import Console
from rich.table import Table

from hesper.commands.store_url import DatabaseUrl, DataFolder, administration, check_login
from hesper.commands.utility import the_utility
from ingest.validation import main
from ingest.validation.parameters import ParameterError, Parameters, check
from store.roles import Role
from store.rule_parameters import parameters_of, set_parameter
from telemetry.obis import Medium, Obis, ObisError

app = typer.Typer(no_args_is_help=True)


@app.callback()
def _group() -> None:
    """The process that judges what was stored, and its rules."""


@app.command()
def run(
    database_url: Annotated[str, typer.Option(envvar="DATABASE_URL", help="The store.")],
) -> None:
    """Validate what arrives until told to stop."""
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda _number, _frame: stop.set())
    check_login(database_url, Role.INGEST)
    main(database_url, stop)


@app.command()
def rules(
    register: Annotated[
        str | None, typer.Argument(help="An OBIS code: show the rules in force for such registers.")
    ] = None,
    *,
    on: Annotated[str | None, typer.Option(help="The day, YYYY-MM-DD; default: today.")] = None,
    set_: Annotated[
        str | None,
        typer.Option("--set", metavar="NAME=VALUE", help="leak.days=5, spike=off, stuck.rest=default"),
    ] = None,
    medium: Annotated[str | None, typer.Option(help="Set it for this medium only: cold water.")] = None,
    since: Annotated[str | None, typer.Option("--from", help="From this day on, YYYY-MM-DD.")] = None,
    reason: Annotated[str | None, typer.Option(help="Why; kept with what is set.")] = None,
    author: Annotated[str | None, typer.Option(help="Who; default: the user of this session.")] = None,
    utility: Annotated[str | None, typer.Option(help="Whose; needed where there are several.")] = None,
    database_url: DatabaseUrl = None,
    data: DataFolder = None,
) -> None:
    """Show the rules, or set one parameter from a day on, for one kind of register, a medium or all.

    Without a register all that was ever set is shown. Setting has everything judged anew: what began before
    the day by the old parameters, the rest by the new ones.
    """
    with administration(database_url, data) as connection:
        place = the_utility(connection, utility)
        obis = None if register is None else _obis(register)
        day = datetime.now(UTC).astimezone(ZoneInfo(place.time_zone)).date() if on is None else _day(on)
        if set_ is not None:
            name, _, value = set_.partition("=")
            check(name, value)
            if since is None or not reason:
                raise ParameterError("from when, and why?", advice="give --from YYYY-MM-DD and --reason")
            if medium is not None and obis is not None:
                raise ParameterError("an OBIS code names its medium", advice="leave --medium out")
            identity = set_parameter(
                connection,
                place.id,
                medium=None if medium is None else int(_medium(medium)),
                obis=None if obis is None else str(obis),
                name=name,
                value=value,
                valid_from=_day(since),
                author=author or getpass.getuser(),
                reason=reason,
            )
            typer.echo(f"parameter {identity}: {name} = {value} from {since} on; all is judged anew")
            return
        rows = parameters_of(connection, [place.id])
    if obis is None:
        table = Table("parameter", "for", "name", "value", "from", "by", "reason")
        for row in rows:
            scope = row.obis or ("all" if row.medium is None else Medium(row.medium).label)
            since = row.valid_from.isoformat()
            table.add_row(str(row.id), scope, row.name, row.value, since, row.author, row.reason)
    else:
        table = Table("name", "value")
        in_force = Parameters(rows).of(place.id, obis, day)
        for name, value in _flat(in_force):
            table.add_row(name, value)
    Console().print(table)


def _flat(rule: Any, prefix: str = "") -> Iterator[tuple[str, str]]:
    """The parameters of a rule by their full names."""
    for field in fields(rule):
        value = getattr(rule, field.name)
        if is_dataclass(value):
            yield from _flat(value, f"{prefix}{field.name}.")
        else:
            shown = ",".join(map(str, value)) if isinstance(value, tuple) else str(value)
            yield prefix + field.name, "off" if value is None else shown


def _obis(text: str) -> Obis:
    try:
        return Obis.parse(text)
    except ObisError as error:
        raise ParameterError(str(error)) from None


def _medium(label: str) -> Medium:
    for medium in Medium:
        if medium.label == label:
            return medium
    raise ParameterError(f"no medium {label!r}", advice=", ".join(medium.label for medium in Medium))


def _day(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise ParameterError(f"{text!r} is no day", advice="write 2026-10-01") from None
