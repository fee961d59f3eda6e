"""Value information: the VIF tables of EN 13757-3 (main, first extension FB, second extension FD).

A row says quantity, UCUM unit and the power of ten of the last digit. Units are the ones people bill and
think in (kW.h, GJ, m3): a power of ten never costs exactness here.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum
from types import MappingProxyType


class ValueForm(Enum):
    """Form of a value: what its bytes stand for."""

    NUMBER = "number"
    TIME = "time"


@dataclass(frozen=True, slots=True)
class Meaning:
    """Value of a record = coded number * 10**exponent, in `unit` (UCUM; None where there is none)."""

    quantity: str
    unit: str | None = None
    exponent: int = 0
    kind: ValueForm = ValueForm.NUMBER


# Quantities that other modules ask for by name
ENERGY = "energy"
REACTIVE_ENERGY = "reactive energy"
APPARENT_ENERGY = "apparent energy"
VOLUME = "volume"
MASS = "mass"
POWER = "power"
REACTIVE_POWER = "reactive power"
APPARENT_POWER = "apparent power"
FLOW = "volume flow"
FLOW_TEMPERATURE = "flow temperature"
RETURN_TEMPERATURE = "return temperature"
TEMPERATURE_DIFFERENCE = "temperature difference"
EXTERNAL_TEMPERATURE = "external temperature"
OPERATING_TIME = "operating time"
HEAT_COST_UNITS = "heat cost allocation"
VOLTAGE = "voltage"
CURRENT = "current"
FREQUENCY = "frequency"
DATE = "date"
DATE_TIME = "date and time"
MANUFACTURER_SPECIFIC = "manufacturer specific"

PLAIN_TEXT = 0x7C  # the unit's name follows as text
FIRST_EXTENSION = 0xFB
SECOND_EXTENSION = 0xFD

DURATION_UNITS = ("s", "min", "h", "d")
_CALENDAR_UNITS = ("mo", "a")

Table = dict[int, Meaning]


def _scale(first: int, count: int, quantity: str, unit: str, exponent: int) -> Table:
    """Codes from `first` on, each ten times the one before."""
    return {first + n: Meaning(quantity, unit, exponent + n) for n in range(count)}


def _units(first: int, quantity: str, units: tuple[str, ...]) -> Table:
    return {first + n: Meaning(quantity, unit) for n, unit in enumerate(units)}


def _joules(first: int, quantity: str, suffix: str) -> Table:
    """10**n J from n = 0 to 7, in MJ, or in GJ where a millionth of it is enough to be exact."""
    small = _scale(first, 3, quantity, f"MJ{suffix}", -6)
    return small | _scale(first + 3, 5, quantity, f"GJ{suffix}", -6)


def _plain(rows: Mapping[int, str], kind: ValueForm = ValueForm.NUMBER) -> Table:
    return {code: Meaning(quantity, None, 0, kind) for code, quantity in rows.items()}


def _main() -> Table:
    return {
        **_scale(0x00, 8, ENERGY, "kW.h", -6),
        **_joules(0x08, ENERGY, ""),
        **_scale(0x10, 8, VOLUME, "m3", -6),
        **_scale(0x18, 8, MASS, "kg", -3),
        **_units(0x20, "on time", DURATION_UNITS),
        **_units(0x24, OPERATING_TIME, DURATION_UNITS),
        **_scale(0x28, 8, POWER, "W", -3),
        **_joules(0x30, POWER, "/h"),
        **_scale(0x38, 8, FLOW, "m3/h", -6),
        **_scale(0x40, 8, FLOW, "m3/min", -7),
        **_scale(0x48, 8, FLOW, "m3/s", -9),
        **_scale(0x50, 8, "mass flow", "kg/h", -3),
        **_scale(0x58, 4, FLOW_TEMPERATURE, "Cel", -3),
        **_scale(0x5C, 4, RETURN_TEMPERATURE, "Cel", -3),
        **_scale(0x60, 4, TEMPERATURE_DIFFERENCE, "K", -3),
        **_scale(0x64, 4, EXTERNAL_TEMPERATURE, "Cel", -3),
        **_scale(0x68, 4, "pressure", "bar", -3),
        0x6C: Meaning(DATE, kind=ValueForm.TIME),
        0x6D: Meaning(DATE_TIME, kind=ValueForm.TIME),
        0x6E: Meaning(HEAT_COST_UNITS, "1"),
        **_units(0x70, "averaging duration", DURATION_UNITS),
        **_units(0x74, "actuality duration", DURATION_UNITS),
        **_plain({0x78: "fabrication number", 0x79: "enhanced identification", 0x7A: "bus address"}),
        0x7E: Meaning("any quantity"),
        0x7F: Meaning(MANUFACTURER_SPECIFIC),
    }


def _first_extension() -> Table:
    return {
        **_scale(0x00, 2, ENERGY, "MW.h", -1),
        **_scale(0x02, 2, REACTIVE_ENERGY, "kvar.h", 0),
        **_scale(0x04, 2, APPARENT_ENERGY, "kV.A.h", 0),
        **_scale(0x08, 2, ENERGY, "GJ", -1),
        **_scale(0x0C, 4, ENERGY, "Mcal", -1),
        **_scale(0x10, 2, VOLUME, "m3", 2),
        **_scale(0x14, 4, REACTIVE_POWER, "kvar", -3),
        **_scale(0x18, 2, MASS, "t", 2),
        **_scale(0x1A, 2, "relative humidity", "%", -1),
        0x20: Meaning(VOLUME, "[cft_i]"),
        0x21: Meaning(VOLUME, "[cft_i]", -1),
        0x22: Meaning(VOLUME, "[gal_us]", -1),
        0x23: Meaning(VOLUME, "[gal_us]"),
        0x24: Meaning(FLOW, "[gal_us]/min", -3),
        0x25: Meaning(FLOW, "[gal_us]/min"),
        0x26: Meaning(FLOW, "[gal_us]/h"),
        **_scale(0x28, 2, POWER, "MW", -1),
        0x2A: Meaning("phase angle, voltage to voltage", "deg", -1),
        0x2B: Meaning("phase angle, voltage to current", "deg", -1),
        **_scale(0x2C, 4, FREQUENCY, "Hz", -3),
        **_scale(0x30, 2, POWER, "GJ/h", -1),
        **_scale(0x34, 4, APPARENT_POWER, "kV.A", -3),
        **_scale(0x58, 4, FLOW_TEMPERATURE, "[degF]", -3),
        **_scale(0x5C, 4, RETURN_TEMPERATURE, "[degF]", -3),
        **_scale(0x60, 4, TEMPERATURE_DIFFERENCE, "[degF]", -3),
        **_scale(0x64, 4, EXTERNAL_TEMPERATURE, "[degF]", -3),
        **_scale(0x70, 4, "cold or warm temperature limit", "[degF]", -3),
        **_scale(0x74, 4, "cold or warm temperature limit", "Cel", -3),
        **_scale(0x78, 8, "cumulation of maximum power", "W", -3),
    }


def _second_extension() -> Table:
    names = {
        0x08: "access number",
        0x09: "medium",
        0x0A: "manufacturer",
        0x0B: "parameter set",
        0x0C: "model or version",
        0x0D: "hardware version",
        0x0E: "firmware version",
        0x0F: "software version",
        0x10: "customer location",
        0x11: "customer",
        0x12: "access code, user",
        0x13: "access code, operator",
        0x14: "access code, system operator",
        0x15: "access code, developer",
        0x16: "password",
        0x17: "error flags",
        0x18: "error mask",
        0x19: "security key",
        0x1A: "digital output",
        0x1B: "digital input",
        0x1C: "baud rate",
        0x1D: "response delay in bit times",
        0x1E: "retries",
        0x1F: "remote control",
        0x20: "first cyclic storage number",
        0x21: "last cyclic storage number",
        0x22: "size of storage block",
        0x23: "descriptor of tariff and subunit",
        0x2A: "operator specific",
        0x2B: "second of the time point",
        0x3B: "radio container",
        0x60: "reset counter",
        0x61: "cumulation counter",
        0x62: "control signal",
        0x63: "day of week",
        0x64: "week number",
        0x66: "parameter activation state",
        0x67: "special supplier information",
        0x71: "reception level",
        0x72: "daylight saving",
        0x73: "listening window",
        0x75: "number of stops",
        0x76: "manufacturer's container",
    }
    times = {0x30: "start of tariff", 0x65: "time of day change", 0x70: "battery change"}
    return {
        **_plain(names),
        **_plain(times, ValueForm.TIME),
        0x3A: Meaning("dimensionless", "1"),
        **{code: Meaning("credit", None, code - 0x03) for code in range(0x04)},
        **{code: Meaning("debit", None, code - 0x07) for code in range(0x04, 0x08)},
        **_units(0x24, "storage interval", DURATION_UNITS + _CALENDAR_UNITS),
        **_units(0x2C, "duration since last readout", DURATION_UNITS),
        **_units(0x31, "duration of tariff", DURATION_UNITS[1:]),
        **_units(0x34, "period of tariff", DURATION_UNITS + _CALENDAR_UNITS),
        **_units(0x3C, "transmission period", DURATION_UNITS),
        **_scale(0x40, 16, VOLTAGE, "V", -9),
        **_scale(0x50, 16, CURRENT, "A", -12),
        **_units(0x68, "duration since last cumulation", ("h", "d", *_CALENDAR_UNITS)),
        **_units(0x6C, "battery operating time", ("h", "d", *_CALENDAR_UNITS)),
        0x74: Meaning("remaining battery life", "d"),
    }


MAIN = MappingProxyType(_main())
FIRST = MappingProxyType(_first_extension())
SECOND = MappingProxyType(_second_extension())


def lookup(code: int, extension: int | None = None) -> Meaning:
    """The meaning of a VIF without its top bit, in the main table or that of FB or FD.

    A reserved code has a meaning, too: a number of which only the meter's maker knows more.
    """
    table = {None: MAIN, FIRST_EXTENSION: FIRST, SECOND_EXTENSION: SECOND}[extension]
    prefix = "" if extension is None else f"{extension:02X} "
    return table.get(code) or Meaning(f"reserved VIF {prefix}{code:02X}")


def find_vif(accept: Callable[[Meaning], bool]) -> bytes | None:
    """The first VIF (one byte, or FB/FD and one more) whose meaning is accepted: what an encoder asks."""
    for prefix, table in ((b"", MAIN), (b"\xfb", FIRST), (b"\xfd", SECOND)):
        for code, meaning in table.items():
            if accept(meaning):
                return prefix + bytes((code,))
    return None
