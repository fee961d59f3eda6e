"""Event-wise scores: a planted event is found by any finding of its kind that overlaps it, once.

Never point-adjusted F1, which a random detector wins (Wu and Keogh, arXiv 2009.13807; Kim et al., AAAI 2022).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from anomaly.input.series import DAY, HOUR

MONTH = 30.4375 * DAY
BEFORE, AFTER = DAY, 2 * DAY  # how far beside the planted event a finding may lie
DELAYS = tuple(
    hours * HOUR for hours in (1, 2, 4, 8, 24, 48, 72, 96, 120, 168, 240, 336, 504, 720, 1440, 2160)
)


@dataclass(frozen=True, slots=True)
class Event:
    """What a detector says: from `start` to `end` (None: still open), microseconds since 1970."""

    kind: str
    start: int
    end: int | None

    def overlaps(self, start: int, end: int) -> bool:
        """Whether it is about the time from `start` to `end`."""
        return self.start <= end + AFTER and (self.end is None or self.end >= start - BEFORE)


@dataclass(frozen=True, slots=True)
class Trial:
    """One copy of a meter with one fault in it. `known`: real events of the unmodified meter."""

    start: int
    end: int
    months: float
    known: Sequence[Event]


@dataclass(frozen=True, slots=True)
class Score:
    """Of one fault and one detector. `delays` in hours, of the events that were found."""

    planted: int
    found: int
    false_alarms: int
    months: float
    delays: Sequence[float] = ()

    @property
    def recall(self) -> float:
        """Share of planted events that were found."""
        return self.found / self.planted if self.planted else float("nan")

    @property
    def precision(self) -> float:
        """Share of what was said that was true."""
        said = self.found + self.false_alarms
        return self.found / said if said else float("nan")

    @property
    def false_alarms_per_month(self) -> float:
        """Per meter and month."""
        return self.false_alarms / self.months if self.months else float("nan")

    @property
    def median_delay(self) -> float:
        """Hours from the fault's beginning until it would have been said."""
        return float(np.median(self.delays)) if self.delays else float("nan")


def score(trials: Sequence[Trial], said: Sequence[Sequence[Event]], delays: Sequence[float] = ()) -> Score:
    """`said` of each trial. What overlaps neither the planted event nor a known one is a false alarm."""
    found = false_alarms = 0
    for trial, events in zip(trials, said, strict=True):
        found += any(event.overlaps(trial.start, trial.end) for event in events)
        false_alarms += sum(
            not event.overlaps(trial.start, trial.end)
            and not any(event.overlaps(known.start, known.end or event.start) for known in trial.known)
            for event in events
        )
    return Score(len(trials), found, false_alarms, sum(trial.months for trial in trials), delays)


def first_said(
    trials: Sequence[Trial],
    judge_until: Callable[[Sequence[int], Sequence[int]], Sequence[Sequence[Event]]],
    after: Sequence[int] = DELAYS,
) -> list[float]:
    """Hours after which each found event would first have been said: the series is judged as it stood then.

    `judge_until(which, until)` says what was said of those trials with nothing after those instants known.
    """
    waiting, delays = list(range(len(trials))), []
    for delay in after:
        until = [trials[i].start + delay for i in waiting]
        said = judge_until(waiting, until) if waiting else []
        heard = {
            i for i, events in zip(waiting, said, strict=True)
            if any(event.overlaps(trials[i].start, trials[i].end) for event in events)
        }  # fmt: skip
        delays += [delay / HOUR] * len(heard)
        waiting = [i for i in waiting if i not in heard]
    return delays
