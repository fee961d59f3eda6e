"""Defaults of a register: what follows from its OBIS code and its meter's medium alone."""

from dataclasses import dataclass

from telemetry.micro import MICRO
from telemetry.obis import Medium, Obis, RegisterKind


@dataclass(frozen=True, slots=True)
class Defaults:
    """Unit and kind of a register, and whether it is billed, where nobody said otherwise."""

    unit: str | None
    kind: RegisterKind
    billed: bool


def defaults(obis: Obis, medium: int) -> Defaults:
    """Unit, kind and whether a bill is made of it, where nobody said otherwise.

    Billed is the total (tariff 0) of a counter of the meter's own medium. Channel 0 is the meter itself;
    electricity meters name their totals `1-1:` as often as `1-0:`. The further channels of other media are
    pulse inputs, each some other meter, and a person says what they are. A code that the table does not know
    is a gauge: nothing is inferred from its steps.
    """
    definition = obis.definition
    if definition is None:
        return Defaults(None, RegisterKind.GAUGE, billed=False)
    own_channel = obis.b == 0 or (obis.b == 1 and obis.a == Medium.ELECTRICITY)
    billed = definition.billed and obis.tariff == 0 and obis.a == medium and own_channel
    return Defaults(definition.unit, definition.kind, billed)


def capacity_of(digits: int | None) -> int | None:
    """Micro-units at which a display of so many integer digits rolls over to 0."""
    return None if digits is None else 10**digits * MICRO
