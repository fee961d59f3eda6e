"""A stuck register: unchanged for longer than this meter ever was.

Some meters repeat a value for an hour, a flat stands still over a weekend, a heating register rests all
summer. So a register is measured against itself: a stretch without change is a finding when it lasts

- longer than twice the longest stretch that came before it (in at least 28 days of history), and
- longer than 60 times that stretch, but no less than 3 days and no more than `rest`: three weeks unless told
  otherwise, which a holiday rarely exceeds.

A house's main meter that never rested for more than an hour is so reported after three days; a flat that
rests at night, after three weeks; one whose owners were once away for a fortnight, after a month. A register
that never moved is unused, not stuck. Only earlier stretches count: what happens later does not change what
was right to report.
"""

from dataclasses import dataclass
from typing import Self

import numpy as np

from anomaly.input.past import Standing
from anomaly.input.series import DAY, HOUR, BoolArray, Finding, Int64Array, Series, iso
from anomaly.parameters import Counted, CountedRegister, RuleParameters
from anomaly.rule import Duration, Rule
from telemetry.findings import STUCK, Severity
from telemetry.micro import from_micro

KIND = STUCK
ZERO = "zero"  # the same with less patience: nothing was used for longer than is usual here


@dataclass(frozen=True, slots=True)
class StuckParameters(RuleParameters):
    """Limits of a standstill. Durations in microseconds. `rest`: how long any register of this kind may stand
    still."""

    name = "stuck"
    required = True
    history: int = 28 * DAY
    least: int = 3 * DAY
    rest: int = 21 * DAY
    times_longest: int = 2
    times_busy: int = 60

    @classmethod
    def usual(cls, of: CountedRegister) -> Self | None:
        """Every register; what belongs to heat rests all summer."""
        seasonal = of.counts in (Counted.HEAT, Counted.COOLING, Counted.SEASONAL)
        return cls(least=200 * DAY, rest=200 * DAY) if seasonal else cls()


@dataclass(frozen=True, slots=True)
class ZeroParameters(StuckParameters):
    """Limits of a standstill that is no fault yet."""

    name = "zero"
    required = False
    least: int = DAY
    rest: int = 14 * DAY
    times_busy: int = 24

    @classmethod
    def usual(cls, of: CountedRegister) -> Self | None:
        """Every register, but for what belongs to heat."""
        seasonal = of.counts in (Counted.HEAT, Counted.COOLING, Counted.SEASONAL)
        return None if seasonal else cls()


def standing(series: Series, on_chain: BoolArray, reading: int, before: Standing | None) -> Standing:
    """How it stood at a reading (an index) of the chain; `before`: at the first of the series, if that is not
    the first of all."""
    chain = np.flatnonzero(on_chain[: reading + 1])
    since, ends, start = _stretches(series, chain, before)
    durations = series.times[chain][ends] - since
    return Standing(
        start.first,
        int(since[-1]),
        max(start.longest, int(durations[:-1].max(initial=0))),
        start.moved or len(since) > 1,
    )


def _stretches(
    series: Series, chain: Int64Array, before: Standing | None
) -> tuple[Int64Array, Int64Array, Standing]:
    """Stretches without change: the instants of their beginnings, and the places in `chain` of their last
    readings; and how the register stood at the first of the chain."""
    times = series.times[chain]
    changes = np.flatnonzero(np.diff(series.values[chain]) != 0)
    since = times[np.concatenate(([0], changes + 1))]
    start = before or Standing(int(times[0]), int(times[0]), 0, False)
    since[0] = start.begin
    return since, np.append(changes, len(chain) - 1), start


def detect(
    series: Series,
    on_chain: BoolArray,
    rule: StuckParameters,
    kind: str = KIND,
    severity: Severity = Severity.WARNING,
    *,
    before: Standing | None = None,
) -> tuple[Finding, ...]:
    """Stuck stretches, judged on readings `on_chain` (bool, shape (n,)): a glitch does not end one. `before`:
    how the register stood at the first reading, if that is not the first of all."""
    chain = np.flatnonzero(on_chain)
    if not len(chain):
        return ()
    times, values = series.times[chain], series.values[chain]
    since, ends, start = _stretches(series, chain, before)
    begins = np.concatenate(([0], ends[:-1] + 1))
    durations = times[ends] - since
    if int(durations.max()) <= rule.least:  # the usual case
        return ()
    longest_before = np.maximum.accumulate(np.concatenate(([start.longest], durations[:-1])))
    limit = np.maximum(
        rule.times_longest * longest_before, np.clip(rule.times_busy * longest_before, rule.least, rule.rest)
    )
    known = (since - start.first >= rule.history) & ((begins > 0) | start.moved)
    findings = []
    for k in np.flatnonzero((durations > limit) & known):
        begin, end = int(begins[k]), int(ends[k])
        first, last, started = int(chain[begin]), int(chain[end]), int(since[k])
        changed = int(times[end + 1]) if end + 1 < len(chain) else None
        evidence: dict[str, str | int] = {
            "value": str(from_micro(int(values[begin]))),
            "since": iso(started),
            "until": iso(int(times[end])),
            "hours": int(durations[k] // HOUR),
            "longest_before_hours": int(longest_before[k] // HOUR),
            "limit_hours": int(limit[k] // HOUR),
        }
        findings.append(Finding(kind, severity, first, last, started, changed, evidence))
    return tuple(findings)


def _rule(kind: str, says: str, severity: Severity, parameters: type[StuckParameters]) -> Rule:
    evidence = "value since until hours longest_before_hours limit_hours"
    return Rule(kind, says, (severity,), evidence, lasts=Duration.STANDSTILL, parameters=parameters)


RULES = (
    _rule(ZERO, "no use for longer than is usual here, until it is `stuck`", Severity.INFO, ZeroParameters),
    _rule(KIND, "unchanged for longer than this meter ever was", Severity.WARNING, StuckParameters),
)
