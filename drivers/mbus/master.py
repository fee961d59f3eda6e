"""M-Bus master (EN 13757-2, 5; EN 13757-3, 11): a meter's readout by its primary or its secondary address.

The frame count bit (FCB) is kept per meter: after SND_NKE or a selection the first request carries FCB=1, and
it is toggled only after a good answer, since the same FCB again means "send that telegram again". Getting
that wrong yields a meter's oldest telegram for ever. All selected meters share one address, 253: selecting
one ends the session of the one before.
"""

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import ClassVar

from drivers.driver import Clock, Driver, IdentityError, SearchEvent, SearchScope, Target
from drivers.errors import DecodeError, DriverError, GarbledAnswerError, MeterError, NoAnswerError
from drivers.line import Line
from drivers.mbus.address import MeterAddress, Secondary, parse_address
from drivers.mbus.codec.frame import (
    FCB,
    REQ_UD2,
    SND_NKE,
    SND_UD,
    Frame,
    LongFrame,
    PrimaryAddress,
    ShortFrame,
    SingleCharacterFrame,
)
from drivers.mbus.codec.telegram import ApplicationError, Telegram, decode_answer, decode_header
from drivers.mbus.link import MEDIAN_ANSWER, SELECT_SIZE, SHORT_SIZE, LinkAnswer, MBusLink, quickest
from drivers.mbus.readouts import Interpretation, interpret
from drivers.mbus.search import search
from drivers.repeated_values import RepeatedValues
from telemetry.readout import Readout

log = logging.getLogger(__name__)

MAX_TELEGRAMS = 10

TYPICAL_REACTION = 0.030  # seconds above the quickest that the standard allows


@dataclass(slots=True)
class _Session:
    """What the master knows of one meter. Not `linked`: the next readout begins with SND_NKE or a selection.

    `silent`: it did not answer the last time. `answers`: the sizes of its last readout's telegrams in bytes.
    `told`: its set days, which it repeats in every readout.
    """

    linked: bool = False
    fcb: bool = True
    silent: bool = False
    answers: Sequence[int] = (MEDIAN_ANSWER,)
    told: RepeatedValues = field(default_factory=RepeatedValues)

    def begin(self) -> None:
        self.linked, self.fcb = True, True


class MBusDriver(Driver):
    """One line of M-Bus meters, by their primary or secondary addresses (`drivers.mbus.address`)."""

    protocol: ClassVar[str] = "mbus"

    def __init__(self, line: Line, clock: Clock) -> None:
        super().__init__(line, clock)
        self._link = MBusLink(line, self.tally)
        self._sessions: dict[MeterAddress, _Session] = {}
        self._selected: Secondary | None = None  # who answers to 253
        self.last: Interpretation | None = None  # the last readout, with the records that were left out

    def read(self, target: Target) -> list[Readout]:
        """All telegrams of the meter, as readouts: the present, then set days that are news.

        A meter sends its set days with every answer; one that was returned before comes again only after a
        day, or with another value. Raises DriverError.
        """
        address = parse_address(target.address)
        session = self._sessions.setdefault(address, _Session())
        try:
            telegrams = self._read_all(address, target, session)
        except DriverError as error:
            self._forget_link(address, session)
            session.silent = isinstance(error, NoAnswerError)
            raise
        session.silent = False
        session.answers = [len(telegram.raw) for telegram in telegrams]
        _check_identity(target, telegrams[0])
        self.last = interpret(telegrams, self.clock(), target.time_zone, target.meter)
        for left_out in self.last.rejected:
            log.debug("%s %s left out: %s", self.last.readouts[0].meter, left_out.obis, left_out.reason)
        present, *kept = self.last.readouts
        return [present, *session.told.news(kept, self.line.now())]

    def readout_time(self, target: Target) -> float:
        """T = 5*11/B + g + 11*N/B for each telegram of the last readout, or one of the median size.

        g is the quickest reaction that the standard allows, and 30 ms, as meters commonly take. A secondary
        address adds the selection, 17*11/B + g + 11/B.
        """
        address = parse_address(target.address)
        character, g = self.line.settings.character_time, quickest(self.line.settings.baud) + TYPICAL_REACTION
        session = self._sessions.get(address, _Session())
        seconds = sum(SHORT_SIZE * character + g + size * character for size in session.answers)
        if isinstance(address, Secondary):
            seconds += (SELECT_SIZE + 1) * character + g
        return seconds

    def identify(self, target: Target) -> str | None:
        """The meter id in the first telegram of a fresh readout, if it has one. Raises DriverError."""
        address = parse_address(target.address)
        self._forget_links()
        session = _Session()
        retries = self._begin(address, target, session, target.retries)
        frame = self._ask(address, target, session, retries)
        self._forget_links()
        header = decode_header(frame)
        return header.meter if header else None

    def somebody_at(self, address: int, timeout: float | None = None) -> bool:
        """True where anything answers at a primary address, be it noise. Raises LineError."""
        patience = self._link.patience(timeout)
        request = ShortFrame(REQ_UD2 | FCB, address).encode()
        return not (
            self._reset(address, patience).silence
            and self._link.exchange(request, LongFrame, patience).silence
        )

    def command(self, target: Target, control_information: int, data: bytes = b"") -> None:
        """SND_UD after a fresh link reset or selection, acknowledged by the meter. Raises DriverError."""
        address = parse_address(target.address)
        self._forget_links()
        retries = self._begin(address, target, _Session(), target.retries)
        request = LongFrame(SND_UD | FCB, _on_wire(address), control_information, data).encode()
        self._acknowledged(address, target, request, retries)
        self._forget_links()

    def search(self, scope: SearchScope) -> Iterator[SearchEvent]:
        """See `Driver.search`; addresses are "1-250" (the default), "5", "secondary", "0685FFFF"."""
        self._forget_links()
        yield from search(self.line, scope)

    def _read_all(self, address: MeterAddress, target: Target, session: _Session) -> list[Telegram]:
        """By secondary address first in the belief that the bus is as the last selection left it."""
        if isinstance(address, Secondary) and self._selected and not session.silent:
            try:
                return self._read_chain(address, target, session, 0)
            except (NoAnswerError, GarbledAnswerError):
                self._forget_link(address, session)  # it lost its selection, or another one kept its own
        return self._read_chain(address, target, session, target.retries)

    def _read_chain(
        self, address: MeterAddress, target: Target, session: _Session, retries: int
    ) -> list[Telegram]:
        """One telegram, or a chain of them (DIF 1F) until its end, a repeat, silence, or ten."""
        retries = self._begin(address, target, session, retries)
        telegrams = [self._request(address, target, session, retries)]
        while telegrams[-1].more_follow and len(telegrams) < MAX_TELEGRAMS:
            session.linked = False  # the next readout is to begin with the first telegram again
            try:
                following = self._request(address, target, session, target.retries)
            except (NoAnswerError, GarbledAnswerError, MeterError, DecodeError) as error:
                log.info("address %s announced more telegrams than it gives: %s", address, error)
                break  # what was read so far is good
            if any(following.records == earlier.records for earlier in telegrams):
                break  # Sensus and others announce more, and send the same for ever
            telegrams.append(following)
        return telegrams

    def _begin(self, address: MeterAddress, target: Target, session: _Session, retries: int) -> int:
        """Reset the link or select the meter, where that is needed. How often its requests may be repeated.

        A meter that was silent the last time and does not even acknowledge the reset is asked only once: a
        dead meter must not take the line from those that live.
        """
        if isinstance(address, Secondary):
            if not session.linked or self._selected != address:
                self._select(address, target, session, retries)
                session.begin()
        elif not session.linked:
            # its E5 is not insisted on: some meters answer requests only
            if self._reset(address, self._link.patience(target.timeout)).silence and session.silent:
                retries = 0
            session.begin()
        return retries

    def _reset(self, address: int, timeout: float) -> LinkAnswer:
        return self._link.exchange(ShortFrame(SND_NKE, address).encode(), SingleCharacterFrame, timeout)

    def _select(self, address: Secondary, target: Target, session: _Session, retries: int) -> None:
        """The selection, after SND_NKE to 253 where it is not known who else is selected.

        A selection that does not match ends the one before, so a meter that is known needs no SND_NKE.
        """
        patience = self._link.patience(target.timeout)
        if self._selected is None or session.silent:
            self._reset(PrimaryAddress.SELECTED, patience if self._selected else self._link.window())
        self._selected = None
        self._acknowledged(address, target, address.selection(), 0 if session.silent else retries)
        self._selected = address

    def _acknowledged(self, address: MeterAddress, target: Target, request: bytes, retries: int) -> None:
        """Send what is answered with E5, which says nothing but that it is one."""
        patience = self._link.patience(target.timeout)
        name = f"address {address}"
        self._link.ask(name, request, SingleCharacterFrame, lambda _: True, timeout=patience, retries=retries)

    def _request(self, address: MeterAddress, target: Target, session: _Session, retries: int) -> Telegram:
        """The next telegram. Raises MeterError for a refusal, DecodeError."""
        frame = self._ask(address, target, session, retries)
        answer = decode_answer(frame, target.key)
        if isinstance(answer, ApplicationError):
            raise MeterError(f"address {address}: {answer.message}", answer.code, retry=answer.busy)
        return answer

    def _ask(self, address: MeterAddress, target: Target, session: _Session, retries: int) -> LongFrame:
        """REQ_UD2, repeated with the same FCB until there is a good answer; then the FCB is toggled."""
        on_wire = _on_wire(address)

        def accept(frame: Frame) -> bool:
            """253 and 254 ask whoever is there; every other address answers with itself."""
            return (
                isinstance(frame, LongFrame)
                and frame.is_answer
                and on_wire in (frame.address, PrimaryAddress.SELECTED, PrimaryAddress.ANSWER_ALL)
            )

        frame = self._link.ask(
            f"address {address}",
            ShortFrame(REQ_UD2 | (FCB if session.fcb else 0), on_wire).encode(),
            LongFrame,
            accept,
            timeout=self._link.patience(target.timeout),
            retries=retries,
        )
        assert isinstance(frame, LongFrame)
        session.fcb = not session.fcb
        return frame

    def _forget_link(self, address: MeterAddress, session: _Session) -> None:
        """The next readout of this meter begins anew."""
        session.linked = False
        if isinstance(address, Secondary):
            self._selected = None

    def _forget_links(self) -> None:
        """Whatever happened on the line, the next readout of every meter begins anew."""
        self._selected = None
        for session in self._sessions.values():
            session.linked = False


def _on_wire(address: MeterAddress) -> int:
    return PrimaryAddress.SELECTED if isinstance(address, Secondary) else address


def _check_identity(target: Target, telegram: Telegram) -> None:
    found = telegram.header.meter
    if target.meter is None or found is None:
        return
    if telegram.header.manufacturer is None:  # the fixed structure tells the number only
        same = target.meter.partition("-")[2] == telegram.header.serial
    else:
        same = target.meter == found
    if not same:
        raise IdentityError(target.meter, found)
