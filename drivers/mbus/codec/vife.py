"""Orthogonal extensions of a VIF (EN 13757-3, 6.4.5 and table 15): what is said beside the quantity itself.

Some change the scale, some say that the value is not the quantity at all but a date or a duration about it.
What does not change the number becomes a note, and a record with a note that its register's definition does
not know never gets an OBIS name.
"""

from dataclasses import dataclass, replace
from decimal import Decimal

from drivers.mbus.codec.dif import EXTENSION
from drivers.mbus.codec.vif import DURATION_UNITS, Meaning, ValueForm

MANUFACTURER = 0x7F  # all further extensions are the manufacturer's own
_SECOND_TABLE = 0x7C

POSITIVE_ONLY = "positive contributions only"
NEGATIVE_ONLY = "negative contributions only"
PHASES = ("phase L1", "phase L2", "phase L3")
FUTURE = "future value"

_RECORD_ERRORS = {
    0x01: "too many DIFEs",
    0x02: "storage number not implemented",
    0x03: "unit number not implemented",
    0x04: "tariff number not implemented",
    0x05: "function not implemented",
    0x06: "data class not implemented",
    0x07: "data size not implemented",
    0x0B: "too many VIFEs",
    0x0C: "illegal VIF group",
    0x0D: "illegal VIF exponent",
    0x0E: "VIF and DIF do not match",
    0x0F: "action not implemented",
    0x15: "no data available",
    0x16: "data overflow",
    0x17: "data underflow",
    0x18: "data error",
    0x1C: "premature end of record",
}

_NOTES = {
    0x20: "per second",
    0x21: "per minute",
    0x22: "per hour",
    0x23: "per day",
    0x24: "per week",
    0x25: "per month",
    0x26: "per year",
    0x27: "per revolution or measurement",
    0x28: "per input pulse on channel 0",
    0x29: "per input pulse on channel 1",
    0x2A: "per output pulse on channel 0",
    0x2B: "per output pulse on channel 1",
    0x2C: "per litre",
    0x2D: "per m3",
    0x2E: "per kg",
    0x2F: "per K",
    0x30: "per kWh",
    0x31: "per GJ",
    0x32: "per kW",
    0x33: "per K*l",
    0x34: "per V",
    0x35: "per A",
    0x36: "multiplied by s",
    0x37: "multiplied by s/V",
    0x38: "multiplied by s/A",
    0x3A: "uncorrected unit",
    0x3B: POSITIVE_ONLY,
    0x3C: NEGATIVE_ONLY,
    0x3D: "non-metric unit",
    0x40: "lower limit",
    0x48: "upper limit",
    0x68: "value during lower limit exceed",
    0x69: "leakage",
    0x6C: "value during upper limit exceed",
    0x6D: "overflow",
    0x7E: FUTURE,
}

_SECOND_NOTES = {
    **{1 + n: phase for n, phase in enumerate(PHASES)},
    0x04: "neutral",
    0x05: "between L1 and L2",
    0x06: "between L2 and L3",
    0x07: "between L3 and L1",
    0x08: "quadrant 1",
    0x09: "quadrant 2",
    0x0A: "quadrant 3",
    0x0B: "quadrant 4",
    0x0C: "difference of import and export",
    0x10: "absolute value of both directions",
}


@dataclass(frozen=True, slots=True)
class Extended:
    """A meaning after its extensions: `addend` (in the meaning's unit) is added to the scaled number.

    `error` says why the meter sends no valid value.
    """

    meaning: Meaning
    notes: tuple[str, ...] = ()
    addend: Decimal | None = None
    error: str | None = None


def extend(meaning: Meaning, extensions: bytes) -> Extended:
    """Apply VIFEs (with or without their top bits) in their order."""
    result = Extended(meaning)
    codes = iter(byte & ~EXTENSION for byte in extensions)
    for code in codes:
        if code == MANUFACTURER:
            own = " ".join(f"{rest:02X}" for rest in codes)
            return _note(result, f"manufacturer's extension {own}".rstrip())
        if code != _SECOND_TABLE:
            result = _apply(result, code)
        elif (second := next(codes, None)) is not None:
            result = _note(result, _SECOND_NOTES.get(second, f"reserved extension 7C {second:02X}"))
    return result


def _apply(result: Extended, code: int) -> Extended:
    meaning = result.meaning
    if code in _NOTES:
        return _note(result, _NOTES[code])
    if 0x70 <= code <= 0x77:
        return replace(result, meaning=replace(meaning, exponent=meaning.exponent + code - 0x76))
    if 0x78 <= code <= 0x7B:
        return replace(result, addend=(result.addend or Decimal(0)) + Decimal((0, (1,), code - 0x7B)))
    if code == 0x7D:
        return replace(result, meaning=replace(meaning, exponent=meaning.exponent + 3))
    if code < 0x20:
        text = _RECORD_ERRORS.get(code, f"record error {code:02X}")
        return replace(result, error=text) if code else result
    return replace(result, meaning=_about(meaning, code))


def _about(meaning: Meaning, code: int) -> Meaning:
    """Dates, durations and counts that concern the quantity instead of measuring it."""
    side = "upper" if code & 0x08 else "lower"
    which = "last" if code & 0x04 else "first"
    edge = "end" if code & 0x01 else "begin"
    of = f"of {meaning.quantity}"
    if code == 0x39:
        return Meaning(f"start {of}", kind=ValueForm.TIME)
    if code in (0x41, 0x49):
        return Meaning(f"number of {side} limit exceeds {of}", "1")
    if code & 0x72 == 0x42:  # 42, 43, 46, 47 and with 08 the same for the upper limit
        return Meaning(f"{edge} of {which} {side} limit exceed {of}", kind=ValueForm.TIME)
    if 0x50 <= code <= 0x5F:
        return Meaning(f"duration of {which} {side} limit exceed {of}", DURATION_UNITS[code & 0x03])
    if 0x60 <= code <= 0x67:
        return Meaning(f"duration of {which} occurrence {of}", DURATION_UNITS[code & 0x03])
    if code in (0x6A, 0x6B, 0x6E, 0x6F):
        return Meaning(f"{edge} of {which} occurrence {of}", kind=ValueForm.TIME)
    return replace(meaning, quantity=f"{meaning.quantity}, reserved extension {code:02X}")


def _note(result: Extended, text: str) -> Extended:
    return replace(result, notes=(*result.notes, text))
