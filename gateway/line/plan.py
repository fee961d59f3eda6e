"""Plan of a line: whether its schedules fit on the wire, as pure functions of wire times.

A line reads one meter after the other and never breaks a readout off: those due at midnight first, then the
one that was asked longest ago, as the poller does. The hour after midnight is the heaviest, since every
schedule has a slot there; all intervals divide the hour, so what fits in that one fits in every other.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from gateway.schedule import Schedule

ROOMY = 0.9  # of a line's time: five dead meters among sixty take the rest (bench.line)
_HOUR = timedelta(hours=1)
_DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class PlannedMeter:
    """Meter in a plan: `seconds` on the wire for one readout; None where the driver cannot tell, and `why`
    says why.

    `listens`: the meter sends when it wants, and `seconds` is the longest wait for it.
    """

    label: str
    seconds: float | None
    schedule: Schedule
    why: str = ""
    listens: bool = False

    @property
    def share(self) -> float:
        """Of the line's time: 1 is all of it."""
        return 0.0 if self.seconds is None else self.seconds / self.schedule.period.total_seconds()


@dataclass(frozen=True, slots=True)
class Skipped:
    """A slot that cannot be read before the next one of the same meter begins."""

    label: str
    slot: datetime


@dataclass(frozen=True, slots=True)
class LinePlan:
    """`rush`: seconds from midnight until every meter that is due then has been read; None where one misses
    it. `skipped`: the slots lost in the hours that were looked at. Meters of unknown wire time count nothing.
    """

    name: str
    meters: tuple[PlannedMeter, ...]
    rush: float | None
    skipped: tuple[Skipped, ...]

    @property
    def utilisation(self) -> float:
        """The share of the line's time that all readouts take."""
        return sum(meter.share for meter in self.meters)

    @property
    def unknown(self) -> list[PlannedMeter]:
        """Meters whose wire time is not known."""
        return [meter for meter in self.meters if meter.seconds is None]

    @property
    def fits(self) -> bool:
        """True where every schedule is kept, by what is known."""
        return self.utilisation <= 1 and self.rush is not None and not self.skipped

    @property
    def tight(self) -> bool:
        """True where retries and attempts at meters that are gone would find little time."""
        return self.utilisation > ROOMY


@dataclass(slots=True)
class _Standing:
    """A meter while the hours pass: the slot it was last read for, and in which turn."""

    label: str
    takes: timedelta
    schedule: Schedule
    served: datetime
    turn: int = 0


def plan_line(name: str, meters: Sequence[PlannedMeter], midnight: datetime) -> LinePlan:
    """The plan of one line. `midnight` is the first instant (aware) of a local day of its schedules."""
    just_before = midnight - timedelta(microseconds=1)
    standing = [
        _Standing(one.label, timedelta(seconds=one.seconds), one.schedule, one.schedule.latest(just_before))
        for one in meters
        if one.seconds is not None
    ]
    overloaded = sum(meter.share for meter in meters) > 1
    rush, skipped = _pass(standing, midnight, midnight + (2 * _HOUR if overloaded else _DAY))
    return LinePlan(name, tuple(meters), rush, tuple(skipped))


def _pass(
    standing: Sequence[_Standing], midnight: datetime, end: datetime
) -> tuple[float | None, list[Skipped]]:
    """Read from midnight until an hour is over and nothing is due, at the longest until `end`."""
    rushing = {one.label for one in standing if one.schedule.latest(midnight) == midnight}
    rush = 0.0
    skipped: list[Skipped] = []
    now, turn = midnight, 0
    schedules = {one.schedule for one in standing}  # few, of many meters
    while now < end:
        latest = {schedule: schedule.latest(now) for schedule in schedules}
        due = [one for one in standing if latest[one.schedule] > one.served]
        if not due:
            if now >= midnight + _HOUR:
                break
            now = min([schedule.next_after(now) for schedule in schedules], default=end)
            continue
        one = min(due, key=lambda each: (latest[each.schedule] != midnight, each.turn))
        slot, missed = latest[one.schedule], one.schedule.next_after(one.served)
        if missed < slot:
            skipped.append(Skipped(one.label, missed))
        turn += 1
        one.served, one.turn = slot, turn
        now += one.takes
        if slot == midnight:
            rushing.discard(one.label)
            rush = (now - midnight).total_seconds()
    return (None if rushing else rush), skipped
