"""The value of a register at a boundary of a period: the first that exists of

1. `installation`: what a person wrote down when the meter was put in or taken out at that instant;
2. `set_day`: the value that the meter itself kept for that instant (Status.HISTORICAL);
3. `reading`: the nearest usable reading within the register's tolerance (of two equally near, the earlier);
4. `interpolation`: linear between the nearest usable readings on both sides, if they are near enough.

The value depends on the instant and the meter's readings only, not on the period that asks: the end of one
month and the beginning of the next are the same, so consecutive months add up.
"""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from fractions import Fraction

from telemetry.quality import Quality
from telemetry.status import Status


class Method(StrEnum):
    """How a boundary value was found."""

    INSTALLATION = "installation"
    SET_DAY = "set_day"
    READING = "reading"
    INTERPOLATION = "interpolation"

    @property
    def quality(self) -> Quality:
        """ESPI quality of a value found this way."""
        return Quality.INTERPOLATED if self is Method.INTERPOLATION else Quality.VALID


@dataclass(frozen=True, slots=True)
class ReadingAt:
    """A usable reading: micro-units at an instant."""

    at: datetime
    value: int
    status: Status = Status(0)


@dataclass(frozen=True, slots=True)
class Event:
    """The first reading after the register's count was interrupted; `rule` is the mark's."""

    at: datetime
    rule: str

    @property
    def is_rollover(self) -> bool:
        """Whether the count goes on across the register's top; else nothing can be said across the event."""
        return self.rule == "rollover"


@dataclass(frozen=True, slots=True)
class Boundary:
    """`value` in micro-units. Events up to `settled_at` lie before it, later ones after it.

    `readings` are what it rests on; `passed_over` says why each better method was not taken.
    """

    instant: datetime
    value: int
    method: Method
    settled_at: datetime
    readings: tuple[ReadingAt, ...] = ()
    passed_over: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Missing:
    """No method gives a value at `instant`: `reason` is a short name, `passed_over` says why of each."""

    instant: datetime
    reason: str
    passed_over: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Limits:
    """How far a reading may lie from the boundary, and how long a gap interpolation may bridge."""

    tolerance: timedelta
    interpolation: timedelta

    @property
    def reach(self) -> timedelta:
        """Readings further away than this cannot matter."""
        return max(self.tolerance, self.interpolation)


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What is known around `instant`: the last usable reading at or before it and the first at or after it.

    `noted` is the value a person wrote down for it. `events` are those of the register, in order of time.
    """

    instant: datetime
    before: ReadingAt | None
    after: ReadingAt | None
    noted: int | None = None
    capacity: int | None = None
    events: tuple[Event, ...] = field(default=())


def boundary(around: Surroundings, limits: Limits) -> Boundary | Missing:
    """The first value on the ladder that exists, or why there is none."""
    instant, before, after = around.instant, around.before, around.after
    if around.noted is not None:
        return Boundary(instant, around.noted, Method.INSTALLATION, instant)
    if before is not None and before.at == instant and Status.HISTORICAL in before.status:
        return Boundary(instant, before.value, Method.SET_DAY, instant, (before,))
    passed_over = ["set_day: the meter's own value for this instant is not there"]
    nearest = _nearest(instant, before, after)
    if nearest is not None and abs(nearest.at - instant) <= limits.tolerance:
        return Boundary(instant, nearest.value, Method.READING, nearest.at, (nearest,), tuple(passed_over))
    if nearest is None:
        passed_over.append(f"reading: no usable one within {in_words(limits.reach)}")
    else:
        distance = in_words(abs(nearest.at - instant))
        passed_over.append(
            f"reading: the nearest is {distance} away, the tolerance {in_words(limits.tolerance)}"
        )
    return _interpolated(around, limits, tuple(passed_over))


def _nearest(instant: datetime, before: ReadingAt | None, after: ReadingAt | None) -> ReadingAt | None:
    if before is None or after is None:
        return before or after
    return before if instant - before.at <= after.at - instant else after


def _interpolated(around: Surroundings, limits: Limits, passed_over: tuple[str, ...]) -> Boundary | Missing:
    before, after = around.before, around.after
    if before is None or after is None:
        side = "before" if before is None else "after"
        why = f"interpolation: no usable reading within {in_words(limits.reach)} {side} the boundary"
        return Missing(around.instant, f"no_reading_{side}", (*passed_over, why))
    gap = after.at - before.at
    if gap > limits.interpolation:
        why = (
            f"interpolation: the gap of {in_words(gap)} exceeds the limit of {in_words(limits.interpolation)}"
        )
        return Missing(around.instant, "gap_too_long", (*passed_over, why))
    between = [event for event in around.events if before.at < event.at <= after.at]
    broken = next((e for e in between if not e.is_rollover or around.capacity is None), None)
    if broken is not None:
        why = f"interpolation: {broken.rule} between the readings"
        return Missing(around.instant, broken.rule, (*passed_over, why))
    lifted = (around.capacity or 0) * len(between)
    rise = after.value + lifted - before.value
    # `round` of a Fraction is exact and half-even
    value = before.value + round(Fraction(rise * ((around.instant - before.at) // _TICK), gap // _TICK))
    settled = before.at
    if lifted and around.capacity is not None and value >= around.capacity:
        value, settled = value - lifted, after.at
    return Boundary(around.instant, value, Method.INTERPOLATION, settled, (before, after), passed_over)


_TICK = timedelta(microseconds=1)


def in_words(duration: timedelta) -> str:
    """'2 h', '3 days', '47.5 h': a duration for people."""
    hours = duration / timedelta(hours=1)
    if hours >= 48 and hours % 24 == 0:
        return f"{hours / 24:.0f} days"
    return f"{hours:.1f}".removesuffix(".0") + " h"
