"""Coded values of records (EN 13757-3, 6.3 and annex A): integers, BCD, floats, variable length.

A number is exact: integers and BCD as they are, a float32 as the shortest decimal that denotes it.
"""

import struct
from decimal import Decimal
from typing import NamedTuple

import numpy as np

from drivers.errors import DecodeError
from drivers.mbus.codec.dif import Coding
from drivers.mbus.codec.header import ByteOrder

_MINUS = "f"  # top nibble of a negative BCD number


class Coded(NamedTuple):
    """One value: its bytes (least significant first), and the number or text that they are.

    `error` says why there is no number where one was to be expected: hexadecimal digits on the display,
    or a float that is not finite.
    """

    raw: bytes
    number: Decimal | None = None
    text: str | None = None
    error: str | None = None


def read_value(coding: Coding, data: bytes, at: int, order: ByteOrder) -> tuple[Coded, int]:
    """The value that begins at `at`, and where it ends. Raises DecodeError."""
    if coding is Coding.VARIABLE:
        return _read_variable(data, at, order)
    end = at + coding.size
    raw = _lsb_first(_take(data, at, coding.size), order)
    if coding.is_bcd:
        return _bcd(raw), end
    if coding.is_integer:
        return Coded(raw, Decimal(int.from_bytes(raw, "little", signed=True))), end
    return _float32(raw) if raw else Coded(raw), end


def _read_variable(data: bytes, at: int, order: ByteOrder) -> tuple[Coded, int]:
    """LVAR, one byte that says form and length, then the value."""
    lvar = _take(data, at, 1)[0]
    at += 1
    size = _variable_size(lvar, at - 1)
    raw = _take(data, at, size)
    end = at + size
    if lvar < 0xC0:
        text = raw if order is ByteOrder.MSB_FIRST else raw[::-1]
        return Coded(raw, text=text.decode("latin-1")), end
    raw = _lsb_first(raw, order)
    if lvar < 0xE0:
        return _bcd(raw, negative=lvar >= 0xD0), end
    if lvar <= 0xEF:
        return Coded(raw, Decimal(int.from_bytes(raw, "little", signed=True))), end
    if size == 4:
        return _float32(raw), end
    if size == 8:
        return _float(raw, repr(struct.unpack("<d", raw)[0])), end
    return Coded(raw), end


def _variable_size(lvar: int, at: int) -> int:
    if lvar < 0xC0:
        return lvar
    if lvar > 0xFA or (lvar < 0xE0 and lvar & 0x0F > 9):  # more than 18 digits
        raise DecodeError(f"variable length {lvar:02X} is reserved", offset=at)
    # F0 would be a float without bytes; since 2013 it is a binary number of 16, and meters send that
    return 16 if lvar == 0xF0 else lvar & 0x0F


def _take(data: bytes, at: int, size: int) -> bytes:
    raw = data[at : at + size]
    if len(raw) < size:
        raise DecodeError(f"the telegram ends within a value of {size} bytes", offset=len(data))
    return raw


def _lsb_first(raw: bytes, order: ByteOrder) -> bytes:
    return raw if order is ByteOrder.LSB_FIRST else raw[::-1]


def _bcd(raw: bytes, *, negative: bool = False) -> Coded:
    """Digits, most significant nibble last. F on top means minus; other letters are no number."""
    shown = raw[::-1].hex()
    digits = shown
    if shown[:1] == _MINUS and len(shown) > 1:
        negative, digits = True, shown[1:]
    if not digits.isdecimal() and digits:
        return Coded(raw, error=f"the meter shows {shown.upper()} instead of a number")
    whole = int(digits or "0")
    return Coded(raw, Decimal(-whole if negative else whole))


def _float32(raw: bytes) -> Coded:
    return _float(raw, str(np.frombuffer(raw, "<f4")[0]))


def _float(raw: bytes, shortest: str) -> Coded:
    number = Decimal(shortest)
    if not number.is_finite():
        return Coded(raw, error=f"the meter sends {shortest} instead of a number")
    return Coded(raw, number)


def encode_value(coding: Coding, number: Decimal | int) -> bytes:
    """The bytes of a number, least significant first; variable length is positive or negative BCD.

    Raises ValueError where the coding does not hold the number exactly.
    """
    if coding is Coding.FLOAT32:
        raw = struct.pack("<f", float(number))
        if _float32(raw).number != number:
            raise ValueError(f"{number} is no float32")
        return raw
    whole = int(number)
    if whole != number:
        raise ValueError(f"{number} has digits below the resolution of its VIF")
    if coding.is_integer:
        try:
            return whole.to_bytes(coding.size, "little", signed=True)
        except OverflowError:
            raise ValueError(f"{number} does not fit into {coding.name}") from None
    if coding.is_bcd:
        return _encode_bcd(whole, 2 * coding.size)
    if coding is Coding.VARIABLE:
        digits = str(abs(whole))
        digits = digits.zfill(len(digits) + len(digits) % 2)
        if len(digits) > 18:
            raise ValueError(f"{number} has more than 18 digits")
        lvar = (0xD0 if whole < 0 else 0xC0) + len(digits) // 2
        return bytes((lvar,)) + bytes.fromhex(digits)[::-1]
    raise ValueError(f"{coding.name} carries no number")


def _encode_bcd(whole: int, digits: int) -> bytes:
    shown = str(abs(whole)).zfill(digits if whole >= 0 else digits - 1)
    text = shown if whole >= 0 else _MINUS + shown
    if len(text) > digits:
        raise ValueError(f"{whole} does not fit into {digits} BCD digits")
    return bytes.fromhex(text)[::-1]
