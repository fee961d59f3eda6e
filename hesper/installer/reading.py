"""Reading of one meter now: what it says, and what it cost on the wire."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime
from typing import NamedTuple

from drivers.driver import Driver, IdentityError, Target, UnnamedError
from drivers.protocol import protocol_named
from telemetry.meter_id import meter_id
from telemetry.micro import from_micro
from telemetry.obis import Obis
from telemetry.readout import Readout
from telemetry.units import UNITS

UNNAMED = "NEW-1"  # stands for the meter id that Modbus needs, and nobody has given


class ShownRegister(NamedTuple):
    """Register of a readout, as a person reads it."""

    obis: str
    name: str
    value: str
    unit: str


@dataclass(frozen=True, slots=True)
class TimedReadouts:
    """Readouts with their `seconds` on the wire, for so many exchanges and retries.

    The first readout is the present; of a load profile there is none, and there may be no periods.
    """

    readouts: tuple[Readout, ...]
    seconds: float
    exchanges: int
    retries: int

    def as_json(self) -> dict[str, object]:
        """For a program. Values are exact decimals, as text."""
        return {
            "meter": self.readouts[0].meter if self.readouts else None,
            "readouts": [_readout_as_json(readout) for readout in self.readouts],
            "wire_seconds": round(self.seconds, 4),
            "exchanges": self.exchanges,
            "retries": self.retries,
        }


def take(driver: Driver, target: Target) -> TimedReadouts:
    """Read a meter. Raises DriverError.

    A target may come without a meter id: it is then named by what the meter says of itself, on Modbus by the
    serial number that its registers show, or `UNNAMED`.
    """
    if target.meter is None and not protocol_named(driver.protocol).self_describing:
        try:
            return take(driver, replace(target, meter=UNNAMED))
        except IdentityError as error:
            return take(driver, replace(target, meter=error.found))
    try:
        return _measured(driver, lambda: driver.read(target))
    except UnnamedError as error:
        return take(driver, replace(target, meter=meter_id(error.maker, "1")))


def take_load_profile(driver: Driver, target: Target, since: datetime, until: datetime) -> TimedReadouts:
    """The periods of a meter's load profile between aware instants; none may be there. Raises DriverError."""
    return _measured(driver, lambda: driver.load_profile(target, since, until))


def _measured(driver: Driver, exchange: Callable[[], list[Readout]]) -> TimedReadouts:
    before, begun = replace(driver.tally), driver.line.now()
    readouts = exchange()
    return TimedReadouts(
        tuple(readouts),
        driver.line.now() - begun,
        driver.tally.exchanges - before.exchanges,
        driver.tally.retries - before.retries,
    )


def rows(readout: Readout) -> list[ShownRegister]:
    """Its registers in the order of their codes."""
    return [
        ShownRegister(
            obis=obis,
            name=Obis.parse(obis).name,
            value=f"{from_micro(quantity.micro):f}",
            unit=UNITS[quantity.unit].sign if quantity.unit in UNITS else quantity.unit,
        )
        for obis, quantity in sorted(readout.values.items(), key=lambda item: Obis.parse(item[0]))
    ]


def drift(readout: Readout) -> float | None:
    """Seconds by which the meter's clock is ahead of ours; None where it has none, or does not tell."""
    return None if readout.clock is None else (readout.clock - readout.at).total_seconds()


def _readout_as_json(readout: Readout) -> dict[str, object]:
    return {
        "at": readout.at.isoformat(),
        "status": readout.status.labels(),
        "clock": readout.clock.isoformat() if readout.clock else None,
        "values": {
            row.obis: {"name": row.name, "value": row.value, "unit": readout.values[row.obis].unit}
            for row in rows(readout)
        },
        "raw": readout.raw.hex(),
    }
