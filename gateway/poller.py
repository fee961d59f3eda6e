"""Reads the meters of one line when they are due. No thread and no waiting: `line_thread.py` calls `poll`.

Rules:
- the meter that was asked longest ago comes first, so a slow line starves nobody;
- a meter is read once for all slots that have passed; the missed ones are skipped;
- a meter that fails is asked at growing distances, at most an hour apart, and is told once gone, once back;
- a line that fails is closed and tried again at growing distances, and is nobody's failure;
- what the buffer cannot take is held in memory until it can.
"""

import logging
import random
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from drivers.driver import Clock, Driver, Target
from drivers.errors import DriverError, LineError, NoAnswerError
from drivers.line import Line
from gateway.backoff import Backoff
from gateway.clock import Synchronised
from gateway.condition import Condition
from gateway.schedule import Schedule
from gateway.source import SourceError
from telemetry.readout import Readout
from telemetry.status import Status
from telemetry.wire import LineHealth, MeterHealth, to_milliseconds

log = logging.getLogger(__name__)

Keep = Callable[[Sequence[Readout]], None]  # durable when it returns; raises SourceError

LONGEST_ABSENCE = timedelta(hours=1)  # between two attempts at a dead meter, unless its schedule is slower
_HELD_READOUTS = 10_000  # in memory, while the buffer fails
_CLOCK_STEP = 30.0  # seconds by which the wall clock must leave the monotonic one to count as set anew
_REOPEN_FIRST, _REOPEN_LONGEST = 1.0, 60.0


@dataclass(slots=True)
class PolledMeter:
    """A meter and where it stands. `served` is the slot it was last read for, or began with."""

    target: Target
    schedule: Schedule
    served: datetime
    gone: Condition
    not_before: datetime
    asked: int = 0  # the number of the exchange in which it was asked last
    excused: bool = False  # it missed slots through no slowness of the line
    failures: int = 0
    last_success: datetime | None = None

    @property
    def label(self) -> str:
        return self.target.meter or f"address {self.target.address}"


@dataclass(slots=True)
class _Counts:
    exchanges: int = 0
    timeouts: int = 0
    errors: int = 0
    busy: float = 0.0  # seconds on the wire since the last health message
    since: float = 0.0
    late: set[str] = field(default_factory=set)


class LinePoller:
    """Belongs to one thread; `line_health` and `meter_health` may be asked from another."""

    def __init__(
        self,
        name: str,
        meters: Sequence[tuple[Target, Schedule]],
        line: Line,
        driver: Driver,
        keep: Keep,
        *,
        clock: Clock,
        synchronised: Synchronised,
        rng: random.Random,
    ) -> None:
        self.name = name
        self.line = line
        self._driver = driver
        self._keep = keep
        self._clock = clock
        self._synchronised = synchronised
        self._reopen = Backoff(_REOPEN_FIRST, _REOPEN_LONGEST, rng)
        self._reopen_at = line.now()
        self._held: deque[Readout] = deque(maxlen=_HELD_READOUTS)
        self._counts = _Counts(since=line.now())
        self._down = Condition(log, "line is down", "line is back")
        self._slow = Condition(
            log, "line is too slow for its schedule, slots are skipped", "line keeps up again"
        )
        self._unkept = Condition(log, "readouts cannot be kept", "readouts are kept again", logging.ERROR)
        now = clock()
        self._seen = (now, line.now())
        self.meters = [
            PolledMeter(
                target=target,
                schedule=schedule,
                served=schedule.latest(now),
                gone=Condition(log, "meter is gone", "meter is back"),
                not_before=now,
            )
            for target, schedule in meters
        ]

    def poll(self) -> float:
        """Read the one meter that is most due, if any; returns seconds until there is something to do."""
        if self._held:
            self._store([])
        now = self._clock()
        self._notice_clock_step(now)
        pause = self._reopen_at - self.line.now()
        if pause > 0:
            return pause
        due = [meter for meter in self.meters if self._is_due(meter, now)]
        if due:
            self._read(min(due, key=lambda meter: meter.asked), now)
            return 0.0
        return min((self._next_slot(meter, now) - now).total_seconds() for meter in self.meters)

    def close(self) -> None:
        """Give the port back."""
        self.line.close()

    def line_health(self) -> LineHealth:
        """Counters since start, and the share of time on the wire since the last call."""
        counts, now = self._counts, self.line.now()
        elapsed = now - counts.since
        utilisation = min(counts.busy / elapsed, 1.0) if elapsed > 0 else 0.0
        counts.busy, counts.since = 0.0, now
        return LineHealth(
            line=self.name,
            exchanges=counts.exchanges,
            timeouts=counts.timeouts,
            errors=counts.errors,
            utilisation=round(utilisation, 4),
        )

    def meter_health(self) -> list[MeterHealth]:
        """Of every meter of the line, in the order of the configuration."""
        return [
            MeterHealth(
                meter=meter.target.meter or f"{self.name}/{meter.target.address}"[:64],
                last_success=None if meter.last_success is None else to_milliseconds(meter.last_success),
                failures=meter.failures,
            )
            for meter in self.meters
        ]

    def _is_due(self, meter: PolledMeter, now: datetime) -> bool:
        slot = meter.schedule.latest(now)
        return slot > meter.served and slot >= meter.not_before

    def _next_slot(self, meter: PolledMeter, after: datetime) -> datetime:
        """The first slot later than `after` at which the meter is to be asked."""
        return meter.schedule.next_after(max(after, meter.not_before - timedelta(microseconds=1)))

    def _read(self, meter: PolledMeter, now: datetime) -> None:
        slot = meter.schedule.latest(now)
        self._note_lateness(meter, slot)
        before = meter.served
        meter.served = slot  # first: what no driver foresaw shall not meet the same meter again at once
        begun = self.line.now()
        self._counts.exchanges += 1
        meter.asked = self._counts.exchanges
        try:
            readouts = self._driver.read(meter.target)
        except LineError as error:
            meter.served = before  # still due: it was never asked
            self._line_failed(error)
        except DriverError as error:
            self._meter_failed(meter, slot, error)
        else:
            self._meter_answered(meter, readouts)
        self._counts.busy += self.line.now() - begun

    def _meter_answered(self, meter: PolledMeter, readouts: Sequence[Readout]) -> None:
        self._line_works()
        meter.gone.end(line=self.name, meter=meter.label, failures=meter.failures)
        meter.failures = 0
        meter.last_success = self._clock()
        if not self._synchronised():
            readouts = [_unsynchronised(readout) for readout in readouts]
        self._store(readouts)

    def _meter_failed(self, meter: PolledMeter, slot: datetime, error: DriverError) -> None:
        self._line_works()
        if isinstance(error, NoAnswerError):
            self._counts.timeouts += 1
        else:
            self._counts.errors += 1
        meter.failures += 1
        period = meter.schedule.period
        distance = min(period * 2 ** min(meter.failures - 1, 16), max(period, LONGEST_ABSENCE))
        meter.not_before = slot + distance - period / 2  # half: slots need not be a whole period apart
        meter.gone.begin(line=self.name, meter=meter.label, reason=str(error), advice=error.advice)

    def _line_failed(self, error: LineError) -> None:
        self._counts.errors += 1
        self.line.close()
        self._reopen_at = self.line.now() + self._reopen.next()
        for meter in self.meters:
            meter.excused = True
        self._down.begin(line=self.name, reason=str(error), advice=error.advice)

    def _line_works(self) -> None:
        self._reopen.reset()
        self._down.end(line=self.name)

    def _note_lateness(self, meter: PolledMeter, slot: datetime) -> None:
        late = self._counts.late
        if not meter.excused and self._next_slot(meter, meter.served) < slot:
            late.add(meter.label)
        else:
            late.discard(meter.label)
        meter.excused = False
        if late:
            self._slow.begin(line=self.name, meter=meter.label)
        else:
            self._slow.end(line=self.name)

    def _notice_clock_step(self, now: datetime) -> None:
        """A Pi without a battery clock begins in the past; when it is set, no slot in between was missed."""
        then, monotonic_then = self._seen
        monotonic = self.line.now()
        self._seen = (now, monotonic)
        if abs((now - then).total_seconds() - (monotonic - monotonic_then)) > _CLOCK_STEP:
            for meter in self.meters:
                meter.served = min(meter.served, meter.schedule.latest(now))
                meter.not_before = min(meter.not_before, now)
                meter.excused = True

    def _store(self, readouts: Sequence[Readout]) -> None:
        self._held.extend(readouts)
        try:
            self._keep(list(self._held))
        except SourceError as error:
            self._unkept.begin(line=self.name, reason=str(error))
        else:
            self._held.clear()
            self._unkept.end(line=self.name)


def _unsynchronised(readout: Readout) -> Readout:
    """Marks an instant that this gateway's clock gave; the meter's own instants are its own."""
    if Status.HISTORICAL in readout.status:
        return readout
    return replace(readout, status=readout.status | Status.UNSYNCHRONISED)
