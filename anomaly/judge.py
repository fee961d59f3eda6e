"""Entry for those who store the result: everything that is said of a block of registers."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from anomaly.boundary import negative_step, stuck
from anomaly.boundary.learned_rate import of_block
from anomaly.boundary.stuck import StuckParameters, ZeroParameters
from anomaly.catalogue import DETECTORS, RULES
from anomaly.checkpoint import settle
from anomaly.detectors import reverse_flow, schedule
from anomaly.detectors.reverse_flow import ReverseParameters
from anomaly.input.block import Block, edges
from anomaly.input.past import RegisterPast
from anomaly.input.series import BoolArray, Finding, Judgement, Mark
from anomaly.parameters import ParameterSet
from anomaly.workspace import Study, scale
from metering.readings.rate import LearnedRates, WeeklyRates, impossible
from telemetry.findings import Severity, Verdict
from telemetry.obis import RegisterKind
from telemetry.quality import Quality


@dataclass(frozen=True)
class Examination:
    """What is said of each register of a block, and what that rests on.

    `doubtful`: registers (bool, shape (k,)) with something new that may be explained by what lies before
    their tail: their whole series is needed, and what is said here is of no use.
    """

    study: Study
    weeks: WeeklyRates
    judged: tuple[Judgement, ...]
    doubtful: BoolArray

    def settled(self, rows: Sequence[int], day: int, since: int | None = None) -> list[RegisterPast]:
        """What is settled of all registers of a meter at the beginning of a local day, a Monday; none where
        too much is in the air. `since`: the latest day from which events of days are looked for anew."""
        return settle(
            self.study, self.weeks, self.judged, rows, day=day, off_schedule=self._off_schedule, since=since
        )

    @cached_property
    def _off_schedule(self) -> BoolArray:
        return schedule.off(self.study)


def examine(block: Block) -> Examination:
    """Judges a block of registers: whole series, or tails with what is settled before them."""
    rates, weeks = of_block(block)
    moving = np.array([each.kind is RegisterKind.COUNTER for each in block.registers], dtype=np.bool_)
    back, odd = _contradictions(block, rates, moving)
    broken = np.array([past is not None and past.broken for past in block.past], dtype=np.bool_)
    usual = ~(back | _still(block)) | ~moving
    counted = [
        Judgement((), (), np.ones(block.bounds[row + 1] - block.bounds[row], dtype=np.bool_))
        if usual[row]
        else _counter(block, row, rates.part(slice(int(block.bounds[row]), int(block.bounds[row + 1]))))
        for row in range(len(block))
    ]
    study = Study(block, counted, rates)
    hits: list[list[Finding]] = [[] for _ in block.registers]
    for detector in DETECTORS:
        for hit in detector(study):
            hits[hit.row].append(hit.finding)
    judged = tuple(_with(*each) if each[1] else each[0] for each in zip(counted, hits, strict=True))
    return Examination(study, weeks, judged, (odd & broken) | _rewritten(block, judged))


def _rewritten(block: Block, judged: Sequence[Judgement]) -> BoolArray:
    """Registers of which even settled readings turn out not to be usable: bool, shape (k,)."""
    found = np.zeros(len(block), dtype=np.bool_)
    for row, past in enumerate(block.past):
        if past is not None and not judged[row].usable.all():
            found[row] = (~judged[row].usable & (block.series(row).times < past.final)).any()
    return found


def _contradictions(block: Block, rates: LearnedRates, moving: BoolArray) -> tuple[BoolArray, BoolArray]:
    """Counters with a step back or an impossible one, and those with one that is more than jitter: bool,
    shape (k,)."""
    rows, steps, later = block.rows, np.diff(block.values), rates.part(slice(1, None))
    inside = (rows[1:] == rows[:-1]) & moving[rows[1:]]
    too_fast = impossible(steps, np.diff(block.times), later)
    found = np.zeros((2, len(block)), dtype=np.bool_)
    found[0, rows[1:][inside & ((steps < 0) | too_fast)]] = True
    found[1, rows[1:][inside & ((steps < -later.jitter) | too_fast)]] = True
    return found[0], found[1]


def _still(block: Block) -> BoolArray:
    """Registers that were unchanged for long enough to look closer, whatever else they did: bool, shape
    (k,)."""
    rows = block.rows
    new = edges(rows)
    new[1:] |= block.values[1:] != block.values[:-1]
    begins = np.flatnonzero(new)
    found = np.zeros(len(block), dtype=np.bool_)
    if not len(begins):
        return found
    since, row = block.times[begins], rows[begins]
    for register in np.flatnonzero(np.diff(block.bounds)):
        past = block.past[register]
        if past is not None and past.standing is not None:
            since[np.searchsorted(row, register)] = past.standing.begin
    until = block.times[np.append(begins[1:], len(rows)) - 1]
    least = np.array([_patience(each.parameters) for each in block.registers], dtype=np.int64)
    found[row[until - since > least[row]]] = True
    return found


def _patience(parameters: ParameterSet) -> int:
    fault, earlier = parameters.always(StuckParameters), parameters.get(ZeroParameters)
    return fault.least if earlier is None else min(fault.least, earlier.least)


def _counter(block: Block, row: int, rates: LearnedRates) -> Judgement:
    """Backward steps, reverse flow and standstills."""
    series, register, past = block.series(row), block.registers[row], block.past[row]
    given, before = register.parameters, None if past is None else past.standing
    reverse, less = given.get(ReverseParameters), given.get(ZeroParameters)
    backward = [] if reverse is None else reverse_flow.runs(series, rates, reverse, scale(register))
    steps = negative_step.detect(reverse_flow.allowed(series, backward), rates)
    findings, marks = reverse_flow.describe(series, backward)
    standing = stuck.detect(series, steps.usable, given.always(StuckParameters), before=before)
    zero: tuple[Finding, ...] = ()
    if less is not None:
        told = {each.started_at for each in standing}
        still = stuck.detect(series, steps.usable, less, stuck.ZERO, Severity.INFO, before=before)
        zero = tuple(each for each in still if each.started_at not in told)
    return _ordered((*steps.findings, *findings, *standing, *zero), (*steps.marks, *marks), steps.usable)


def _with(judged: Judgement, found: list[Finding]) -> Judgement:
    """The judgement with more findings, and the marks that their verdicts put on their readings."""
    usable, marks = judged.usable.copy(), list(judged.marks)
    told = {(mark.index, mark.rule) for mark in marks}
    for finding in found:
        verdict = RULES[finding.kind].verdict
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
