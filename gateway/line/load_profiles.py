"""Load profiles: the periods that meters keep themselves, fetched when nobody else needs the line.

Once a day, after midnight, the day that is over; after a start, what passed since the gateway ran last and
the day before it, since that may not have been fetched yet. A period that is told twice is stored once.
"""

import logging
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from drivers.driver import Driver
from drivers.errors import LineError
from gateway.line.pending import PendingPoll, PendingPolls
from gateway.line.polled_meter import PolledMeter
from gateway.line.state import LineState
from gateway.log_once import LogOnce
from gateway.schedule import Midnight

log = logging.getLogger(__name__)

LONGEST_LOOKBACK = timedelta(days=7)
AT_ONCE = timedelta(hours=6)  # of periods in one exchange, so that no poll waits long for it
_DAY = timedelta(days=1)
_TRY_AGAIN = timedelta(hours=1)
_BEFORE_MIDNIGHT = timedelta(minutes=2)  # in which no exchange is begun: its readings come first


@dataclass(slots=True)
class LoadProfile:
    """Load profile of one meter, and how far it has been fetched."""

    meter: PolledMeter
    done: datetime  # all periods that end up to here
    goal: datetime  # up to which they are wanted at once, without waiting for a midnight
    not_before: datetime | None = None
    failing: LogOnce = field(
        default_factory=lambda: LogOnce(
            log, "load profile cannot be read", "load profile is read again", logging.WARNING
        )
    )

    def wanted(self, now: datetime) -> tuple[datetime, datetime] | None:
        """The next periods to ask for, from and to; None if there are none, or not now."""
        goal = max(Midnight(self.meter.target.time_zone).latest(now), self.goal)
        if self.done >= goal or self.meter.failures or (self.not_before and now < self.not_before):
            return None
        return self.done, min(self.done + AT_ONCE, goal)

    def fetched(self, until: datetime) -> None:
        """The periods up to then are kept."""
        self.done, self.not_before = until, None
        self.failing.end(line=self.meter.line, meter=self.meter.label)

    def fails(self, now: datetime, reason: Exception) -> None:
        """They will be asked for again, later."""
        self.not_before = now + _TRY_AGAIN
        self.failing.begin(line=self.meter.line, meter=self.meter.label, reason=str(reason))


class LoadProfiles:
    """Load profiles of a line. `last_alive`: the instant at which the gateway ran last, if it ever did."""

    def __init__(self, meters: Sequence[PolledMeter], last_alive: datetime | None) -> None:
        self._meters = meters
        self._last_alive = last_alive
        self._profiles: dict[str, LoadProfile] = {}  # by the meter's place, once the time is known

    def fetch(self, now: datetime, driver: Driver, state: LineState, pending: PendingPolls) -> bool:
        """Have one meter tell some of its periods, if any are wanted. `now` is a known time."""
        wanted = self._next(now)
        if wanted is None:
            return False
        profile, since, until = wanted
        with state.in_use():
            try:
                readouts = driver.load_profile(profile.meter.target, since, until)
            except LineError as error:
                state.fails(error)
            except Exception as error:  # also what no driver foresaw: the polls go on
                profile.fails(now, error)
            else:
                state.works()
                profile.fetched(until)
                if readouts:
                    pending.put([PendingPoll(None, readouts)])
        return True

    def _next(self, now: datetime) -> tuple[LoadProfile, datetime, datetime] | None:
        """The profile whose periods are to be fetched now, from and to."""
        for meter in self._meters:
            if (profile := self._profiles.get(meter.place)) is None:
                profile = self._profiles[meter.place] = self._begun(meter, now)
            if wanted := profile.wanted(now):
                return profile, *wanted
        return None

    def take_over(self, earlier: "LoadProfiles") -> None:
        """Go on where the same meters stood under an earlier configuration."""
        for meter in self._meters:
            if before := earlier._profiles.get(meter.place):
                self._profiles[meter.place] = LoadProfile(meter, before.done, before.goal)

    def _begun(self, meter: PolledMeter, now: datetime) -> LoadProfile:
        if self._last_alive is None or self._last_alive > now:
            midnight = Midnight(meter.target.time_zone).latest(now)
            return LoadProfile(meter, midnight, midnight)
        return LoadProfile(meter, max(self._last_alive - _DAY, now - LONGEST_LOOKBACK), now)


def midnight_is_near(meter: PolledMeter, now: datetime) -> bool:
    """True where an exchange begun now could stand in the way of this meter's reading of midnight."""
    return meter.billing and meter.slot - now < _BEFORE_MIDNIGHT
