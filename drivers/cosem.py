"""COSEM (IEC 62056-6-2), as far as SML and DLMS share it: unit codes, and scaled values as quantities."""

from decimal import Context, Decimal

from telemetry.micro import ValueOutOfRangeError
from telemetry.obis import Obis
from telemetry.readout import Quantity

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
    """The value of a register, as `Quantity.of`; None where code, unit or range do not fit."""
    try:
        return Quantity.of(obis, number, UNIT_CODES.get(unit, ""))
    except ValueOutOfRangeError:
        return None
