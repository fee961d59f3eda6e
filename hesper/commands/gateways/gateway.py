"""`hesper gateway`: the gateway's process, a look at its configuration before, and the installer's tools."""

from pathlib import Path
from typing import Annotated

import typer

from gateway.buffer.source import SourceError
from gateway.config.document import GatewayConfig
from gateway.config.file import ConfigError, load_config
from hesper.clock import process_clock
from hesper.commands.console import JSON_HELP, count, echo_json, load_or_exit
from hesper.commands.gateways.commission import commission
from hesper.commands.gateways.decode import decode
from hesper.commands.gateways.plan import plan
from hesper.commands.gateways.read import read
from hesper.commands.gateways.scan import scan
from hesper.logs import LogStyle, configure_logging
from hesper.private_files import close_to_everybody
from hesper.stop import until_told

app = typer.Typer(no_args_is_help=True)
for _command in (scan, commission, read, decode, plan):
    app.command()(_command)

ConfigPath = Annotated[Path, typer.Argument(metavar="FILE", help="The gateway's configuration, TOML.")]


@app.command()
def run(
    file: ConfigPath, log: Annotated[LogStyle, typer.Option(help="How to write the log.")] = LogStyle.CONSOLE
) -> None:
    """Poll the configured meters and publish what they say, until SIGTERM or Ctrl-C."""
    from gateway.process import run as run_gateway

    load_or_exit(file)  # so that a mistake is told before there is a log
    close_to_everybody(file)
    configure_logging(log)
    stop = until_told()
    try:
        code = run_gateway(file, stop=stop, clock=process_clock())
    except SourceError as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(1) from None
    raise typer.Exit(code)


@app.command()
def check(file: ConfigPath, json: Annotated[bool, typer.Option("--json", help=JSON_HELP)] = False) -> None:
    """Say whether a configuration can be used, and if not, on which lines it must be mended.

    Exit code 0 if it can, else 1. No port is opened and nothing is sent.
    """
    try:
        config = load_config(file)
    except ConfigError as error:
        if json:
            echo_json({"ok": False, "problems": error.problems})
        else:
            typer.echo(str(error), err=True)
        raise typer.Exit(1) from None
    if json:
        lines = [
            {"name": line.name, "port": line.port, "protocol": line.protocol, "meters": len(line.meter)}
            for line in config.line
        ]
        echo_json({"ok": True, "utility": config.utility, "gateway": config.gateway, "lines": lines})
    else:
        typer.echo(_summary(file, config))


def _summary(file: Path, config: GatewayConfig) -> str:
    meters = sum(len(line.meter) for line in config.line)
    head = f"{file.name}: OK. Gateway {config.gateway} of {config.utility}, {count(meters, 'meter')} on "
    rows = [
        f"  {line.name}: {line.protocol} at {line.port}, "
        f"{'tcp' if line.transport == 'tcp' else line.serial_settings}, "
        f"{count(len(line.meter), 'meter')}"
        for line in config.line
    ]
    return "\n".join([f"{head}{count(len(config.line), 'line')}.", *rows])
