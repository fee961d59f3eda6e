"""CSV: RFC 4180 as it stands, or with semicolons and decimal commas, as half of Europe's programs expect it.

The first line names the columns; the text is UTF-8, values are exact decimals in the register's unit. Lines
of billing readings end with CR LF, and their instants are local times of the utility with their offset from
UTC; lines of stored readings end with LF, as those of PostgreSQL do, and their instants are UTC.
"""

import csv
import io
from collections.abc import Iterable, Iterator, Mapping
from functools import partial

import numpy as np
import numpy.typing as npt

from metering.billing.canonical_hash import decimal, instant, local
from metering.delivery.format import Format
from metering.delivery.outgoing import Issue, OutgoingReading, ReadingColumns, RegisterLabel
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
    issue: Issue, readings: Iterable[OutgoingReading], *, delimiter: str = ",", decimal_mark: str = "."
) -> Iterator[bytes]:
    """A few kilobytes in each piece."""
    text = io.StringIO(newline="")
    lines = csv.writer(text, delimiter=delimiter, lineterminator="\r\n")
    lines.writerow(BILLING_COLUMNS)
    for row in readings:
        lines.writerow(_fields(issue.utility, row, decimal_mark))
        if text.tell() >= _AT_ONCE:
            yield text.getvalue().encode()
            text.seek(0)
            text.truncate()
    yield text.getvalue().encode()


def _fields(utility: str, row: OutgoingReading, decimal_mark: str) -> tuple[object, ...]:
    start, end, used, true_up = (
        "" if value is None else decimal(value).replace(".", decimal_mark)
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
    dialects={"rfc4180": _billing, "de": partial(_billing, delimiter=";", decimal_mark=",")},
)
