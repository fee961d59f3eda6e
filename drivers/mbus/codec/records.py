"""Data records of the variable structure (EN 13757-3, 6): from bytes to what was measured."""

from decimal import Context, Decimal
from functools import lru_cache

import msgspec

from drivers.errors import DecodeError
from drivers.mbus.codec.dif import (
    EXTENSION,
    FILLER,
    MANUFACTURER_DATA,
    MORE_FOLLOWS,
    Coding,
    DataInformation,
    Function,
    read_data_information,
)
from drivers.mbus.codec.header import ByteOrder
from drivers.mbus.codec.timepoint import TimePoint, decode_timepoint
from drivers.mbus.codec.values import Coded, read_value
from drivers.mbus.codec.vif import FIRST_EXTENSION, PLAIN_TEXT, SECOND_EXTENSION, Meaning, ValueForm, lookup
from drivers.mbus.codec.vife import MANUFACTURER, Extended, extend

MAX_VIFES = 10
_EXACT = Context(prec=400)  # a record has at most 250 bytes of digits

Value = Decimal | TimePoint | str | bytes


class Record(msgspec.Struct, frozen=True):
    """One data record.

    `value` is an exact Decimal in `unit` (UCUM; None where there is none), a point in the meter's local time,
    a text, or bytes that only the manufacturer can read; None where the meter sends no value, and `error`
    then says why, if it is a fault. `raw` are the value's bytes, least significant first.
    """

    function: Function
    storage: int
    tariff: int
    subunit: int
    quantity: str
    unit: str | None
    value: Value | None
    notes: tuple[str, ...] = ()
    error: str | None = None
    raw: bytes = b""

    @property
    def number(self) -> Decimal | None:
        """The value, if it is a number. Its exponent is the meter's resolution: 37.10 counts hundredths."""
        return self.value if isinstance(self.value, Decimal) else None


def read_records(data: bytes, order: ByteOrder = ByteOrder.LSB_FIRST, start: int = 0) -> tuple[Record, ...]:
    """All records from byte `start` on, in their order, fillers left out. Raises DecodeError."""
    records: list[Record] = []
    at = start
    while at < len(data):
        dif = data[at]
        if dif == FILLER:
            at += 1
        elif dif in (MANUFACTURER_DATA, MORE_FOLLOWS):
            function = Function.MANUFACTURER if dif == MANUFACTURER_DATA else Function.MORE_FOLLOWS
            rest = data[at + 1 :]
            records.append(Record(function, 0, 0, 0, "manufacturer data", None, rest or None, raw=rest))
            break
        else:
            record, at = _read_record(data, at, order)
            records.append(record)
    return tuple(records)


def _read_record(data: bytes, at: int, order: ByteOrder) -> tuple[Record, int]:
    information, at = read_data_information(data, at)
    extended, at = _read_value_information(data, at)
    coded, at = read_value(information.coding, data, at, order)
    meaning = extended.meaning
    value, error = _value(information, extended, coded)
    record = Record(
        information.function,
        information.storage,
        information.tariff,
        information.subunit,
        meaning.quantity,
        meaning.unit,
        value,
        extended.notes,
        error,
        coded.raw,
    )
    return record, at


def _read_value_information(data: bytes, at: int) -> tuple[Extended, int]:
    """VIF, plain text and VIFEs: what they say together, and where the value begins."""
    if _byte(data, at) & ~EXTENSION == PLAIN_TEXT:
        meaning, extensions, at = _read_plain_text(data, at + 1, bool(data[at] & EXTENSION))
        return extend(meaning, extensions), at
    _, end = _read_extensions(data, at + 1, bool(data[at] & EXTENSION))
    return _described(data[at:end]), end


@lru_cache(maxsize=1024)  # meters say the same few hundred things again and again
def _described(chain: bytes) -> Extended:
    vif, extensions = chain[0], chain[1:]
    if vif in (FIRST_EXTENSION, SECOND_EXTENSION):
        return extend(lookup(extensions[0] & ~EXTENSION, vif), extensions[1:])
    code = vif & ~EXTENSION
    if code == MANUFACTURER and extensions:
        extensions = bytes((MANUFACTURER,)) + extensions
    return extend(lookup(code), extensions)


def _read_plain_text(data: bytes, at: int, more: bool) -> tuple[Meaning, bytes, int]:
    """The text follows the VIF; some meters send it after the VIFEs, which shows in an impossible length."""
    if more and at + 1 + _byte(data, at) > len(data):
        extensions, at = _read_extensions(data, at, more)
        text, at = _read_text(data, at)
    else:
        text, at = _read_text(data, at)
        extensions, at = _read_extensions(data, at, more)
    return Meaning(text), extensions, at


def _read_text(data: bytes, at: int) -> tuple[str, int]:
    end = at + 1 + _byte(data, at)
    if end > len(data):
        raise DecodeError("the telegram ends within a plain-text unit", offset=len(data))
    return data[at + 1 : end][::-1].decode("latin-1").strip(), end


def _read_extensions(data: bytes, at: int, more: bool) -> tuple[bytes, int]:
    first = at
    while more:
        if at - first == MAX_VIFES:
            raise DecodeError(f"more than {MAX_VIFES} VIFEs", offset=at)
        more = bool(_byte(data, at) & EXTENSION)
        at += 1
    return data[first:at], at


def _byte(data: bytes, at: int) -> int:
    if at >= len(data):
        raise DecodeError("the telegram ends within a record", offset=len(data))
    return data[at]


def _value(information: DataInformation, extended: Extended, coded: Coded) -> tuple[Value | None, str | None]:
    meaning, error = extended.meaning, extended.error or coded.error
    if error or information.coding in (Coding.NONE, Coding.SELECTION):
        return None, error
    if meaning.kind is ValueForm.TIME:
        point = decode_timepoint(coded.raw) if information.coding.is_integer else None
        return point, None if point else "the meter sends no valid date here"
    if coded.number is None:
        return coded.raw if coded.text is None else coded.text, None
    number = shifted(coded.number, meaning.exponent)
    return number if extended.addend is None else _EXACT.add(number, extended.addend), None


def shifted(number: Decimal, exponent: int) -> Decimal:
    """number * 10**exponent, exact; the exponent keeps telling the resolution."""
    return number.scaleb(exponent, _EXACT) if exponent else number
