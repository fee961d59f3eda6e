"""Meaning of a file's columns: `meter=meter,at=local_time,8-0:1.0.0=litres:L`.

`meter` and `at` name the columns of the meter and of the instant; every other name is the OBIS code of a
register, followed by its column and, where the file does not use the register's usual unit, its UCUM unit.
"""

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation

from telemetry.micro import ValueOutOfRangeError, to_micro, to_wire
from telemetry.obis import Medium, Obis, ObisError
from telemetry.units import UnitError, convert, ratio, unit

EXAMPLE = "meter=meter,at=local_time,8-0:1.0.0=litres:L"


class ColumnMapError(ValueError):
    """A column map that cannot be used; the text says what to write instead."""


@dataclass(frozen=True, slots=True)
class RegisterColumn:
    """A column of values. `unit` is the file's, `target` the one that the readings are sent in (UCUM).

    `scale` is how many `target` one `unit` is, where that is a decimal number; None asks for `convert`.
    `usual`: whether `target` is the register's usual unit, which a message need not name.
    """

    obis: str
    column: str
    unit: str
    target: str
    scale: Decimal | None
    usual: bool = True

    def number(self, text: str) -> float:
        """The wire number of a cell, rounded half-even to micro-units of `target`. Raises ValueError."""
        if "_" in text:
            raise ValueError(f"{self.column}: {text!r} is not a number")
        try:
            value = Decimal(text)
            if value.is_finite():
                value = convert(value, self.unit, self.target) if self.scale is None else value * self.scale
        except (InvalidOperation, ArithmeticError):
            raise ValueError(f"{self.column}: {text!r} is not a number") from None
        try:
            return to_wire(to_micro(value))
        except ValueOutOfRangeError as error:
            raise ValueError(f"{self.column}: {error}") from None


@dataclass(frozen=True, slots=True)
class ColumnMap:
    """Names of the columns. `text` is the canonical form, the same for every way of writing it."""

    meter: str
    at: str
    registers: tuple[RegisterColumn, ...]

    @property
    def text(self) -> str:
        registers = (f"{each.obis}={each.column}:{each.unit}" for each in self.registers)
        return ",".join([f"meter={self.meter}", f"at={self.at}", *registers])

    @property
    def medium(self) -> Medium | None:
        """The medium that the registers are of; None where they name none, or several."""
        media = {Obis.parse(each.obis).a for each in self.registers} - {Medium.ABSTRACT}
        return Obis(media.pop(), 0, 0, 0, 0).medium if len(media) == 1 else None


def parse_column_map(parts: Sequence[str]) -> ColumnMap:
    """The map of one or several comma-separated texts. Raises ColumnMapError."""
    named: dict[str, str] = {}
    for entry in (field for row in csv.reader(parts) for field in row):
        name, equals, column = (piece.strip() for piece in entry.partition("="))
        if not (name and equals and column):
            raise ColumnMapError(f"{entry!r} is not NAME=COLUMN; an example of a map: {EXAMPLE}")
        if name in named:
            raise ColumnMapError(f"{name} is mapped twice: to {named[name]} and to {column}")
        named[name] = column
    missing = [name for name in ("meter", "at") if name not in named]
    if missing:
        raise ColumnMapError(
            f"no column is named for {' and '.join(missing)}; an example of a map: {EXAMPLE}"
        )
    meter, at = named.pop("meter"), named.pop("at")
    if not named:
        raise ColumnMapError(f"no register is mapped to a column; an example of a map: {EXAMPLE}")
    return ColumnMap(meter, at, tuple(_register(obis, column) for obis, column in sorted(named.items())))


def _register(obis: str, column: str) -> RegisterColumn:
    column, colon, given = column.rpartition(":") if ":" in column else (column, "", "")
    try:
        usual = Obis.parse(obis).unit
        source = unit(given).code if colon else usual
    except (ObisError, UnitError) as error:
        raise ColumnMapError(f"{obis}={column}{colon}{given}: {error}") from None
    if source is None:
        raise ColumnMapError(f"{obis} has no usual unit: name the file's, such as {obis}={column}:kW.h")
    target, scale = _conversion(source, usual or source, obis)
    return RegisterColumn(obis, column, source, target, scale, usual == target)


def _conversion(source: str, usual: str, obis: str) -> tuple[str, Decimal | None]:
    """(unit to send in, decimal scale): the usual unit where a decimal factor leads to it, else the file's.

    Gigajoules for instance are not turned into kilowatt-hours, since 1 GJ is 277.777... kW.h.
    """
    if unit(source).dimension != unit(usual).dimension:
        raise ColumnMapError(f"{obis} is measured in {usual}, which {source} cannot be converted to")
    try:
        factor = ratio(source, usual)
    except UnitError:
        return usual, None
    if _is_decimal(factor.denominator):
        return usual, Decimal(factor.numerator) / Decimal(factor.denominator)
    return source, Decimal(1)


def _is_decimal(denominator: int) -> bool:
    for prime in (2, 5):
        while denominator % prime == 0:
            denominator //= prime
    return denominator == 1
