"""Readout: a meter's registers at one instant, as a driver returns them."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from telemetry.status import Status


@dataclass(frozen=True, slots=True)
class Quantity:
    """A register's value: micro-units of a UCUM unit."""

    micro: int
    unit: str


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
