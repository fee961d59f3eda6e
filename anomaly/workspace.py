"""What is worked out once for a block, and how rules and detectors say what they saw in it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from anomaly.boundary.steps import Days, Steps, days_of, over_two, recent, steps_of
from anomaly.episodes import Episode, Hysteresis, episodes
from anomaly.input.block import Block, Register, edges
from anomaly.input.local_time import local, midnight
from anomaly.input.series import BoolArray, Evidence, Finding, FloatArray, Int64Array, Judgement
from anomaly.parameters import P, ParameterSet
from metering.readings.rate import LearnedRates
from telemetry.findings import Severity
from telemetry.micro import from_micro
from telemetry.obis import RegisterKind
from telemetry.units import ratio


@dataclass(frozen=True, slots=True)
class Hit:
    """A finding of register `row` of the block."""

    row: int
    finding: Finding


@dataclass(frozen=True)
class Study:
    """A block with what its counters' boundary judgement left usable, and what follows from that."""

    block: Block
    judged: Sequence[Judgement]
    rates: LearnedRates

    @cached_property
    def steps(self) -> Steps:
        """Between usable readings of counters; a gauge has none."""
        return steps_of(self.block, self.judged, self.rates)

    @cached_property
    def days(self) -> Days:
        """Counters day by day."""
        return days_of(self.block, self.steps, self.over_two[0])

    @cached_property
    def over_two(self) -> tuple[FloatArray, Int64Array]:
        """Rates over each step and the one before, and their beginnings (`steps.over_two`)."""
        return over_two(self.steps)

    def usual(self, x: FloatArray, history: FloatArray, share: float, least: int = 14) -> FloatArray:
        """What was usual before, of a matrix like those of `days` (`steps.recent`), where that matters."""
        begin = int(self.days.opens.min()) if len(self.block) else 0
        return recent(x, self.days.first, history, share, least=least, begin=begin)

    @cached_property
    def step_hours(self) -> Int64Array:
        """Local hour (counted from 1970) in which the middle of each step lies."""
        steps = self.steps
        return local((steps.begin + steps.end) // 2, self.block.zone) // 3_600_000_000

    @cached_property
    def _sets(self) -> tuple[list[ParameterSet], Int64Array]:
        """The different sets of parameters, few beside the registers, and which of them each register has."""
        sets = {id(each.parameters): each.parameters for each in self.block.registers}
        place = {key: number for number, key in enumerate(sets)}
        at = [place[id(each.parameters)] for each in self.block.registers]
        return list(sets.values()), np.array(at, dtype=np.int64)

    @cached_property
    def _scales(self) -> FloatArray:
        return np.array([scale(each) for each in self.block.registers], dtype=np.float64)

    def parameters(self, of: type[P], figure: Callable[[P], float | int]) -> FloatArray:
        """A figure of each register's parameters of a rule, NaN where it is off: float64, shape (k,)."""
        sets, at = self._sets
        on = [each.get(of) for each in sets]
        return np.array([np.nan if each is None else figure(each) for each in on], dtype=np.float64)[at]

    def amounts(self, of: type[P], figure: Callable[[P], float | int]) -> FloatArray:
        """The same for an amount, in micro-units of the register's own unit."""
        return np.asarray(self.parameters(of, figure) * self._scales)

    def rows_with(self, of: type[P]) -> dict[int, P]:
        """The counters for which a rule is switched on, with its parameters."""
        return {
            row: on
            for row, register in enumerate(self.block.registers)
            if register.kind is RegisterKind.COUNTER and (on := register.parameters.get(of)) is not None
        }

    def spells(self, row: int, wrong: BoolArray, right: BoolArray, by: Hysteresis) -> list[Episode]:
        """Events of days of one register (bool, shape (days,)) that are wrong, until as many are right."""
        on, off = wrong[None], right[None]
        return episodes((on, off), (off, on), by, since=self.days.opens[row : row + 1])

    def heard(self, row: int) -> bool:
        """Whether a register has any reading that a finding could name."""
        return bool(self.block.bounds[row] < self.block.bounds[row + 1])

    def hit(  # noqa: PLR0917 - every finding says all of it, in this order
        self,
        row: int,
        kind: str,
        severity: Severity,
        readings: tuple[int, int],
        span: tuple[int, int | None],
        evidence: Evidence,
    ) -> Hit:
        """A finding at `readings` (first and last, in the register's series) from `span[0]` to `span[1]`."""
        first, last = int(readings[0]), int(readings[1])
        ended = None if span[1] is None else int(span[1])
        evidence = {key: told if isinstance(told, str) else int(told) for key, told in evidence.items()}
        return Hit(row, Finding(kind, severity, first, last, int(span[0]), ended, evidence))

    def by_days(
        self, kind: str, severity: Severity, episode: Episode, evidence: Evidence, *, row: int | None = None
    ) -> Hit:
        """A finding from an episode of whole local days (counted in the columns of `days`)."""
        register = episode.row if row is None else row
        start = midnight(self.days.first + episode.first, self.block.zone)
        end = None if episode.end is None else midnight(self.days.first + episode.end, self.block.zone)
        return self.hit(register, kind, severity, self.readings(register, start, end), (start, end), evidence)

    def readings(self, row: int, start: int, end: int | None) -> tuple[int, int]:
        """First and last reading of a register from `start` to before `end`, at least one."""
        first, last = int(self.block.bounds[row]), int(self.block.bounds[row + 1])
        times = self.block.times[first:last]
        begin = min(int(np.searchsorted(times, start)), len(times) - 1)
        stop = len(times) if end is None else int(np.searchsorted(times, end))
        return begin, max(begin, stop - 1)


def scale(register: Register) -> float:
    """How many of the register's units one unit of its rules' amounts is."""
    if not register.parameters.unit or not register.unit or register.unit == register.parameters.unit:
        return 1.0
    return float(ratio(register.parameters.unit, register.unit))


def groups(
    at: Int64Array, rows: Int64Array, begin: Int64Array, end: Int64Array, within: int
) -> list[Int64Array]:
    """Elements `at` (increasing, of flat arrays) put together where they are of one register and the next
    begins no more than `within` microseconds after the one before ended."""
    if not len(at):
        return []
    apart = edges(rows[at])
    apart[1:] |= begin[at[1:]] - end[at[:-1]] > within
    return np.split(at, np.flatnonzero(apart)[1:])


def said(micro: float | np.floating | np.integer | int) -> str:
    """Micro-units as a decimal for evidence: at most three places for what was computed."""
    return str(from_micro(round(float(micro) / 1000) * 1000))


def share(part: float) -> str:
    """A share as a percentage: '12.5 %'."""
    return f"{100 * part:.1f} %"


def mean(x: FloatArray) -> float:
    """The mean of what is known, 0 where nothing is."""
    known = x[~np.isnan(x)]
    return float(known.mean()) if len(known) else 0.0


def exact(micro: np.integer | int) -> str:
    """A reading's value for evidence, with all its places."""
    return str(from_micro(int(micro)))
