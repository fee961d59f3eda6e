"""Judgement as time goes by, from what is settled and from the beginning: both must say the same."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import numpy.typing as npt

from anomaly.checkpoint import open_from
from anomaly.input.block import UNKNOWN, Block, Register
from anomaly.input.local_time import monday
from anomaly.input.past import RegisterPast
from anomaly.input.series import DAY, HOUR, Judgement
from anomaly.judge import Examination, examine
from telemetry.micro import LIMIT
from tests.support.blocks import Made

ZONE = ZoneInfo("Europe/Berlin")
Column = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Series:
    """A register's readings: int64 columns of shape (n,) and its facts. `late`: by how much they arrived
    after they were taken; `ahead`: how far the meter's clock was, `UNKNOWN` where it was not told."""

    register: Register
    times: Column
    values: Column
    status: Column
    late: Column
    ahead: Column

    @classmethod
    def of(cls, made: Made, *, late: int | Column = HOUR, ahead: Column | None = None) -> "Series":
        """Readings that arrive an hour late, unless told otherwise."""
        count = len(made.times)
        return cls(
            made.register,
            made.times,
            made.values,
            made.status,
            np.broadcast_to(np.asarray(late, dtype=np.int64), count),
            np.full(count, UNKNOWN) if ahead is None else ahead,
        )

    def part(self, which: Any) -> "Series":
        """Some of the readings."""
        columns = (self.times, self.values, self.status, self.late, self.ahead)
        return Series(self.register, *(column[which] for column in columns))


def made(
    series: Sequence[Series], until: int, past: Sequence[RegisterPast | None], zone: ZoneInfo = ZONE
) -> Block:
    """What stands in the store at an instant, of each register from its tail on."""
    parts = [
        each.part((each.times <= until) & (each.times >= (settled.tail if settled else -LIMIT)))
        for each, settled in zip(series, past, strict=True)
    ]
    block = Block.of(
        [each.register for each in parts],
        np.repeat(np.arange(len(parts)), [len(each.times) for each in parts]),
        np.concatenate([each.times for each in parts]),
        np.concatenate([each.values for each in parts]),
        status=np.concatenate([each.status for each in parts]),
        received=np.concatenate([each.times + each.late for each in parts]),
        clocks=np.concatenate(
            [np.where(each.ahead == UNKNOWN, UNKNOWN, each.times + each.ahead) for each in parts]
        ),
        until=until,
        zone=zone,
    )
    return replace(block, past=tuple(past))


def said(judged: Judgement, times: npt.NDArray[np.int64], past: RegisterPast) -> dict[str, list[Any]]:
    """What is not final, in an order of its own."""
    findings = [
        (each.kind, each.started_at, each.ended_at, each.severity.value, sorted(each.evidence.items()))
        for each in judged.findings
        if each.started_at >= open_from(past, each.kind)
    ]
    marks = [
        (int(times[each.index]), each.rule, each.quality, each.usable, sorted(each.evidence.items()))
        for each in judged.marks
        if times[each.index] >= past.final
    ]
    return {"findings": sorted(findings, key=repr), "marks": sorted(marks, key=repr)}


def final(judged: Judgement, past: RegisterPast) -> set[tuple[str, int, int | None, str]]:
    return {
        (each.kind, each.started_at, each.ended_at, repr(each.evidence))
        for each in judged.findings
        if each.started_at < open_from(past, each.kind)
    }


def settled_of(of: Examination, day: int) -> list[RegisterPast | None]:
    """What is settled of each register at a Monday."""
    found: list[RegisterPast | None] = [None] * len(of.judged)
    meters: dict[str, list[int]] = {}
    for row, each in enumerate(of.study.block.registers):
        meters.setdefault(each.meter, []).append(row)
    for rows in meters.values():
        for row, one in zip(rows, of.settled(rows, day), strict=False):
            found[row] = one
    return found


@dataclass(frozen=True, slots=True)
class Compared:
    """Registers that were judged from a cut, and the readings that this took."""

    registers: int
    readings: int


def compare(series: Sequence[Series], untils: Sequence[int], zone: ZoneInfo = ZONE) -> Compared:
    """Judges as time goes by, from the last cut and from the beginning: both say the same."""
    past: list[RegisterPast | None] = [None] * len(series)
    before: tuple[Judgement, ...] = ()
    compared = readings = 0
    for until in untils:
        known = examine(made(series, until, past, zone))
        whole = examine(made(series, until, [None] * len(series), zone))
        meters = [each.meter for each in known.study.block.registers]
        doubtful = {meter for meter, doubt in zip(meters, known.doubtful, strict=True) if doubt}
        past = [None if meter in doubtful else one for meter, one in zip(meters, past, strict=True)]
        for row, one in enumerate(past):
            if one is not None:
                tail, all_ = known.study.block.series(row).times, whole.study.block.series(row).times
                assert said(known.judged[row], tail, one) == said(whole.judged[row], all_, one)
                assert final(before[row], one) == final(whole.judged[row], one)
                compared += 1
                readings += len(tail)
        before = whole.judged
        known = examine(made(series, until, past, zone))
        anew = settled_of(known, monday(until - 2 * DAY, zone))
        past = [new or old for new, old in zip(anew, past, strict=True)]
    return Compared(compared, readings)
