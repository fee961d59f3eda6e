"""Meter of a line and where it stands: its next slot, its failures, its rest.

Every slot is accounted for once, in order: by a readout, or by a miss with its reason. `slot` is the first
that is not accounted for yet.
"""

import logging
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from math import inf

from drivers.driver import Target
from drivers.errors import DriverError
from gateway.log_once import LogOnce
from gateway.schedule import Schedule, Since, is_midnight
from telemetry.readout import Readout
from telemetry.wire import MeterHealth, Miss, MissReason, to_milliseconds

log = logging.getLogger(__name__)

LONGEST_ABSENCE = timedelta(hours=1)  # between two attempts at a dead meter, unless its schedule is slower
LOOKBACK = timedelta(hours=2)  # from the last slot that was accounted for, for the exchange that served it
_MOST_ABSENT_SLOTS = 1_000  # that are told after a time in which the gateway did not run
_INSTANT = timedelta(microseconds=1)
_OFTEN = timedelta(minutes=15)


class TooSoonError(DriverError):
    """A battery meter that may not be asked again before `min_interval` has passed."""

    advice = "wait: each readout shortens the life of the meter's battery"


@dataclass(slots=True)
class PolledMeter:
    """A meter, its schedule, and the slot that it is to be read for next.

    Instants are those of the line's schedule clock. `min_interval`: the shortest time between two readouts
    that the meter's battery is made for. `load_profile`: the periods that it keeps itself are fetched, too.
    """

    target: Target
    schedule: Schedule
    line: str
    min_interval: timedelta = timedelta(0)
    load_profile: bool = False
    gone: LogOnce = field(default_factory=lambda: LogOnce(log, "meter is gone", "meter is back"))
    clock_wrong: LogOnce = field(
        default_factory=lambda: LogOnce(log, "meter's clock is wrong", "meter's clock is right")
    )
    slot: datetime = field(init=False)
    following: datetime = field(init=False)  # the slot after `slot`
    billing: bool = field(init=False)  # what is read next is the reading of a local midnight
    begun: datetime | None = None  # when it was first waited for: it may have been read just before
    asked_for: datetime | None = None  # the slot, or the instant, that it was last asked for
    not_before: datetime | None = None  # a dead meter's next attempt
    asked: int = 0  # the number of the poll in which it was asked last
    cost: float = 0.0  # seconds that the last attempt took
    hindrance: MissReason = MissReason.LINE_BUSY  # why slots are missed until it has its turn
    failures: int = 0
    polls: int = 0  # since start, beside the schedule too
    errors: int = 0  # of these, without a readout
    answered: bool | None = None  # the last attempt since `LinePoller.begin_round`; None without one
    silences: int = 0  # failures since then
    last_success: datetime | None = None
    drift: float | None = None  # seconds that the meter's clock is ahead
    _known_as: str | None = None  # who answered, where the configuration does not say
    _follows: Schedule = field(init=False)  # `schedule`, or one that runs free while there is no time

    @property
    def label(self) -> str:
        """For people: the meter id, or where it is not configured, the address."""
        return self.target.meter or f"address {self.target.address}"

    @property
    def name(self) -> str:
        """For messages: the meter id, else the line and address."""
        return self.target.meter or self._known_as or self.place

    @property
    def place(self) -> str:
        """Its name before it has said who it is."""
        return self.target.meter or f"{self.line}/{self.target.address}"[:64]

    @property
    def probe(self) -> Target:
        """The target to ask: a meter that is gone gets one attempt, except for the reading of midnight."""
        return replace(self.target, retries=0) if self.failures and not self.billing else self.target

    def begin(self, now: datetime) -> None:
        """Follow the schedule, from the first slot after `now`."""
        self._follow(self.schedule, self.schedule.next_after(now))

    def begin_free(self, now: datetime) -> None:
        """Be due at once, and at the schedule's distance from then on, whatever the clock shows.

        A battery meter waits for one period first: a machine that starts over and over would exhaust it.
        """
        period = self.schedule.period
        self._follow(Since(now, period), now + period if self.min_interval else now)

    def step(self, now: datetime, by: timedelta) -> None:
        """The schedule clock was set by that much, and shows `now`.

        Slots that it jumped over were never due, but for the last of them. A schedule that ran free goes on
        with the first slot to come: the meter was read not long ago.
        """
        self.begun = None if self.begun is None else self.begun + by
        self.asked_for = None if self.asked_for is None else self.asked_for + by
        self.not_before = None if self.not_before is None else min(self.not_before + by, now)
        if now < self.slot or self._follows is not self.schedule:
            self.begin(now)
        else:
            self._follow(self.schedule, self.schedule.latest(now))

    def absent(self, since: datetime, until: datetime, kept: Sequence[datetime]) -> list[Miss]:
        """The slots later than `since`, up to `until`, in which the gateway did not run; the latest ones.

        `kept`: the instants of readouts and misses that are in the buffer, from `LOOKBACK` before `since` on.
        A readout counts for the slot in which its exchange began, but its instant is that of its end: where
        the slot at `since` has none of its own, it was served by the first one that came after it.
        """
        known = Counter(map(self.schedule.latest, kept))
        first, earliest = self.schedule.latest(since), until - self.schedule.period * _MOST_ABSENT_SLOTS
        ran_before = any(at < first for at in kept)  # else that slot may lie before the gateway's first day
        owed = ran_before and since >= earliest and not known[first]
        slots = []
        for slot in self.schedule.between(max(since, earliest), until):
            own = known[slot] - (owed and known[slot] > 0)
            owed = owed and known[slot] > 0 and not own
            if not own:
                slots.append(slot)
        return [self._miss(slot, MissReason.NOT_RUNNING) for slot in slots]

    def missed(self, now: datetime) -> Iterator[Miss]:
        """Account for the slots that have come and will not be polled."""
        while self.slot <= now and (reason := self._not_polled(now)):
            carried = self.billing and reason in (MissReason.LINE_BUSY, MissReason.LINE_DOWN)
            yield self.miss(reason)
            self.billing = self.billing or carried  # what comes next is the nearest to midnight

    def miss(self, reason: MissReason) -> Miss:
        """Account for the slot by a miss."""
        miss = self._miss(self.slot, reason)
        self._advance()
        return miss

    def answers(self, at: datetime, known_as: str) -> None:
        """It gave a readout, at its slot or beside the schedule; a slot that is due is served by either."""
        self.polls += 1
        self.failures, self.not_before, self.answered = 0, None, True
        self.last_success = at
        self._known_as = known_as

    def served(self) -> None:
        """Account for the slot by a readout."""
        self._had_its_turn()
        self._advance()

    def compare_clocks(self, present: Readout, limit: float) -> None:
        """Note how far the meter's clock is ahead of a sure instant; more than `limit` seconds are told."""
        if present.clock is None:
            return
        self.drift = round((present.clock - present.at).total_seconds(), 1)
        if abs(self.drift) > limit:
            self.clock_wrong.begin(
                line=self.line,
                meter=self.label,
                seconds=self.drift,
                advice="set it, by the command set-clock or at the meter: its own dates and set days are off",
            )
        else:
            self.clock_wrong.end(line=self.line, meter=self.label, seconds=self.drift)

    def fails(self, reason: MissReason) -> Miss:
        """It was asked and gave no readout; the next attempt is at a growing distance."""
        self.count_error()
        self.failures += 1
        self.answered, self.silences = False, self.silences + 1
        period = self.schedule.period
        distance = min(period * 2 ** min(self.failures - 1, 16), max(period, LONGEST_ABSENCE))
        self.not_before = self.slot + distance - period / 2  # half: slots need not be a whole period apart
        self._had_its_turn()
        return self.miss(reason)

    def count_error(self) -> None:
        """It was asked, in its turn or beside the schedule, and gave no readout."""
        self.polls += 1
        self.errors += 1

    def waited(self, now: datetime) -> float:
        """Periods of its schedule for which an attempt at a dead meter has given way to others.

        Infinite for whoever needs not give way: the living, and the reading of midnight.
        """
        if self.not_before is None or self.billing:
            return inf
        return (now - self.not_before) / self.schedule.period - 0.5

    def check_rest(self, now: datetime) -> None:
        """Raises TooSoonError when a readout beside the schedule would ask a battery meter too often."""
        rest, last = self.min_interval, self.asked_for or self.begun
        if rest and ((last and now < last + rest) or now < self.slot < now + rest):
            raise TooSoonError(
                f"{self.label} may be read once in {rest}; it was at {_shown(self.asked_for)}, "
                f"and is next at {_shown(self.slot)}"
            )

    def health(self) -> MeterHealth:
        return MeterHealth(
            meter=self.name,
            last_success=None if self.last_success is None else to_milliseconds(self.last_success),
            failures=self.failures,
            clock_drift=self.drift,
            polls=self.polls,
            errors=self.errors,
        )

    def take_over(self, old: "PolledMeter", now: datetime) -> None:
        """Go on from where the same meter stood under an earlier configuration."""
        for name in (
            "begun",
            "asked_for",
            "not_before",
            "failures",
            "polls",
            "errors",
            "last_success",
            "drift",
            "_known_as",
        ):
            setattr(self, name, getattr(old, name))
        self.gone.active, self.clock_wrong.active = old.gone.active, old.clock_wrong.active
        runs_free, ran_free = (isinstance(meter._follows, Since) for meter in (self, old))
        if ran_free and runs_free:
            slot = min(old.slot, now + self.schedule.period)
            self._follow(Since(slot, self.schedule.period), slot)
        elif ran_free:  # the time came in between, and the old instants mean nothing
            self.begun = self.asked_for = now
            self.not_before = None
        else:
            self.begin(min(old.slot - _INSTANT, now))  # a slot that is due and was not served yet stays due

    def _had_its_turn(self) -> None:
        self.asked_for = self.slot
        self.hindrance = MissReason.LINE_BUSY

    def _follow(self, schedule: Schedule, slot: datetime) -> None:
        self._follows = schedule
        self._stand_at(slot)

    def _advance(self) -> None:
        self._stand_at(self.following)

    def _stand_at(self, slot: datetime) -> None:
        self.slot, self.following = slot, self._follows.next_after(slot)
        self.billing = is_midnight(slot, self.target.time_zone)

    def _resting(self, at: datetime) -> bool:
        return self.asked_for is not None and at < self.asked_for + self.min_interval

    def _not_polled(self, now: datetime) -> MissReason | None:
        if self._resting(self.slot):
            return MissReason.RESTING
        if self.not_before is not None and self.slot < self.not_before and not self.billing:
            return MissReason.BACKING_OFF
        if self.following <= now:
            return self.hindrance if self.not_before is None or self.billing else MissReason.BACKING_OFF
        return None

    def _miss(self, slot: datetime, reason: MissReason) -> Miss:
        return Miss(self.name, to_milliseconds(slot), reason)


def any_answered(meters: Sequence[PolledMeter]) -> bool | None:
    """True where any has answered since its last round began; None until one has, or all have failed.

    One poll alone, which noise may have spoilt, proves nothing: it has to fail again, or another meter's has,
    unless polls come less often than every quarter of an hour. Who was gone before need not be waited for.
    """
    asked = [meter for meter in meters if not (meter.failures and meter.answered is None)]
    if any(meter.answered for meter in asked):
        return True
    silent = bool(asked) and all(meter.answered is False for meter in asked)
    often = any(meter.schedule.period <= _OFTEN for meter in asked)
    return False if silent and sum(meter.silences for meter in asked) > often else None


def _shown(instant: datetime | None) -> str:
    return "an unknown time" if instant is None else f"{instant:%Y-%m-%d %H:%M:%S} UTC"
