"""`hesper export`: readings of a range as a file."""

import sys
from collections.abc import Iterator
from contextlib import nullcontext
from datetime import datetime
from itertools import chain
from pathlib import Path
from typing import Annotated, Any, NoReturn
from zoneinfo import ZoneInfo

import typer
from psycopg import Connection

from hesper.commands.delivery.shared import CountingIterator, install_advice
from hesper.commands.store_url import DatabaseUrl, DataFolder, session
from metering.delivery.formats import FORMATS, READINGS_WRITERS
from store.audit import note
from store.readings.export import Range, blocks, registers


def export(  # noqa: PLR0917 - typer passes them by name
    utility: Annotated[str, typer.Option(help="Code of the utility.")],
    start: Annotated[
        str, typer.Option("--from", help="First instant, ISO 8601; without an offset in the utility's zone.")
    ],
    end: Annotated[str, typer.Option("--to", help="End of the range, not included.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="File to write; - for stdout.")] = Path("-"),
    format_: Annotated[
        str | None,
        typer.Option(
            "--format", help=f"{', '.join(READINGS_WRITERS)}; default: as the file's name ends, else csv."
        ),
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
    by_name = {FORMATS[name].extension: name for name in READINGS_WRITERS}
    chosen = format_ or by_name.get(output.suffix.removeprefix("."), "csv")
    if chosen not in READINGS_WRITERS:
        _fail(f"there is no format {chosen} of readings; formats: {', '.join(READINGS_WRITERS)}")
    if FORMATS[chosen].binary and str(output) == "-":
        _fail(f"{FORMATS[chosen].title} needs a file: name one with --output")
    try:
        with session(database_url, data, application="hesper export") as connection:
            utility_id, zone = _utility(connection, utility)
            wanted = Range(utility, _instant(start, zone), _instant(end, zone), meter or None)
            _log(connection, utility_id, wanted, chosen)
            columns = CountingIterator(blocks(connection, wanted), len)
            _write(READINGS_WRITERS[chosen](columns, registers(connection, wanted)), output)
            if str(output) != "-":
                typer.echo(f"{columns.count} readings in {output}", err=True)
    except ModuleNotFoundError as error:
        _fail(f"{error}\n{install_advice(FORMATS[chosen])}")
    except OSError as error:
        _fail(f"{output}: {error.strerror or error}")


def _write(pieces: Iterator[bytes], output: Path) -> None:
    """The pieces to the file, which is not touched before the first of them is there."""
    first = next(pieces)
    with nullcontext(sys.stdout.buffer) if str(output) == "-" else output.open("wb") as file:
        for piece in chain([first], pieces):
            file.write(piece)
        file.flush()


def _utility(connection: Connection[Any], code: str) -> tuple[int, ZoneInfo]:
    row = connection.execute("select id, time_zone from utilities where code = %s", (code,)).fetchone()
    if row is None:
        _fail(f"no utility has the code {code!r}")
    return row[0], ZoneInfo(row[1])


def _log(connection: Connection[Any], utility_id: int, wanted: Range, format_: str) -> None:
    """Readings are personal: who takes them out is in the audit log before the first one leaves."""
    note(
        connection,
        "exported",
        "readings",
        utility_id=utility_id,
        format=format_,
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
