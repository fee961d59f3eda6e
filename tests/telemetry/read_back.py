"""A readout as whoever receives the message understands it: the inverse of `wire_readout`."""

from telemetry.micro import ValueOutOfRangeError, to_micro
from telemetry.obis import Obis, ObisError
from telemetry.readout import Quantity, Readout
from telemetry.status import Status
from telemetry.wire import WireError, WireReadout, from_milliseconds


def read_back(wire: WireReadout) -> Readout:
    """The readout of a wire readout. Raises WireError for codes, units or values that cannot be used."""
    values: dict[str, Quantity] = {}
    for obis, number in wire.values.items():
        try:
            unit = wire.units.get(obis) or Obis.parse(obis).unit
            if unit is None:
                raise WireError(f"{obis} has no usual unit and the message names none")
            values[obis] = Quantity(to_micro(repr(number)), unit)
        except (ObisError, ValueOutOfRangeError) as error:
            raise WireError(str(error)) from None
    return Readout(wire.meter, from_milliseconds(wire.at), values, Status(wire.status), wire.raw)
