"""Parquet: values as decimal128(19, 6), which holds every micro-unit; instants in UTC, to the microsecond.

Needs pyarrow, which the extra `parquet` brings. Its releases may differ in the bytes that they write.
"""

from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Any

from metering.delivery.pieces import Pieces
from store.delivery.outgoing import Issue, OutgoingReading
from telemetry.micro import from_micro

_ROWS_PER_GROUP = 20_000


def pieces(issue: Issue, readings: Iterable[OutgoingReading]) -> Iterator[bytes]:
    """The file, a row group in each piece. Raises ModuleNotFoundError without pyarrow."""
    import pyarrow as pa  # noqa: PLC0415 - an extra: the other formats do without
    import pyarrow.parquet as pq  # noqa: PLC0415

    value, at = pa.decimal128(19, 6), pa.timestamp("us", "UTC")
    schema = pa.schema(
        [
            ("utility", pa.string()),
            ("period", pa.string()),
            ("service_point", pa.string()),
            ("account", pa.string()),
            ("meters", pa.list_(pa.string())),
            ("obis", pa.string()),
            ("unit", pa.string()),
            ("version", pa.int32()),
            ("starts_at", at),
            ("ends_at", at),
            ("start_offset_minutes", pa.int16()),
            ("end_offset_minutes", pa.int16()),
            ("start_value", value),
            ("end_value", value),
            ("consumption", value),
            ("true_up", value),
            ("quality", pa.int16()),
            ("start_method", pa.string()),
            ("end_method", pa.string()),
            ("content_hash", pa.string()),
            ("cursor", pa.int64()),
            ("created_at", at),
        ]
    )
    out = Pieces()
    with pq.ParquetWriter(out, schema, compression="zstd") as file:
        rest = iter(readings)
        while rows := list(islice(rest, _ROWS_PER_GROUP)):
            file.write_table(pa.Table.from_pylist([_record(issue.utility, row) for row in rows], schema))
            yield out.take()
    yield out.take()


def _record(utility: str, row: OutgoingReading) -> dict[str, Any]:
    return {
        "utility": utility,
        "period": row.period,
        "service_point": row.service_point,
        "account": row.account,
        "meters": row.meters,
        "obis": row.obis,
        "unit": row.unit,
        "version": row.version,
        "starts_at": row.starts_at,
        "ends_at": row.ends_at,
        "start_offset_minutes": round(row.start_offset.total_seconds() / 60),
        "end_offset_minutes": round(row.end_offset.total_seconds() / 60),
        "start_value": from_micro(row.start_value),
        "end_value": from_micro(row.end_value),
        "consumption": from_micro(row.consumption),
        "true_up": None if row.true_up is None else from_micro(row.true_up),
        "quality": row.quality,
        "start_method": row.start_method,
        "end_method": row.end_method,
        "content_hash": row.content_hash.hex(),
        "cursor": row.cursor,
        "created_at": row.created_at,
    }
