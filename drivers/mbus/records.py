"""Data records of the variable structure (EN 13757-3, 6): from bytes to what was measured."""

from dataclasses import dataclass
from decimal import Context, Decimal

from drivers.errors import DecodeError
from drivers.mbus.dif import (
    EXTENSION,
    FILLER,
    MANUFACTURER_DATA,
    MORE_FOLLOWS,
    Coding,
    DataInformation,
    Function,
    read_data_information,
)
from drivers.mbus.header import ByteOrder
from drivers.mbus.timepoint import TimePoint, decode_timepoint
from drivers.mbus.values import Coded, read_value
from drivers.mbus.vif import FIRST_EXTENSION, PLAIN_TEXT, SECOND_EXTENSION, Kind, Meaning, lookup
from drivers.mbus.vife import MANUFACTURER, extend

MAX_VIFES = 10
_EXACT = Context(prec=400)  # a record has at most 250 bytes of digits

Value = Decimal | TimePoint | str | bytes


@dataclass(frozen=True, slots=True)
class Record:
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
    meaning, extensions, at = _read_value_information(data, at)
    extended = extend(meaning, extensions)
    coded, at = read_value(information.coding, data, at, order)
    value, error = _value(information, extended.meaning, coded, extended.addend)
    if extended.error:
        value, error = None, extended.error
    record = Record(
        information.function,
        information.storage,
        information.tariff,
        information.subunit,
        extended.meaning.quantity,
        extended.meaning.unit,
        value,
        extended.notes,
        error,
        coded.raw,
    )
    return record, at


def _read_value_information(data: bytes, at: int) -> tuple[Meaning, bytes, int]:
    """VIF, plain text and VIFEs: meaning, the orthogonal extensions, and where the value begins."""
    vif = _byte(data, at)
    at += 1
    code = vif & ~EXTENSION
    if vif in (FIRST_EXTENSION, SECOND_EXTENSION):
        true_vif = _byte(data, at)
        extensions, at = _read_extensions(data, at + 1, bool(true_vif & EXTENSION), limit=MAX_VIFES - 1)
        return lookup(true_vif & ~EXTENSION, vif), extensions, at
    more = bool(vif & EXTENSION)
    if code == PLAIN_TEXT:
        return _read_plain_text(data, at, more)
    extensions, at = _read_extensions(data, at, more)
    if code == MANUFACTURER and extensions:
        extensions = bytes((MANUFACTURER,)) + extensions
    return lookup(code), extensions, at


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


def _read_extensions(data: bytes, at: int, more: bool, *, limit: int = MAX_VIFES) -> tuple[bytes, int]:
    first = at
    while more:
        if at - first == limit:
            raise DecodeError(f"more than {MAX_VIFES} VIFEs", offset=at)
        more = bool(_byte(data, at) & EXTENSION)
        at += 1
    return data[first:at], at


def _byte(data: bytes, at: int) -> int:
    if at >= len(data):
        raise DecodeError("the telegram ends within a record", offset=len(data))
    return data[at]


def _value(
    information: DataInformation, meaning: Meaning, coded: Coded, addend: Decimal | None
) -> tuple[Value | None, str | None]:
    """Value and error of a record."""
    if information.coding in (Coding.NONE, Coding.SELECTION) or coded.error:
        return None, coded.error
    if meaning.kind is Kind.TIME:
        point = decode_timepoint(coded.raw) if information.coding.is_integer else None
        return point, None if point else "the meter sends no valid date here"
    if coded.number is None:
        return coded.raw if coded.text is None else coded.text, None
    number = shifted(coded.number, meaning.exponent)
    return number if addend is None else _EXACT.add(number, addend), None


def shifted(number: Decimal, exponent: int) -> Decimal:
    """number * 10**exponent, exact; the exponent keeps telling the resolution."""
    sign, digits, own = number.as_tuple()
    assert isinstance(own, int)  # only NaN and infinity have another
    return Decimal((sign, digits, own + exponent))
