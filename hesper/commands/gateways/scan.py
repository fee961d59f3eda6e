"""`hesper gateway scan`: which meters are on a line, ending in a proposed configuration."""

import re
import socket
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from drivers.driver import Found, SearchScope
from drivers.driver import SearchProgress as Step
from drivers.protocol import PROTOCOLS
from hesper.commands.console import JSON_HELP, echo_json, show_trouble
from hesper.commands.gateways.line_options import (
    check_name,
    check_protocol,
    check_transport,
    local_time_zone,
    parse_settings,
)
from hesper.installer.advice import nothing_found, suspected
from hesper.installer.proposal import Heading, propose
from hesper.installer.scan import ScanOrder, SearchOutcome, driver_options
from hesper.installer.scan import scan as scan_line


def scan(  # noqa: PLR0917 - typer passes them by name
    port: Annotated[str, typer.Argument(help="A serial port, or tcp://host:port of a serial server.")],
    protocol: Annotated[
        list[str] | None, typer.Option(help=f"Only these, of {', '.join(PROTOCOLS)}; may be repeated.")
    ] = None,
    settings: Annotated[
        list[str] | None, typer.Option(help="Only these, such as '9600 8N1'; may be repeated.")
    ] = None,
    address: Annotated[
        list[str] | None, typer.Option(help="Only these, such as 5 or 1-20; may be repeated.")
    ] = None,
    timeout: Annotated[float | None, typer.Option(help="Seconds to wait for each answer.")] = None,
    transport: Annotated[str | None, typer.Option(help="Of Modbus: rtu, or tcp for Modbus TCP.")] = None,
    output: Annotated[
        Path | None, typer.Option(help="Write the proposed configuration there (a new file).")
    ] = None,
    utility: Annotated[str, typer.Option(help="For the proposal: the utility's code.")] = "utility",
    gateway: Annotated[str | None, typer.Option(help="For the proposal: this gateway's name.")] = None,
    json: Annotated[bool, typer.Option("--json", help=JSON_HELP)] = False,
) -> None:
    """Look for meters on a line, in all protocols or those named, and propose a configuration.

    All addresses at all usual settings take minutes: the more you name, the quicker it is. Ctrl-C ends the
    scan and proposes what was found until then. Exit code 0 if a meter was found, else 1, with what to try.
    """
    able = [name for name in PROTOCOLS if transport != "tcp" or driver_options(name, transport)]
    wanted = ScanOrder(
        port=port,
        protocols=[check_protocol(name) for name in protocol or able],
        scope=SearchScope([parse_settings(text) for text in settings or ()], tuple(address or ()), timeout),
        transport=check_transport(transport),
    )
    if output is not None and output.exists():
        raise typer.BadParameter(f"{output} exists already; name a new file, and merge them by hand")
    heading = Heading(check_name(utility), check_name(gateway or _host()), local_time_zone())
    outcomes: list[SearchOutcome] = []
    complete = True
    try:
        _watch(wanted, outcomes, quiet=json)
    except KeyboardInterrupt:
        complete = False
    proposed = propose(wanted, outcomes, heading)
    if output is not None and proposed is not None:
        output.write_text(proposed, "utf-8")
    if json:
        echo_json(
            {
                "port": port,
                "complete": complete,
                "protocols": [outcome.as_json() for outcome in outcomes],
                "configuration": proposed,
            }
        )
    else:
        if not complete:
            typer.echo("stopped before its end: there may be more on this line", err=True)
        _show(outcomes, proposed, output)
    raise typer.Exit(0 if any(outcome.found for outcome in outcomes) else 1)


def _watch(wanted: ScanOrder, outcomes: list[SearchOutcome], *, quiet: bool) -> None:
    """Run the search; progress goes to stderr, if a person looks at it, and what is found to stdout.

    On a terminal that shows both, what is found is printed above the progress, not into it.
    """
    console, found = Console(stderr=True), Console()
    if console.is_terminal and found.is_terminal:
        found = console
    columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.percentage:3.0f}%"))
    with Progress(
        *columns, TimeRemainingColumn(), console=console, transient=True, disable=not console.is_terminal
    ) as progress:
        task = progress.add_task("opening the line", total=None)
        for protocol, event in scan_line(wanted, outcomes, lambda: datetime.now(UTC)):
            match event:
                case Step():
                    text = f"{protocol}: {event.what}"
                    progress.update(task, description=text, completed=event.done, total=event.total)
                case Found() if not quiet:
                    found.print(_found(protocol, event, wanted.transport), highlight=False, soft_wrap=True)


def _found(protocol: str, one: Found, transport: str | None) -> str:
    parts = (
        f"[bold]{escape(one.meter or 'a meter')}[/]",
        f"{protocol} {'tcp' if transport == 'tcp' else one.settings}",
        f"address {one.address}" if one.address else "",
        one.profile or "",
        one.description,
    )
    return "  ".join([parts[0], *(escape(part) for part in parts[1:] if part)])


def _show(outcomes: Sequence[SearchOutcome], proposed: str | None, output: Path | None) -> None:
    for outcome in outcomes:
        for suspicion in outcome.suspicions:
            show_trouble(suspected(suspicion))
        if outcome.trouble:
            show_trouble(outcome.trouble)
    if not any(outcome.found for outcome in outcomes):
        searched = [outcome.protocol for outcome in outcomes if outcome.trouble is None]
        if searched:
            show_trouble(nothing_found(searched))
    elif proposed is None:
        typer.echo("none of them can be configured as found: see what is said beside each", err=True)
    elif output is not None:
        typer.echo(f"\n{output} is a proposed configuration; next: hesper gateway check {output}")
    else:
        typer.echo(f"\n{proposed}")


def _host() -> str:
    """This machine's name, as far as a topic can hold it."""
    return re.sub(r"[^A-Za-z0-9._-]+|^[^A-Za-z0-9]+", "", socket.gethostname())[:64] or "gateway"
