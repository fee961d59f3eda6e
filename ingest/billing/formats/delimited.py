"""CSV: RFC 4180 as it stands, or with semicolons and decimal commas, as half of Europe's programs expect it.

The first line names the columns. Every line ends with CR LF; the text is UTF-8. Instants are local times of
the utility with their offset from UTC, values exact decimals in the register's unit.
"""

import csv
import io
from collections.abc import Iterable
from dataclasses import dataclass
from typing import BinaryIO

from ingest.billing.delivery.document import local
from store.content import decimal, instant
from store.outgoing import Issue, OutgoingReading
from telemetry.quality import Quality

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


def write(issue: Issue, readings: Iterable[OutgoingReading], out: BinaryIO, dialect: Dialect) -> int:
    """Write the file; how many readings it holds. `out` stays open."""
    text = io.TextIOWrapper(out, "utf-8", newline="", write_through=True)
    lines = csv.writer(text, delimiter=dialect.delimiter, lineterminator="\r\n")
    lines.writerow(COLUMNS)
    count = 0
    for count, row in enumerate(readings, 1):  # noqa: B007 - the last number is how many there were
        lines.writerow(_fields(issue.utility, row, dialect))
    text.detach()
    return count


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
