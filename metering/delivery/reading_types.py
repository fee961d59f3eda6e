"""Kind of a reading in the vocabulary that IEC 61968-9 and ESPI (NAESB REQ.21) share: commodity, unit, flow.

Both count in base units (Wh, J, m3) with a power of ten, so that a unit of ours is a base unit, a power, and
for the calorie a factor. The numbers are those of IEC 61968-9, annex C.
"""

from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache

from metering.delivery.format import InexpressibleError
from telemetry.obis import Medium, Obis
from telemetry.units import unit

FORWARD, REVERSE = 1, 19
ENERGY, VOLUME, NO_KIND = 12, 58, 0
BULK, DELTA = 1, 4  # what a dial shows; what was used between two instants

_COMMODITY = {
    Medium.ELECTRICITY: 1,  # secondary metered
    Medium.HEAT_COST: 12,
    Medium.COOLING: 13,
    Medium.HEAT: 12,
    Medium.GAS: 7,
    Medium.COLD_WATER: 9,
    Medium.HOT_WATER: 9,
}
_BASE = {  # dimension: (code, our unit that is the base)
    "volume": (42, "m3"),
    "reactive energy": (73, "var.h"),
    "apparent energy": (71, "V.A.h"),
    "number": (111, "1"),
}
_REVERSED = (2, 4, 10)  # OBIS value group C: export
_WATT_HOUR, _JOULE = (72, "W.h"), (31, "J")
POWERS = (-12, -9, -6, -3, -2, -1, 0, 1, 2, 3, 6, 9, 12)  # UnitMultiplierKind
BILLING_PERIOD = 8  # MacroPeriodKind


@dataclass(frozen=True, slots=True)
class ReadingType:
    """One kind of reading. `size` is how many base units `uom` one unit of ours is."""

    commodity: int
    flow: int
    kind: int
    tariff: int
    uom: int
    size: Fraction

    def counted(self, step: int = 1) -> tuple[int, int]:
        """(power, factor): so many units of ours, each `step`-th part of one, times the factor, count
        `10 ** power` of the base unit."""
        return _counted(self.size, step)

    def code(self, accumulation: int) -> str:
        """The 18 fields of IEC 61968-9, C.2: what was used is of a billing period, a dial's value of none."""
        period = BILLING_PERIOD if accumulation == DELTA else 0
        fields = (period, 0, 0, accumulation, self.flow, self.commodity, self.kind, 0, 0, 0, 0, self.tariff)
        return ".".join(map(str, (*fields, 0, 0, 0, self.counted()[0], self.uom, 0)))


@lru_cache(maxsize=1000)
def _counted(size: Fraction, step: int) -> tuple[int, int]:
    """The power is the highest allowed for which the factor is whole."""
    for power in reversed(POWERS):
        factor = size / step / Fraction(10) ** power
        if factor.denominator == 1:
            return power, factor.numerator
    raise InexpressibleError(f"no power of ten makes a part in {step} of {size} whole")


@lru_cache(maxsize=1000)
def reading_type(obis: str, of_unit: str) -> ReadingType:
    """The kind of reading of a register with this code and unit. Raises InexpressibleError."""
    code = Obis.parse(obis)
    commodity = _COMMODITY.get(code.medium) if code.medium is not None else None
    dimension = unit(of_unit).dimension
    if dimension == "energy":
        uom, base = _WATT_HOUR if of_unit.endswith("W.h") else _JOULE
        kind = ENERGY
    elif dimension in _BASE:
        uom, base = _BASE[dimension]
        kind = VOLUME if dimension == "volume" else NO_KIND if dimension == "number" else ENERGY
    else:
        raise InexpressibleError(f"a register {obis} in {of_unit} cannot be written in this format; use csv")
    if commodity is None:
        raise InexpressibleError(f"a register {obis} belongs to no commodity of this format; use csv")
    flow = REVERSE if code.medium is Medium.ELECTRICITY and code.c in _REVERSED else FORWARD
    size = unit(of_unit).factor / unit(base).factor
    return ReadingType(commodity, flow, kind, code.tariff, uom, size)
