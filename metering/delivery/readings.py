"""Readings as Parquet: blocks of numpy columns into row groups, values as exact decimals.

Needs pyarrow, which the extra `parquet` brings.
"""

from collections.abc import Iterable, Iterator, Mapping

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from metering.delivery.pieces import Pieces
from store.readings.export import Block, Register

_INSTANT = pa.timestamp("us", tz="UTC")
_VALUE = pa.decimal128(18, 6)
SCHEMA = pa.schema(
    [
        ("meter", pa.dictionary(pa.int32(), pa.string())),
        ("obis", pa.dictionary(pa.int32(), pa.string())),
        ("measured_at", _INSTANT),
        ("value", _VALUE),
        ("unit", pa.dictionary(pa.int32(), pa.string())),
        ("status", pa.int16()),
        ("received_at", _INSTANT),
    ]
)


def pieces(blocks: Iterable[Block], registers: Mapping[int, Register]) -> Iterator[bytes]:
    """The file, a block in each piece."""
    out = Pieces()
    with pq.ParquetWriter(out, SCHEMA, compression="zstd") as writer:
        for block in blocks:
            writer.write_table(_table(block, registers))
            yield out.take()
    yield out.take()


def _table(block: Block, registers: Mapping[int, Register]) -> pa.Table:
    ids, places = np.unique(block.register_ids, return_inverse=True)
    named = [registers[number] for number in ids.tolist()]
    columns = [
        _names([each.meter for each in named], places),
        _names([each.obis for each in named], places),
        pa.array(block.measured_at, _INSTANT),
        _decimals(block.values),
        _names([each.unit for each in named], places),
        pa.array(block.status),
        pa.array(block.received_at, _INSTANT),
    ]
    return pa.table(columns, schema=SCHEMA)


def _names(names: list[str], places: npt.NDArray[np.int64]) -> pa.DictionaryArray:
    distinct = sorted(set(names))
    position = {name: place for place, name in enumerate(distinct)}
    of_register = np.array([position[name] for name in names], np.int32)
    return pa.DictionaryArray.from_arrays(pa.array(of_register[places]), pa.array(distinct, pa.string()))


def _decimals(micro: npt.NDArray[np.int64]) -> pa.Array:
    """Micro-units as decimals of six places: the same integers, widened to 128 bits with their sign."""
    wide = np.empty((len(micro), 2), "<i8")
    wide[:, 0] = micro
    wide[:, 1] = micro >> 63
    return pa.Array.from_buffers(_VALUE, len(micro), [None, pa.py_buffer(wide.tobytes())])
