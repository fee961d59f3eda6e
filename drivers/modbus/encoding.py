"""Register words <-> exact numbers: integers and IEEE 754 floats, in either word order.

Within a word the byte order is always big-endian (Modbus V1.1b3, 4.2); the order of words is the vendor's.
"""

import math
import struct
from collections.abc import Sequence
from decimal import Decimal
from enum import StrEnum
from fractions import Fraction

import numpy as np


class WordOrder(StrEnum):
    """Which word of a value comes first."""

    BIG = "big"
    LITTLE = "little"


class Encoding(StrEnum):
    """How a value is laid out in its words."""

    UINT16 = "uint16"
    INT16 = "int16"
    UINT32 = "uint32"
    INT32 = "int32"
    UINT64 = "uint64"
    INT64 = "int64"
    FLOAT32 = "float32"
    FLOAT64 = "float64"

    @property
    def words(self) -> int:
        """Registers that one value takes."""
        return struct.calcsize(_FORMATS[self]) // 2

    @property
    def is_float(self) -> bool:
        """Whether NaN and infinity can occur."""
        return self in (Encoding.FLOAT32, Encoding.FLOAT64)


_FORMATS = {
    Encoding.UINT16: ">H",
    Encoding.INT16: ">h",
    Encoding.UINT32: ">I",
    Encoding.INT32: ">i",
    Encoding.UINT64: ">Q",
    Encoding.INT64: ">q",
    Encoding.FLOAT32: ">f",
    Encoding.FLOAT64: ">d",
}


def decode(words: Sequence[int], encoding: Encoding, order: WordOrder) -> Decimal | None:
    """The number in `words` (`encoding.words` of them, 0 to 65535), None for NaN and infinity.

    A float gives the shortest decimal that means the same float: 1234.567, not 1234.5670166015625.
    """
    (raw,) = struct.unpack(_FORMATS[encoding], _in_order(words, order))
    if not encoding.is_float:
        return Decimal(raw)
    if not math.isfinite(raw):
        return None
    return Decimal(str(np.float32(raw))) if encoding is Encoding.FLOAT32 else Decimal(repr(raw))


def unsigned(words: Sequence[int], order: WordOrder) -> int:
    """The bit pattern of the words as one unsigned integer: what sentinels are written as."""
    return int.from_bytes(_in_order(words, order), "big")


def encode(number: Fraction | Decimal | int, encoding: Encoding, order: WordOrder) -> list[int]:
    """The words of a number; integers are rounded half-even, floats to the nearest.

    The inverse of `decode` for what the encoding can hold. Raises ValueError for a number beyond its range.
    """
    raw: float | int = float(number) if encoding.is_float else round(Fraction(number))
    try:
        packed = struct.pack(_FORMATS[encoding], raw)
    except (struct.error, OverflowError) as error:
        raise ValueError(f"{number} does not fit {encoding}: {error}") from None
    return pattern(int.from_bytes(packed, "big"), encoding, order)


def pattern(bits: int, encoding: Encoding, order: WordOrder) -> list[int]:
    """The words of a bit pattern, such as a sentinel or NaN."""
    words = list(struct.unpack(f">{encoding.words}H", bits.to_bytes(2 * encoding.words, "big")))
    return words if order is WordOrder.BIG else words[::-1]


def _in_order(words: Sequence[int], order: WordOrder) -> bytes:
    return struct.pack(f">{len(words)}H", *(words if order is WordOrder.BIG else reversed(words)))
