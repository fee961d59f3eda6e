"""`hesper gateway read`: one meter now, as a table."""

from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo
from pathlib import Path
from typing import Annotated
from zoneinfo import ZoneInfo

import typer

from drivers.catalogue import open_driver, open_line
from drivers.driver import Target
from drivers.errors import DriverError
from drivers.line import SerialSettings
from drivers.protocol import PROTOCOLS, protocol_named
from gateway.config.document import GatewayConfig
from hesper.commands.console import JSON_HELP, count, echo_json, give_up, load_or_exit, show_table
from hesper.commands.gateways.line_options import (
    check_protocol,
    check_transport,
    local_time_zone,
    parse_settings,
)
from hesper.installer.advice import trouble
from hesper.installer.reading import TimedReadouts, drift, rows, take, take_load_profile
from hesper.installer.scan import driver_options
from telemetry.readout import Readout
from telemetry.status import Status

_MOST_TOLD = 12  # meters
_UNITS = (("days", 86_400.0), ("hours", 3_600.0), ("minutes", 60.0), ("s", 1.0))


@dataclass(frozen=True, slots=True)
class _Question:
    """Which meter, and how it is reached."""

    port: str
    protocol: str
    settings: SerialSettings
    options: Mapping[str, object]
    target: Target


def read(  # noqa: PLR0917 - typer passes them by name
    file: Annotated[
        Path | None, typer.Argument(metavar="FILE", help="A configuration that has the meter.")
    ] = None,
    meter: Annotated[
        str | None, typer.Argument(metavar="METER", help="Its meter id or address, if it has several.")
    ] = None,
    line: Annotated[str | None, typer.Option(help="Its line, where several have that address.")] = None,
    port: Annotated[str | None, typer.Option(help="Without a configuration: a port, or tcp://...")] = None,
    protocol: Annotated[str | None, typer.Option(help=f"One of {', '.join(PROTOCOLS)}.")] = None,
    address: Annotated[str, typer.Option(help="In the protocol's own form, such as 5.")] = "",
    profile: Annotated[str | None, typer.Option(help="Of a Modbus meter: a name, or a .toml file.")] = None,
    settings: Annotated[str | None, typer.Option(help="Such as '2400 8E1'.")] = None,
    transport: Annotated[str | None, typer.Option(help="Of Modbus: rtu or tcp.")] = None,
    key_file: Annotated[Path | None, typer.Option(help="A file with the meter's key, in hex digits.")] = None,
    password_file: Annotated[
        Path | None, typer.Option(help="A file with what the meter asks for before it opens.")
    ] = None,
    timeout: Annotated[float | None, typer.Option(help="Seconds to wait for an answer.")] = None,
    since: Annotated[
        datetime | None,
        typer.Option(
            formats=["%Y-%m-%d", "%Y-%m-%dT%H:%M"],
            help="Show its load profile from this local time on instead of the present.",
        ),
    ] = None,
    json: Annotated[bool, typer.Option("--json", help=JSON_HELP)] = False,
) -> None:
    """Read one meter now and show what it says: by a configuration, or by port, protocol and address.

        hesper gateway read gateway.toml KAM-06855817
        hesper gateway read gateway.toml HSP-0012345678 --since 2026-11-01
        hesper gateway read --port /dev/ttyUSB0 --protocol modbus --address 7 --profile eastron-sdm630

    Exit code 0 if it answered, else 1, with what to try. A gateway that runs holds its serial ports: stop
    it before.
    """
    if file is not None:
        question = _from_file(load_or_exit(file), meter, line)
    elif port is not None and protocol is not None:
        target = Target(
            address,
            profile=profile,
            time_zone=ZoneInfo(local_time_zone()),
            timeout=timeout,
            key=_key(key_file),
            password=_password(password_file),
        )
        chosen = parse_settings(settings) if settings else protocol_named(check_protocol(protocol)).settings
        options = driver_options(protocol, check_transport(transport))
        question = _Question(port, protocol, chosen, options, target)
    else:
        raise typer.BadParameter(
            "name a configuration and a meter of it, or --port, --protocol and --address"
        )
    try:
        taken = _take(question, since)
    except DriverError as error:
        give_up(trouble(error, question.protocol), as_json=json)
    if json:
        echo_json(taken.as_json())
    elif since:
        _show_periods(taken, question.target.time_zone)
    else:
        _show(taken, question.target.time_zone)


def _from_file(config: GatewayConfig, wanted: str | None, line_name: str | None) -> _Question:
    """The meter that is meant. Raises typer.BadParameter where none is, or several are."""
    named = [
        (line, meter)
        for line in config.line
        for meter in line.meter
        if line_name in (None, line.name) and wanted in (None, meter.meter, meter.address)
    ]
    if len(named) != 1:
        every = named or [(line, meter) for line in config.line for meter in line.meter]
        known = ", ".join(f"{one.label} on {line.name}" for line, one in every[:_MOST_TOLD])
        more = f" and {len(every) - _MOST_TOLD} more" if len(every) > _MOST_TOLD else ""
        what = "several meters can be meant" if named else "no such meter is configured, only"
        raise typer.BadParameter(f"{what}: {known}{more}; give a meter id, or an address and --line")
    [(line, meter)] = named
    return _Question(
        line.port, line.protocol, line.serial_settings, line.driver_options, config.target(meter)
    )


def _key(file: Path | None) -> bytes | None:
    if file is None:
        return None
    try:
        key = bytes.fromhex(file.read_text("ascii").strip())
    except (OSError, ValueError):
        raise typer.BadParameter(f"{file} is not a readable file of hex digits") from None
    if len(key) not in (16, 32):
        raise typer.BadParameter("a key has 32 hex digits; for DLMS two in a row, so 64")
    return key


def _password(file: Path | None) -> str | None:
    if file is None:
        return None
    try:
        return file.read_text("utf-8").strip()
    except (OSError, UnicodeDecodeError):
        raise typer.BadParameter(f"{file} is not a readable file of text") from None


def _take(question: _Question, since: datetime | None) -> TimedReadouts:
    with closing(open_line(question.port, question.settings)) as line:
        driver = open_driver(question.protocol, line, lambda: datetime.now(UTC), **question.options)
        if since is None:
            return take(driver, question.target)
        begin = since.replace(tzinfo=question.target.time_zone)
        return take_load_profile(driver, question.target, begin.astimezone(UTC), datetime.now(UTC))


def _show(taken: TimedReadouts, zone: tzinfo) -> None:
    for readout in taken.readouts:
        typer.echo(_heading(readout, zone))
        show_table(("register", "name", "value", "unit"), rows(readout), right=("value",))
        typer.echo("")
    _show_cost(taken)


def _show_periods(taken: TimedReadouts, zone: tzinfo) -> None:
    """A load profile: one table, a row for each value of each period, named by its end."""
    show_table(
        ("period until", "register", "name", "value", "unit"),
        [
            (f"{readout.at.astimezone(zone):%Y-%m-%d %H:%M %Z}", *row)
            for readout in taken.readouts
            for row in rows(readout)
        ],
        right=("value",),
    )
    typer.echo(f"\n{count(len(taken.readouts), 'period')}")
    _show_cost(taken)


def _show_cost(taken: TimedReadouts) -> None:
    retries = f", {taken.retries} of them again" if taken.retries else ""
    requests = count(taken.exchanges, "request")
    typer.echo(f"{taken.seconds:.3f} s on the wire, {requests}{retries}")


def _heading(readout: Readout, zone: tzinfo) -> str:
    at = f"{readout.at.astimezone(zone):%Y-%m-%d %H:%M:%S %Z}"
    if Status.HISTORICAL in readout.status:
        return f"kept by the meter at {at}"
    said = ", ".join(readout.status.labels()) or "no errors reported"
    heading = f"{readout.meter}  at {at}  status: {said}"
    ahead = drift(readout)
    return heading if ahead is None else f"{heading}\n{_clock(ahead)}"


def _clock(ahead: float) -> str:
    """In a unit that can be grasped: the clock of a meter that was long in a shelf is years behind."""
    seconds = abs(ahead)
    unit, length = next((one for one in _UNITS if seconds >= 2 * one[1]), _UNITS[-1])
    return f"its clock is {seconds / length:.0f} {unit} {'ahead of' if ahead > 0 else 'behind'} ours"
