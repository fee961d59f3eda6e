"""Backward steps and impossible jumps of a counter: glitch, jitter, reset, rollover, or another register.

| kind | what happened | usable as a boundary |
|---|---|---|
| `glitch` | up to three readings beside an otherwise unbroken level, down (a momentary 0) or up | not these |
| `jitter` | a step back of no more than the meter commonly moves in an hour: reverse flow, rounding | yes |
| `rollover` | across the register's capacity, from its top tenth to its bottom tenth | yes |
| `reset` | down to near zero, not from near the top, and on from there | yes, but nothing across it |
| `swap_suspect` | on from another level (a break), or two levels in turn (a mix-up) | not the mixed-up ones |

The step back from an upward glitch belongs to the glitch: every backward step has exactly one explanation.
"""

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from anomaly.boundary.consistent_chain import GLITCH_READINGS, Lifeline, Link, trace
from anomaly.input.series import DAY, Evidence, Finding, Judgement, Mark, Series, iso
from anomaly.rule import Duration, Rule
from metering.readings.rate import LearnedRates, impossible
from telemetry.findings import STEP, STEPS, Severity, Verdict
from telemetry.micro import from_micro
from telemetry.quality import Quality

GLITCH, JITTER, ROLLOVER, RESET, SWAP_SUSPECT = (STEP + name for name in STEPS)
MIXED_UP_STRETCHES = 3  # so many visits to another level that itself only grows are no glitches any more
MIXED_UP_WITHIN = DAY  # between two visits
JITTER_APART = 30 * DAY  # steps back closer than this are one finding
_FAR = 20  # times the jitter: what is nearer to the level than this is not another register's

Stretch = tuple[int, int]  # first and last index, inclusive


def detect(series: Series, rates: LearnedRates) -> Judgement:
    """Every backward step and impossible jump of the series, explained."""
    steps = series.steps()
    odd = (steps < 0) | impossible(steps, np.diff(series.times), rates.part(slice(1, None)))
    if not odd.any():  # the usual case
        return Judgement((), (), np.ones(len(series), dtype=np.bool_))
    life = trace(series, rates)
    usable = life.chain.copy()
    findings: list[Finding] = []
    marks: list[Mark] = []
    for group in _visits(series, life):
        if _is_mix_up(series, rates, life, group):
            finding, group_marks = _mix_up(series, life, group)
            usable[group[0][0] : group[-1][1] + 1] = False
            findings.append(finding)
            marks += group_marks
        else:
            for stretch in group:
                finding, group_marks = _glitch(series, life, stretch)
                findings.append(finding)
                marks += group_marks
    for before, after, kind in life.links:
        if kind is not Link.JITTER:
            finding, mark = _break(series, rates, before, after, kind)
            findings.append(finding)
            if usable[after]:
                marks.append(mark)
    findings += _jitters(series, [(a, b) for a, b, kind in life.links if kind is Link.JITTER])
    findings.sort(key=lambda finding: (finding.started_at, finding.kind))
    marks.sort(key=lambda mark: (mark.index, mark.rule))
    return Judgement(tuple(findings), tuple(marks), usable)


def _visits(series: Series, life: Lifeline) -> list[list[Stretch]]:
    """Stretches of readings off the chain, grouped where they follow each other within a day."""
    off = np.flatnonzero(~life.chain)
    if not len(off):
        return []
    stretches = [(int(run[0]), int(run[-1])) for run in np.split(off, np.flatnonzero(np.diff(off) > 1) + 1)]
    times = series.times
    return _grouped(stretches, lambda one, next_: times[next_[0]] - times[one[1]], MIXED_UP_WITHIN)


def _grouped(
    stretches: list[Stretch], apart: Callable[[Stretch, Stretch], np.int64], within: int
) -> list[list[Stretch]]:
    """Stretches in groups, in which each is no more than `within` microseconds from the one before."""
    groups: list[list[Stretch]] = []
    for stretch in stretches:
        if groups and apart(groups[-1][-1], stretch) <= within:
            groups[-1].append(stretch)
        else:
            groups.append([stretch])
    return groups


def _is_mix_up(series: Series, rates: LearnedRates, life: Lifeline, group: list[Stretch]) -> bool:
    """Whether the readings off the chain are another register's: long, or often, growing and far away."""
    if any(last - first >= GLITCH_READINGS for first, last in group):
        return True
    if len(group) < MIXED_UP_STRETCHES:
        return False
    elsewhere = np.concatenate([series.values[first : last + 1] for first, last in group])
    here = _chain_value(series, life, group[0][0])
    jitter = rates.at(group[0][0]).jitter
    return bool(
        (np.diff(elsewhere) >= -jitter).all()
        and len(np.unique(elsewhere)) > 1
        and (np.abs(elsewhere - here) > _FAR * jitter).all()
    )


def _neighbours(life: Lifeline, stretch: Stretch) -> tuple[int | None, int | None]:
    """Indices of the chain's readings before and after a stretch."""
    before = np.flatnonzero(life.chain[: stretch[0]])
    after = np.flatnonzero(life.chain[stretch[1] + 1 :])
    return (int(before[-1]) if len(before) else None, stretch[1] + 1 + int(after[0]) if len(after) else None)


def _chain_value(series: Series, life: Lifeline, index: int) -> int:
    before, after = _neighbours(life, (index, index))
    nearest = before if before is not None else after
    return int(series.values[nearest]) if nearest is not None else 0


def _ends(series: Series, before: int | None, after: int | None) -> dict[str, str | int]:
    """Evidence for the readings on both sides: their values and instants."""
    told: dict[str, str | int] = {}
    for name, index in (("before", before), ("after", after)):
        told[name] = "none" if index is None else str(from_micro(int(series.values[index])))
        told[f"{name}_at"] = "none" if index is None else iso(int(series.times[index]))
    return told


def _off_chain(
    series: Series, life: Lifeline, kind: str, stretch: Stretch, *, over: Severity, still: Severity
) -> Finding:
    """Readings that do not belong to the story. `over`: its severity where that goes on behind
    them; `still`: where the series ends in them."""
    first, last = stretch
    before, after = _neighbours(life, stretch)
    part = series.values[first : last + 1]
    evidence: dict[str, str | int] = {
        "readings": int(np.count_nonzero(~life.chain[first : last + 1])),
        "lowest": str(from_micro(int(part.min()))),
        "highest": str(from_micro(int(part.max()))),
    }
    ended = None if after is None else int(series.times[after])
    severity = still if after is None else over
    told = evidence | _ends(series, before, after)
    return Finding(kind, severity, first, last, int(series.times[first]), ended, told)


def _glitch(series: Series, life: Lifeline, stretch: Stretch) -> tuple[Finding, list[Mark]]:
    finding = _off_chain(series, life, GLITCH, stretch, over=Severity.INFO, still=Severity.WARNING)
    return finding, _unusable("glitch", stretch, finding.evidence)


def _mix_up(series: Series, life: Lifeline, group: list[Stretch]) -> tuple[Finding, list[Mark]]:
    """Both levels are unusable while it lasts: nobody can tell from the series whose is whose."""
    whole, visits = (group[0][0], group[-1][1]), len(group)
    found = _off_chain(series, life, SWAP_SUSPECT, whole, over=Severity.ALARM, still=Severity.ALARM)
    finding = replace(found, evidence={**found.evidence, "pattern": "mix-up", "visits": visits})
    return finding, _unusable("mix_up", whole, {"since": iso(found.started_at), "visits": visits})


def _unusable(rule: str, stretch: Stretch, evidence: Evidence) -> list[Mark]:
    indices = range(stretch[0], stretch[1] + 1)
    return [Mark(index, rule, Quality.QUESTIONABLE, False, evidence) for index in indices]


def _break(series: Series, rates: LearnedRates, before: int, after: int, kind: Link) -> tuple[Finding, Mark]:
    rule = "rollover" if kind is Link.ROLLOVER else _kind_of_break(series, rates, before, after)
    evidence = _ends(series, before, after)
    evidence["capacity"] = "unknown" if series.capacity is None else str(from_micro(series.capacity))
    if rule == "swap_suspect":
        evidence["pattern"] = "other level"
    at = int(series.times[after])
    severity = Severity.INFO if rule == "rollover" else Severity.ALARM
    quality = Quality.VALID if rule == "rollover" else Quality.QUESTIONABLE
    finding = Finding(f"negative_step.{rule}", severity, before, after, at, at, evidence)
    return finding, Mark(after, rule, quality, True, evidence)


def _kind_of_break(series: Series, rates: LearnedRates, before: int, after: int) -> str:
    """A reset begins near zero: within a hundredth of the old level, or what was used since."""
    old, new = int(series.values[before]), int(series.values[after])
    usual = rates.at(after).usual(int(series.times[after] - series.times[before])) or 0
    return "reset" if 0 <= new < old and new <= max(old // 100, usual) else "swap_suspect"


def _jitters(series: Series, steps: list[Stretch]) -> list[Finding]:
    """One finding for steps back that follow each other within a month."""
    findings = []
    times = series.times
    for group in _grouped(steps, lambda one, next_: times[next_[1]] - times[one[1]], JITTER_APART):
        back = [-series.step(a, b) for a, b in group]
        evidence: dict[str, str | int] = {
            "steps": len(group),
            "largest": str(from_micro(max(back))),
            "total": str(from_micro(sum(back))),
        }
        first, last = group[0][1], group[-1][1]
        started, ended = int(times[first]), int(times[last])
        findings.append(Finding(JITTER, Severity.INFO, first, last, started, ended, evidence))
    return findings


def _break_rule(kind: str, says: str, severity: Severity, verdict: Verdict, more: str = "") -> Rule:
    evidence = f"before before_at after after_at capacity{more}"
    return Rule(kind, says, (severity,), evidence, verdict, Duration.BREAK)


RULES = (
    Rule(
        GLITCH,
        "up to three readings beside an unbroken level",
        (Severity.INFO, Severity.WARNING),
        "readings lowest highest before before_at after after_at",
        lasts=Duration.BREAK,
        verdict=Verdict.REJECT,
    ),
    Rule(
        JITTER,
        "back by no more than it commonly moves in an hour",
        (Severity.INFO,),
        "steps largest total",
        joins=JITTER_APART,
    ),
    _break_rule(ROLLOVER, "across the register's capacity", Severity.INFO, Verdict.INFO),
    _break_rule(RESET, "down to near zero and on from there", Severity.ALARM, Verdict.QUESTIONABLE),
    _break_rule(
        SWAP_SUSPECT,
        "on from another level, or two levels in turn (then neither is usable)",
        Severity.ALARM,
        Verdict.QUESTIONABLE,
        " pattern readings lowest highest visits",
    ),
)
