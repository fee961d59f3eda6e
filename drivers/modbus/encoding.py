"""Register words <-> exact numbers: every layout that meters use, in every order of words and bytes.

On the wire the high byte of a word comes first (Modbus V1.1b3, 4.2), and there the standard ends: which word
comes first, and how digits and signs are laid out, is the vendor's. A few swap the bytes as well.
"""

import math
import struct
from collections.abc import Sequence
from decimal import Decimal
from enum import StrEnum
from fractions import Fraction

import numpy as np


class WordOrder(StrEnum):
    """Order of a value's words, and of the bytes in each word (`SWAPPED`: the low one first).

    The four bytes of 0xAABBCCDD come as AABB CCDD, CCDD AABB, BBAA DDCC, or DDCC BBAA.
    """

    BIG = "big"
    LITTLE = "little"
    BIG_SWAPPED = "big-swapped"
    LITTLE_SWAPPED = "little-swapped"

    @property
    def low_word_first(self) -> bool:
        return self in (WordOrder.LITTLE, WordOrder.LITTLE_SWAPPED)

    @property
    def swaps_bytes(self) -> bool:
        return self in (WordOrder.BIG_SWAPPED, WordOrder.LITTLE_SWAPPED)


class Encoding(StrEnum):
    """Encoding of a value in its words; the number at the end of a name is its size in bits.

    `sign`: the highest bit is the sign, the others the magnitude. `bcd`: four decimal digits a word. `mod1k`
    and `mod10k`: each word is a digit of base 1000 or 10000, and carries the sign of a negative value.
    """

    UINT16 = "uint16"
    INT16 = "int16"
    UINT32 = "uint32"
    INT32 = "int32"
    UINT48 = "uint48"
    INT48 = "int48"
    UINT64 = "uint64"
    INT64 = "int64"
    FLOAT32 = "float32"
    FLOAT64 = "float64"
    SIGN16 = "sign16"
    SIGN32 = "sign32"
    SIGN64 = "sign64"
    BCD16 = "bcd16"
    BCD32 = "bcd32"
    BCD48 = "bcd48"
    BCD64 = "bcd64"
    MOD1K32 = "mod1k32"
    MOD1K48 = "mod1k48"
    MOD1K64 = "mod1k64"
    MOD10K32 = "mod10k32"
    MOD10K48 = "mod10k48"
    MOD10K64 = "mod10k64"

    @property
    def layout(self) -> str:
        """The name without its size: 'uint', 'mod10k'."""
        return self.value[:-2]

    @property
    def bits(self) -> int:
        return int(self.value[-2:])

    @property
    def words(self) -> int:
        return self.bits // 16

    @property
    def is_float(self) -> bool:
        """True where NaN and infinity can occur."""
        return self.layout == "float"

    @property
    def is_integer(self) -> bool:
        """True where its bits are a plain binary integer, of which a bit field can be a part."""
        return self.layout in ("uint", "int")


_FLOATS = {Encoding.FLOAT32: ">f", Encoding.FLOAT64: ">d"}
_BASES = {"mod1k": 1000, "mod10k": 10_000}


def decode(words: Sequence[int], encoding: Encoding, order: WordOrder) -> Decimal | None:
    """The number in `words` (`encoding.words` of them, 0 to 65535); None where they show none.

    That is NaN, infinity, and a digit beyond the base. A float gives the shortest decimal that means the same
    float: 1234.567, not 1234.5670166015625.
    """
    data = _in_order(words, order)
    if encoding.is_float:
        (number,) = struct.unpack(_FLOATS[encoding], data)
        if not math.isfinite(number):
            return None
        return Decimal(str(np.float32(number))) if encoding is Encoding.FLOAT32 else Decimal(repr(number))
    match encoding.layout:
        case "uint":
            return Decimal(int.from_bytes(data, "big"))
        case "int":
            return Decimal(int.from_bytes(data, "big", signed=True))
        case "sign":
            bits, sign = int.from_bytes(data, "big"), 1 << encoding.bits - 1
            return Decimal(sign - bits if bits & sign else bits)
        case "bcd":
            digits = data.hex()
            return Decimal(digits) if digits.isdecimal() else None
        case layout:
            return _from_digits(struct.unpack(f">{encoding.words}h", data), _BASES[layout])


def encode(number: Fraction | Decimal | int, encoding: Encoding, order: WordOrder) -> list[int]:
    """The words of a number; integers are rounded half-even, floats to the nearest.

    The inverse of `decode` for what the encoding can hold. Raises ValueError for a number beyond its range.
    """
    try:
        data = _packed(number, encoding)
    except (struct.error, OverflowError) as error:
        raise ValueError(f"{number} does not fit {encoding}: {error}") from None
    return pattern(int.from_bytes(data, "big"), encoding.words, order)


def unsigned(words: Sequence[int], order: WordOrder) -> int:
    """The bit pattern of the words as one unsigned integer: what sentinels are written as."""
    return int.from_bytes(_in_order(words, order), "big")


def pattern(bits: int, words: int, order: WordOrder) -> list[int]:
    """A bit pattern, such as a sentinel or NaN, in that many words. The inverse of `unsigned`."""
    plain = struct.unpack(f">{words}H", bits.to_bytes(2 * words, "big"))
    return _swapped(plain[::-1] if order.low_word_first else plain, order)


def text(words: Sequence[int], order: WordOrder) -> str | None:
    """Characters, two a word, without the blanks and zeros that fill up; None where they are no text."""
    data = _in_order(words, order).strip(b"\x00\xff ")
    return data.decode("ascii") if data and all(0x20 < byte < 0x7F for byte in data) else None


def text_words(shown: str, words: int, order: WordOrder) -> list[int]:
    """The inverse of `text`. Raises ValueError for what does not fit."""
    data = shown.encode("ascii").ljust(2 * words, b"\x00")
    if len(data) > 2 * words:
        raise ValueError(f"{shown!r} does not fit {words} registers")
    return pattern(int.from_bytes(data, "big"), words, order)


def _packed(number: Fraction | Decimal | int, encoding: Encoding) -> bytes:
    """The bytes, most significant first. Raises struct.error or OverflowError."""
    if encoding.is_float:
        return struct.pack(_FLOATS[encoding], float(number))
    whole = round(Fraction(number))
    size = encoding.bits // 8
    match encoding.layout:
        case "uint":
            return whole.to_bytes(size, "big")
        case "int":
            return whole.to_bytes(size, "big", signed=True)
        case "sign":
            sign = 1 << encoding.bits - 1
            if abs(whole) >= sign:
                raise OverflowError("the magnitude is too big")
            return (abs(whole) | (sign if whole < 0 else 0)).to_bytes(size, "big")
        case "bcd":
            digits = f"{whole:0{2 * size}d}"
            if whole < 0 or len(digits) > 2 * size:
                raise OverflowError(f"it has {2 * size} digits and no sign")
            return bytes.fromhex(digits)
        case layout:
            return struct.pack(f">{encoding.words}h", *_to_digits(whole, _BASES[layout], encoding.words))


def _from_digits(digits: Sequence[int], base: int) -> Decimal | None:
    if any(abs(digit) >= base for digit in digits):
        return None
    number = 0
    for digit in digits:
        number = number * base + digit
    return Decimal(number)


def _to_digits(number: int, base: int, count: int) -> list[int]:
    rest, digits = abs(number), []
    for _ in range(count):
        rest, digit = divmod(rest, base)
        digits.append(-digit if number < 0 else digit)
    if rest:
        raise OverflowError("it has too many digits")
    return digits[::-1]


def _in_order(words: Sequence[int], order: WordOrder) -> bytes:
    """The bytes of a value, most significant first."""
    plain = _swapped(words, order)
    return struct.pack(f">{len(words)}H", *(plain[::-1] if order.low_word_first else plain))


def _swapped(words: Sequence[int], order: WordOrder) -> list[int]:
    return [(word & 0xFF) << 8 | word >> 8 for word in words] if order.swaps_bytes else list(words)
