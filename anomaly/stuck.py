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

import numpy as np

from anomaly.series import DAY, BoolArray, Finding, Series, Severity, iso
from telemetry.micro import from_micro

KIND = "stuck"
ZERO = "zero"  # the same with less patience: nothing was used for longer than is usual here


@dataclass(frozen=True, slots=True)
class StuckRule:
    """Durations in microseconds. `rest`: how long any register of this kind may stand still."""

    history: int = 28 * DAY
    least: int = 3 * DAY
    rest: int = 21 * DAY
    times_longest: int = 2
    times_busy: int = 60


def detect(
    series: Series,
    on_chain: BoolArray,
    rule: StuckRule,
    kind: str = KIND,
    severity: Severity = Severity.WARNING,
) -> tuple[Finding, ...]:
    """Stuck stretches, judged on readings `on_chain` (bool, shape (n,)): a glitch does not end one."""
    chain = np.flatnonzero(on_chain)
    if len(chain) < 2:
        return ()
    times, values = series.times[chain], series.values[chain]
    changes = np.flatnonzero(np.diff(values) != 0)
    begins = np.concatenate(([0], changes + 1))
    ends = np.append(changes, len(chain) - 1)
    durations = times[ends] - times[begins]
    if int(durations.max()) <= rule.least:  # the usual case
        return ()
    longest_before = np.concatenate(([0], np.maximum.accumulate(durations)[:-1]))
    limit = np.maximum(
        rule.times_longest * longest_before,
        np.clip(rule.times_busy * longest_before, rule.least, rule.rest),
    )
    known = times[begins] - times[0] >= rule.history
    findings = []
    for k in np.flatnonzero((durations > limit) & known & (begins > 0)):
        begin, end = int(begins[k]), int(ends[k])
        changed = end + 1 < len(chain)
        findings.append(
            Finding(
                kind,
                severity,
                int(chain[begin]),
                int(chain[end]),
                int(times[begin]),
                int(times[end + 1]) if changed else None,
                {
                    "value": str(from_micro(int(values[begin]))),
                    "since": iso(int(times[begin])),
                    "until": iso(int(times[end])),
                    "hours": int(durations[k] // (DAY // 24)),
                    "longest_before_hours": int(longest_before[k] // (DAY // 24)),
                    "limit_hours": int(limit[k] // (DAY // 24)),
                },
            )
        )
    return tuple(findings)
