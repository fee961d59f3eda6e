"""Parameters in force for a register, and what the parameters of every rule have in common.

Each rule has a class of its own for them, beside it, with the values that are sensible where a utility has
said nothing (`usual`). Amounts are micro-units of `ParameterSet.unit` (m3 or kW.h) and are converted where
the register counts in another unit; durations are microseconds unless the name says days or hours.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import Enum
from typing import ClassVar, Self, TypeVar, cast

from telemetry.obis import Medium, Obis

LITRE = 1_000  # micro-m3
WATT_HOUR = 1_000  # micro-kWh


class Counted(Enum):
    """Quantity that a register counts, as far as rules make a difference."""

    VOLUME = "volume of water or gas"
    HEAT = "heat energy"
    COOLING = "cooling energy"
    ELECTRICITY = "active electric energy that is used"
    SEASONAL = "anything else of a heat meter"
    OTHER = "anything else"

    @classmethod
    def of(cls, obis: Obis) -> "Counted":
        """The quantity of an OBIS code."""
        match obis.medium, obis.unit:
            case (Medium.COLD_WATER | Medium.HOT_WATER | Medium.GAS, "m3"):
                return cls.VOLUME
            case (Medium.HEAT, "kW.h"):
                return cls.HEAT
            case (Medium.COOLING, "kW.h"):
                return cls.COOLING
            case (Medium.HEAT | Medium.COOLING | Medium.HEAT_COST, _):
                return cls.SEASONAL
            case (Medium.ELECTRICITY, "kW.h") if (obis.c, obis.d) == (1, 8):
                return cls.ELECTRICITY
            case _:
                return cls.OTHER

    @property
    def unit(self) -> str:
        """The unit of a rule's amounts; none where no rule has any."""
        match self:
            case Counted.VOLUME:
                return "m3"
            case Counted.HEAT | Counted.COOLING | Counted.ELECTRICITY:
                return "kW.h"
            case _:
                return ""


@dataclass(frozen=True, slots=True)
class CountedRegister:
    """Register for which parameters are chosen. `house`: a main meter, behind which somebody always uses
    something. `submetered`: what lies behind it has meters of its own."""

    counts: Counted
    house: bool = False
    submetered: bool = False


@dataclass(frozen=True, slots=True)
class RuleParameters:
    """Parameters of a rule. `name`: by which a utility sets them; `required`: the rule is always on."""

    name: ClassVar[str]
    required: ClassVar[bool] = False

    @classmethod
    def usual(cls, of: CountedRegister) -> Self | None:  # noqa: ARG003 - most rules go by what is counted
        """Parameters where a utility has said nothing; None: the rule is off."""
        return cls()

    @property
    def days_learned(self) -> int:
        """Days before each week from which the rule learns."""
        return 0


@dataclass(frozen=True, slots=True)
class LearningParameters(RuleParameters):
    """Parameters of a rule that learns from the `history` days before each week."""

    history: int = 56

    @property
    def days_learned(self) -> int:
        """Days before each week from which the rule learns."""
        return self.history


P = TypeVar("P", bound=RuleParameters)


@dataclass(frozen=True, slots=True)
class ParameterSet:
    """Parameters in force for a register, by their class; a rule that has none here is off."""

    unit: str = ""
    chosen: Mapping[type[RuleParameters], RuleParameters] = field(default_factory=dict)

    def get(self, of: type[P]) -> P | None:
        """Those of one rule, None where it is off."""
        return cast(P | None, self.chosen.get(of))

    def always(self, of: type[P]) -> P:
        """Those of a rule that is never off."""
        return self.get(of) or of()

    def having(self, *changed: RuleParameters) -> "ParameterSet":
        """The set with other parameters for some rules, which are then on."""
        return replace(self, chosen={**self.chosen, **{type(each): each for each in changed}})

    def without(self, *off: type[RuleParameters]) -> "ParameterSet":
        """The set with some rules switched off."""
        return replace(self, chosen={of: each for of, each in self.chosen.items() if of not in off})

    @property
    def days_learned(self) -> int:
        """Days before each week from which the rules learn, at the most."""
        return max((each.days_learned for each in self.chosen.values()), default=0)
