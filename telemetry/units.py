"""Units of measure: UCUM codes (ucum.org) from one frozen table, and exact conversion between them.

A factor is a `Fraction` of the dimension's base unit, so that conversion is exact or says that it is not.
"""

from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from functools import cache
from types import MappingProxyType

from telemetry.micro import MICRO


class UnitError(ValueError):
    """An unknown unit, or a conversion between different dimensions."""


@dataclass(frozen=True, slots=True)
class Unit:
    """Unit: UCUM code, the sign shown to people, its dimension, and its size in the base unit."""

    code: str
    sign: str
    dimension: str
    factor: Fraction
    offset: Fraction = Fraction(0)  # added after scaling: only temperatures have one


_CALORIE = Fraction(41868, 10000)  # international table calorie (UCUM cal_IT), as heat meters use it


def _table() -> dict[str, Unit]:
    kilo, mega, giga = Fraction(1000), Fraction(10**6), Fraction(10**9)
    hour = Fraction(3600)
    rows = [
        Unit("1", "", "number", Fraction(1)),
        Unit("%", "%", "number", Fraction(1, 100)),
        # energy, base joule
        Unit("J", "J", "energy", Fraction(1)),
        Unit("kJ", "kJ", "energy", kilo),
        Unit("MJ", "MJ", "energy", mega),
        Unit("GJ", "GJ", "energy", giga),
        Unit("W.h", "Wh", "energy", hour),
        Unit("kW.h", "kWh", "energy", hour * kilo),
        Unit("MW.h", "MWh", "energy", hour * mega),
        Unit("Mcal", "Mcal", "energy", _CALORIE * mega),
        Unit("Gcal", "Gcal", "energy", _CALORIE * giga),
        # reactive and apparent energy
        Unit("var.h", "varh", "reactive energy", Fraction(1)),
        Unit("kvar.h", "kvarh", "reactive energy", kilo),
        Unit("V.A.h", "VAh", "apparent energy", Fraction(1)),
        Unit("kV.A.h", "kVAh", "apparent energy", kilo),
        # power
        Unit("W", "W", "power", Fraction(1)),
        Unit("kW", "kW", "power", kilo),
        Unit("MW", "MW", "power", mega),
        Unit("J/h", "J/h", "power", 1 / hour),
        Unit("kJ/h", "kJ/h", "power", kilo / hour),
        Unit("MJ/h", "MJ/h", "power", mega / hour),
        Unit("GJ/h", "GJ/h", "power", giga / hour),
        Unit("var", "var", "reactive power", Fraction(1)),
        Unit("kvar", "kvar", "reactive power", kilo),
        Unit("V.A", "VA", "apparent power", Fraction(1)),
        Unit("kV.A", "kVA", "apparent power", kilo),
        # volume and flow
        Unit("m3", "m³", "volume", Fraction(1)),
        Unit("L", "l", "volume", 1 / kilo),
        Unit("m3/h", "m³/h", "volume flow", Fraction(1)),
        Unit("L/h", "l/h", "volume flow", 1 / kilo),
        Unit("m3/min", "m³/min", "volume flow", Fraction(60)),
        Unit("m3/s", "m³/s", "volume flow", hour),
        Unit("kg", "kg", "mass", Fraction(1)),
        Unit("t", "t", "mass", kilo),
        Unit("kg/h", "kg/h", "mass flow", Fraction(1)),
        # heat
        Unit("Cel", "°C", "temperature", Fraction(1)),
        Unit("[degF]", "°F", "temperature", Fraction(5, 9), Fraction(-160, 9)),
        Unit("K", "K", "temperature difference", Fraction(1)),
        # electrical
        Unit("V", "V", "voltage", Fraction(1)),
        Unit("mV", "mV", "voltage", 1 / kilo),
        Unit("A", "A", "current", Fraction(1)),
        Unit("mA", "mA", "current", 1 / kilo),
        Unit("Hz", "Hz", "frequency", Fraction(1)),
        Unit("deg", "°", "angle", Fraction(1)),
        # others
        Unit("bar", "bar", "pressure", Fraction(1)),
        Unit("s", "s", "time", Fraction(1)),
        Unit("min", "min", "time", Fraction(60)),
        Unit("h", "h", "time", hour),
        Unit("d", "d", "time", hour * 24),
        Unit("mo", "months", "calendar months", Fraction(1)),
        Unit("a", "years", "calendar months", Fraction(12)),
    ]
    return {unit.code: unit for unit in rows}


UNITS = MappingProxyType(_table())


def unit(code: str) -> Unit:
    """The unit of a UCUM code. Raises UnitError for one that is not in the table."""
    try:
        return UNITS[code]
    except KeyError:
        raise UnitError(f"unknown unit {code!r}; known UCUM codes: {', '.join(UNITS)}") from None


def _alike(source: str, target: str) -> tuple[Unit, Unit]:
    """Two units of one dimension. Raises UnitError."""
    a, b = unit(source), unit(target)
    if a.dimension != b.dimension:
        raise UnitError(f"{source} is {a.dimension}, {target} is {b.dimension}: no conversion")
    return a, b


def ratio(source: str, target: str) -> Fraction:
    """The number of `target` in one `source`, for units without an offset.

    Raises UnitError where the dimensions differ or the scale has an offset (temperatures).
    """
    a, b = _alike(source, target)
    if a.offset != b.offset:
        raise UnitError(f"{source} and {target} have different zero points: use convert()")
    return a.factor / b.factor


@cache
def loses_nothing(source: str, target: str) -> bool:
    """True where every decimal in `source` is one in `target`: the factor divides by no primes but 2 and 5.

    False also for different zero points. Raises UnitError where the dimensions differ.
    """
    a, b = _alike(source, target)
    denominator = (a.factor / b.factor).denominator
    for prime in (2, 5):
        while denominator % prime == 0:
            denominator //= prime
    return a.offset == b.offset and denominator == 1


def convert(value: Decimal, source: str, target: str) -> Decimal:
    """`value` in another unit of the same dimension: exact, or to 28 digits where no decimal is exact."""
    a, b = _alike(source, target)
    exact = (Fraction(value) * a.factor + a.offset - b.offset) / b.factor
    return Decimal(exact.numerator) / Decimal(exact.denominator)


def convert_micro(micro: int, source: str, target: str) -> int | None:
    """Micro-units of `source` as micro-units of `target`, or None where that is not an integer.

    A billed register takes a reading in another unit only when nothing is rounded.
    """
    a, b = _alike(source, target)
    exact = (Fraction(micro) * a.factor + (a.offset - b.offset) * MICRO) / b.factor
    return exact.numerator if exact.denominator == 1 else None
