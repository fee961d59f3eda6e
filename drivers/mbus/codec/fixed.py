"""Fixed data structure (EN 1434-3:1997, CI 73 and 77): two counters, as meters of the nineties send them."""

from drivers.errors import DecodeError
from drivers.mbus.codec.dif import Coding, Function
from drivers.mbus.codec.header import ByteOrder, Header
from drivers.mbus.codec.records import Record, shifted
from drivers.mbus.codec.values import read_value
from drivers.mbus.codec.vif import ENERGY, EXTERNAL_TEMPERATURE, FLOW, HEAT_COST_UNITS, POWER, VOLUME, Meaning

LENGTH = 16

# Four bits of medium as device types of the variable structure; B to D say the same for mode 2
_MEDIA = {code: code for code in range(9)} | {0xA: 0x03, 0xB: 0x04, 0xC: 0x06, 0xD: 0x07, 0xE: 0x08}

_BINARY = 0x01  # status bits of this structure only
_AT_SET_DAY = 0x02
_SAME_BUT_HISTORICAL = 0x3E

# Units are tens apart in groups: first code, quantity, unit, exponent of the first, number of codes
_UNIT_GROUPS = (
    (0x02, ENERGY, "W.h", 0, 3),
    (0x05, ENERGY, "kW.h", 0, 3),
    (0x08, ENERGY, "MW.h", 0, 3),
    (0x0B, ENERGY, "kJ", 0, 3),
    (0x0E, ENERGY, "MJ", 0, 3),
    (0x11, ENERGY, "GJ", 0, 3),
    (0x14, POWER, "W", 0, 3),
    (0x17, POWER, "kW", 0, 3),
    (0x1A, POWER, "MW", 0, 3),
    (0x1D, POWER, "kJ/h", 0, 3),
    (0x20, POWER, "MJ/h", 0, 3),
    (0x23, POWER, "GJ/h", 0, 3),
    (0x26, VOLUME, "L", -3, 3),
    (0x29, VOLUME, "L", 0, 3),
    (0x2C, VOLUME, "m3", 0, 3),
    (0x2F, FLOW, "L/h", -3, 3),
    (0x32, FLOW, "L/h", 0, 3),
    (0x35, FLOW, "m3/h", 0, 3),
    (0x38, EXTERNAL_TEMPERATURE, "Cel", -3, 1),
    (0x39, HEAT_COST_UNITS, "1", 0, 1),
)


def read_fixed(data: bytes, order: ByteOrder) -> tuple[Header, tuple[Record, ...]]:
    """Header and the two counters. Raises DecodeError."""
    if len(data) < LENGTH:
        raise DecodeError(f"the fixed structure has {len(data)} bytes, not {LENGTH}", offset=len(data))
    status, first, second = data[5], data[6], data[7]
    header = Header(
        serial=f"{int.from_bytes(data[0:4], order.value):08X}",
        medium=_MEDIA.get((second & 0xC0) >> 4 | first >> 6, 0x0F),
        access_number=data[4],
        status=status & ~(_BINARY | _AT_SET_DAY),
    )
    units = (first & 0x3F, second & 0x3F)
    return header, tuple(_counter(data, which, units, status, order) for which in (0, 1))


def _counter(data: bytes, which: int, units: tuple[int, int], status: int, order: ByteOrder) -> Record:
    """Counter 0 or 1. One that is kept at a set day has storage 1; this structure never says which day."""
    coding = Coding.INT32 if status & _BINARY else Coding.BCD8
    coded, _ = read_value(coding, data, 8 + 4 * which, order)
    historical = bool(status & _AT_SET_DAY)
    unit = units[which]
    if unit == _SAME_BUT_HISTORICAL:
        historical, unit = True, units[1 - which]
    meaning = _meaning(unit)
    number = None if coded.number is None else shifted(coded.number, meaning.exponent)
    return Record(
        Function.INSTANTANEOUS,
        int(historical),
        0,
        0,
        meaning.quantity,
        meaning.unit,
        number,
        error=coded.error,
        raw=coded.raw,
    )


def _meaning(code: int) -> Meaning:
    for first, quantity, unit, exponent, count in _UNIT_GROUPS:
        if first <= code < first + count:
            return Meaning(quantity, unit, exponent + code - first)
    return Meaning(
        {0x00: "time of day", 0x01: "date", 0x3F: "dimensionless"}.get(code, f"reserved unit {code:02X}")
    )
