"""Registers of one meter that must agree: tariffs and phases with their total, load profiles with the
register.

OBIS (IEC 62056-6-1) names who belongs together: value group E counts tariffs, C 21, 41 and 61 are the
phases of 1, and D 29 is the energy of a period whose register is D 8.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from anomaly.episodes import Hysteresis
from anomaly.input.local_time import local, midnight
from anomaly.input.series import DAY, FloatArray
from anomaly.parameters import WATT_HOUR, RuleParameters
from anomaly.rule import Rule
from anomaly.workspace import Hit, Study, said, scale, share
from telemetry.findings import Severity, Verdict
from telemetry.obis import Medium, Obis, RegisterKind

SIBLING, SUM_CHECK = "sibling", "sum_check"
_DAILY = Hysteresis(opens=1, closes=2)
_PHASE_OFFSETS = (20, 40, 60)


@dataclass(frozen=True, slots=True)
class SumParameters(RuleParameters):
    """Difference that two ways of counting one day may show: `share` of the larger, and `least`."""

    name = "sums"
    required = True
    share: float = 0.02
    least: int = 100 * WATT_HOUR


def sibling(study: Study) -> list[Hit]:
    """Days on which the parts (tariffs, phases) do not add up to the total."""
    hits = []
    for total, parts, what in _families(study):
        summed = study.days.total[parts].sum(axis=0)
        hits += _differences(study, SIBLING, total, summed, {"parts": what})
    return hits


def sum_check(study: Study) -> list[Hit]:
    """Days on which the energy of the load profile's periods is not what the register moved by."""
    block = study.block
    at = _by_obis(study)
    hits = []
    for row, register in enumerate(block.registers):
        code = register.obis
        if code.medium is not Medium.ELECTRICITY or code.d != 29:
            continue
        total = at.get((register.meter, Obis(code.a, code.b, code.c, 8, code.e)))
        if total is None or block.registers[total].unit != register.unit:
            continue
        hits += _differences(study, SUM_CHECK, total, _periods(study, row), {"register": str(code)})
    return hits


def _periods(study: Study, row: int) -> FloatArray:
    """What a register of period energies says each day used; NaN where periods are missing."""
    part = slice(int(study.block.bounds[row]), int(study.block.bounds[row + 1]))
    times, values = study.block.times[part], study.block.values[part]
    summed = np.full(study.days.total.shape[1], np.nan)
    if len(times) < 2:
        return summed
    period = int(np.median(np.diff(times)))
    middle = times - period // 2  # a period ends at its instant
    day = local(middle, study.block.zone) // DAY - study.days.first
    inside = (day >= 0) & (day < len(summed))
    count = np.bincount(day[inside], minlength=len(summed))
    begins = [midnight(study.days.first + day, study.block.zone) for day in range(len(summed) + 1)]
    complete = count >= np.diff(begins) // period  # a day of 23 hours has fewer
    of_days = np.bincount(day[inside], values[inside].astype(np.float64), minlength=len(summed))
    summed[complete] = of_days[complete]
    return summed


def _differences(
    study: Study, kind: str, total: int, other: FloatArray, evidence: dict[str, str | int]
) -> list[Hit]:
    register = study.block.registers[total]
    rule = register.parameters.always(SumParameters)
    own = study.days.total[total]
    with np.errstate(invalid="ignore"):
        apart = np.abs(own - other)
        allowed = np.maximum(rule.share * np.fmax(own, other), rule.least * scale(register))
        on = apart > allowed
    hits = []
    for episode in study.spells(total, on, apart <= allowed, _DAILY):
        span = episode.days
        mine, theirs = own[span][on[span]].sum(), other[span][on[span]].sum()
        told = evidence | {
            "total": said(mine),
            "sum": said(theirs),
            "difference": said(theirs - mine),
            "allowed_share": share(rule.share),
            "days": int(np.count_nonzero(on[span])),
        }
        hits.append(study.by_days(kind, Severity.WARNING, episode, told, row=total))
    return hits


def _by_obis(study: Study) -> dict[tuple[str, Obis], int]:
    return {(each.meter, each.obis): row for row, each in enumerate(study.block.registers)}


def _families(study: Study) -> Iterator[tuple[int, list[int], str]]:
    """Totals with the rows of their parts, where a meter has both."""
    at = _by_obis(study)
    tariffs: dict[int, list[int]] = {}
    for (meter, code), row in at.items():
        total = at.get((meter, Obis(code.a, code.b, code.c, code.d, 0)))
        if code.e != 0 and total is not None:
            tariffs.setdefault(total, []).append(row)
    for (meter, code), row in at.items():
        if code.e != 0 or study.block.registers[row].kind is not RegisterKind.COUNTER:
            continue
        if row in tariffs:
            yield row, tariffs[row], "tariffs"
        if code.medium is Medium.ELECTRICITY and code.d == 8 and code.c < _PHASE_OFFSETS[0]:
            phases = [at.get((meter, Obis(code.a, code.b, code.c + c, 8, 0))) for c in _PHASE_OFFSETS]
            if None not in phases:
                yield row, [phase for phase in phases if phase is not None], "phases"


def _rule(kind: str, says: str, against: str) -> Rule:
    evidence = f"{against} total sum difference allowed_share days"
    return Rule(kind, says, (Severity.WARNING,), evidence, Verdict.QUESTIONABLE, parameters=SumParameters)


RULES = (
    _rule(SIBLING, "tariffs or phases do not add up to the total of the day", "parts"),
    _rule(SUM_CHECK, "the load profile's day is not what the register moved by", "register"),
)
DETECTORS = (sibling, sum_check)
