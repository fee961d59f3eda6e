"""The reader of an optical port (IEC 62056-21): present values, load profiles, kept months, the clock.

Every meter is signed on at the speed that the line was opened with (300 Bd for optical heads). A meter of
mode C is then told the speed: the one it offers where the line can switch, else the line's own.
"""

import logging
import re
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime, timedelta
from typing import TypeVar

from drivers.driver import Clock, Driver, SearchEvent, SearchScope, Target
from drivers.errors import (
    DriverError,
    GarbledAnswerError,
    MeterError,
    NoAnswerError,
    UnsupportedError,
)
from drivers.line import Line
from drivers.optical.clock import set_clock
from drivers.optical.codec.dataset import DataSet
from drivers.optical.codec.registers import registers
from drivers.optical.history import kept_months, read_load_profile
from drivers.optical.planning import OpticalPlan, expected, measured
from drivers.optical.profile import ReadoutMethod, profile_of
from drivers.optical.push import PATIENCE, listen
from drivers.optical.readouts import meter_of, to_readouts
from drivers.optical.search import search
from drivers.optical.session import OpticalSession
from drivers.optical.wire import fall_silent
from drivers.repeated_values import TELL_AGAIN, RepeatedValues
from telemetry.readout import Readout
from telemetry.status import Status

log = logging.getLogger(__name__)

_Result = TypeVar("_Result")
_REGISTER = re.compile(r"([^()]+)(?:\(([^()]*)\))?")


class OpticalDriver(Driver):
    """Modes A, B, C and D, and programming mode. `Target.address` is "" for the only meter of a head.

    `Target.profile` names one of `profile.PROFILES`, "iec" by default. `switch_pause` in seconds overrules
    the profile's: some optical heads need 0.3 to 0.4 s before they can change speed.
    """

    protocol = "optical"

    def __init__(self, line: Line, clock: Clock, *, switch_pause: float | None = None) -> None:
        super().__init__(line, clock)
        self.switch_pause = switch_pause
        self._home = line.settings
        self._told: dict[tuple[str, str | None], RepeatedValues] = {}
        self._months_read: dict[tuple[str, str | None], float] = {}  # line seconds
        self._plans: dict[tuple[str, str | None], OpticalPlan] = {}

    def read(self, target: Target) -> list[Readout]:
        """The present, then what the meter kept at the ends of billing periods. Raises DriverError.

        What it kept is returned when it is new or has changed, and then once a day.
        Where the profile says that the present leaves kept months out, they are read beside it once a day.
        """
        profile = profile_of(target)
        match profile.access:
            case ReadoutMethod.PUSH:
                readouts = self._pushed(target)
            case ReadoutMethod.REGISTERS:
                readouts = self.read_registers(target, profile.registers)
            case ReadoutMethod.READOUT:
                readouts = self._in_session(target, lambda session: self._readout(session, target))
        present, *kept = readouts
        told = self._told.setdefault(_key(target), RepeatedValues())
        news = told.news(kept, self.line.now())
        return [present, *news, *self._daily_months(target, profile.kept_months)]

    def read_registers(self, target: Target, addresses: Sequence[str]) -> list[Readout]:
        """Those registers, one by one in programming mode, as `read` would give them.

        A register may carry an argument: "EAMPE(09.24)". One that the meter refuses is left out; where it
        refuses all of them, its first refusal (MeterError) is raised. Raises DriverError.
        """

        def work(session: OpticalSession) -> list[Readout]:
            at = self.clock()
            sets, raw = _ask_all(session, addresses)
            self._note(target, session)
            return to_readouts(session.identification, session.profile.translate(sets), target, at, raw)

        return self._programming(target, work)

    def load_profile(self, target: Target, since: datetime, until: datetime) -> list[Readout]:
        """See `Driver.load_profile`. A period's `raw` is the header and the line that it was in."""
        profile = profile_of(target)
        if not profile.load_profile:
            raise UnsupportedError(f"the optical profile {profile.name!r} knows no load profile")

        def work(session: OpticalSession) -> list[Readout]:
            meter = _identify(session, target)
            return [
                Readout(meter, row.at, row.values, row.status | Status.HISTORICAL, row.text.encode("ascii"))
                for row in read_load_profile(session, target.time_zone, since, until)
                if row.values
            ]

        return self._programming(target, work)

    def months(self, target: Target, count: int = 12) -> list[Readout]:
        """The counters that the meter kept at the ends of the last `count` months or billing periods.

        For meters whose readout leaves them out: read one by one in programming mode. Each is a readout with
        `Status.HISTORICAL` at the instant that the meter gives for its period, oldest first; Energomera's are
        asked for by month, and end at local midnight. Raises DriverError.
        """

        def work(session: OpticalSession) -> list[Readout]:
            meter = _identify(session, target)
            now = self.clock()
            return [
                Readout(meter, month.end, month.values, Status.HISTORICAL, month.raw)
                for month in kept_months(session, target.time_zone, now, count)
                if month.end <= now
            ]

        return self._programming(target, work)

    def set_clock(self, target: Target, instant: datetime) -> None:
        """See `Driver.set_clock`. What the session takes is added, so that the clock is right when it is set.

        The clock is read again afterwards. Raises MeterError where the meter refuses, or shows another time.
        """
        profile = profile_of(target)
        if not profile.clock_write:
            raise UnsupportedError(
                f"how the clock of a meter of the profile {profile.name!r} is set is not documented",
                advice="set it with the maker's own software",
            )
        begun = self.line.now()

        def present() -> datetime:
            return instant + timedelta(seconds=self.line.now() - begun)

        self._programming(target, lambda session: set_clock(session, target.time_zone, present))

    def search(self, scope: SearchScope) -> Iterator[SearchEvent]:
        """See `Driver.search`: signs on without an address, then with those given, and listens for mode D.

        Also raises DriverError for an address that is none.
        """
        return search(self.line, self._home, scope, self.tally)

    def readout_time(self, target: Target) -> float:
        """Seconds that one `read` is planned with.

        T = slow * 10 / sign-on speed + turns * reaction + fast * 10 / agreed speed. After a readout of the
        meter its own figures are taken. Before, a 17-character identification, 1500 characters, 200 ms and
        9600 Bd; a line that cannot switch replaces that by its own speed.
        """
        profile = profile_of(target)
        plan = self._plans.get(_key(target)) or expected(target, profile, self._home, self.line.can_switch)
        return plan.seconds(self._home)

    def only_listens(self, target: Target) -> bool:
        """See `Driver.only_listens`: in mode D."""
        return profile_of(target).access is ReadoutMethod.PUSH

    def _daily_months(self, target: Target, count: int) -> list[Readout]:
        """The kept months, once a day; where they cannot be read, the present has been read all the same."""
        last = self._months_read.get(_key(target))
        if not count or (last is not None and self.line.now() - last < TELL_AGAIN):
            return []
        self._months_read[_key(target)] = self.line.now()
        try:
            return self.months(target, count)
        except DriverError as error:
            log.info("the kept months cannot be read: %s", error)
            return []

    def _pushed(self, target: Target) -> list[Readout]:
        begun = self.line.now()
        push = listen(self.line, self.tally, target.timeout or PATIENCE)
        at = self.clock()
        self._plans[_key(target)] = OpticalPlan.of_time(self.line.now() - begun)
        return to_readouts(push.identification, profile_of(target).translate(push.sets), target, at, push.raw)

    def _readout(self, session: OpticalSession, target: Target) -> list[Readout]:
        session.agree_on_readout()
        at = self.clock()
        answer = session.readout()
        self._note(target, session)
        sets = session.profile.translate(answer.sets)
        raw = session.identification.encode() + answer.raw
        return to_readouts(session.identification, sets, target, at, raw)

    def _programming(self, target: Target, work: Callable[[OpticalSession], _Result]) -> _Result:

        def opened(session: OpticalSession) -> _Result:
            session.programming()
            return work(session)

        return self._in_session(target, opened)

    def _in_session(self, target: Target, work: Callable[[OpticalSession], _Result]) -> _Result:
        """Sign on and do the work; again in a new session after silence, and after what cannot be read."""
        profile = profile_of(target)
        if profile.access is ReadoutMethod.PUSH:
            raise UnsupportedError(f"a meter of the profile {profile.name!r} only speaks, it does not listen")
        failure: DriverError | None = None
        for attempt in range(1 + target.retries):
            if attempt:
                self.tally.retries += 1
                fall_silent(self.line)
            try:
                with OpticalSession(
                    self.line, target, profile, self.tally, pause=self.switch_pause
                ) as session:
                    session.sign_on()
                    return work(session)
            except (NoAnswerError, GarbledAnswerError) as error:
                failure = error
        assert failure is not None
        raise failure

    def _note(self, target: Target, session: OpticalSession) -> None:
        self._plans[_key(target)] = measured(session)


def _ask_all(session: OpticalSession, addresses: Sequence[str]) -> tuple[list[DataSet], bytes]:
    """What the registers hold, one after the other, and the answers as received."""
    sets: list[DataSet] = []
    raw = b""
    refusal: MeterError | None = None
    for text in addresses:
        match = _REGISTER.fullmatch(text)
        if match is None:
            raise DriverError(f"{text!r} is no register", advice='write "1.8.0", or "ENMPE(09.24)"')
        try:
            answer = session.ask("R1", match[1], match[2] or "")
        except MeterError as error:
            if not session.is_open:
                raise  # the meter broke off
            log.debug("%s", error)
            refusal = refusal or error
        else:
            sets += answer.sets
            raw += answer.raw
    if refusal is not None and not sets:
        raise refusal
    return sets, raw


def _identify(session: OpticalSession, target: Target) -> str:
    """Whose meter this is, asked for in programming mode. Raises IdentityError."""
    serials: list[str] = []
    for address in session.profile.identity:
        try:
            sets = session.profile.translate(session.ask("R1", address).sets)
        except MeterError:
            if not session.is_open:
                raise
            continue
        serials += registers(sets, target.time_zone).serials
        if serials:
            break
    return meter_of(session.identification, serials, target)


def _key(target: Target) -> tuple[str, str | None]:
    return target.address, target.profile
