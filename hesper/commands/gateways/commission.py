"""`hesper gateway commission`: what is done to an M-Bus meter once, when it is installed."""

from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime
from typing import Annotated

import typer

from drivers.catalogue import open_line
from drivers.driver import Target
from drivers.errors import DriverError
from drivers.mbus.commissioning import application_reset, set_address, switch_baud
from drivers.mbus.master import MBusDriver
from drivers.protocol import protocol_named
from hesper.commands.console import JSON_HELP, echo_json, give_up
from hesper.commands.gateways.line_options import parse_settings
from hesper.installer.advice import trouble

_Deed = tuple[str, Callable[[MBusDriver, Target], None]]  # in words, and done


def commission(  # noqa: PLR0917 - typer passes them by name
    port: Annotated[str, typer.Argument(help="A serial port, or tcp://host:port of a serial server.")],
    address: Annotated[str, typer.Option(help="Of the meter, primary or secondary; new ones often have 0.")],
    to_address: Annotated[int | None, typer.Option(help="Give it this primary address, 1 to 250.")] = None,
    to_baud: Annotated[int | None, typer.Option(help="Let it speak at this speed from now on.")] = None,
    reset: Annotated[bool, typer.Option("--reset", help="Reset its application.")] = False,
    settings: Annotated[str | None, typer.Option(help="Such as '2400 8E1'.")] = None,
    timeout: Annotated[float | None, typer.Option(help="Seconds to wait for an answer.")] = None,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask whether this is meant.")] = False,
    json: Annotated[bool, typer.Option("--json", help=JSON_HELP)] = False,
) -> None:
    """Give an M-Bus meter its address or speed, or reset its application: one of them at a time.

    It changes the meter, so it asks first. An address that another meter has is not given, and the meter must
    answer at the new one. Exit code 0 if it is done, else 1, with what to try.
    """
    what, deed = _deed(to_address, to_baud, reset=reset)
    if not yes:
        typer.confirm(f"The meter at {address} on {port}: {what}?", abort=True)
    chosen = parse_settings(settings) if settings else protocol_named("mbus").settings
    try:
        with closing(open_line(port, chosen)) as line:
            deed(MBusDriver(line, lambda: datetime.now(UTC)), Target(address, timeout=timeout))
    except DriverError as error:
        give_up(trouble(error, "mbus"), as_json=json)
    if json:
        echo_json({"done": what, "address": address})
    else:
        typer.echo("done")


def _deed(address: int | None, baud: int | None, *, reset: bool) -> _Deed:
    """Raises typer.BadParameter unless exactly one thing is asked for."""
    deeds: list[_Deed] = []
    if address is not None:
        deeds.append(
            (f"set the address to {address}", lambda driver, target: set_address(driver, target, address))
        )
    if baud is not None:
        deeds.append(
            (f"set the speed to {baud} Bd", lambda driver, target: switch_baud(driver, target, baud))
        )
    if reset:
        deeds.append(("reset the application", application_reset))
    if len(deeds) != 1:
        raise typer.BadParameter("say one thing that is to be done: --to-address, --to-baud or --reset")
    return deeds[0]
