"""Parquet: values as exact decimals, which hold every micro-unit, and instants in UTC to the microsecond.

Needs pyarrow, which the extra `parquet` brings, and imports it only to write. Its releases may differ in the
bytes that they write.
"""

import io
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import fields
from itertools import islice
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from metering.delivery.format import Format
from metering.delivery.outgoing import Issue, OutgoingReading, ReadingColumns, RegisterLabel
from telemetry.micro import from_micro

if TYPE_CHECKING:
    import pyarrow as pa

_ROWS_PER_GROUP = 20_000
_VALUES = ("start_value", "end_value", "consumption", "true_up")


def _billing(issue: Issue, readings: Iterable[OutgoingReading]) -> Iterator[bytes]:
    """A row group in each piece. Raises ModuleNotFoundError without pyarrow."""
    import pyarrow as pa

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
    rest = iter(readings)
    groups = iter(lambda: [_record(issue.utility, row) for row in islice(rest, _ROWS_PER_GROUP)], [])
    return _file(schema, (pa.Table.from_pylist(group, schema) for group in groups))


def _record(utility: str, row: OutgoingReading) -> dict[str, Any]:
    """A billing reading by the names of the schema."""
    values = {name: getattr(row, name) for name in _VALUES}
    return {
        **{each.name: getattr(row, each.name) for each in fields(row)},
        **{name: None if value is None else from_micro(value) for name, value in values.items()},
        "utility": utility,
        "start_offset_minutes": round(row.start_offset.total_seconds() / 60),
        "end_offset_minutes": round(row.end_offset.total_seconds() / 60),
        "content_hash": row.content_hash.hex(),
        "cursor": row.id,
    }


def _readings(columns: Iterable[ReadingColumns], registers: Mapping[int, RegisterLabel]) -> Iterator[bytes]:
    """A block of the columns in each piece. Raises ModuleNotFoundError without pyarrow."""
    import pyarrow as pa

    at, name = pa.timestamp("us", tz="UTC"), pa.dictionary(pa.int32(), pa.string())
    schema = pa.schema(
        [
            ("meter", name),
            ("obis", name),
            ("measured_at", at),
            ("value", pa.decimal128(18, 6)),
            ("unit", name),
            ("status", pa.int16()),
            ("received_at", at),
        ]
    )

    def table(block: ReadingColumns) -> "pa.Table":
        ids, places = np.unique(block.register_ids, return_inverse=True)
        labels = [registers[number] for number in ids.tolist()]
        arrays = [
            _names([label.meter for label in labels], places),
            _names([label.obis for label in labels], places),
            pa.array(block.measured_at, at),
            _decimals(block.values),
            _names([label.unit for label in labels], places),
            pa.array(block.status),
            pa.array(block.received_at, at),
        ]
        return pa.table(arrays, schema=schema)

    return _file(schema, map(table, columns))


def _names(names: list[str], places: npt.NDArray[np.int64]) -> "pa.DictionaryArray":
    import pyarrow as pa

    distinct = sorted(set(names))
    position = {name: place for place, name in enumerate(distinct)}
    of_register = np.array([position[name] for name in names], np.int32)
    return pa.DictionaryArray.from_arrays(pa.array(of_register[places]), pa.array(distinct, pa.string()))


def _decimals(micro: npt.NDArray[np.int64]) -> "pa.Array":
    """Micro-units as decimals of six places: the same integers, widened to 128 bits with their sign."""
    import pyarrow as pa

    wide = np.empty((len(micro), 2), "<i8")
    wide[:, 0] = micro
    wide[:, 1] = micro >> 63
    return pa.Array.from_buffers(pa.decimal128(18, 6), len(micro), [None, pa.py_buffer(wide.tobytes())])


def _file(schema: "pa.Schema", tables: Iterable["pa.Table"]) -> Iterator[bytes]:
    import pyarrow.parquet as pq

    out = io.BytesIO()

    def written() -> bytes:
        piece = out.getvalue()
        out.seek(0)
        out.truncate()
        return piece

    with pq.ParquetWriter(out, schema, compression="zstd") as writer:
        for table in tables:
            writer.write_table(table)
            yield written()
    yield written()


FORMAT = Format(
    "parquet",
    "Parquet",
    extension="parquet",
    media_type="application/vnd.apache.parquet",
    billing=_billing,
    readings=_readings,
    extra="parquet",
    binary=True,
)
