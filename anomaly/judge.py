"""The entries for those who store the result: one counter's boundaries, or everything of a block of
registers."""

import numpy as np

from anomaly import (
    compare,
    device,
    electricity,
    heat,
    negative_step,
    periods,
    rates,
    reverse_flow,
    schedule,
    stuck,
    usage,
    water,
)
from anomaly.block import Block, Register
from anomaly.catalogue import VERDICTS, Verdict
from anomaly.pace import Pace, learn
from anomaly.series import Finding, Judgement, Mark, Series, Severity
from anomaly.stuck import StuckRule
from anomaly.study import Study, scale
from telemetry.obis import RegisterKind
from telemetry.quality import Quality

KINDS = (*negative_step.KINDS, stuck.KIND)
_DETECTORS = (
    schedule.missing,
    schedule.interval,
    device.status,
    device.instants,
    device.clock_drift,
    device.verification_expired,
    rates.max_rate,
    rates.high_low,
    rates.spike,
    rates.unit_or_multiplier,
    compare.sibling,
    compare.sum_check,
    periods.inactive_consumption,
    water.leak,
    water.burst,
    water.catch_up,
    usage.level_shift,
    usage.seasonal_outlier,
    heat.detect,
    electricity.detect,
)


def judge(series: Series, stuck_rule: StuckRule | None = None) -> Judgement:
    """Which of a counter's readings may be boundaries of a bill, with the glitches, resets and standstills
    that decide it: a pure function of the series, so late data give the same result."""
    steps = negative_step.detect(series, learn(series))
    standing = stuck.detect(series, steps.usable, stuck_rule or StuckRule())
    return _ordered(steps.findings + standing, steps.marks, steps.usable)


def judge_block(block: Block) -> tuple[Judgement, ...]:
    """Everything said of the registers of a block, in their order: a pure function of what the block
    holds."""
    counted = [_counter(block.series(row), register) for row, register in enumerate(block.registers)]
    study = Study(block, [judged for judged, _ in counted], [pace for _, pace in counted])
    hits: list[list[Finding]] = [[] for _ in block.registers]
    for detector in _DETECTORS:
        for hit in detector(study):
            hits[hit.row].append(hit.finding)
    return tuple(
        _with(judged, found) for judged, found in zip((judged for judged, _ in counted), hits, strict=True)
    )


def _counter(series: Series, register: Register) -> tuple[Judgement, Pace]:
    """Backward steps, reverse flow and standstills; of a gauge every reading is usable, and there are
    none."""
    if register.kind is not RegisterKind.COUNTER:
        return Judgement((), (), np.ones(len(series), dtype=np.bool_)), Pace(0, None, learn(series).interval)
    pace, rules = learn(series, register.max_rate), register.rules
    backward = (
        [] if rules.reverse is None else reverse_flow.runs(series, pace, rules.reverse, scale(register))
    )
    steps = negative_step.detect(reverse_flow.allowed(series, backward), pace)
    findings, marks = reverse_flow.describe(series, backward)
    standing = stuck.detect(series, steps.usable, rules.stuck)
    zero = (
        ()
        if rules.zero is None
        else stuck.detect(series, steps.usable, rules.zero, stuck.ZERO, Severity.INFO)
    )
    return _ordered(
        (*steps.findings, *findings, *standing, *zero), (*steps.marks, *marks), steps.usable
    ), pace


def _with(judged: Judgement, found: list[Finding]) -> Judgement:
    """The judgement with more findings, and the marks that their verdicts put on their readings."""
    usable, marks = judged.usable.copy(), list(judged.marks)
    told = {(mark.index, mark.rule) for mark in marks}
    for finding in found:
        verdict = VERDICTS.get(finding.kind, Verdict.INFO)
        if verdict is Verdict.INFO:
            continue
        keeps = verdict is Verdict.QUESTIONABLE
        for index in range(finding.first, finding.last + 1):
            if (index, finding.kind) not in told:
                told.add((index, finding.kind))
                marks.append(Mark(index, finding.kind, Quality.QUESTIONABLE, keeps, finding.evidence))
        if not keeps:
            usable[finding.first : finding.last + 1] = False
    return _ordered((*judged.findings, *found), tuple(marks), usable)


def _ordered(findings: tuple[Finding, ...], marks: tuple[Mark, ...], usable: np.ndarray) -> Judgement:
    return Judgement(
        tuple(sorted(findings, key=lambda finding: (finding.started_at, finding.kind))),
        tuple(sorted(marks, key=lambda mark: (mark.index, mark.rule))),
        usable,
    )
