"""The parameters of every rule and detector. Those of a register are one `Rules`, chosen by the caller for
its utility, medium, kind and the date; `Rules.of` gives what is sensible where a utility has said nothing.

Amounts are micro-units of `Rules.unit` (m3 or kW.h) and are converted where the register counts in another
unit; durations are microseconds unless the name says days or hours. None switches a rule off.
"""

from dataclasses import dataclass, replace

from anomaly.boundary.stuck import StuckRule
from anomaly.input.series import DAY
from telemetry.obis import Medium, Obis

LITRE = 1_000  # micro-m3
WATT_HOUR = 1_000  # micro-kWh
_SUMMER = (6, 7, 8)
_STUCK, _ZERO = StuckRule(), StuckRule(least=DAY, rest=14 * DAY, times_busy=24)
_RESTS_ALL_SUMMER = StuckRule(least=200 * DAY, rest=200 * DAY)


@dataclass(frozen=True, slots=True)
class ScheduleRule:
    """`missing`: distances without a reading that are a finding. `tolerance`: share of the scheduled
    distance by which the usual distance of a day may differ from it."""

    missing: float = 3.5
    tolerance: float = 0.25


@dataclass(frozen=True, slots=True)
class HighLowRule:
    """A day is high above `high` times the 90th percentile of the past `history` days, and low below `low`
    times the 10th; `least` is an amount a day that nobody needs to look at."""

    history: int = 56
    high: float = 4.0
    low: float = 0.1
    least: int = 500 * LITRE


@dataclass(frozen=True, slots=True)
class SpikeRule:
    """The highest interval of a day above `third` times the third highest and above `past` times the
    highest of the past `history` days, and at least `least` an hour."""

    third: float = 3.0
    past: float = 2.0
    history: int = 56
    least: int = 200 * LITRE


@dataclass(frozen=True, slots=True)
class UnitRule:
    """A step by one of the factors, exact to `tolerance` times what is usually used between two readings,
    from or to a value of at least `least`."""

    factors: tuple[int, ...] = (10, 100, 1000)
    tolerance: float = 3.0
    least: int = 1_000_000


@dataclass(frozen=True, slots=True)
class SumRule:
    """Difference that two ways of counting one day may show: `share` of the larger, and `least`."""

    share: float = 0.02
    least: int = 100 * WATT_HOUR


@dataclass(frozen=True, slots=True)
class ClockRule:
    """`drift` between the meter's clock and the reading's instant; `future`: ahead of its arrival; `age`:
    of a reading that arrives, unless it was kept by the meter, typed in or imported."""

    drift: int = 120_000_000
    future: int = 300_000_000
    age: int = 460 * DAY  # a gateway that comes back with what meters keep, thirteen months, is not late


@dataclass(frozen=True, slots=True)
class LeakRule:
    """`rests`: whether such a register stands still for some hour of a usual day (a flat's does, a house's
    main meter does not and is only compared with its own past nights). More than `flow` an hour in every
    interval of `days` days, or above `times` the usual least flow of its nights plus `above` in `nights`
    nights, is a leak; `dry` nights in a row end it, and one day of more than `alarm` is enough to begin it.
    `alarm`: micro-units an hour from which somebody should go there now."""

    rests: bool = True
    flow: int = LITRE // 2
    days: int = 3
    nights: int = 4
    times: float = 1.5
    above: int = 3 * LITRE
    dry: int = 2
    history: int = 28
    alarm: int = 20 * LITRE


@dataclass(frozen=True, slots=True)
class BurstRule:
    """Over two hours more than `times` what the busiest twentieth of the past `history` days had in such a
    time, and more than `least` an hour."""

    times: float = 2.0
    least: int = 400 * LITRE
    history: int = 56


@dataclass(frozen=True, slots=True)
class ReverseRule:
    """`steps` back in a row, together more than `least` and `times` what the meter commonly moves in an
    hour."""

    steps: int = 3
    least: int = 30 * LITRE
    times: float = 3.0


@dataclass(frozen=True, slots=True)
class CatchUpRule:
    """A silence of `silence`, after which the register had gone on; out of line when its days are more than
    `times` or less than 1/`times` of the usual."""

    silence: int = 2 * DAY
    times: float = 3.0
    history: int = 56


@dataclass(frozen=True, slots=True)
class ShiftRule:
    """A week's usual figure above `up` or below `down` times that of the past `history` days, and different
    by `least`, for `days` days: another level. `settle`: days after which it is the new normal."""

    up: float = 2.5
    down: float = 0.3
    least: int = 0
    days: int = 7
    history: int = 56
    settle: int = 90


@dataclass(frozen=True, slots=True)
class SeasonalRule:
    """Hours whose robust z against the same hour of the past `weeks` weeks exceeds `z` for `hours` in a
    row."""

    weeks: int = 8
    z: float = 8.0
    hours: int = 3
    least: int = 300 * WATT_HOUR


@dataclass(frozen=True, slots=True)
class HeatRule:
    """Temperatures in millionths of a degree or kelvin. `return_high`: return temperature of a day with flow;
    `difference`: smallest sensible cooling; `energy`, `volume`: a day's amounts that are more than nothing;
    `summer`: local months without heating; `days`: in a row."""

    return_high: int = 55_000_000
    difference: int = 5_000_000
    energy: int = 2_000 * WATT_HOUR
    volume: int = 100 * LITRE
    summer: tuple[int, ...] = _SUMMER
    days: int = 3


@dataclass(frozen=True, slots=True)
class ElectricityRule:
    """`theft`: the nights and the days both below `theft.down`; `base`: the nights above `base.up`.
    `imbalance`: the most loaded phase over the mean of the three, on days of at least `load`; `export`:
    energy a day that a point without generation may feed in (`generates` switches that off)."""

    theft: ShiftRule = ShiftRule(down=0.6, days=7)
    base: ShiftRule = ShiftRule(up=1.8, least=50 * WATT_HOUR, days=5)
    imbalance: float = 2.0
    load: int = 5_000 * WATT_HOUR
    export: int = 50 * WATT_HOUR
    generates: bool = False
    days: int = 3


@dataclass(frozen=True, slots=True)
class Rules:
    """All parameters for one register kind of one medium. Amounts are micro-units of `unit`."""

    unit: str = ""
    schedule: ScheduleRule | None = ScheduleRule()
    clock: ClockRule = ClockRule()
    stuck: StuckRule = _STUCK
    zero: StuckRule | None = _ZERO
    high_low: HighLowRule | None = HighLowRule()
    spike: SpikeRule | None = SpikeRule()
    units: UnitRule | None = UnitRule()
    sums: SumRule = SumRule()
    catch_up: CatchUpRule | None = CatchUpRule()
    reverse: ReverseRule | None = ReverseRule()
    leak: LeakRule | None = None
    burst: BurstRule | None = None
    shift: ShiftRule | None = None
    seasonal: SeasonalRule | None = None
    heat: HeatRule | None = None
    electricity: ElectricityRule | None = None

    @classmethod
    def of(cls, obis: Obis, *, house: bool = False, submetered: bool = False) -> "Rules":
        """The defaults of a register; `house`: a main meter, behind which somebody always uses something.

        `submetered`: what lies behind it has meters of its own, which tell of a leak; one before them shows
        in the building's balance. So each leak is told once.
        """
        match obis.medium, obis.unit:
            case (Medium.COLD_WATER | Medium.HOT_WATER | Medium.GAS, "m3"):
                leak = None if submetered else LeakRule(rests=not house)
                shift = ShiftRule(least=150 * LITRE, days=14)
                rules = cls("m3", leak=leak, burst=BurstRule(), shift=shift)
                return replace(rules, seasonal=SeasonalRule(least=300 * LITRE)) if house else rules
            case (Medium.HEAT | Medium.COOLING, "kW.h"):
                return cls(
                    "kW.h",
                    stuck=_RESTS_ALL_SUMMER,
                    zero=None,
                    high_low=None,  # the weather of a season moves it more than anything that goes wrong
                    spike=SpikeRule(least=10_000 * WATT_HOUR),
                    reverse=None,
                    heat=HeatRule() if obis.medium is Medium.HEAT else None,
                )
            case (Medium.HEAT | Medium.COOLING | Medium.HEAT_COST, _):
                return replace(_PLAIN, stuck=_RESTS_ALL_SUMMER, zero=None)
            case (Medium.ELECTRICITY, "kW.h") if (obis.c, obis.d) == (1, 8):
                return cls(
                    "kW.h",
                    high_low=HighLowRule(least=5_000 * WATT_HOUR),
                    spike=SpikeRule(least=3_000 * WATT_HOUR),
                    reverse=ReverseRule(least=500 * WATT_HOUR),
                    shift=ShiftRule(least=1_000 * WATT_HOUR, days=14),
                    seasonal=SeasonalRule(),
                    electricity=ElectricityRule(),
                )
            case _:
                return _PLAIN


_PLAIN = Rules(high_low=None, spike=None, reverse=None)  # what holds in any unit
