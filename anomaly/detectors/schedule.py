"""Whether readings came when they were expected: missing ones, and distances that are not as scheduled."""

from dataclasses import dataclass

import numpy as np

from anomaly.input.block import Block
from anomaly.input.series import DAY, HOUR, BoolArray, FloatArray, Int64Array, iso
from anomaly.parameters import RuleParameters
from anomaly.rule import Rule
from anomaly.workspace import Hit, Study, groups
from telemetry.findings import Severity

MISSING, INTERVAL = "missing", "interval"


@dataclass(frozen=True, slots=True)
class ScheduleParameters(RuleParameters):
    """Limits of a schedule. `missing`: distances without a reading that are a finding. `tolerance`: share of
    the scheduled distance by which the usual distance of a day may differ from it."""

    name = "schedule"
    missing: float = 3.5
    tolerance: float = 0.25


def missing(study: Study) -> list[Hit]:
    """Spans in which scheduled readings are absent, the one since the last reading included: still open.

    Gaps less than a day apart are one finding: a bad radio day is one event.
    """
    block = study.block
    interval, row, _ = _scheduled(block)
    factor = study.parameters(ScheduleParameters, lambda rule: rule.missing)
    last = np.diff(row, append=-1) != 0
    # after a register's last reading the present follows
    follows = np.append(block.times[1:], 0)
    waits = _Waits(block.times, np.where(last, block.until[row], follows), last)
    with np.errstate(invalid="ignore"):
        late = np.flatnonzero(waits.end - waits.begin > (factor * interval)[row])
    return [_absent(study, gaps, waits, interval) for gaps in groups(late, row, waits.begin, waits.end, DAY)]


@dataclass(frozen=True, slots=True)
class _Waits:
    """After each reading: from it to the next, or to the present where it is its register's `last`."""

    begin: Int64Array
    end: Int64Array
    last: BoolArray


def _absent(study: Study, gaps: Int64Array, waits: _Waits, interval: FloatArray) -> Hit:
    begin, end = waits.begin, waits.end
    row = int(study.block.rows[gaps[0]])
    is_open = bool(waits.last[gaps[-1]])
    silent = end[gaps] - begin[gaps]
    absent = np.maximum(1, np.round(silent / interval[row]) - 1).sum() + is_open
    evidence: dict[str, str | int] = {
        "absent": int(absent),
        "gaps": len(gaps),
        "longest_hours": int(silent.max() // HOUR),
        "scheduled_minutes": round(interval[row] / 60_000_000),
        "last_before": iso(int(begin[gaps[0]])),
        "next": "none" if is_open else iso(int(end[gaps[-1]])),
    }
    start = int(study.block.bounds[row])
    readings = int(gaps[0]) - start, int(gaps[-1]) - start + (not is_open)
    span = int(begin[gaps[0]]), None if is_open else int(end[gaps[-1]])
    severity = Severity.WARNING if silent.max() > DAY else Severity.INFO
    return study.hit(row, MISSING, severity, readings, span, evidence)


def interval(study: Study) -> list[Hit]:
    """Stretches of at least three readings whose distance is not the scheduled one: one finding each.

    Together they are three scheduled distances at least: who reads a meter twice by hand, a few hours after
    the reading that it kept at the beginning of the month, has not changed its schedule.
    """
    block = study.block
    scheduled, row, _ = _scheduled(block)
    elapsed, at = np.diff(block.times), row[1:]
    steps = np.flatnonzero(off(study))
    hits = []
    for run in groups(steps, at, block.times[:-1], block.times[1:], DAY):
        if len(run) < 3:
            continue
        register = int(at[run[0]])
        first, last = int(run[0]), int(run[-1]) + 1
        span = int(block.times[first]), int(block.times[last])
        if elapsed[run].sum() < 3 * scheduled[register]:
            continue
        evidence: dict[str, str | int] = {
            "distances": len(run),
            "scheduled_minutes": round(scheduled[register] / 60_000_000),
            "median_minutes": round(float(np.median(elapsed[run])) / 60_000_000),
            "since": iso(span[0]),
            "until": iso(span[1]),
        }
        start = int(block.bounds[register])
        readings = first - start, last - start
        hits.append(study.hit(register, INTERVAL, Severity.INFO, readings, span, evidence))
    return hits


def off(study: Study) -> BoolArray:
    """Distances between neighbours that are not as scheduled, and no gaps: bool, shape (n - 1,)."""
    block = study.block
    scheduled, row, known = _scheduled(block)
    tolerance = study.parameters(ScheduleParameters, lambda rule: rule.tolerance)
    factor = study.parameters(ScheduleParameters, lambda rule: rule.missing)
    elapsed = np.diff(block.times)
    at = row[1:]
    with np.errstate(invalid="ignore"):
        same = (row[:-1] == at) & known[at]
        wrong = np.abs(elapsed - scheduled[at]) > (tolerance * scheduled)[at]
        return np.asarray(same & wrong & (elapsed <= (factor * scheduled)[at]))


def _scheduled(block: Block) -> tuple[FloatArray, Int64Array, BoolArray]:
    """Scheduled distances by register (NaN: none), the register of each reading, and which are scheduled."""
    interval = np.array([each.interval or np.nan for each in block.registers], dtype=np.float64)
    return interval, block.rows, ~np.isnan(interval)


RULES = (
    Rule(
        MISSING,
        "scheduled readings are absent; gaps within a day are one",
        (Severity.INFO, Severity.WARNING),
        "absent gaps longest_hours scheduled_minutes last_before next",
        parameters=ScheduleParameters,
        uses="missing",
    ),
    Rule(
        INTERVAL,
        "readings at another distance than scheduled",
        (Severity.INFO,),
        "distances scheduled_minutes median_minutes since until",
        parameters=ScheduleParameters,
        uses="tolerance",
    ),
)
DETECTORS = (missing, interval)
