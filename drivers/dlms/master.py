"""Master of DLMS meters over HDLC: log in, ask for what the meter has, hang up.

What a meter has is asked once (its object list, scalers and units) and remembered while the same meter
answers; then a readout is one GET for each register. README.md tells of addresses and levels of security.
"""

import logging
import secrets
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from typing import ClassVar

from drivers.dlms.address import parse_address
from drivers.dlms.association import AccessError, Association, LoginError
from drivers.dlms.codec.apdu import RangeSelection
from drivers.dlms.codec.clock import encode_date_time
from drivers.dlms.codec.data import array, octet_string, structure
from drivers.dlms.codec.objects import (
    BUFFER,
    CAPTURE_TIME,
    CLOCK,
    ERROR_REGISTER,
    LOAD_PROFILE,
    USUAL,
    VALUE,
    CaptureColumn,
    ClassId,
    MeterObject,
)
from drivers.dlms.discovery import Knowledge, discover, profile, serial_number, who
from drivers.dlms.readouts import ProfileBuffer, clock_of, entries, is_fault, register_value
from drivers.dlms.session import Sessions
from drivers.driver import (
    Clock,
    Driver,
    Found,
    IdentityError,
    SearchEvent,
    SearchProgress,
    SearchScope,
    Suspicion,
    Target,
    UnnamedError,
)
from drivers.errors import DecodeError, GarbledAnswerError, MeterError, NoAnswerError
from drivers.line import Line, SerialSettings
from telemetry.meter_id import same_meter
from telemetry.readout import Quantity, Readout
from telemetry.status import Status

log = logging.getLogger(__name__)

Kept = dict[datetime, dict[str, Quantity]]  # what a meter kept by itself, by instant

_TITLE = b"HES\0\0\0\0\x01"
_REACH = timedelta(days=400)  # how far back the past is of interest
_WITHOUT_PHYSICAL_ADDRESS = "16/1"  # several meters on a wire would answer to it at once, and be noise
_SEARCHED = (_WITHOUT_PHYSICAL_ADDRESS, "16/1/1", "16/1/16", "16/1/17", "16/1/127")
_SEARCH_TIMEOUT = 0.6
_UNNAMED = "DLMS; does not say who it is to a client that gives no password"

# For planning: bytes of a GET and of its answer, and what a meter takes to react
_EXCHANGE_BYTES = 27 + 26
_REACTION = 0.12
_EXCHANGES_AROUND = 6  # link, log-in, serial number, clock, error register, disconnect
_OPENING_TIME = 3.0


class DlmsDriver(Driver):
    """DLMS/COSEM over HDLC, directly, or through an optical head where the line was opened at 300 7E1.

    `title` is the system title that this client ciphers under: no two clients of a meter may have the same.
    `random` gives that many random bytes.
    """

    protocol: ClassVar[str] = "dlms"

    def __init__(
        self,
        line: Line,
        clock: Clock,
        *,
        title: bytes = _TITLE,
        random: Callable[[int], bytes] = secrets.token_bytes,
    ) -> None:
        super().__init__(line, clock)
        self._sessions = Sessions(line, self.tally, clock, title=title, random=random)
        self._known: dict[str, Knowledge] = {}

    def read(self, target: Target) -> list[Readout]:
        """The present, then what the meter kept: maxima at their instants, and closed billing periods.

        What it kept is returned when it is new; the billing profile is looked at once a day. Raises
        DriverError.
        """
        with self._sessions.log_in(target) as association:
            known, meter = self._meet(target, association)
            at = self.clock()
            values, kept = _registers(association, known, target)
            if not values:
                raise AccessError(f"{meter} shows none of its registers to this client", 3)
            faulty = known.has_error_register and association.told(ERROR_REGISTER, is_fault)
            clock = association.told(CLOCK, lambda data: clock_of(data, target.time_zone))
            raw = kept_raw = known.raw + association.take_raw()
            closed: Kept = {}
            today = at.astimezone(target.time_zone).date()
            if known.billing and known.billing_read != today:
                closed = _billing(association, known.billing, known.billed or at - _REACH, at, target)
                kept_raw += known.billing.raw + association.take_raw()
        # nothing can fail from here on: what is noted as told will be told
        known.billing_read = today
        known.billed = max(closed, default=known.billed)
        for instant, ends in closed.items():
            kept.setdefault(instant, {}).update(ends)
        status = Status.PERMANENT_ERROR if faulty else Status(0)
        present = Readout(meter, at, values, status, raw, clock)
        return [present, *_historical(meter, _news(known, kept, at), kept_raw)]

    def load_profile(self, target: Target, since: datetime, until: datetime) -> list[Readout]:
        """See `Driver.load_profile`: 1-0:99.1.0, of which columns that are registers of the shared table.

        AccessError where the meter has no such profile, or does not show it.
        """
        with self._sessions.log_in(target) as association:
            known, meter = self._meet(target, association)
            found = profile(association, LOAD_PROFILE, known.registers)
            if found is None:
                raise AccessError(f"{meter} shows no load profile", 4)
            kept = _entries(association, found, since, until, target)
            return _historical(meter, kept, found.raw + association.take_raw())

    def set_clock(self, target: Target, instant: datetime) -> None:
        """See `Driver.set_clock`. The meter is asked first who it is."""
        with self._sessions.log_in(target) as association:
            self._meet(target, association)
            association.set(CLOCK, octet_string(encode_date_time(instant, target.time_zone)))

    def search(self, scope: SearchScope) -> Iterator[SearchEvent]:
        """Set up a link with every usual server, and ask those that answer who they are."""
        home = self._sessions.home
        every = [
            (settings, address)
            for settings in scope.settings or (home,)
            for address in tuple(scope.addresses) or _SEARCHED
        ]
        met: set[str] = set()
        try:
            for done, (settings, address) in enumerate(every):
                yield SearchProgress(done, len(every), f"{address} at {settings}")
                self._sessions.home = settings
                target = Target(address, timeout=scope.timeout or _SEARCH_TIMEOUT, retries=0)
                event = self._look(target, settings)
                if isinstance(event, Found):
                    if met & {event.meter, f"the lone one at {settings}"}:
                        continue  # a lone meter answers to several addresses
                    lone = address == _WITHOUT_PHYSICAL_ADDRESS
                    met.add(event.meter or f"the {'lone one' if lone else address} at {settings}")
                if event is not None:
                    yield event
            yield SearchProgress(len(every), len(every), "asked")
        finally:
            self._sessions.home = home
            self.line.configure(home)

    def readout_time(self, target: Target) -> float:
        """One exchange for each register: the usual ones until the meter has told which it has."""
        parse_address(target.address)
        known = self._known.get(target.address)
        exchanges = _EXCHANGES_AROUND + len(known.registers if known else USUAL)
        through_head = self._sessions.through_head
        speed = SerialSettings() if through_head else self._sessions.home
        opening = _OPENING_TIME if through_head else 0.0
        return opening + exchanges * (_EXCHANGE_BYTES * speed.character_time + _REACTION)

    def _meet(self, target: Target, association: Association) -> tuple[Knowledge, str]:
        """What is known of the meter, and its id. Raises IdentityError where another one answers."""
        serial = serial_number(association)
        known = self._known.get(target.address)
        same = (
            known is not None and known.serial == serial and (serial or known.meter == who(association, ""))
        )
        if known is None or not same:
            known = self._known[target.address] = discover(association, serial)
        if target.meter and known.meter and not same_meter(target.meter, known.meter):
            raise IdentityError(target.meter, known.meter)
        meter = target.meter or known.meter
        if meter is None:
            raise UnnamedError(f"the meter at {target.address!r} does not say who it is")
        return known, meter

    def _look(self, target: Target, settings: SerialSettings) -> SearchEvent | None:
        try:
            with self._sessions.log_in(target) as association:
                meter = who(association, serial_number(association))
        except NoAnswerError:
            return None
        except GarbledAnswerError as error:
            return Suspicion(target.address, settings, str(error), error.advice)
        except (MeterError, DecodeError) as error:
            reason = "asks for a password or key" if isinstance(error, LoginError) else str(error)
            return Found(target.address, settings, description=f"DLMS; {reason}")
        return Found(target.address, settings, meter, description="DLMS" if meter else _UNNAMED)


def _registers(
    association: Association, known: Knowledge, target: Target
) -> tuple[dict[str, Quantity], Kept]:
    """The registers' values, and those of extended registers again at the instants of their capture."""
    values: dict[str, Quantity] = {}
    captured: Kept = {}
    for one, scaling in known.registers.items():
        data = association.get_optional(one.attribute(VALUE))
        value = None if data is None else register_value(one, data, scaling)
        if value is None:
            continue
        values[str(one.obis)] = value
        if one.class_id == ClassId.EXTENDED_REGISTER:
            captured_at = one.attribute(CAPTURE_TIME)
            instant = association.told(captured_at, lambda time: clock_of(time, target.time_zone))
            if instant is not None:
                captured.setdefault(instant, {})[str(one.obis)] = value
    return values, captured


def _billing(
    association: Association, found: ProfileBuffer, since: datetime, at: datetime, target: Target
) -> Kept:
    """The closed billing periods since the last one known; none where the meter does not show them."""
    try:
        return _entries(association, found, since, at, target)
    except AccessError as refusal:
        log.debug("%s", refusal)
        return {}


def _entries(
    association: Association, found: ProfileBuffer, since: datetime, until: datetime, target: Target
) -> Kept:
    """Entries of a profile in that range; all are asked for where the meter knows no ranges."""
    if found.time is None:
        return {}
    buffer = MeterObject(ClassId.PROFILE_GENERIC, found.name).attribute(BUFFER)
    try:
        data = association.get(buffer, _range(found.columns[found.time], since, until, target))
    except AccessError as refusal:
        log.debug("reading all of it, since: %s", refusal)
        data = association.get(buffer)
    read = entries(found, data, target.time_zone)
    return {instant: values for instant, values in read.items() if since <= instant <= until}


def _range(column: CaptureColumn, since: datetime, until: datetime, target: Target) -> RangeSelection:
    """Selective access 1: a restricting object, from, to, and all columns."""
    first, last = (octet_string(encode_date_time(one, target.time_zone)) for one in (since, until))
    return RangeSelection(1, structure(column.encode(), first, last, array()))


def _news(known: Knowledge, kept: Kept, at: datetime) -> Kept:
    """What was not told before, or with other values; not what a clock that was never set says."""
    news = {
        instant: values
        for instant, values in kept.items()
        if at - _REACH <= instant <= at and known.told.get(instant) != values
    }
    known.told |= news
    return news


def _historical(meter: str, kept: Kept, raw: bytes) -> list[Readout]:
    return [Readout(meter, instant, kept[instant], Status.HISTORICAL, raw) for instant in sorted(kept)]
