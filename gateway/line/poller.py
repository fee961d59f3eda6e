"""Poller of a line's meters when they are due. No thread and no waiting: `thread.py` calls `poll`.

Rules:
- the readings of midnight come first, then what the line was asked to do, then ordinary polls; but after each
  such work a poll that is due has its turn. An exchange is never interrupted;
- among equals, the meter that was asked longest ago comes first, so a slow line starves nobody;
- a meter is read once for all slots that have passed; the others are recorded as missed, with the reason;
- a meter that fails is asked at growing distances, at most an hour apart, once and when nobody else is due;
  the reading of midnight is always tried; it is told once gone, once back;
- where nobody is due, periods of meters' load profiles are fetched (`load_profiles.py`);
- a line that fails is closed and tried again at growing distances, and is nobody's failure.
"""

import random
from collections import deque
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

from drivers.driver import Clock, Driver
from drivers.errors import DriverError, LineError
from drivers.line import Line
from gateway.clock.kernel import ClockReference
from gateway.clock.schedule_clock import Moment, ScheduleClock
from gateway.line.accounting import SlotAccounts, miss_reason
from gateway.line.load_profiles import LoadProfiles, midnight_is_near
from gateway.line.pending import Keep, PendingPoll, PendingPolls
from gateway.line.polled_meter import PolledMeter, any_answered
from gateway.line.state import LineState
from gateway.line.work import LineStoppedError, LineWork
from telemetry.readout import Readout
from telemetry.wire import LineHealth, MeterHealth, MissReason

CLOCK_LIMIT = 120.0  # seconds that a meter's clock may be wrong before it is told
# Periods of its schedule for which an attempt at a dead meter waits to end before a living one's slot, and
# then for nobody else to be due: on a line that is always busy, it must have its turn at last
_WAIT_FOR_ROOM, _WAIT_FOR_OTHERS = 1, 2
_DOWN_FOR_GOOD = 3  # attempts to open a port, one to four seconds apart


class LinePoller:
    """Poller of one thread; `submit`, `round_answered` and what tells of health may be called from others.

    `stagger` puts the line's slots a little later than the clock's, so that the lines of a gateway do not all
    begin in one instant.
    `last_alive`: every slot up to then was accounted for by an earlier process, and after it those that the
    instants of `kept_since` (from `LOOKBACK` before it on) tell of, by meter. `boot` names what `line.now`
    counts from.
    """

    def __init__(
        self,
        name: str,
        meters: Sequence[PolledMeter],
        line: Line,
        driver: Driver,
        keep: Keep,
        *,
        clock: Clock,
        reference: ClockReference,
        rng: random.Random,
        stagger: timedelta = timedelta(0),
        clock_limit: float = CLOCK_LIMIT,
        last_alive: datetime | None = None,
        kept_since: Mapping[str, Sequence[datetime]] | None = None,
        boot: str = "",
    ) -> None:
        self.name = name
        self.line = line
        self._driver = driver
        self._pending = PendingPolls(name, keep, line.now)
        self._works: deque[LineWork] = deque()
        self._polls = 0
        self._polls_turn = False  # a work has just had its own
        self._state = LineState(name, line, rng)
        self._stagger = stagger
        self._clock_limit = clock_limit
        self._reference = reference
        self._schedule_clock = ScheduleClock(clock, line.now, reference, boot)
        self.meters = meters
        now = self._schedule_clock.start.wall - stagger
        for meter in self.meters:
            meter.begun = now
            (meter.begin if self._schedule_clock.known else meter.begin_free)(now)
        self._accounts = SlotAccounts(
            self.meters,
            self._schedule_clock,
            self._state,
            self._pending,
            stagger=stagger,
            last_alive=last_alive,
            kept_since=kept_since or {},
        )
        self._profiles = LoadProfiles([meter for meter in meters if meter.load_profile], last_alive)

    def poll(self) -> float:
        """Do the one thing that comes first, if any; returns seconds until there is something to do."""
        self._pending.flush()
        now = self._look()
        self._accounts.tell_absence()
        self._accounts.tell_missed(now, knows_time=self._knows_time())
        down_for = self._state.down_for()
        meter = self._first(now) if not down_for else None
        if self._works and not (meter and (meter.billing or self._polls_turn)):
            self._run(self._works.popleft())
            return 0.0
        if meter:
            self._read(meter)
            return 0.0
        if self._accounts.owes_absence:
            return 0.0  # the next meter's absence is still to be told
        if down_for and any(meter.slot <= now for meter in self.meters):
            return down_for
        if not down_for and self._fetch_periods(now):
            return 0.0
        return (min(meter.slot for meter in self.meters if meter.slot > now) - now).total_seconds()

    def submit(self, work: LineWork) -> None:
        """Have this done between two exchanges, after what was submitted before. Thread-safe."""
        self._works.append(work)

    def read_now(self, meter: str) -> list[Readout]:
        """For a `LineWork`: read a meter, by id or address, beside its schedule, and keep the readouts.

        Raises DriverError: TooSoonError for a battery meter that was or will be read within its interval.
        """
        polled = self.find(meter)
        now = self._look()
        polled.check_rest(now)
        polled.asked_for = now
        begun = self._schedule_clock.moment()
        try:
            readouts = self._driver.read(polled.target)
        except LineError:
            raise  # the meter was never asked
        except DriverError:
            polled.count_error()
            raise
        return self._answered(polled, readouts, begun)

    def find(self, meter: str) -> PolledMeter:
        """The meter of this id or address. Raises DriverError."""
        for polled in self.meters:
            if meter in (polled.name, polled.target.address):
                return polled
        known = ", ".join(polled.name for polled in self.meters)
        raise DriverError(f"line {self.name!r} has no meter {meter!r}", advice=f"its meters are {known}")

    def restart(self) -> None:
        """For a `LineWork`: close the port, to be opened at once, and try the meters that are gone."""
        self._state.restart()
        for meter in self.meters:
            meter.not_before = None

    def close(self) -> None:
        """Give the port back. What was asked for and not begun is answered with a refusal."""
        self.line.close()
        while self._accounts.owes_absence:
            self._accounts.tell_absence()
        self._pending.flush()
        while self._works:
            self._works.popleft().failed(LineStoppedError(self.name))

    def take_over(self, earlier: Sequence["LinePoller"]) -> None:
        """Go on where stopped pollers of an earlier configuration stood with the same meters."""
        before = {meter.place: meter for poller in earlier for meter in poller.meters}
        now = self._look()
        for meter in self.meters:
            if old := before.get(meter.place):
                meter.take_over(old, now)
        for poller in earlier:
            self._pending.take_over(poller._pending)
            self._profiles.take_over(poller._profiles)

    @property
    def accounted_until(self) -> datetime | None:
        """Every slot up to then is on the disk, as a readout or a miss; None while that is not known."""
        return self._accounts.until

    def begin_round(self) -> None:
        """`round_answered` counts from now on."""
        for meter in self.meters:
            meter.answered, meter.silences = None, 0

    def round_answered(self) -> bool | None:
        """True where any meter has answered since `begin_round`; None until one has, or all have failed to.

        A port that is busy for a moment condemns no line: a serial server may not have noticed yet that its
        last client has gone.
        """
        return False if self._state.failures >= _DOWN_FOR_GOOD else any_answered(self.meters)

    def line_health(self) -> LineHealth:
        """Counters since start, and the share of time on the wire since the last call."""
        return self._state.health(self._driver.tally)

    def meter_health(self) -> list[MeterHealth]:
        return [meter.health() for meter in self.meters]

    def _look(self) -> datetime:
        """The present of this line's slots; when its clock was set, the meters are told."""
        present, step = self._schedule_clock.look()
        now = present - self._stagger
        if step is not None:
            for meter in self.meters:
                meter.step(now, step)
        return now

    def _first(self, now: datetime) -> PolledMeter | None:
        """Of the meters that are due, the one whose turn it is."""
        due = [meter for meter in self.meters if meter.slot <= now]
        if not due:
            return None
        first = min(due, key=lambda meter: _turn(meter, now))
        if first.waited(now) < _WAIT_FOR_ROOM:
            living = [meter.slot for meter in self.meters if meter.not_before is None]
            if living and (min(living) - now).total_seconds() < first.cost:
                return None
        return first

    def _read(self, meter: PolledMeter) -> None:
        self._polls += 1
        self._polls_turn = False
        meter.asked = self._polls
        self._state.asks(meter.label)
        begun = self._schedule_clock.moment()
        with self._state.in_use():
            try:
                readouts = self._driver.read(meter.probe)
            except LineError as error:
                self._state.fails(error)  # the slot stays due: the meter was never asked
            except DriverError as error:
                self._failed(meter, error)
            except Exception:  # what no driver foresaw shall not meet the same meter again at once
                self._accounts.keep([meter.fails(MissReason.NOT_UNDERSTOOD)])
                raise
            else:
                self._answered(meter, readouts, begun)
            finally:
                meter.cost = self.line.now() - begun.monotonic

    def _fetch_periods(self, now: datetime) -> bool:
        """Have one meter tell some periods of its load profile, if any are wanted; nobody else is due now."""
        if not self._knows_time() or any(midnight_is_near(meter, now) for meter in self.meters):
            return False
        return self._profiles.fetch(now, self._driver, self._state, self._pending)

    def _knows_time(self) -> bool:
        """A clock that is only followed may show any date."""
        return self._schedule_clock.known and self._reference.was_set

    def _run(self, work: LineWork) -> None:
        self._polls_turn = True
        with self._state.in_use():
            try:
                work.run(self._driver, self)
            except LineError as error:
                self._state.fails(error)
                work.failed(error)
            except Exception as error:  # whoever asked is told; the polls go on
                work.failed(error)

    def _answered(self, meter: PolledMeter, readouts: Sequence[Readout], begun: Moment) -> list[Readout]:
        """Keep what a meter said; returns it with the instants and status it is kept with."""
        self._state.works()
        meter.gone.end(line=self.name, meter=meter.label, failures=meter.failures)
        stamped = [self._schedule_clock.stamp(readout, begun) for readout in readouts]
        present = stamped[0]
        meter.answers(present.readout.at, present.readout.meter)
        if present.sure:
            meter.compare_clocks(present.readout, self._clock_limit)
        slot = None
        if meter.slot <= self._schedule_clock.present - self._stagger:
            slot = meter.slot
            meter.served()
        kept = [one.readout for one in stamped]
        self._pending.put([PendingPoll(slot, kept, monotonic=present.monotonic)])
        return kept

    def _failed(self, meter: PolledMeter, error: DriverError) -> None:
        self._state.works()
        self._state.count_error()
        self._accounts.keep([meter.fails(miss_reason(error))])
        meter.gone.begin(line=self.name, meter=meter.label, reason=str(error), advice=error.advice)


def _turn(meter: PolledMeter, now: datetime) -> tuple[bool, bool, bool, int]:
    """What comes first sorts lowest: midnight, of those the living; then who was asked longest ago."""
    dead_at_midnight = meter.billing and meter.failures > 0
    return not meter.billing, meter.waited(now) < _WAIT_FOR_OTHERS, dead_at_midnight, meter.asked
