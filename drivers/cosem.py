"""COSEM (IEC 62056-6-2), as far as SML and DLMS share it: unit codes, and scaled values as quantities."""

from decimal import Context, Decimal
from fractions import Fraction

from telemetry.micro import ValueOutOfRangeError, to_micro
from telemetry.obis import Obis
from telemetry.readout import Quantity
from telemetry.units import UNITS, convert, ratio

UNIT_CODES = {
    4: "d",
    5: "h",
    6: "min",
    7: "s",
    8: "deg",
    9: "Cel",
    13: "m3",
    15: "m3/h",
    19: "L",
    20: "kg",
    24: "bar",
    25: "J",
    26: "J/h",
    27: "W",
    28: "V.A",
    29: "var",
    30: "W.h",
    31: "V.A.h",
    32: "var.h",
    33: "A",
    35: "V",
    44: "Hz",
    52: "K",
    56: "%",
    255: "1",  # a count
}
_EXACT = Context(prec=60)  # an int64 and any scaler that makes sense


def scaled(value: int | Decimal, scaler: int) -> Decimal:
    """`value` times ten to the `scaler`, exactly."""
    return Decimal(value).scaleb(scaler, _EXACT)


def quantity(obis: Obis, number: Decimal, unit: int) -> Quantity | None:
    """The value of a register in micro-units, half-even; None where code, unit or range do not fit.

    In the register's usual unit where every decimal of the meter's unit is one there (W.h as kW.h), else in
    the meter's own.
    """
    usual, own = obis.unit, UNIT_CODES.get(unit)
    if usual is None or own is None or UNITS[own].dimension != UNITS[usual].dimension:
        return None
    in_usual = convert(Decimal(1), own, usual)
    try:
        if Fraction(in_usual) == ratio(own, usual):
            return Quantity(to_micro(_EXACT.multiply(number, in_usual)), usual)
        return Quantity(to_micro(number), own)
    except ValueOutOfRangeError:
        return None
