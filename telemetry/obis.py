"""OBIS codes (IEC 62056-6-1, EN 13757-1): the name of every register, `A-B:C.D.E`.

A is the medium, B the channel, C the quantity, D the kind of processing, E the tariff. A friendly name and
the usual unit are looked up here; they are shown beside the code, never instead of it.
"""

import re
from dataclasses import dataclass
from enum import Enum, IntEnum
from functools import lru_cache
from itertools import product

_FULL = re.compile(r"(\d{1,3})-(\d{1,3}):(\d{1,3})\.(\d{1,3})\.(\d{1,3})")


class ObisError(ValueError):
    """A text or number that is not an OBIS code."""


class Medium(IntEnum):
    """Value group A."""

    ABSTRACT = 0
    ELECTRICITY = 1
    HEAT_COST = 4
    COOLING = 5
    HEAT = 6
    GAS = 7
    COLD_WATER = 8
    HOT_WATER = 9

    @property
    def label(self) -> str:
        """Lower-case words for screens: 'cold water'."""
        return self.name.lower().replace("_", " ")


class RegisterKind(Enum):
    """Kind of a register, which decides how it is judged and whether it can be billed."""

    COUNTER = "counter"  # only grows, until it rolls over
    GAUGE = "gauge"  # a momentary value


@dataclass(frozen=True, slots=True, order=True)
class Obis:
    """OBIS code. `str()` gives `A-B:C.D.E`; ordering is by the numbers."""

    a: int
    b: int
    c: int
    d: int
    e: int

    def __post_init__(self) -> None:
        for group in (self.a, self.b, self.c, self.d, self.e):
            if not 0 <= group <= 255:
                raise ObisError(f"{group} is not a value group (0 to 255) of {self}")

    def __str__(self) -> str:
        return f"{self.a}-{self.b}:{self.c}.{self.d}.{self.e}"

    @classmethod
    def parse(cls, text: str) -> "Obis":
        """The code of `A-B:C.D.E`, in canonical form only, since a code is a database key.

        Raises ObisError.
        """
        return _parsed(text)

    @property
    def medium(self) -> Medium | None:
        """The medium, or None for a value group A that this table does not know."""
        return Medium(self.a) if self.a in Medium._value2member_map_ else None

    @property
    def tariff(self) -> int:
        """0 for the total, else the tariff's number."""
        return self.e

    @property
    def definition(self) -> "Definition | None":
        """Name, unit and kind, or None for a code that the table does not know."""
        family = _FAMILIES.get(self.a)
        return family.get((self.c, self.d)) if family else None

    @property
    def name(self) -> str:
        """Friendly name: 'active energy import, tariff 2'; the code itself where none is known."""
        definition = self.definition
        if definition is None:
            return str(self)
        parts = [definition.name]
        if self.b:
            parts.append(f"channel {self.b}")
        if self.e:
            parts.append(f"tariff {self.e}")
        return ", ".join(parts)

    @property
    def unit(self) -> str | None:
        """The usual unit (UCUM), which a wire message need not spell out; None where none is known."""
        definition = self.definition
        return definition.unit if definition else None

    @property
    def kind(self) -> RegisterKind | None:
        """Counter or gauge; None where the code is not known."""
        definition = self.definition
        return definition.kind if definition else None


@lru_cache(4096)  # each value of each readout names one, out of few
def _parsed(text: str) -> Obis:
    match = _FULL.fullmatch(text)
    if not match:
        raise ObisError(f"{text!r} is not an OBIS code such as 8-0:1.0.0")
    code = Obis(*(int(group) for group in match.groups()))
    if str(code) != text:
        raise ObisError(f"{text!r} is not canonical; write {code}")
    return code


@dataclass(frozen=True, slots=True)
class Definition:
    """Definition of a quantity. `billed` marks the registers that a bill is usually made of."""

    name: str
    unit: str
    kind: RegisterKind
    billed: bool = False


def _counter(name: str, unit: str, *, billed: bool = False) -> Definition:
    return Definition(name, unit, RegisterKind.COUNTER, billed)


def _gauge(name: str, unit: str) -> Definition:
    return Definition(name, unit, RegisterKind.GAUGE)


_PROFILED = (
    (1, "active import", "kW"),
    (2, "active export", "kW"),
    (3, "reactive import", "kvar"),
    (4, "reactive export", "kvar"),
    *((4 + quadrant, f"reactive quadrant {quadrant}", "kvar") for quadrant in (1, 2, 3, 4)),
)


# C and D of a total; in L1, L2 and L3 they have C + 20, 40 and 60. 128 to 199 are manufacturer specific in C:
# signed reactive power per phase has no standard code
_IN_EACH_PHASE = (
    *((c, 8) for c in (1, 2, 3, 4, 15, 16, 128)),
    *((c, 7) for c in (1, 2, 3, 9, 11, 12, 13, 16, 130)),
)


def _electricity() -> dict[tuple[int, int], Definition]:
    table = {
        (1, 8): _counter("active energy import", "kW.h", billed=True),
        # what a flat feeds in is paid for by contract, if at all: its utility says so in the registry
        (2, 8): _counter("active energy export", "kW.h"),
        (3, 8): _counter("reactive energy import", "kvar.h"),
        (4, 8): _counter("reactive energy export", "kvar.h"),
        (9, 8): _counter("apparent energy import", "kV.A.h"),
        (10, 8): _counter("apparent energy export", "kV.A.h"),
        (15, 8): _counter("active energy, import plus export", "kW.h"),
        (16, 8): _gauge("active energy, import minus export", "kW.h"),
        (128, 8): _counter("reactive energy, import plus export", "kvar.h"),
        (1, 6): _gauge("active power import, maximum demand", "kW"),
        (1, 7): _gauge("active power import", "W"),
        (2, 7): _gauge("active power export", "W"),
        (3, 7): _gauge("reactive power import", "var"),
        (9, 7): _gauge("apparent power", "V.A"),
        (11, 7): _gauge("current", "A"),
        (12, 7): _gauge("voltage", "V"),
        (13, 7): _gauge("power factor", "1"),
        (14, 7): _gauge("frequency", "Hz"),
        (16, 7): _gauge("active power", "W"),
        (81, 7): _gauge("phase angle", "deg"),
        (91, 7): _gauge("neutral current", "A"),
        (130, 7): _gauge("reactive power", "var"),
    }
    for c, quantity, unit in _PROFILED:
        # what load profiles keep of each period: its average (D = 5), and its energy alone (D = 29)
        table[c, 5] = _gauge(f"{quantity} power, average of a period", unit)
        table[c, 29] = _gauge(f"{quantity} energy in a period", f"{unit}.h")
    for (c, d), phase in product(_IN_EACH_PHASE, (1, 2, 3)):
        total = table[c, d]
        table[c + 20 * phase, d] = Definition(f"{total.name} L{phase}", total.unit, total.kind)
    return table


def _thermal(medium: str) -> dict[tuple[int, int], Definition]:
    return {
        (1, 0): _counter(f"{medium} energy", "kW.h", billed=True),
        (2, 0): _counter("volume", "m3"),
        (3, 0): _counter("mass", "t"),
        (8, 0): _gauge("thermal power", "kW"),
        (9, 0): _gauge("flow", "m3/h"),
        (10, 0): _gauge("flow temperature", "Cel"),
        (11, 0): _gauge("return temperature", "Cel"),
        (12, 0): _gauge("temperature difference", "K"),
    }


def _water(medium: str) -> dict[tuple[int, int], Definition]:
    return {
        (1, 0): _counter(f"{medium} volume", "m3", billed=True),
        (2, 0): _gauge("flow", "m3/h"),
        (3, 0): _gauge("temperature", "Cel"),
    }


_FAMILIES: dict[int, dict[tuple[int, int], Definition]] = {
    Medium.ABSTRACT: {(96, 8): _counter("operating time", "h")},
    Medium.ELECTRICITY: _electricity(),
    Medium.HEAT_COST: {(1, 0): _counter("heat cost allocation", "1", billed=True)},
    Medium.COOLING: _thermal("cooling"),
    Medium.HEAT: _thermal("heat"),
    Medium.GAS: {
        (3, 0): _counter("gas volume", "m3", billed=True),
        (43, 0): _gauge("flow", "m3/h"),
        (41, 0): _gauge("gas temperature", "Cel"),
    },
    Medium.COLD_WATER: _water("cold water"),
    Medium.HOT_WATER: _water("hot water"),
}


def known_names() -> list[str]:
    """The friendly names of all quantities, without channel and tariff, in order and each once."""
    return sorted({definition.name for family in _FAMILIES.values() for definition in family.values()})
