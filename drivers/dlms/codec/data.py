"""COSEM data (IEC 62056-6-2, 4.1.5) in A-XDR: a tag, then the content; arrays and structures nest."""

import struct
from dataclasses import dataclass
from decimal import Decimal
from enum import IntEnum

import numpy as np

from drivers.errors import DecodeError

_DEEPEST = 12


class DataTag(IntEnum):
    """The types that meters send. Compact arrays and delta types are not among them."""

    NULL = 0
    ARRAY = 1
    STRUCTURE = 2
    BOOLEAN = 3
    BIT_STRING = 4
    DOUBLE_LONG = 5
    DOUBLE_LONG_UNSIGNED = 6
    OCTET_STRING = 9
    VISIBLE_STRING = 10
    UTF8_STRING = 12
    BCD = 13
    INTEGER = 15
    LONG = 16
    UNSIGNED = 17
    LONG_UNSIGNED = 18
    LONG64 = 20
    LONG64_UNSIGNED = 21
    ENUM = 22
    FLOAT32 = 23
    FLOAT64 = 24
    DATE_TIME = 25
    DATE = 26
    TIME = 27


_INTEGERS = {  # tag -> bytes, signed
    DataTag.DOUBLE_LONG: (4, True),
    DataTag.DOUBLE_LONG_UNSIGNED: (4, False),
    DataTag.BCD: (1, True),
    DataTag.INTEGER: (1, True),
    DataTag.LONG: (2, True),
    DataTag.UNSIGNED: (1, False),
    DataTag.LONG_UNSIGNED: (2, False),
    DataTag.LONG64: (8, True),
    DataTag.LONG64_UNSIGNED: (8, False),
    DataTag.ENUM: (1, False),
}
_FIXED = {DataTag.DATE_TIME: 12, DataTag.DATE: 5, DataTag.TIME: 4}
_STRINGS = (DataTag.OCTET_STRING, DataTag.VISIBLE_STRING, DataTag.UTF8_STRING)
_FLOATS = {DataTag.FLOAT32: (">f", 4), DataTag.FLOAT64: (">d", 8)}


@dataclass(frozen=True, slots=True)
class Data:
    """A value with its type. `value` is an int, bytes (of all strings and dates), bool, a tuple of Data, the
    shortest Decimal of a float (None: not a number), a bit string as text of 0 and 1, None for null."""

    tag: DataTag
    value: "int | bytes | bool | str | Decimal | tuple[Data, ...] | None" = None

    @property
    def items(self) -> "tuple[Data, ...]":
        """The elements of an array or structure. Raises DecodeError for what is none."""
        if not isinstance(self.value, tuple):
            raise DecodeError(f"{self.tag.name} where an array or structure belongs")
        return self.value

    @property
    def octets(self) -> bytes:
        """The bytes of a string or date. Raises DecodeError for what is none."""
        if not isinstance(self.value, bytes):
            raise DecodeError(f"{self.tag.name} where octets belong")
        return self.value

    @property
    def integer(self) -> int:
        """The integer. Raises DecodeError for what is none."""
        if not isinstance(self.value, int) or isinstance(self.value, bool):
            raise DecodeError(f"{self.tag.name} where an integer belongs")
        return self.value

    @property
    def number(self) -> Decimal | None:
        """The exact number; None for what is no number."""
        if isinstance(self.value, Decimal):
            return self.value
        if self.tag in _INTEGERS and isinstance(self.value, int):
            return Decimal(self.value)
        return None


NULL = Data(DataTag.NULL)


def octet_string(content: bytes) -> Data:
    return Data(DataTag.OCTET_STRING, content)


def structure(*items: Data) -> Data:
    return Data(DataTag.STRUCTURE, items)


def array(*items: Data) -> Data:
    return Data(DataTag.ARRAY, items)


def unsigned(value: int) -> Data:
    """An integer of one byte without sign."""
    return Data(DataTag.UNSIGNED, value)


def long_unsigned(value: int) -> Data:
    """An integer of two bytes without sign."""
    return Data(DataTag.LONG_UNSIGNED, value)


def decode_data(data: bytes) -> Data:
    """The one value that `data` is. Raises DecodeError."""
    value, end = take_data(data, 0)
    if end != len(data):
        raise DecodeError(f"{len(data) - end} bytes after the end of the value", offset=end)
    return value


def take_data(data: bytes, begun: int, *, depth: int = 0) -> tuple[Data, int]:
    """The value at `begun`, and where it ends. Raises DecodeError."""
    if depth > _DEEPEST:
        raise DecodeError("structures nest too deep", offset=begun)
    try:
        tag = DataTag(data[begun])
    except (IndexError, ValueError):
        raise DecodeError("no type of data", offset=begun) from None
    position = begun + 1
    if tag is DataTag.NULL:
        return NULL, position
    if tag in (DataTag.ARRAY, DataTag.STRUCTURE):
        count, position = take_length(data, position)
        if count > len(data) - position:
            raise DecodeError(f"{count} elements end too early", offset=position)
        items = []
        for _ in range(count):
            item, position = take_data(data, position, depth=depth + 1)
            items.append(item)
        return Data(tag, tuple(items)), position
    if tag in _STRINGS:
        content, end = take_counted(data, position)
        return Data(tag, content), end
    if tag is DataTag.BIT_STRING:
        count, position = take_length(data, position)
        content, end = take(data, position, (count + 7) // 8)
        bits = "".join(f"{byte:08b}" for byte in content)
        return Data(tag, bits[:count]), end
    return _fixed(tag, data, position)


def _fixed(tag: DataTag, data: bytes, position: int) -> tuple[Data, int]:
    """A value whose length its tag tells."""
    if tag in _INTEGERS:
        size, signed = _INTEGERS[tag]
        content, end = take(data, position, size)
        return Data(tag, int.from_bytes(content, "big", signed=signed)), end
    if tag in _FLOATS:
        kind, size = _FLOATS[tag]
        content, end = take(data, position, size)
        return Data(tag, _shortest(struct.unpack(kind, content)[0], size)), end
    content, end = take(data, position, _FIXED.get(tag, 1))
    return Data(tag, content if tag in _FIXED else content != b"\0"), end


def encode_data(data: Data) -> bytes:
    """The bytes of a value. Raises ValueError or OverflowError for content that its type cannot hold."""
    tag, value = data.tag, data.value
    head = bytes((tag,))
    if tag in _FLOATS:
        return head + struct.pack(_FLOATS[tag][0], float("nan") if value is None else float(str(value)))
    if value is None:
        return head
    if isinstance(value, tuple):
        return head + encode_length(len(value)) + b"".join(map(encode_data, value))
    if isinstance(value, bytes):
        return head + (counted(value) if tag in _STRINGS else value)
    if isinstance(value, str):
        padded = value.ljust(-(-len(value) // 8) * 8, "0")
        return head + encode_length(len(value)) + int(padded or "0", 2).to_bytes(len(padded) // 8, "big")
    if tag is DataTag.BOOLEAN:
        return head + bytes((0xFF if value else 0,))
    size, signed = _INTEGERS[tag]
    return head + int(value).to_bytes(size, "big", signed=signed)


def take(data: bytes, position: int, count: int) -> tuple[bytes, int]:
    """`count` bytes at `position`, and where they end. Raises DecodeError."""
    end = position + count
    if end > len(data):
        raise DecodeError(f"{count} bytes end too early", offset=position)
    return data[position:end], end


def take_length(data: bytes, position: int) -> tuple[int, int]:
    """A length (one byte, or 8n and n bytes), and where it ends. Raises DecodeError."""
    (first,), position = take(data, position, 1)
    if first < 0x80:
        return first, position
    content, position = take(data, position, first & 0x7F)
    if not 1 <= len(content) <= 4:
        raise DecodeError(f"a length of {len(content)} bytes", offset=position)
    return int.from_bytes(content, "big"), position


def take_counted(data: bytes, position: int) -> tuple[bytes, int]:
    """The bytes behind a length, and where they end. Raises DecodeError."""
    count, position = take_length(data, position)
    return take(data, position, count)


def counted(content: bytes) -> bytes:
    """The bytes behind their length."""
    return encode_length(len(content)) + content


def encode_length(length: int) -> bytes:
    """The shortest form of a length."""
    if length < 0x80:
        return bytes((length,))
    size = (length.bit_length() + 7) // 8
    return bytes((0x80 | size,)) + length.to_bytes(size, "big")


def _shortest(value: float, size: int) -> Decimal | None:
    """The shortest decimal that is this float, as the meter showed it; None for NaN and infinities."""
    if not np.isfinite(value):
        return None
    return Decimal(str(np.float32(value) if size == 4 else value))
