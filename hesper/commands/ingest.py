"""`hesper ingest run`."""

import signal
import threading
from typing import Annotated

import typer

from hesper.commands.store_url import check_login
from hesper.logs import LogStyle, configure_logging
from hesper.settings import SettingsError, broker_address
from ingest.ingester import Ingester
from store.roles import Role

app = typer.Typer(no_args_is_help=True)


@app.callback()
def _group() -> None:
    """The process that takes messages into the store."""


@app.command()
def run(
    database_url: Annotated[str, typer.Option(envvar="DATABASE_URL", help="The store.")],
    broker: Annotated[str, typer.Option(envvar="HESPER_BROKER", help="mqtt://host:port")],
    log: Annotated[LogStyle, typer.Option(help="How to write the log.")] = LogStyle.CONSOLE,
) -> None:
    """Take messages into the store until told to stop (SIGTERM, Ctrl-C). Any number may run side by side."""
    configure_logging(log)
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda _number, _frame: stop.set())
    try:
        address = broker_address(broker)
    except SettingsError as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(2) from None
    check_login(database_url, Role.INGEST)
    Ingester(database_url, address).run(stop)
