"""CSV: RFC 4180 as it stands, or with semicolons and decimal commas, as half of Europe's programs expect it.

The first line names the columns. Every line ends with CR LF; the text is UTF-8. Instants are local times of
the utility with their offset from UTC, values exact decimals in the register's unit.
"""

import csv
import io
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from metering.billing.canonical_hash import decimal, instant, local
from store.delivery.outgoing import Issue, OutgoingReading
from telemetry.quality import Quality

_AT_ONCE = 8 * 1024  # characters of a piece

COLUMNS = (
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


@dataclass(frozen=True, slots=True)
class Dialect:
    """What separates fields, and whole from fraction."""

    delimiter: str
    decimal_mark: str


DIALECTS = {"rfc4180": Dialect(",", "."), "de": Dialect(";", ",")}


def pieces(issue: Issue, readings: Iterable[OutgoingReading], dialect: Dialect) -> Iterator[bytes]:
    """The file, piece by piece."""
    text = io.StringIO(newline="")
    lines = csv.writer(text, delimiter=dialect.delimiter, lineterminator="\r\n")
    lines.writerow(COLUMNS)
    for row in readings:
        lines.writerow(_fields(issue.utility, row, dialect))
        if text.tell() >= _AT_ONCE:
            yield text.getvalue().encode()
            text.seek(0)
            text.truncate()
    yield text.getvalue().encode()


def _fields(utility: str, row: OutgoingReading, dialect: Dialect) -> tuple[object, ...]:
    start, end, used, true_up = (
        "" if value is None else decimal(value).replace(".", dialect.decimal_mark)
        for value in (row.start_value, row.end_value, row.consumption, row.true_up)
    )
    return (
        utility,
        row.period,
        row.service_point,
        row.account,
        " ".join(row.meters),
        row.obis,
        row.unit,
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
        row.cursor,
        instant(row.created_at),
    )
