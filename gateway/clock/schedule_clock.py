"""The clock that a line's schedule is followed on, and the instants of its readouts.

While the machine does not know the time, the schedule runs on monotonic time, from the date that the clock
happened to show; a readout's instant is then a point on the monotonic clock, from which it is corrected when
time comes. From then on the schedule runs on the wall clock, whose steps are noticed.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from drivers.driver import Clock
from gateway.buffer.source import Monotonic
from gateway.clock.kernel import ClockReference
from telemetry.readout import Readout
from telemetry.status import Status

_STEP = timedelta(seconds=30)  # by which the wall clock must leave the monotonic one to count as set anew
_SAME = timedelta(seconds=1)


@dataclass(frozen=True, slots=True)
class Moment:
    """Moment on both clocks. `known`: the wall clock is followed (`ClockReference.followed`)."""

    wall: datetime
    monotonic: float
    known: bool

    def wall_at(self, monotonic: float) -> datetime:
        """The wall clock's time at another monotonic instant, as long as nobody sets it."""
        return self.wall + timedelta(seconds=monotonic - self.monotonic)

    def monotonic_at(self, wall: datetime) -> float:
        """The monotonic instant at which the wall clock shows that."""
        return self.monotonic + (wall - self.wall).total_seconds()


@dataclass(frozen=True, slots=True)
class Stamped:
    """A readout with the instant it is kept under; `monotonic` until its true instant is known."""

    readout: Readout
    monotonic: Monotonic | None = None

    @property
    def sure(self) -> bool:
        """True where the instant is that of a clock with a reference."""
        return Status.UNSYNCHRONISED not in self.readout.status


class ScheduleClock:
    """Clock of a line's thread. `monotonic` is the line's `now`; `boot` names that clock."""

    def __init__(
        self, clock: Clock, monotonic: Callable[[], float], reference: ClockReference, boot: str
    ) -> None:
        self._clock = clock
        self._monotonic = monotonic
        self._reference = reference
        self._boot = boot
        self.start = self._last = self.moment()

    @property
    def known(self) -> bool:
        """True where the time was known when `look` was called last."""
        return self._last.known

    @property
    def present(self) -> datetime:
        """The present that `look` returned last."""
        return self._last.wall

    def moment(self) -> Moment:
        """Now, on both clocks."""
        return Moment(self._clock(), self._monotonic(), self._reference.followed)

    def look(self) -> tuple[datetime, timedelta | None]:
        """The present of the schedule, and by how much its clock was set since the last look, if it was."""
        last, now = self._last, self.moment()
        if not now.known:  # steps of an unknown clock mean nothing
            self._last = replace(now, wall=last.wall_at(now.monotonic))
            return self._last.wall, None
        self._last = now
        step = now.wall - last.wall_at(now.monotonic)
        return now.wall, step if not last.known or abs(step) > _STEP else None

    def started(self) -> datetime:
        """Instant at which this clock began, as far as it can be told by now."""
        return self.start.wall if self.start.known else self._last.wall_at(self.start.monotonic)

    def monotonic_at(self, instant: datetime) -> Monotonic | None:
        """The monotonic instant of a slot while the time is not known; None once it is."""
        return None if self.known else Monotonic(self._boot, self._last.monotonic_at(instant))

    def stamp(self, readout: Readout, begun: Moment) -> Stamped:
        """The readout of an exchange that has ended now. The meter's own instants are its own."""
        if Status.HISTORICAL in readout.status:
            return Stamped(readout)
        ended = self.moment()
        if not self._reference():
            readout = _marked(readout, Status.UNSYNCHRONISED)
        if begun.known:
            return Stamped(readout)
        taken = _taken(readout, begun, ended)
        if not ended.known:
            return Stamped(readout, Monotonic(self._boot, taken))
        at = ended.wall_at(taken)  # the time came during the exchange
        if abs(at - readout.at) > _SAME:
            readout = replace(_marked(readout, Status.CLOCK_CORRECTED), at=at)
        return Stamped(readout)


def _taken(readout: Readout, begun: Moment, ended: Moment) -> float:
    """When it was read, on the monotonic clock; the wall clock may have been set during the exchange."""
    for moment in (ended, begun):
        taken = moment.monotonic_at(readout.at)
        if begun.monotonic - 1 <= taken <= ended.monotonic + 1:
            return taken
    return ended.monotonic


def _marked(readout: Readout, status: Status) -> Readout:
    return replace(readout, status=readout.status | status)
