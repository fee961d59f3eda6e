"""Reverse flow: a register that runs backward, reading after reading, at a rate that water can have.

It is looked for before anything else is, and noted in the series, so that the rest of the judgement does
not take it for glitches or another register. One or two steps back are jitter or a glitch, and one that
returns to its old level at once is a glitch of several readings.
"""

from dataclasses import dataclass, replace
from typing import Self

import numpy as np

from anomaly.input.series import Finding, Mark, Series, iso
from anomaly.parameters import LITRE, WATT_HOUR, Counted, CountedRegister, RuleParameters
from anomaly.rule import Rule
from metering.readings.rate import LearnedRates
from telemetry.findings import Severity, Verdict
from telemetry.micro import from_micro
from telemetry.quality import Quality

KIND = "reverse_flow"


@dataclass(frozen=True, slots=True)
class ReverseParameters(RuleParameters):
    """Limits of reverse flow: `steps` back in a row, together more than `least` and `times` what the meter
    commonly moves in an hour."""

    name = "reverse"
    steps: int = 3
    least: int = 30 * LITRE
    times: float = 3.0

    @classmethod
    def usual(cls, of: CountedRegister) -> Self | None:
        """Water, gas and electricity."""
        return {Counted.VOLUME: cls(), Counted.ELECTRICITY: cls(least=500 * WATT_HOUR)}.get(of.counts)


@dataclass(frozen=True, slots=True)
class Backward:
    """The register fell from the reading `first` to the reading `last` by `drop` micro-units."""

    first: int
    last: int
    drop: int


def runs(series: Series, rates: LearnedRates, rule: ReverseParameters, scale: float = 1.0) -> list[Backward]:
    """Every stretch in which the register ran backward. `scale`: the register's units in one of the
    rule's."""
    steps, elapsed = np.diff(series.values), np.diff(series.times)
    back = np.flatnonzero(steps < 0)
    if len(back) < rule.steps:
        return []
    found = []
    for run in np.split(back, np.flatnonzero(np.diff(back) > 1) + 1):
        first, last = int(run[0]), int(run[-1]) + 1
        drop = int(series.values[first] - series.values[last])
        learned = rates.at(last)
        least = max(int(rule.least * scale), round(rule.times * learned.jitter))
        if len(run) < rule.steps or drop < least or learned.rate is None:
            continue
        if not all(learned.possible(-int(steps[i]), int(elapsed[i])) for i in run):
            continue
        returns = series.values[last + 1 : last + 2]
        if len(returns) and returns[0] - series.values[last] > drop // 2:
            continue
        found.append(Backward(first, last, drop))
    return found


def allowed(series: Series, backward: list[Backward]) -> Series:
    """The series with what ran backward noted, so that it is nobody's negative step."""
    if not backward:
        return series
    falls = np.zeros(len(series), dtype=np.int64)
    for run in backward:
        falls[run.first + 1 : run.last + 1] = -np.diff(series.values[run.first : run.last + 1])
    return replace(series, fallen=np.cumsum(falls))


def describe(series: Series, backward: list[Backward]) -> tuple[list[Finding], list[Mark]]:
    """One finding for each stretch, and a mark on each reading of it: usable, but nothing is consumed in
    it."""
    findings, marks = [], []
    for run in backward:
        start, end = int(series.times[run.first]), int(series.times[run.last])
        evidence: dict[str, str | int] = {
            "before": str(from_micro(int(series.values[run.first]))),
            "after": str(from_micro(int(series.values[run.last]))),
            "ran_back": str(from_micro(run.drop)),
            "since": iso(start),
            "until": iso(end),
        }
        ended = end if run.last + 1 < len(series) else None
        findings.append(Finding(KIND, Severity.ALARM, run.first, run.last, start, ended, evidence))
        marks += [
            Mark(index, KIND, Quality.QUESTIONABLE, True, evidence)
            for index in range(run.first + 1, run.last + 1)
        ]
    return findings, marks


RULES = (
    Rule(
        KIND,
        "runs backward, reading after reading",
        (Severity.ALARM,),
        "before after ran_back since until",
        parameters=ReverseParameters,
        verdict=Verdict.QUESTIONABLE,
    ),
)
