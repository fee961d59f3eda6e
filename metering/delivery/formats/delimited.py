"""CSV: RFC 4180 as it stands for programs; for spreadsheets with commas, or semicolons and decimal commas.

The first line names the columns; the text is UTF-8, values are exact decimals in the register's unit. Lines
of billing readings end with CR LF, and their instants are local times of the utility with their offset from
UTC; lines of stored readings end with LF, as those of PostgreSQL do, and their instants are UTC.
"""

import csv
import io
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial

import numpy as np
import numpy.typing as npt

from metering.billing.canonical_hash import decimal, instant, local
from metering.delivery.format import Format
from metering.delivery.outgoing import Issue, OutgoingReading, ReadingColumns, RegisterLabel
from metering.spreadsheet import text_cell
from telemetry.quality import Quality

_AT_ONCE = 8 * 1024  # characters of a piece of billing readings
_READINGS_AT_ONCE = 2_000

BILLING_COLUMNS = (
    "utility",
    "period",
    "service_point",
    "account",
    "meters",
    "obis",
    "unit",
    "version",
    "starts_at",
    "ends_at",
    "start_value",
    "end_value",
    "consumption",
    "true_up",
    "quality",
    "quality_label",
    "start_method",
    "end_method",
    "content_hash",
    "cursor",
    "created_at",
)


READING_COLUMNS = ("meter", "obis", "measured_at", "value", "unit", "status", "received_at")


def _billing(
    issue: Issue,
    readings: Iterable[OutgoingReading],
    *,
    delimiter: str = ",",
    decimal_mark: str = ".",
    text: Callable[[str], str] = str,
) -> Iterator[bytes]:
    """A few kilobytes in each piece. `text` makes a cell of what people have named."""
    piece = io.StringIO(newline="")
    lines = csv.writer(piece, delimiter=delimiter, lineterminator="\r\n")
    lines.writerow(BILLING_COLUMNS)
    for row in readings:
        lines.writerow(_fields(issue.utility, row, decimal_mark, text))
        if piece.tell() >= _AT_ONCE:
            yield piece.getvalue().encode()
            piece.seek(0)
            piece.truncate()
    yield piece.getvalue().encode()


def _fields(
    utility: str, row: OutgoingReading, decimal_mark: str, text: Callable[[str], str]
) -> tuple[object, ...]:
    start, end, used, true_up = (
        "" if value is None else decimal(value).replace(".", decimal_mark)
        for value in (row.start_value, row.end_value, row.consumption, row.true_up)
    )
    return (
        text(utility),
        row.period,
        text(row.service_point),
        text(row.account),
        text(" ".join(row.meters)),
        row.obis,
        text(row.unit),
        row.version,
        local(row.starts_at, row.start_offset),
        local(row.ends_at, row.end_offset),
        start,
        end,
        used,
        true_up,
        row.quality,
        Quality(row.quality).label,
        row.start_method,
        row.end_method,
        row.content_hash.hex(),
        row.id,
        instant(row.created_at),
    )


def _readings(columns: Iterable[ReadingColumns], registers: Mapping[int, RegisterLabel]) -> Iterator[bytes]:
    """Some thousand readings in each piece."""
    yield f"{','.join(READING_COLUMNS)}\n".encode()
    for block in columns:
        for start in range(0, len(block), _READINGS_AT_ONCE):
            part = slice(start, start + _READINGS_AT_ONCE)
            text = io.StringIO(newline="")
            csv.writer(text, lineterminator="\n").writerows(
                (label.meter, label.obis, measured_at, decimal(value), label.unit, status, received_at)
                for label, measured_at, value, status, received_at in zip(
                    (registers[number] for number in block.register_ids[part].tolist()),
                    _utc(block.measured_at[part]),
                    block.values[part].tolist(),
                    block.status[part].tolist(),
                    _utc(block.received_at[part]),
                    strict=True,
                )
            )
            yield text.getvalue().encode()


def _utc(microseconds: npt.NDArray[np.int64]) -> list[str]:
    texts: list[str] = np.datetime_as_string(microseconds.view("M8[us]"), timezone="UTC").tolist()
    return texts


FORMAT = Format(
    "csv",
    "CSV",
    extension="csv",
    media_type="text/csv",
    billing=_billing,
    readings=_readings,
    dialects={
        "rfc4180": _billing,
        "spreadsheet": partial(_billing, text=text_cell),
        "de": partial(_billing, delimiter=";", decimal_mark=",", text=text_cell),
    },
)
