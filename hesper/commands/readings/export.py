"""`hesper export`: readings of a range as CSV or Parquet."""

import getpass
import sys
from collections.abc import Iterator
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, NoReturn
from zoneinfo import ZoneInfo

import typer
from psycopg import Connection

from hesper.commands.store_url import DatabaseUrl, DataFolder, store_url
from store.audit import note, sign_as
from store.postgres.database import StoreError, connect
from store.postgres.roles import Role
from store.readings.export import Block, Range, blocks, csv, registers


class Format(StrEnum):
    """Of an exported file."""

    CSV = "csv"
    PARQUET = "parquet"


def export(  # noqa: PLR0917 - typer passes them by name
    utility: Annotated[str, typer.Option(help="Whose readings.")],
    start: Annotated[
        str, typer.Option("--from", help="First instant, ISO 8601; without an offset in the utility's zone.")
    ],
    end: Annotated[str, typer.Option("--to", help="First instant that is not meant any more.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="File to write; - for stdout.")] = Path("-"),
    format_: Annotated[
        Format | None, typer.Option("--format", help="Default: as the file's name ends, else csv.")
    ] = None,
    meter: Annotated[list[str] | None, typer.Option(help="Only this meter; may be given repeatedly.")] = None,
    database_url: DatabaseUrl = None,
    data: DataFolder = None,
) -> None:
    """Write the readings of a range as they are stored, ordered by register and instant.

    Columns: meter, obis, measured_at (UTC), value (a decimal in its unit), unit, status, received_at. It is
    streamed: the memory that it takes does not depend on the range. The audit log says who did.

        hesper export --utility town --from 2026-10-01 --to 2026-11-01 -o october.parquet

    Exit code: 0 when all is written, 1 when not.
    """
    chosen = format_ or (Format.PARQUET if output.suffix == ".parquet" else Format.CSV)
    if chosen is Format.PARQUET and str(output) == "-":
        _fail("Parquet needs a file: name one with --output")
    try:
        with (
            store_url(database_url, data) as url,
            connect(url, application="hesper export", role=Role.ADMIN) as connection,
        ):
            utility_id, zone = _utility(connection, utility)
            wanted = Range(utility, _instant(start, zone), _instant(end, zone), meter or None)
            _log(connection, utility_id, wanted, chosen)
            if chosen is Format.PARQUET:
                _write_parquet(connection, wanted, output)
            else:
                _write_csv(connection, wanted, output)
    except StoreError as error:
        _fail(f"{error}\n{error.advice}".rstrip())
    except OSError as error:
        _fail(f"{output}: {error.strerror or error}")


def _write_csv(connection: Connection[Any], wanted: Range, output: Path) -> None:
    if str(output) == "-":
        for piece in csv(connection, wanted):
            sys.stdout.buffer.write(piece)
        sys.stdout.buffer.flush()
        return
    with output.open("wb") as file:
        for piece in csv(connection, wanted):
            file.write(piece)


def _write_parquet(connection: Connection[Any], wanted: Range, output: Path) -> None:
    try:
        from metering.delivery.readings import pieces
    except ModuleNotFoundError as error:
        if error.name != "pyarrow":
            raise
        _fail('Parquet needs the Python package pyarrow: install "hesper[parquet]", or export as CSV')
    count = 0

    def counted() -> Iterator[Block]:
        nonlocal count
        for block in blocks(connection, wanted):
            count += len(block.values)
            yield block

    with output.open("wb") as file:
        for piece in pieces(counted(), registers(connection, wanted)):
            file.write(piece)
    typer.echo(f"{count} readings in {output}", err=True)


def _utility(connection: Connection[Any], code: str) -> tuple[int, ZoneInfo]:
    row = connection.execute("select id, time_zone from utilities where code = %s", (code,)).fetchone()
    if row is None:
        _fail(f"no utility has the code {code!r}")
    return row[0], ZoneInfo(row[1])


def _log(connection: Connection[Any], utility_id: int, wanted: Range, format_: Format) -> None:
    """Readings are personal: who takes them out is in the audit log before the first one leaves."""
    sign_as(connection, f"{getpass.getuser()} at the command line")
    note(
        connection,
        "exported",
        "readings",
        utility_id=utility_id,
        format=format_.value,
        start=wanted.start.isoformat(),
        end=wanted.end.isoformat(),
        meters=wanted.meters,
    )
    connection.commit()


def _instant(text: str, zone: ZoneInfo) -> datetime:
    try:
        instant = datetime.fromisoformat(text)
    except ValueError:
        _fail(f"{text!r} is not an instant such as 2026-10-01 or 2026-10-01T00:00:00Z")
    return instant if instant.tzinfo else instant.replace(tzinfo=zone)


def _fail(text: str) -> NoReturn:
    typer.echo(text, err=True)
    raise typer.Exit(1)
