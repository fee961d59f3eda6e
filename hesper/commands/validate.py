"""`hesper validate run`."""

import signal
import threading
from typing import Annotated

import typer

from hesper.commands.store_url import check_login
from ingest.validation import main
from store.roles import Role

app = typer.Typer(no_args_is_help=True)


@app.callback()
def _group() -> None:
    """The process that judges what was stored."""


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
