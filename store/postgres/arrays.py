"""PostgreSQL arrays straight from numpy buffers, and results straight into them.

A batch of 20,000 readings is four arrays; building them value by value in Python would cost more than the
insert. The binary form of an array of one dimension (`array_send` in PostgreSQL's arrayfuncs.c), all numbers
big-endian:

    int32 dimensions = 1 | int32 has nulls = 0 | oid of the element | int32 length | int32 lower bound = 1
    then for each element: int32 bytes | the element

An array without elements has 0 dimensions and ends after the oid. PostgreSQL counts an instant in
microseconds since 2000 (`timestamptz_send`); here it is microseconds since 1970-01-01T00:00:00Z everywhere.
"""

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import chain
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
from psycopg import Cursor
from psycopg.adapt import Buffer, Dumper, Loader
from psycopg.pq import Format

Instants = npt.NDArray[np.int64]  # microseconds since 1970-01-01T00:00:00Z

_YEAR_2000 = 946_684_800_000_000
_UNIX_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_HEADER = struct.Struct("!iiIii")
_SIZE = struct.Struct("!i")
_BYTEA = 17


@dataclass(frozen=True, slots=True)
class _Element:
    """The type of an array's elements. `offset` is added where PostgreSQL counts from elsewhere."""

    oid: int
    array_oid: int
    dtype: np.dtype[Any]
    offset: int = 0

    @property
    def layout(self) -> np.dtype[Any]:
        return np.dtype([("size", ">i4"), ("value", self.dtype.newbyteorder(">"))])


_SMALLINT = _Element(21, 1005, np.dtype(np.int16))
_INT = _Element(23, 1007, np.dtype(np.int32))
_BIGINT = _Element(20, 1016, np.dtype(np.int64))
_TIMESTAMPTZ = _Element(1184, 1185, np.dtype(np.int64), -_YEAR_2000)


@dataclass(frozen=True, slots=True)
class ArrayParameter:
    """A numpy array of one dimension as a parameter of a statement; a subclass for each element type."""

    array: npt.NDArray[Any]
    element: ClassVar[_Element]


class SmallintArray(ArrayParameter):
    """smallint[]"""

    element = _SMALLINT


class IntArray(ArrayParameter):
    """int[]"""

    element = _INT


class BigintArray(ArrayParameter):
    """bigint[]"""

    element = _BIGINT


class TimestamptzArray(ArrayParameter):
    """timestamptz[] of microseconds since 1970."""

    element = _TIMESTAMPTZ


@dataclass(frozen=True, slots=True)
class ByteaArray:
    """bytea[] of a sequence of bytes."""

    items: Sequence[bytes]


def adapt(cursor: Cursor[Any]) -> Cursor[Any]:
    """The cursor, taught to send the parameters above and to fetch such columns as numpy arrays."""
    for parameter, dumper in _DUMPERS.items():
        cursor.adapters.register_dumper(parameter, dumper)
    cursor.adapters.register_dumper(ByteaArray, _ByteaDumper)
    for oid, loader in _LOADERS.items():
        cursor.adapters.register_loader(oid, loader)
    cursor.format = Format.BINARY
    return cursor


def microseconds(instant: datetime) -> int:
    """Microseconds since 1970 of an aware instant, exact."""
    return (instant - _UNIX_EPOCH) // timedelta(microseconds=1)


def from_microseconds(count: int) -> datetime:
    """The aware UTC instant."""
    return _UNIX_EPOCH + timedelta(microseconds=int(count))


def encode(array: npt.NDArray[Any], element: _Element) -> bytes:
    """The binary form of an array of one dimension. Raises OverflowError where a value does not fit."""
    if not np.can_cast(array.dtype, element.dtype):
        limits = np.iinfo(element.dtype)
        if len(array) and (array.min() < limits.min or array.max() > limits.max):
            raise OverflowError(f"a value does not fit {element.dtype}")
    if not len(array):
        return struct.pack("!iiI", 0, 0, element.oid)
    body = np.empty(len(array), element.layout)
    body["size"] = element.dtype.itemsize
    body["value"] = array + element.offset if element.offset else array
    return _HEADER.pack(1, 0, element.oid, len(array), 1) + body.tobytes()


def decode(data: Buffer, element: _Element) -> npt.NDArray[Any]:
    """The array in `data`, in the machine's byte order. Raises ValueError for one that holds nulls."""
    dimensions, nulls = struct.unpack_from("!ii", data)
    if not dimensions:
        return np.empty(0, element.dtype)
    if nulls:
        raise ValueError("an array with nulls has no numpy form")
    body = np.frombuffer(data, element.layout, offset=_HEADER.size)
    values = body["value"].astype(element.dtype)
    return values - element.offset if element.offset else values


def encode_bytes(items: Sequence[bytes]) -> bytes:
    """The binary form of a bytea[]."""
    if not items:
        return struct.pack("!iiI", 0, 0, _BYTEA)
    sizes = map(_SIZE.pack, map(len, items))
    header = _HEADER.pack(1, 0, _BYTEA, len(items), 1)
    return header + b"".join(chain.from_iterable(zip(sizes, items, strict=True)))


class _ByteaDumper(Dumper):
    format = Format.BINARY
    oid = 1001

    def dump(self, obj: ByteaArray) -> Buffer:
        return encode_bytes(obj.items)


def _dumper(element_type: _Element) -> type[Dumper]:
    class ArrayDumper(Dumper):
        format = Format.BINARY
        oid = element_type.array_oid

        def dump(self, obj: ArrayParameter) -> Buffer:
            return encode(obj.array, element_type)

    return ArrayDumper


def _loader(element_type: _Element) -> type[Loader]:
    class ArrayLoader(Loader):
        format = Format.BINARY

        def load(self, data: Buffer) -> npt.NDArray[Any]:
            return decode(data, element_type)

    return ArrayLoader


_PARAMETERS: tuple[type[ArrayParameter], ...] = (SmallintArray, IntArray, BigintArray, TimestamptzArray)
_DUMPERS = {parameter: _dumper(parameter.element) for parameter in _PARAMETERS}
_LOADERS = {parameter.element.array_oid: _loader(parameter.element) for parameter in _PARAMETERS}
