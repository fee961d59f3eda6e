"""`hesper ingest run`."""

import re
import socket
from typing import Annotated

import structlog
import typer

from hesper.clock import process_clock
from hesper.commands.store_url import check_login
from hesper.logs import LogStyle, configure_logging
from hesper.settings import UnusableSettingError, broker_address
from hesper.stop import until_told
from ingest.endpoint import Endpoint
from ingest.ingester import INBOX_BYTES, PATIENCE, ROWS, Ingester, Pace
from ingest.mqtt.subscriber import RECEIVE_MAXIMUM, SESSION_EXPIRY, Connection
from store.postgres.roles import Role

log = structlog.get_logger(__name__)
app = typer.Typer(no_args_is_help=True)
METRICS_PORT = 9480
_LONGEST_TURN = 120.0  # s, of the thread that gathers: it waits for nothing for long
_NAME = re.compile(r"[A-Za-z0-9._-]{1,64}")


@app.command()
def run(
    *,
    database_url: Annotated[str, typer.Option(envvar="DATABASE_URL", help="The store.")],
    broker: Annotated[str, typer.Option(envvar="HESPER_BROKER", help="mqtt://host:port")],
    name: Annotated[
        str | None,
        typer.Option(
            envvar="HESPER_INGESTER",
            help="Of this ingester, no other, and the same after a restart; default: this machine's name.",
        ),
    ] = None,
    receive_maximum: Annotated[
        int, typer.Option(min=4, max=65_535, help="Messages that the broker sends before we acknowledge.")
    ] = RECEIVE_MAXIMUM,
    session_expiry: Annotated[
        int,
        typer.Option(min=0, help="Seconds for which the broker keeps what is ours; 0 with the embedded one."),
    ] = SESSION_EXPIRY,
    inbox_bytes: Annotated[
        int, typer.Option(min=1_000_000, help="Bytes of messages that wait in memory at the most.")
    ] = INBOX_BYTES,
    rows: Annotated[int, typer.Option(min=1, help="Readings that are committed together.")] = ROWS,
    patience: Annotated[float, typer.Option(min=0, help="Seconds that they are waited for.")] = PATIENCE,
    metrics_host: Annotated[str, typer.Option(help="Where /metrics and /health listen.")] = "127.0.0.1",
    metrics_port: Annotated[
        int, typer.Option(envvar="HESPER_METRICS_PORT", help="Their port; the default, if taken, gives way.")
    ] = METRICS_PORT,
    log_style: Annotated[LogStyle, typer.Option("--log", help="How to write the log.")] = LogStyle.CONSOLE,
) -> None:
    """Take messages into the store until told to stop (SIGTERM, Ctrl-C). Any number may run side by side.

    Each needs a name of its own: the broker keeps what was not acknowledged for the one of that name. The
    embedded broker is not up to that, and needs --session-expiry 0.
    """
    configure_logging(log_style)
    stop = until_told(longest_turn=_LONGEST_TURN)
    try:
        host, port = broker_address(broker)
        connection = Connection(host, port, _checked(name), receive_maximum, session_expiry)
    except UnusableSettingError as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(2) from None
    check_login(database_url, Role.INGEST)
    pace = Pace(rows, patience)
    ingester = Ingester(database_url, connection, pace=pace, inbox_bytes=inbox_bytes, clock=process_clock())
    try:
        endpoint = _endpoint(metrics_host, metrics_port, ingester)
    except OSError as error:
        typer.echo(f"no metrics on {metrics_host}:{metrics_port}: {error.strerror}", err=True)
        raise typer.Exit(2) from None
    with endpoint:
        ingester.run(stop)


def _endpoint(host: str, port: int, ingester: Ingester) -> Endpoint:
    """On that port; the default gives way to a free one, since several ingesters may share a machine."""
    try:
        return Endpoint(host, port, ingester.answers)
    except OSError:
        if port != METRICS_PORT:
            raise
        endpoint = Endpoint(host, 0, ingester.answers)
        log.info("the default port for metrics is taken", host=host, port=endpoint.port)
        return endpoint


def _checked(name: str | None) -> str:
    """The name, or this machine's. Raises UnusableSettingError."""
    if name is None:
        return re.sub(r"[^A-Za-z0-9._-]", "-", socket.gethostname())[:64] or "1"
    if not _NAME.fullmatch(name):
        raise UnusableSettingError(
            f"{name!r} cannot name an ingester: 1 to 64 letters, digits, '.', '_' or '-'"
        )
    return name
