"""The accounts of a line's slots: those that no readout serves are told as misses, each once and in order."""

from collections import deque
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

from drivers.errors import DriverError, GarbledAnswerError, MeterError, NoAnswerError, UnsupportedError
from gateway.clock.schedule_clock import ScheduleClock
from gateway.line.load_profiles import LONGEST_LOOKBACK
from gateway.line.pending import PendingPoll, PendingPolls
from gateway.line.polled_meter import PolledMeter
from gateway.line.state import LineState
from telemetry.wire import Miss, MissReason, from_milliseconds

_INSTANT = timedelta(microseconds=1)


class SlotAccounts:
    """Misses of a line, on their way to the buffer, and the instant up to which all slots are accounted for.

    `last_alive`: every slot up to then was accounted for by an earlier process, and after it those that the
    instants of `kept_since` tell of, by meter. `stagger`: by how much the line's slots are later than the
    clock's.
    """

    def __init__(
        self,
        meters: Sequence[PolledMeter],
        clock: ScheduleClock,
        state: LineState,
        pending: PendingPolls,
        *,
        stagger: timedelta,
        last_alive: datetime | None,
        kept_since: Mapping[str, Sequence[datetime]],
    ) -> None:
        self.until = last_alive
        self._meters = meters
        self._clock = clock
        self._state = state
        self._pending = pending
        self._stagger = stagger
        self._last_alive = last_alive
        self._kept_since = kept_since
        self._absent = deque(meters if last_alive else ())  # whose slots before this process are not told

    @property
    def owes_absence(self) -> bool:
        """True where a meter's slots before this process are still to be told, and can be."""
        return bool(self._absent) and self._clock.known

    def tell_absence(self) -> None:
        """One meter's slots between an earlier process and this one, once the time is known.

        One at a time: after a week there are as many as 1,000 of each, which are not to delay the polls.
        """
        if self._last_alive and self.owes_absence:
            meter = self._absent.popleft()
            until = self._clock.started() - self._stagger
            since = max(self._last_alive, until - LONGEST_LOOKBACK)
            self.keep(meter.absent(since, until, self._kept_since.get(meter.name, ())))

    def tell_missed(self, now: datetime, *, knows_time: bool) -> None:
        """The slots that nobody will be asked for any more.

        Where the time is known, all before the first due one and the oldest not yet on the disk are accounted
        for then.
        """
        misses: list[Miss] = []
        first = now
        for meter in self._meters:
            if meter.slot > now:
                continue
            if self._state.down:
                meter.hindrance = MissReason.LINE_DOWN
            for miss in meter.missed(now):
                misses.append(miss)
                if miss.reason == MissReason.LINE_BUSY:
                    self._state.falls_behind(meter.label)
            first = min(first, meter.slot)
        self.keep(misses)
        if knows_time and not self._absent:
            self.until = min(first, self._pending.oldest() or first) - _INSTANT

    def keep(self, misses: Sequence[Miss]) -> None:
        """Keep these, at their slots."""
        polls = []
        for miss in misses:
            slot = from_milliseconds(miss.at)
            polls.append(PendingPoll(slot, miss=miss, monotonic=self._clock.monotonic_at(slot)))
        if polls:
            self._pending.put(polls)


def miss_reason(error: DriverError) -> MissReason:
    """The short name of what went wrong between line and meter."""
    match error:
        case NoAnswerError():
            return MissReason.NO_ANSWER
        case GarbledAnswerError():
            return MissReason.GARBLED
        case MeterError() | UnsupportedError():
            return MissReason.REFUSED
        case _:
            return MissReason.NOT_UNDERSTOOD
