"""Rules about periods and people: estimates that go on too long, use without a contract, hand-ins out of
time."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from enum import Enum

import numpy as np

from anomaly.input.series import Severity, iso
from anomaly.workspace import Hit, Study, exact
from telemetry.quality import Quality

PROLONGED_ESTIMATION, INACTIVE_CONSUMPTION = "prolonged_estimation", "inactive_consumption"
SUBMISSION_WINDOW = "submission_window"


def prolonged_estimation(qualities: Sequence[Quality], limit: int = 3) -> int | None:
    """How many periods running, up to the latest, were estimated, where that is more than `limit`; else None.

    `qualities` are those of a register's periods in the order of time. The Russian Decree 354 (59 b) allows
    three.
    """
    running = 0
    for quality in reversed(qualities):
        if quality is not Quality.ESTIMATED:
            break
        running += 1
    return running if running > limit else None


def inactive_consumption(study: Study) -> list[Hit]:
    """What registers moved by while nobody had a contract for them: one finding for each such time."""
    hits = []
    steps = study.steps
    for row, register in enumerate(study.block.registers):
        if register.contracts is None:
            continue
        first, last = np.searchsorted(steps.row, [row, row + 1])
        begin, end = steps.begin[first:last], steps.end[first:last]
        moved = np.where(steps.whole[first:last], steps.moved[first:last], 0)
        for since, until in _without(register.contracts):
            inside = np.flatnonzero(
                (begin >= since) & (moved > 0) & ((until is None) | (end <= (until or 0)))
            )
            if not len(inside):
                continue
            started = int(begin[inside[0]])
            evidence: dict[str, str | int] = {
                "used": exact(moved[inside].sum()),
                "no_contract_since": "ever" if since == _EVER else iso(since),
                "last_used_at": iso(int(end[inside[-1]])),
            }
            readings = int(steps.first[first + inside[0]]), int(steps.last[first + inside[-1]])
            hits.append(
                study.hit(
                    row, INACTIVE_CONSUMPTION, Severity.WARNING, readings, (started, until), evidence=evidence
                )
            )
    return hits


_EVER = int(np.iinfo(np.int64).min)


def _without(contracts: tuple[tuple[int, int | None], ...]) -> list[tuple[int, int | None]]:
    """The spans between contracts, those before the first and after the last included."""
    gaps: list[tuple[int, int | None]] = []
    free: int | None = _EVER
    for start, end in sorted(contracts, key=lambda span: span[0]):
        if free is not None and start > free:
            gaps.append((free, start))
        free = None if end is None or free is None else max(free, end)
    if free is not None:
        gaps.append((free, None))
    return gaps


class InWindow(Enum):
    """Where a hand-in lies; the value is the beginning of the answer to who handed it in."""

    OPEN = "within the submission window"
    EARLY = "the window opens on"
    LATE = "counts in the next period; the window closed on"


@dataclass(frozen=True, slots=True)
class SubmissionWindow:
    """Days of the month, both inclusive, in local time. `first_day` above `last_day` spans the month's end:
    25 to 1 is the last week of a month and the first day of the next."""

    first_day: int
    last_day: int

    def judge(self, handed_in: date) -> tuple[InWindow, int]:
        """Where a local date lies, and the day of the month on which the window opens or closed."""
        day = handed_in.day
        if self.first_day <= self.last_day:
            if day < self.first_day:
                return InWindow.EARLY, self.first_day
            return (InWindow.OPEN, self.last_day) if day <= self.last_day else (InWindow.LATE, self.last_day)
        if day >= self.first_day or day <= self.last_day:
            return InWindow.OPEN, self.last_day
        return InWindow.EARLY, self.first_day
