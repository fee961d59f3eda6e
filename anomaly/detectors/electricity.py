"""What goes wrong with electricity: use that drops as if it went past the meter, and phases, base load,
export."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

import numpy as np

from anomaly.detectors.usage import ShiftParameters
from anomaly.episodes import Hysteresis, departures
from anomaly.input.series import DAY, FloatArray, iso
from anomaly.parameters import WATT_HOUR, Counted, CountedRegister, RuleParameters
from anomaly.rule import Duration, Rule
from anomaly.workspace import Hit, Study, groups, mean, said, scale, share
from telemetry.findings import Severity
from telemetry.obis import Medium, Obis, RegisterKind

THEFT_LIKE, BASE_LOAD = "theft_like_drop", "base_load_jump"
PHASE_IMBALANCE, NEGATIVE_LOAD = "phase_imbalance", "negative_load"
_PHASES = (21, 41, 61)
_THEFT = ShiftParameters(down=0.6, days=7)
_BASE = ShiftParameters(up=1.8, least=50 * WATT_HOUR, days=5)


@dataclass(frozen=True, slots=True)
class ElectricityParameters(RuleParameters):
    """Limits of electricity. `theft`: the nights and the days both below `theft.down`; `base`: the nights
    above `base.up`. `imbalance`: the most loaded phase over the mean of the three, on days of at least
    `load`; `export`: energy a day that a point without generation may feed in (`generates` switches that
    off)."""

    name = "electricity"
    theft: ShiftParameters = _THEFT
    base: ShiftParameters = _BASE
    imbalance: float = 2.0
    load: int = 5_000 * WATT_HOUR
    export: int = 50 * WATT_HOUR
    generates: bool = False
    days: int = 3

    @classmethod
    def usual(cls, of: CountedRegister) -> Self | None:
        """Electricity."""
        return cls() if of.counts is Counted.ELECTRICITY else None

    @property
    def days_learned(self) -> int:
        """Days before each week from which either level is learned."""
        return max(self.theft.history, self.base.history)


def detect(study: Study) -> list[Hit]:
    """All electricity detectors, on total import registers (1.8.0) whose rules have them."""
    rows = {(each.meter, each.obis): row for row, each in enumerate(study.block.registers)}
    wanted: dict[int, ElectricityParameters] = {}
    hits = []
    for (meter, code), row in rows.items():
        register = study.block.registers[row]
        rule = register.parameters.get(ElectricityParameters)
        of_import = code.medium is Medium.ELECTRICITY and (code.c, code.d, code.e) == (1, 8, 0)
        if rule is None or not of_import or register.kind is not RegisterKind.COUNTER or not study.heard(row):
            continue
        wanted[row] = rule
        phases = [rows.get((meter, Obis(code.a, code.b, c, 8, 0))) for c in _PHASES]
        if None not in phases:
            hits += _phase_imbalance(study, row, rule, [phase for phase in phases if phase is not None])
        if not rule.generates:
            hits += _fed_in(study, rule, rows.get((meter, Obis(code.a, code.b, 2, 8, 0))))
            hits += _negative_power(study, rows.get((meter, Obis(code.a, code.b, 16, 7, 0))))
    return hits + _theft_like(study, wanted) + _base_load(study, wanted) if wanted else hits


def _theft_like(study: Study, wanted: Mapping[int, ElectricityParameters]) -> list[Hit]:
    """Nights and days both at a part of their level: an empty flat keeps its nights, a bypass does not."""
    days = study.days
    history = study.parameters(ElectricityParameters, lambda rule: rule.theft.history)
    down = study.parameters(ElectricityParameters, lambda rule: rule.theft.down)
    usual = study.usual(days.total, history, 0.5, least=28)
    nights = study.usual(days.night_mean, history, 0.5, least=28)

    def by(row: int) -> Hysteresis:
        return wanted[row].theft.hysteresis

    hits = []
    measured = -_nights(study, wanted)
    for episode in departures(measured, -nights, (down, 0.0), ((1 + down) / 2, 0.0), by, since=days.opens):
        before, now = usual[episode.row, episode.first], mean(days.total[episode.row, episode.days])
        if not now < before * down[episode.row]:
            continue
        evidence: dict[str, str | int] = {
            "usual_day": said(before),
            "day_since": said(now),
            "usual_night_per_hour": said(-episode.reference),
            "night_since_per_hour": said(mean(days.night_mean[episode.row, episode.days])),
            "days": episode.last + 1 - episode.first,
            "missing": said((before - now) * (episode.last + 1 - episode.first)),
        }
        hits.append(study.by_days(THEFT_LIKE, Severity.ALARM, episode, evidence))
    return hits


def _base_load(study: Study, wanted: Mapping[int, ElectricityParameters]) -> list[Hit]:
    """Nights above their level of past weeks: something runs that did not."""
    days = study.days
    history = study.parameters(ElectricityParameters, lambda rule: rule.base.history)
    up = study.parameters(ElectricityParameters, lambda rule: rule.base.up)
    least = study.amounts(ElectricityParameters, lambda rule: rule.base.least)
    nights = study.usual(days.night_mean, history, 0.5, least=28)

    def by(row: int) -> Hysteresis:
        return wanted[row].base.hysteresis

    hits = []
    rise, fall = (up, least), ((1 + up) / 2, least / 2)
    for episode in departures(_nights(study, wanted), nights, rise, fall, by, since=days.opens):
        now = mean(days.night_mean[episode.row, episode.days])
        evidence: dict[str, str | int] = {
            "usual_night_per_hour": said(episode.reference),
            "night_since_per_hour": said(now),
            "days": episode.last + 1 - episode.first,
            "more": said((now - episode.reference) * 24 * (episode.last + 1 - episode.first)),
        }
        hits.append(study.by_days(BASE_LOAD, Severity.WARNING, episode, evidence))
    return hits


def _nights(study: Study, wanted: Mapping[int, ElectricityParameters]) -> FloatArray:
    """Use of the nights of the wanted registers, NaN for all others: shape as `days`."""
    only = np.array([row in wanted for row in range(len(study.block))])[:, None]
    return np.where(only, study.days.night_mean, np.nan)


def _phase_imbalance(study: Study, row: int, rule: ElectricityParameters, phases: list[int]) -> list[Hit]:
    """Days on which one phase carries far more than a third; one that carries nothing has perhaps lost its
    fuse."""
    used = study.days.total[phases]
    with np.errstate(invalid="ignore", divide="ignore"):
        loaded = used.sum(axis=0) >= rule.load * scale(study.block.registers[row])
        over = used.max(axis=0) / used.mean(axis=0)
        on = loaded & (over > rule.imbalance)
    off = loaded & ~on
    hits = []
    for episode in study.spells(row, on, off, Hysteresis(rule.days, rule.days)):
        parts = np.nansum(used[:, episode.days], axis=1)
        evidence: dict[str, str | int] = {
            f"share_l{phase + 1}": share(parts[phase] / parts.sum()) for phase in range(3)
        }
        evidence["limit"] = share(rule.imbalance / 3)
        hits.append(study.by_days(PHASE_IMBALANCE, Severity.WARNING, episode, evidence, row=row))
    return hits


def _fed_in(study: Study, rule: ElectricityParameters, export: int | None) -> list[Hit]:
    """Export at a point where nothing is generated: a current transformer the wrong way round, or a plant
    that nobody told of."""
    if export is None:
        return []
    fed = study.days.total[export]
    on = fed > rule.export * scale(study.block.registers[export])
    off = ~np.isnan(fed) & ~on
    hits = []
    for episode in study.spells(export, on, off, Hysteresis(1, rule.days)):
        evidence: dict[str, str | int] = {
            "fed_in": said(np.nansum(fed[episode.days])),
            "days": int(np.count_nonzero(on[episode.days])),
        }
        hits.append(study.by_days(NEGATIVE_LOAD, Severity.WARNING, episode, evidence, row=export))
    return hits


def _negative_power(study: Study, power: int | None) -> list[Hit]:
    """The same seen in the power: two readings or more below zero."""
    if power is None:
        return []
    block = study.block
    start = int(block.bounds[power])
    times, values = (each[start : block.bounds[power + 1]] for each in (block.times, block.values))
    hits = []
    for run in groups(np.flatnonzero(values < 0), np.full(len(times), power), times, times, DAY):
        if len(run) < 2:
            continue
        after = int(run[-1]) + 1
        evidence: dict[str, str | int] = {
            "readings": len(run),
            "lowest": said(values[run].min()),
            "until": iso(int(times[run[-1]])),
        }
        span = int(times[run[0]]), int(times[after]) if after < len(times) else None
        readings = study.readings(power, *span)
        hits.append(study.hit(power, NEGATIVE_LOAD, Severity.WARNING, readings, span, evidence))
    return hits


RULES = (
    Rule(
        THEFT_LIKE,
        "nights and days both at a part of their level",
        (Severity.ALARM,),
        "usual_day day_since usual_night_per_hour night_since_per_hour days missing",
        lasts=Duration.DAYS,
        parameters=ElectricityParameters,
        uses="theft",
    ),
    Rule(
        BASE_LOAD,
        "nights above their level",
        (Severity.WARNING,),
        "usual_night_per_hour night_since_per_hour days more",
        lasts=Duration.DAYS,
        parameters=ElectricityParameters,
        uses="base",
    ),
    Rule(
        PHASE_IMBALANCE,
        "one phase carries far more than a third",
        (Severity.WARNING,),
        "share_l1 share_l2 share_l3 limit",
        lasts=Duration.DAYS,
        parameters=ElectricityParameters,
        uses="imbalance load days",
    ),
    Rule(
        NEGATIVE_LOAD,
        "energy fed in, or power below zero, where nothing is generated",
        (Severity.WARNING,),
        "fed_in days readings lowest until",
        parameters=ElectricityParameters,
        uses="export generates",
    ),
)
DETECTORS = (detect,)
