"""Value of a register at a boundary of a period: the first that exists of

1. `installation`: what a person wrote down when the meter was put in or taken out at that instant;
2. `set_day`: the value that the meter itself kept for that instant (Status.HISTORICAL);
3. `reading`: the nearest usable reading within the register's tolerance (of two equally near, the earlier);
4. `interpolation`: linear between the nearest usable readings on both sides, if they are near enough;
5. `handed_in`: the last usable reading that a person handed in within the submission window, as it is.

Rules say which of these are tried, and in which order. Estimates follow where none of them has a value
(`estimate.py`). The value depends on the instant and the meter's readings only, not on the period that
asks: the end of one month and the beginning of the next are the same, so consecutive months add up.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from fractions import Fraction

from metering.billing.evidence import BoundaryEvidence, EstimateBasis, ReadingEvidence, RegisterEvent
from metering.billing.method import BUILT_IN, Method
from telemetry.micro import from_micro, to_micro
from telemetry.status import Status

SET_DAY_MISSING = "set_day: the meter's own value for this instant is not there"


@dataclass(frozen=True, slots=True)
class ReadingAt:
    """Usable reading: micro-units at an instant."""

    at: datetime
    value: int
    status: Status = Status(0)

    def evidence(self) -> ReadingEvidence:
        """Reading as it is shown."""
        labels = tuple(self.status.labels())
        return ReadingEvidence(self.at.astimezone(UTC), from_micro(self.value), int(self.status), labels)


@dataclass(frozen=True, slots=True)
class Boundary:
    """Value at an instant, in micro-units. Events up to `settled_at` lie before it, later ones after it.

    `readings` are what it rests on; `passed_over` says why each better method was not taken. `basis`: what an
    estimate was computed from.
    """

    instant: datetime
    value: int
    method: Method
    settled_at: datetime
    readings: tuple[ReadingAt, ...] = ()
    passed_over: tuple[str, ...] = ()
    basis: EstimateBasis | None = None

    def evidence(self) -> BoundaryEvidence:
        """Value as it is shown, hashed and stored."""
        return BoundaryEvidence(
            self.instant.astimezone(UTC),
            self.passed_over,
            from_micro(self.value),
            self.method,
            self.settled_at.astimezone(UTC),
            tuple(reading.evidence() for reading in self.readings),
            self.basis,
        )


@dataclass(frozen=True, slots=True)
class Missing:
    """Lack of a value at `instant`: `reason` is a short name, `passed_over` says why of each method."""

    instant: datetime
    reason: str
    passed_over: tuple[str, ...]

    def evidence(self) -> BoundaryEvidence:
        """Lack as it is shown."""
        return BoundaryEvidence(self.instant.astimezone(UTC), self.passed_over, reason=self.reason)


def boundary_of(evidence: BoundaryEvidence) -> Boundary:
    """Boundary of its evidence, which has a value: the inverse of `Boundary.evidence`."""
    assert evidence.value is not None
    assert evidence.method is not None
    assert evidence.settled_at is not None
    return Boundary(
        evidence.instant,
        to_micro(evidence.value),
        evidence.method,
        evidence.settled_at,
        tuple(
            ReadingAt(each.at, to_micro(each.value), Status(each.status)) for each in evidence.readings or ()
        ),
        evidence.passed_over,
        evidence.basis,
    )


@dataclass(frozen=True, slots=True)
class Limits:
    """Limits of the ladder: how far off a reading may lie, how long a gap may be bridged, what is tried."""

    tolerance: timedelta
    interpolation: timedelta
    ladder: tuple[Method, ...] = BUILT_IN

    @property
    def reach(self) -> timedelta:
        """Readings further away than this cannot matter."""
        return max(self.tolerance, self.interpolation)


@dataclass(frozen=True, slots=True)
class Surroundings:
    """Readings around `instant`: the last usable reading at or before it and the first at or after it.

    `noted` is the value a person wrote down for it, `handed_in` what came in the submission window.
    `events` are those of the register, in order of time.
    """

    instant: datetime
    before: ReadingAt | None
    after: ReadingAt | None
    noted: int | None = None
    capacity: int | None = None
    events: tuple[RegisterEvent, ...] = ()
    handed_in: ReadingAt | None = None


@dataclass(frozen=True, slots=True)
class _Not:
    """Reason why a step has no value. `reason` is the short name, where nothing better is found."""

    text: str = ""
    reason: str = ""


def boundary(around: Surroundings, limits: Limits) -> Boundary | Missing:
    """First value on the ladder that exists, or why there is none. Estimates are not tried here."""
    passed_over: list[str] = []
    reason = ""
    for method in limits.ladder:
        step = _STEPS.get(method)
        if step is None:
            continue
        found = step(around, limits)
        if isinstance(found, Boundary):
            return replace(found, passed_over=tuple(passed_over))
        if found.text:
            passed_over.append(f"{method}: {found.text}")
        reason = found.reason or reason
    return Missing(around.instant, reason or _side_missing(around), tuple(passed_over))


def _noted(around: Surroundings, _: Limits) -> Boundary | _Not:
    if around.noted is None:
        return _Not()
    return Boundary(around.instant, around.noted, Method.INSTALLATION, around.instant)


def _set_day(around: Surroundings, _: Limits) -> Boundary | _Not:
    before = around.before
    if before is None or before.at != around.instant or Status.HISTORICAL not in before.status:
        return _Not(SET_DAY_MISSING.removeprefix("set_day: "))
    return Boundary(around.instant, before.value, Method.SET_DAY, around.instant, (before,))


def _in_tolerance(around: Surroundings, limits: Limits) -> Boundary | _Not:
    nearest = _nearest(around.instant, around.before, around.after)
    if nearest is None:
        return _Not(f"no usable one within {in_words(limits.reach)}")
    distance = abs(nearest.at - around.instant)
    if distance > limits.tolerance:
        return _Not(f"the nearest is {in_words(distance)} away, the tolerance {in_words(limits.tolerance)}")
    return Boundary(around.instant, nearest.value, Method.READING, nearest.at, (nearest,))


def _submitted(around: Surroundings, _: Limits) -> Boundary | _Not:
    reading = around.handed_in
    if reading is None:
        return _Not("nothing that passed validation came in the submission window")
    return Boundary(around.instant, reading.value, Method.HANDED_IN, reading.at, (reading,))


def _nearest(instant: datetime, before: ReadingAt | None, after: ReadingAt | None) -> ReadingAt | None:
    if before is None or after is None:
        return before or after
    return before if instant - before.at <= after.at - instant else after


def _side_missing(around: Surroundings) -> str:
    if around.before is None:
        return "no_reading_before"
    return "no_reading_after" if around.after is None else "gap_too_long"


def _interpolated(around: Surroundings, limits: Limits) -> Boundary | _Not:
    before, after = around.before, around.after
    if before is None or after is None:
        side = "before" if before is None else "after"
        why = f"no usable reading within {in_words(limits.reach)} {side} the boundary"
        return _Not(why, f"no_reading_{side}")
    gap = after.at - before.at
    if gap > limits.interpolation:
        why = f"the gap of {in_words(gap)} exceeds the limit of {in_words(limits.interpolation)}"
        return _Not(why, "gap_too_long")
    between = [event for event in around.events if before.at < event.at <= after.at]
    broken = next((e for e in between if not e.is_rollover or around.capacity is None), None)
    if broken is not None:
        return _Not(f"{broken.rule} between the readings", broken.rule)
    lifted = (around.capacity or 0) * len(between)
    rise = after.value + lifted - before.value
    value = before.value + share(rise, around.instant - before.at, gap)
    settled = before.at
    if lifted and around.capacity is not None and value >= around.capacity:
        value, settled = value - lifted, after.at
    return Boundary(around.instant, value, Method.INTERPOLATION, settled, (before, after))


_STEPS: Mapping[Method, Callable[[Surroundings, Limits], Boundary | _Not]] = {
    Method.INSTALLATION: _noted,
    Method.SET_DAY: _set_day,
    Method.READING: _in_tolerance,
    Method.INTERPOLATION: _interpolated,
    Method.HANDED_IN: _submitted,
}


def share(amount: int, part: timedelta, whole: timedelta) -> int:
    """Micro-units of `amount` that fall to a part of the time, evenly: exact, rounded half-even once."""
    return round(Fraction(amount * (part // _TICK), whole // _TICK))


_TICK = timedelta(microseconds=1)


def in_words(duration: timedelta) -> str:
    """'2 h', '3 days', '47.5 h': a duration for people."""
    hours = duration / timedelta(hours=1)
    if hours >= 48 and hours % 24 == 0:
        return f"{hours / 24:.0f} days"
    return f"{hours:.1f}".removesuffix(".0") + " h"
