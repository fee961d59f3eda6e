"""What detectors take and give: a register's series, and what is to be said of it.

Indices in findings and marks count the readings of the series in the order of time.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import numpy as np
import numpy.typing as npt

from telemetry.findings import Severity
from telemetry.quality import Quality

Int64Array = npt.NDArray[np.int64]
FloatArray = npt.NDArray[np.float64]
BoolArray = npt.NDArray[np.bool_]
Evidence = Mapping[str, str | int]

HOUR = 3_600_000_000  # microseconds
DAY = 24 * HOUR
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Series:
    """One counter's readings in the order of time.

    `times`: int64, shape (n,), microseconds since 1970-01-01T00:00Z, strictly increasing. `values`: int64,
    shape (n,), micro-units. `capacity`: micro-units at which the register rolls over to 0, None if unknown.
    `fallen`: int64, shape (n,), micro-units by which it had run backward up to each reading, None if it never
    did (`reverse_flow.py`).
    """

    times: Int64Array
    values: Int64Array
    capacity: int | None = None
    fallen: Int64Array | None = None

    @classmethod
    def of(cls, times: Int64Array, values: Int64Array, capacity: int | None = None) -> "Series":
        """The series of readings in any order of arrival. Raises ValueError where two share an instant."""
        order = np.argsort(times, kind="stable")
        series = cls(
            np.asarray(times, dtype=np.int64)[order], np.asarray(values, dtype=np.int64)[order], capacity
        )
        if (np.diff(series.times) <= 0).any():
            raise ValueError("two readings of one register at the same instant")
        return series

    def __len__(self) -> int:
        return len(self.times)

    def step(self, before: int, after: int) -> int:
        """Micro-units from one reading to another, what ran backward between them left out of account."""
        back = 0 if self.fallen is None else self.fallen[after] - self.fallen[before]
        return int(self.values[after] - self.values[before] + back)

    def steps(self, at: Int64Array | None = None) -> Int64Array:
        """The same between neighbours of the readings `at` (indices), of all where it is None."""
        moved = self.values if self.fallen is None else self.values + self.fallen
        return np.diff(moved if at is None else moved[at])


@dataclass(frozen=True, slots=True)
class Finding:
    """One event: the readings `first` to `last` (inclusive), from `started_at` to `ended_at`.

    Instants are microseconds since 1970; `ended_at` is None while the event still goes on. `evidence` holds
    the figures that a person can check, values as decimals in the register's unit, instants as ISO 8601.
    """

    kind: str
    severity: Severity
    first: int
    last: int
    started_at: int
    ended_at: int | None
    evidence: Evidence


@dataclass(frozen=True, slots=True)
class Mark:
    """What is said of the reading at `index`. Not `usable`: it must never be a boundary of a bill."""

    index: int
    rule: str
    quality: Quality
    usable: bool
    evidence: Evidence


@dataclass(frozen=True, slots=True)
class Judgement:
    """Everything said of a series. `usable`: bool, shape (n,), readings that may be boundary values."""

    findings: tuple[Finding, ...]
    marks: tuple[Mark, ...]
    usable: BoolArray


def iso(instant: int) -> str:
    """Microseconds since 1970 as ISO 8601 in UTC: '2016-03-01T00:30:27Z'."""
    return (_EPOCH + timedelta(microseconds=int(instant))).isoformat().replace("+00:00", "Z")
