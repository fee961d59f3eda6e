"""Correction of instants: what was read without the time gets its true ones, before it is sent.

A Raspberry Pi starts at some date of the past. Until a time service has set its clock, the buffer holds what
is read, each with its instant on the monotonic clock; once the clock is set, the distance between the two
clocks dates all of it. Who waits in vain for too long follows the clock as it is, and what was read, marked
as unsynchronised, is sent with the dates that it shows.
"""

import logging
from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta

from drivers.driver import Clock
from gateway.buffer.buffer import Buffer
from gateway.buffer.source import SourceError
from gateway.clock.kernel import ClockReference
from gateway.log_once import LogOnce

log = logging.getLogger(__name__)

LONGEST_WAIT = timedelta(hours=1)
_AGAIN = 60.0  # seconds; a line may have been in the middle of an exchange when the time came
_REMIND = 600.0  # seconds between two words about a wait that lasts
_ADVICE = (
    "see whether a time service reaches its servers (timedatectl); where the clock is right although the "
    'kernel does not say so, as in some virtual machines, write clock = "trusted" into the configuration'
)


class ClockCorrection:
    """Correction of held readouts; call `watch` once a second. `boot` names what `monotonic` counts from."""

    def __init__(
        self,
        reference: ClockReference,
        held: Buffer,
        *,
        clock: Clock,
        monotonic: Callable[[], float],
        boot: str,
        longest_wait: timedelta = LONGEST_WAIT,
    ) -> None:
        self._reference = reference
        self._held = held
        self._clock = clock
        self._monotonic = monotonic
        self._boot = boot
        self._began_at = self._again_at = monotonic()
        self._given_up_at = self._began_at + longest_wait.total_seconds()
        self._remind_at = self._began_at + _REMIND
        self._time_came = self._dated = False
        self._unsynchronised = LogOnce(log, "clock is not synchronised", "clock is synchronised")
        self._waiting = LogOnce(
            log,
            "waits for the time: what is read is held until the clock is set",
            "the wait for the time is over",
        )
        self._undated = LogOnce(
            log, "held readouts cannot be dated", "held readouts are dated", logging.ERROR
        )

    def watch(self) -> bool:
        """Date what is held, if it is time to; returns whether the clock is synchronised now."""
        synchronised, now, known = self._reference(), self._monotonic(), self._reference.was_set
        if not synchronised and not self._reference.followed:
            self._tell_of_the_wait(now)
        elif synchronised:
            self._waiting.end()
            self._unsynchronised.end()
        else:
            self._waiting.end(reason="nobody has set the clock; what is read is sent as the clock shows it")
            self._unsynchronised.begin(
                advice="readings are marked; check that a time service reaches its servers"
            )
        if now >= self._again_at or (known and not self._time_came):
            self._again_at, self._time_came = now + _AGAIN, known
            try:
                self._date(now, known)
            except SourceError as error:
                self._undated.begin(reason=str(error))
            else:
                self._undated.end()
        return synchronised

    def _tell_of_the_wait(self, now: float) -> None:
        waited, left = (round(seconds / 60) for seconds in (now - self._began_at, self._given_up_at - now))
        self._waiting.begin(minutes_at_most=left, advice=_ADVICE)
        if now >= self._remind_at:
            self._remind_at = now + _REMIND
            with suppress(SourceError):  # told by who keeps readouts
                held = self._held.backlog().held
                log.info(
                    "still waits for the time",
                    extra={"minutes": waited, "held": held, "minutes_at_most": left, "advice": _ADVICE},
                )

    def _date(self, now: float, known: bool) -> None:
        if known:
            self._held.synchronise(self._boot, self._clock() - timedelta(seconds=now))
            if self._dated:  # what is held still was read before a restart of the machine
                self._held.release_unsynchronised()
            self._dated = True
        elif now >= self._given_up_at:
            self._reference.give_up()
            self._held.release_unsynchronised()
