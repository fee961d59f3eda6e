"""`hesper validate`: the process that judges what was stored, and the rules that it judges by."""

from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from datetime import UTC, date, datetime, time
from typing import Annotated, Any
from zoneinfo import ZoneInfo

import typer
from rich.console import Console
from rich.table import Table

from anomaly.catalogue import PARAMETERS
from hesper.clock import process_clock
from hesper.commands.person import person_here
from hesper.commands.store_url import DatabaseUrl, DataFolder, administration, check_login, refusals_told
from hesper.commands.utility import the_utility
from hesper.secret_keys import SecretKeys, sealing_keyring
from hesper.settings import Settings
from hesper.stop import until_told
from ingest.delivery.address import AddressError, parse
from ingest.delivery.signature import new_secret
from ingest.validation import main
from ingest.validation.alarms import MailServer
from ingest.validation.parameters import ParameterError, Parameters, check
from store.keyring import Keyring
from store.postgres.roles import Role
from store.validation import alarms
from store.validation.rule_parameters import parameters_of, set_parameter
from telemetry.findings import Severity
from telemetry.obis import Medium, Obis, ObisError

app = typer.Typer(no_args_is_help=True)


@app.command()
def run(
    database_url: Annotated[str, typer.Option(envvar="DATABASE_URL", help="The store.")],
    mail: Annotated[
        str | None,
        typer.Option(
            envvar="HESPER_SMTP",
            help="For alarm routes: smtp://USER:PASSWORD@HOST:587?from=ADDRESS",
            show_envvar=True,
        ),
    ] = None,
) -> None:
    """Validate what arrives until told to stop, and tell of what is found."""
    try:
        server = None if mail is None else MailServer.parse(mail)
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="--mail") from None
    stop = until_told()
    check_login(database_url, Role.INGEST)
    with refusals_told(1):
        keyring = Keyring(SecretKeys.of(Settings().data))
    main(database_url, stop, process_clock(), server, keyring.open)


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
                author=person_here(connection).name,
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
        for name, rule in PARAMETERS.items():
            given = in_force.get(rule)
            for shown in [(name, "off")] if given is None else _flat(given, f"{name}."):
                table.add_row(*shown)
    Console().print(table)


@app.command()
def route(
    name: Annotated[str | None, typer.Argument(help="The route's name; without one, all are shown.")] = None,
    *,
    email: Annotated[str | None, typer.Option(help="Tell this address.")] = None,
    webhook: Annotated[str | None, typer.Option(help="Tell this URL; the secret is shown once.")] = None,
    severity: Annotated[Severity, typer.Option(help="From which severity on.")] = Severity.WARNING,
    quiet: Annotated[
        str | None, typer.Option(help="22:00-06:00, local time: only alarms are told in between.")
    ] = None,
    digest: Annotated[str | None, typer.Option(help="07:00, local time: one message a day.")] = None,
    allow_private: Annotated[
        bool, typer.Option(help="The URL may be of your own network, and http://.")
    ] = False,
    off: Annotated[bool, typer.Option("--off", help="Tell nobody by it any more.")] = False,
    utility: Annotated[str | None, typer.Option(help="Whose; needed where there are several.")] = None,
    database_url: DatabaseUrl = None,
    data: DataFolder = None,
) -> None:
    """Show, set or end the routes by which people and systems are told of new findings."""
    with administration(database_url, data) as connection:
        place = the_utility(connection, utility)
        if name is None:
            table = Table("name", "way", "target", "from", "quiet", "digest", "last told", "failure")
            for row in alarms.routes(connection, place.id):
                table.add_row(*(str(part or "") for part in row))
            Console().print(table)
        elif off:
            if not alarms.end_route(connection, place.id, name):
                raise ParameterError(f"no route {name!r}", advice="`hesper validate route` shows them")
        else:
            way, target = _target(email, webhook, allow_private=allow_private)
            secret = None if way == "email" else new_secret()
            keys = SecretKeys.of(data or Settings().data)
            alarms.set_route(
                connection,
                place.id,
                name,
                way=way,
                target=target,
                secret=None if secret is None else sealing_keyring(connection, keys).seal(secret),
                severity=severity.value,
                quiet=None if quiet is None else _span(quiet),
                digest_at=None if digest is None else _time(digest),
                allow_private=allow_private,
            )
            typer.echo(f"{name} tells {target}" + (f"; its secret is {secret}" if secret else ""))


def _target(email: str | None, webhook: str | None, *, allow_private: bool) -> tuple[str, str]:
    if email is not None and webhook is None and "@" in email:
        return "email", email
    if webhook is None or email is not None:
        raise ParameterError("whom?", advice="give --email ADDRESS or --webhook https://...")
    try:
        parse(webhook, allow_private=allow_private)
    except AddressError as error:
        raise ParameterError(
            f"nothing can be sent to this address: {error}",
            advice="give an https:// address, or --allow-private",
        ) from None
    return "webhook", webhook


def _span(text: str) -> tuple[time, time]:
    first, _, end = text.partition("-")
    return _time(first), _time(end)


def _time(text: str) -> time:
    try:
        return datetime.strptime(text, "%H:%M").time()  # noqa: DTZ007 - a time of day has no zone
    except ValueError:
        raise ParameterError(f"{text!r} is no time of day", advice="write 22:00") from None


def _flat(rule: Any, prefix: str) -> Iterator[tuple[str, str]]:
    """The parameters of a rule by their full names."""
    for field in fields(rule):
        value = getattr(rule, field.name)
        if is_dataclass(value):
            yield from _flat(value, f"{prefix}{field.name}.")
        else:
            yield prefix + field.name, ",".join(map(str, value)) if isinstance(value, tuple) else str(value)


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
