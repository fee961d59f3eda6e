"""Readout: a meter's registers at one instant, as a driver returns them."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal

from telemetry.micro import to_micro
from telemetry.obis import Obis
from telemetry.status import Status
from telemetry.units import UNITS, convert, loses_nothing


@dataclass(frozen=True, slots=True)
class Quantity:
    """A register's value: micro-units of a UCUM unit."""

    micro: int
    unit: str

    @classmethod
    def of(cls, obis: Obis, number: Decimal, unit: str) -> "Quantity | None":
        """A register's `number` in a meter's unit, half-even; None for one unknown or of another dimension.

        In the register's usual unit if nothing is lost by that (MW.h as kW.h), else in the meter's own (GJ):
        decided by the units alone, so a register keeps its unit. Raises ValueOutOfRangeError.
        """
        usual = obis.unit
        if unit not in UNITS or usual is None or UNITS[unit].dimension != UNITS[usual].dimension:
            return None
        if unit != usual and loses_nothing(unit, usual):
            return cls(to_micro(convert(number, unit, usual)), usual)
        return cls(to_micro(number), unit)


@dataclass(frozen=True, slots=True)
class Readout:
    """Registers of a meter at one instant, with the raw telegram that they were read from.

    `at` is an aware instant; `values` maps OBIS text (`A-B:C.D.E`) to a Quantity; `raw` is the exchange's
    answer as received, all telegrams of a multi-telegram readout in a row. `clock` is what the meter's own
    clock showed when it was read (aware), None where it has none or does not tell.
    """

    meter: str
    at: datetime
    values: Mapping[str, Quantity]
    status: Status = Status(0)
    raw: bytes = field(default=b"", repr=False)
    clock: datetime | None = None
