"""A block of registers: what a caller supplies to have them judged together.

All readings of a block lie in flat arrays, register after register and each in the order of time, so that a
rule is a few numpy operations for the whole block, however short the series are.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from zoneinfo import ZoneInfo

import numpy as np
import numpy.typing as npt

from anomaly.input.past import RegisterPast
from anomaly.input.series import BoolArray, Int64Array, Series
from anomaly.parameters import ParameterSet
from telemetry.obis import Obis, RegisterKind
from telemetry.units import ratio

UNKNOWN = np.iinfo(np.int64).min  # an instant that nobody recorded


@dataclass(frozen=True, slots=True)
class Register:
    """Facts of a register besides its readings.

    `obis` and `kind` say what it counts; `meter` groups the registers of one meter. `interval`:
    microseconds between two scheduled readings, None where nothing is promised. `max_rate`: micro-units an
    hour that the meter's Qmax or the fuse lets through. `verified_until`: the instant (microseconds since
    1970) at which the verification ends. `contracts`: spans (from, to or None) in which somebody pays for
    what is used, None where that is not judged. `billed`: a bill rests on it. `parameters`: those in force
    for its rules, selected by the caller.
    """

    meter: str
    obis: Obis
    kind: RegisterKind = RegisterKind.COUNTER
    unit: str = ""
    capacity: int | None = None
    interval: int | None = None
    max_rate: int | None = None
    verified_until: int | None = None
    contracts: tuple[tuple[int, int | None], ...] | None = None
    billed: bool = False
    parameters: ParameterSet = field(default_factory=ParameterSet)

    def __post_init__(self) -> None:
        """Raises telemetry.units.UnitError where the rules' amounts cannot be converted to the register's
        unit."""
        if self.parameters.unit and self.unit and self.unit != self.parameters.unit:
            ratio(self.parameters.unit, self.unit)


@dataclass(frozen=True)
class Block:
    """Registers and their readings.

    Register `r` owns the readings `bounds[r]` to `bounds[r + 1]` (exclusive) of the flat arrays, all of
    shape (n,): `times` (int64, microseconds since 1970, strictly increasing within a register), `values`
    (int64, micro-units), `status` (int16, telemetry.status.Status), `received` and `clocks` (int64 instants
    at which the reading arrived and that the meter's own clock showed, `UNKNOWN` where nobody recorded it).
    `until`: the instant up to which readings of each register can be expected, int64, shape (registers,).
    `zone`: the place whose nights and seasons count. `past`: what is settled of each register, of which then
    only the readings of its tail are here (`settled.py`). A block holds all registers of its meters, or
    rules that compare registers have nothing to compare.
    """

    registers: tuple[Register, ...]
    bounds: Int64Array
    times: Int64Array
    values: Int64Array
    status: npt.NDArray[np.int16]
    received: Int64Array
    clocks: Int64Array
    until: Int64Array
    zone: ZoneInfo
    past: tuple[RegisterPast | None, ...]

    @classmethod
    def of(
        cls,
        registers: Sequence[Register],
        row: npt.ArrayLike,
        times: npt.ArrayLike,
        values: npt.ArrayLike,
        *,
        status: npt.ArrayLike | None = None,
        received: npt.ArrayLike | None = None,
        clocks: npt.ArrayLike | None = None,
        until: int | None = None,
        zone: ZoneInfo | None = None,
    ) -> "Block":
        """The block of readings in any order of arrival; `row` (shape (n,)) counts in `registers`.

        Raises ValueError where two readings of a register share an instant.
        """
        rows, at = np.asarray(row, dtype=np.int64), np.asarray(times, dtype=np.int64)
        order = np.lexsort((at, rows))
        rows, at = rows[order], at[order]
        if ((np.diff(at) <= 0) & (np.diff(rows) == 0)).any():
            raise ValueError("two readings of one register at the same instant")

        def column(given: npt.ArrayLike | None, default: int) -> Int64Array:
            if given is None:
                return np.full(len(at), default, dtype=np.int64)
            return np.asarray(given, dtype=np.int64)[order]

        return cls(
            tuple(registers),
            np.searchsorted(rows, np.arange(len(registers) + 1)).astype(np.int64),
            at,
            np.asarray(values, dtype=np.int64)[order],
            column(status, 0).astype(np.int16),
            column(received, UNKNOWN),
            column(clocks, UNKNOWN),
            np.full(len(registers), until if until is not None else int(at.max(initial=0)), dtype=np.int64),
            zone or ZoneInfo("UTC"),
            (None,) * len(registers),
        )

    def __len__(self) -> int:
        return len(self.registers)

    @cached_property
    def rows(self) -> Int64Array:
        """The register of each reading: int64, shape (n,)."""
        return np.repeat(np.arange(len(self)), np.diff(self.bounds))

    def series(self, row: int) -> Series:
        """One register's readings."""
        part = slice(int(self.bounds[row]), int(self.bounds[row + 1]))
        return Series(self.times[part], self.values[part], self.registers[row].capacity)

    def per_reading(self, per_register: Sequence[float | int]) -> npt.NDArray[np.float64]:
        """A figure of each register, repeated for each of its readings."""
        return np.repeat(np.array(per_register, dtype=np.float64), np.diff(self.bounds))


def edges(rows: Int64Array) -> BoolArray:
    """True where an element begins a new register: bool, shape (n,)."""
    return np.concatenate((np.ones(min(1, len(rows)), dtype=np.bool_), rows[1:] != rows[:-1]))
