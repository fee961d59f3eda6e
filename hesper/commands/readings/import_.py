"""`hesper import`: history from a CSV file into the store."""

import json
import logging
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Annotated, NoReturn
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import typer
from rich.console import Console

from hesper.central import BusyError, Central, CentralProcess, running
from hesper.commands.store_url import DatabaseUrl, DataFolder
from hesper.importer.columns import EXAMPLE, ColumnMapError, parse_column_map
from hesper.importer.report import as_json, progress_bar, summary
from hesper.importer.session import GATEWAY, Destination, ImportSessionError, publish, register
from hesper.importer.table import FileError, Table
from hesper.logs import LogStyle, configure_logging
from hesper.settings import Settings, UnusableSettingError, broker_address
from hesper.supervise import StartError
from store.postgres.database import StoreError
from telemetry.meter_id import MeterIdError, meter_id
from telemetry.obis import Medium
from telemetry.topics import TopicError, check_segment

_MEDIA = {medium.name.lower(): medium for medium in Medium}
_UNUSABLE = (
    BusyError,
    ColumnMapError,
    ImportSessionError,
    FileError,
    MeterIdError,
    UnusableSettingError,
    StartError,
    StoreError,
    TopicError,
    typer.BadParameter,
)


def import_(  # noqa: PLR0917 - typer passes them by name
    file: Annotated[Path, typer.Argument(help="CSV with a header line, plain or gzip.")],
    utility: Annotated[str, typer.Option(help="Code of the utility; made, with --tz as its zone, if new.")],
    column_map: Annotated[
        list[str],
        typer.Option(help=f"What the columns mean, such as {EXAMPLE}; comma-separated, or given repeatedly."),
    ],
    tz: Annotated[str, typer.Option(help="Zone of times without an offset, such as Europe/Madrid.")],
    manufacturer: Annotated[
        str, typer.Option(help="Put before meter names that are not meter ids: FLAG code of three letters.")
    ] = "IMP",
    medium: Annotated[
        str | None, typer.Option(help=f"Of new meters, if not clear from OBIS: {', '.join(_MEDIA)}.")
    ] = None,
    delimiter: Annotated[str, typer.Option(help="Between columns; 'tab' for a tabulator.")] = ",",
    time_format: Annotated[
        str | None, typer.Option(help="Such as '%d/%m/%Y %H:%M', if times are not ISO 8601.")
    ] = None,
    gateway: Annotated[str, typer.Option(help="Code under which the readings are published.")] = GATEWAY,
    data: DataFolder = None,
    database_url: DatabaseUrl = None,
    broker: Annotated[str | None, typer.Option(help="mqtt://host:port; default HESPER_BROKER.")] = None,
    json_output: Annotated[bool, typer.Option("--json", help="The summary as JSON on stdout.")] = False,
) -> None:
    """Bring history from a CSV file into the store, by the way that gateways' readings take.

    The column map names the columns of the meter (`meter=`), of the instant (`at=`), and of each register by
    its OBIS code; `:L` says that a column is in litres where the register's usual unit is m3 (UCUM codes).
    Rows of a meter stand in the order in which they were taken: that tells the two passes of the hour that
    occurs twice in autumn apart.

        hesper import readings.csv.gz --utility daiad --tz Europe/Madrid \\
            --column-map meter=meter,at=local_time,8-0:1.0.0=litres:L

    Meters that are not registered are, each with a service point of the same code. Importing a file again
    stores nothing twice. Readings go to the store and broker named by options or environment, else to the
    `hesper serve` or `demo` that runs on the data folder, else an embedded system is run meanwhile.

    Exit code: 0 if every row is in the store, 1 if some are not (the summary says which), 2 if it had to end.
    """
    configure_logging(LogStyle.CONSOLE, logging.WARNING)
    console = Console(stderr=True)
    try:
        columns = parse_column_map(column_map)
        meter_id(manufacturer, "0")
        table = Table(file, columns, _zone(tz), manufacturer.upper(), _delimiter(delimiter), time_format)
        media = _medium(medium)
        for segment in (utility, gateway):
            check_segment(segment)
        survey = table.survey()
        with _central(data, database_url, broker, console) as (url, (host, port)):
            destination = Destination(url, host, port, utility, gateway)
            new_meters = register(table, survey, destination, media)
            with progress_bar(survey.rows, console) as progress:
                tally = publish(table, survey, destination, progress)
    except OSError as error:
        _fail(console, f"{file}: {error.strerror or error}")
    except _UNUSABLE as error:
        _fail(console, str(error))
    if json_output:
        typer.echo(json.dumps(as_json(tally, len(survey.meters), new_meters), indent=2))
    else:
        Console().print(summary(tally, len(survey.meters), new_meters))
    raise typer.Exit(0 if tally.complete else 1)


@contextmanager
def _central(
    data: Path | None, database_url: str | None, broker: str | None, console: Console
) -> Iterator[tuple[str, tuple[str, int]]]:
    """(database URL, broker) of what is named or runs already, else of what runs as long as this import."""
    settings = Settings()
    folder = data or settings.data
    database_url, broker = database_url or settings.database_url, broker or settings.broker
    if database_url and broker:
        yield database_url, broker_address(broker)
        return
    found = running(folder)
    if found is not None:
        yield found.database_url, (found.broker_host, found.broker_port)
        return
    roles = (CentralProcess.DATABASE, CentralProcess.BROKER, CentralProcess.INGEST)
    with ExitStack() as stack:
        with console.status("starting database, broker, ingester"):
            central = stack.enter_context(
                Central(folder, roles=roles, database_url=database_url, broker=broker)
            )
        yield central.database_url, (central.broker_host, central.broker_port)


def _zone(name: str) -> ZoneInfo:
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise typer.BadParameter(
            f"unknown time zone {name!r}; use an IANA name such as Europe/Madrid"
        ) from None


def _medium(name: str | None) -> Medium | None:
    if name is None:
        return None
    try:
        return _MEDIA[name.lower()]
    except KeyError:
        raise typer.BadParameter(f"unknown medium {name!r}; use one of: {', '.join(_MEDIA)}") from None


def _delimiter(text: str) -> str:
    delimiter = "\t" if text == "tab" else text
    if len(delimiter) != 1 or delimiter in '"\r\n':
        raise typer.BadParameter(f"{text!r} is not a delimiter: name one character, or 'tab'")
    return delimiter


def _fail(console: Console, text: str) -> NoReturn:
    console.print(text, style="red", markup=False, highlight=False, soft_wrap=True)
    raise typer.Exit(2)
