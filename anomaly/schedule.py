"""Whether readings came when they were expected: missing ones, and distances that are not as scheduled."""

import numpy as np

from anomaly.block import Block
from anomaly.series import DAY, Severity, iso
from anomaly.study import Hit, Study, groups

MISSING, INTERVAL = "missing", "interval"


def missing(study: Study) -> list[Hit]:
    """Spans in which scheduled readings are absent, the one since the last reading included: still open."""
    block = study.block
    interval, row, _ = _scheduled(block)
    factor = study.parameters(lambda rules: rules.schedule and rules.schedule.missing)
    hits = []
    elapsed = np.diff(block.times)
    with np.errstate(invalid="ignore"):
        late = (row[1:] == row[:-1]) & (elapsed > (factor * interval)[row[1:]])
    for i in np.flatnonzero(late):
        at = int(row[i])
        index = int(i - block.bounds[at])
        span = int(block.times[i]), int(block.times[i + 1])
        hits.append(_absent(study, at, (index, index + 1), span, interval[at]))
    for at in np.flatnonzero(np.diff(block.bounds) > 0):
        last = int(block.bounds[at + 1]) - 1
        since = int(block.times[last])
        if block.until - since > factor[at] * interval[at]:
            index = last - int(block.bounds[at])
            hits.append(_absent(study, int(at), (index, index), (since, None), interval[at]))
    return hits


def _absent(
    study: Study, row: int, readings: tuple[int, int], span: tuple[int, int | None], interval: float
) -> Hit:
    until = study.block.until if span[1] is None else span[1]
    evidence: dict[str, str | int] = {
        "absent": max(1, round((until - span[0]) / interval) - (span[1] is not None)),
        "scheduled_minutes": round(interval / 60_000_000),
        "last_before": iso(span[0]),
        "next": "none" if span[1] is None else iso(span[1]),
    }
    severity = Severity.WARNING if until - span[0] > DAY else Severity.INFO
    return study.hit(row, MISSING, severity, readings, span, evidence)


def interval(study: Study) -> list[Hit]:
    """Stretches of at least three readings whose distance is not the scheduled one: one finding each."""
    block = study.block
    scheduled, row, known = _scheduled(block)
    tolerance = study.parameters(lambda rules: rules.schedule and rules.schedule.tolerance)
    factor = study.parameters(lambda rules: rules.schedule and rules.schedule.missing)
    elapsed = np.diff(block.times)
    at = row[1:]
    with np.errstate(invalid="ignore"):
        same = (row[:-1] == at) & known[at]
        off = np.abs(elapsed - scheduled[at]) > (tolerance * scheduled)[at]
        wrong = same & off & (elapsed <= (factor * scheduled)[at])
    steps = np.flatnonzero(wrong)
    hits = []
    for run in groups(steps, at, block.times[:-1], block.times[1:], DAY):
        if len(run) < 3:
            continue
        register = int(at[run[0]])
        first, last = int(run[0]), int(run[-1]) + 1
        span = int(block.times[first]), int(block.times[last])
        evidence: dict[str, str | int] = {
            "distances": len(run),
            "scheduled_minutes": round(scheduled[register] / 60_000_000),
            "median_minutes": round(float(np.median(elapsed[run])) / 60_000_000),
            "since": iso(span[0]),
            "until": iso(span[1]),
        }
        start = int(block.bounds[register])
        hits.append(
            study.hit(register, INTERVAL, Severity.INFO, (first - start, last - start), span, evidence)
        )
    return hits


def _scheduled(block: Block) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Scheduled distances by register (NaN: none), the register of each reading, and which are scheduled."""
    interval = np.array([each.interval or np.nan for each in block.registers], dtype=np.float64)
    return interval, block.rows, ~np.isnan(interval)
