"""Data sets of a block: `address(value*unit)(value)...` (IEC 62056-21, 6.6), texts as the meter sent them."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal

from drivers.errors import DecodeError

_ADDRESS = re.compile(r"[^()!\x00-\x1f\x7f]*")
_VALUE = re.compile(r"\(([^()*\x00-\x1f\x7f-\uffff]*)(?:\*([^()*\x00-\x1f\x7f-\uffff]*))?\)")
_ERROR = re.compile(r"ER[A-Z]{0,3} ?(\d{1,4})")
_NUMBER = re.compile(r"[+-]?\d{1,20}(?:\.\d{1,12})?")


@dataclass(frozen=True, slots=True)
class Value:
    """The text in one pair of parentheses, and its unit, "" where none is given."""

    text: str
    unit: str = ""

    @property
    def number(self) -> Decimal | None:
        """The exact number, None for what is none: dates, error texts, an empty value."""
        text = self.text.strip()
        return Decimal(text) if _NUMBER.fullmatch(text) else None

    @property
    def error(self) -> int | None:
        """The number in `(ER07)`, `(ERR12)` or `(ERROR03)`; None for what is no error."""
        match = _ERROR.fullmatch(self.text.strip().upper())
        return int(match[1]) if match else None

    def __str__(self) -> str:
        return f"({self.text}*{self.unit})" if self.unit else f"({self.text})"


@dataclass(frozen=True, slots=True)
class DataSet:
    """One line of a readout. The address is an OBIS code, its short form, or the maker's own."""

    address: str
    values: tuple[Value, ...]

    def __str__(self) -> str:
        return self.address + "".join(map(str, self.values))


def decode_sets(data: bytes) -> list[DataSet]:
    """The data sets in the data of a block, up to the `!`. Raises DecodeError, and nothing else."""
    try:
        text = data.decode("ascii")
    except UnicodeDecodeError as error:
        raise DecodeError("a character beyond ASCII", offset=error.start) from None
    sets: list[DataSet] = []
    position = 0
    while True:
        while text[position : position + 1] in ("\r", "\n", " ") and position < len(text):
            position += 1
        if position == len(text) or text[position] == "!":
            return sets
        found, position = _data_set(text, position)
        sets.append(found)


def encode_sets(sets: Iterable[DataSet]) -> bytes:
    """The data of a block, a data set a line, for `telegram.encode_block`."""
    return "".join(f"{one}\r\n" for one in sets).encode("ascii")


def _data_set(text: str, start: int) -> tuple[DataSet, int]:
    address = _ADDRESS.match(text, start)
    assert address is not None  # it may be empty
    position = address.end()
    values: list[Value] = []
    while match := _VALUE.match(text, position):
        values.append(Value(match[1], match[2] or ""))
        position = match.end()
    if not values:
        raise DecodeError(f"no value in parentheses after {address[0][:40]!r}", offset=position)
    return DataSet(address[0].strip(), tuple(values)), position
