"""Past of a register: all that lies before its tail and can still mean something for what is yet to come.

`anomaly/checkpoint.py` makes it, at a local Monday's midnight, and says what it rests on.
"""

from dataclasses import dataclass

import numpy as np

from anomaly.input.series import FloatArray
from metering.readings.rate import WeeklyRates

EVENTS = 42  # days before the cut from which events are looked for anew: whatever opens one is seen within


@dataclass(frozen=True, slots=True)
class Standing:
    """Standstill of a register at one reading, instants in microseconds since 1970: `first` reading of all,
    `begin` of the stretch without change in which it was, `longest` duration of those before. `moved`: it had
    changed before that stretch."""

    first: int
    begin: int
    longest: int
    moved: bool


@dataclass(frozen=True, slots=True)
class RegisterPast:
    """Past of a register up to a cut. Instants are microseconds since 1970, days local days since then.

    `cut`: the beginning of `day`, a Monday; every reading before it went into this. `tail`: the first reading
    that a judgement still needs. `final`: what is said of readings before it is final. `since`: so are events
    of days that begin before this day, at `events_from`. `weeks`: at the most those that later weeks learn
    from. `first_day`, `days`: the figures of days, shape (len(COLUMNS), days). `first_hour`, `hours`: use of
    each local hour, shape (n,), where a rule asks for it. `standing` is None before the first reading.
    `broken`: it was reset, exchanged or rolled over once.
    """

    day: int
    cut: int
    tail: int
    final: int
    since: int
    events_from: int
    weeks: WeeklyRates
    first_day: int
    days: FloatArray
    first_hour: int
    hours: FloatArray
    standing: Standing | None
    broken: bool

    def agrees(self, other: "RegisterPast") -> bool:
        """Whether both carry on the same figures, as far back as both go: what parameters and facts of
        different times say may differ in what is possible, and so in what a day used."""
        days = min(self.days.shape[1], other.days.shape[1])
        hours = min(len(self.hours), len(other.hours))
        return (
            (self.tail, self.standing, self.broken) == (other.tail, other.standing, other.broken)
            and np.array_equal(_last(self.days, days), _last(other.days, days), equal_nan=True)
            and np.array_equal(_last(self.hours, hours), _last(other.hours, hours), equal_nan=True)
        )

    @property
    def week(self) -> int:
        """The week that begins at the cut."""
        return (self.day + 3) // 7

    @property
    def reaches(self) -> int:
        """Days that events are looked for further back than usual."""
        return self.day - 2 - EVENTS - self.since

    @property
    def earliest(self) -> int:
        """The earliest instant at which what is not final can have begun."""
        began = self.tail if self.standing is None else self.standing.begin
        return min(self.events_from, self.tail, began)

    @property
    def earliest_end(self) -> int:
        """The earliest instant at which what is not final can have ended."""
        return min(self.events_from, self.tail)

    @property
    def nbytes(self) -> int:
        """Memory that it takes."""
        return self.days.nbytes + self.hours.nbytes + 6 * self.weeks.row.nbytes


def _last(figures: FloatArray, count: int) -> FloatArray:
    return figures[..., figures.shape[-1] - count :]
