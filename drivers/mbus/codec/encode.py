"""Records as bytes: what a virtual meter sends, from the same tables that the decoder reads.

heat = [
    record(vif.ENERGY, Decimal("37351"), "kW.h", storage=0),
    record(vif.ENERGY, Decimal("33361"), "kW.h", storage=1),
    date_record(date(2026, 10, 31), storage=1),
]
encode_telegram(5, Header("06855817", "KAM", 8, 0x04), b"".join(heat))
"""

from datetime import date, datetime
from decimal import Decimal

from drivers.mbus.codec.dif import Coding, DataInformation, Function
from drivers.mbus.codec.records import shifted
from drivers.mbus.codec.timepoint import TimePoint, encode_timepoint
from drivers.mbus.codec.values import encode_value
from drivers.mbus.codec.vif import DATE, DATE_TIME, Meaning, ValueForm, find_vif
from telemetry.units import UNITS, convert


def record(
    quantity: str,
    value: Decimal,
    unit: str | None,
    *,
    coding: Coding = Coding.BCD8,
    resolution: Decimal | None = None,
    function: Function = Function.INSTANTANEOUS,
    storage: int = 0,
    tariff: int = 0,
    subunit: int = 0,
    extensions: bytes = b"",
) -> bytes:
    """DIF, VIF and value of a number in `unit` (UCUM), at the resolution of its last digit.

    `resolution` is one digit's worth where the value's own last digit should not decide ('0.001'); a float32
    counts in it without being rounded, in whole units by default. `extensions` are VIFEs without their top
    bits. Raises ValueError where no VIF says that, or the coding does not hold the value.
    """
    if coding is Coding.FLOAT32:
        digit = (resolution or Decimal(1)).normalize()
    else:
        value = value if resolution is None else value.quantize(resolution.normalize())
        digit = value
    exponent = digit.as_tuple().exponent
    assert isinstance(exponent, int)
    vif = find_vif(lambda meaning: _says(meaning, quantity, unit, Decimal((0, (1,), exponent))))
    if vif is None:
        raise ValueError(f"no VIF says {quantity} in {unit} with a last digit of 1E{exponent}")
    information = DataInformation(coding, function, storage, tariff, subunit)
    number = shifted(value, -exponent)
    return information.encode() + _extended(vif, extensions) + encode_value(coding, number)


def _says(meaning: Meaning, quantity: str, unit: str | None, digit: Decimal) -> bool:
    """Whether a VIF counts `quantity` in digits of that size in `unit`."""
    if meaning.quantity != quantity or meaning.kind is not ValueForm.NUMBER:
        return False
    one = Decimal((0, (1,), meaning.exponent))
    if meaning.unit == unit:
        return one == digit
    own, asked = UNITS.get(meaning.unit or ""), UNITS.get(unit or "")
    if own is None or asked is None or (own.dimension, own.offset) != (asked.dimension, asked.offset):
        return False
    return convert(one, own.code, asked.code) == digit


def date_record(point: date | datetime | TimePoint, *, storage: int = 0, extensions: bytes = b"") -> bytes:
    """A date as type G, a date and time (the meter's local time) as type F. Raises ValueError."""
    if isinstance(point, datetime):
        summer = bool(point.dst())
        point = TimePoint(point.date(), point.time().replace(second=0, microsecond=0), summer)
    elif isinstance(point, date):
        point = TimePoint(point)
    quantity, coding = (DATE, Coding.INT16) if point.clock is None else (DATE_TIME, Coding.INT32)
    vif = find_vif(lambda meaning: meaning.quantity == quantity)
    assert vif is not None
    information = DataInformation(coding, storage=storage)
    return information.encode() + _extended(vif, extensions) + encode_timepoint(point, coding.size)


def _extended(vif: bytes, extensions: bytes) -> bytes:
    """VIF and VIFEs with their top bits set on all but the last."""
    chain = vif + extensions
    first = 1 if len(vif) > 1 else 0  # FB and FD have theirs already
    return bytes(byte | 0x80 if first <= n < len(chain) - 1 else byte for n, byte in enumerate(chain))
