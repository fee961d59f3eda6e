"""M-Bus master by primary address (EN 13757-2, 5): what to say, how long to wait, when to repeat.

The frame count bit (FCB) is kept per meter: after SND_NKE the first request carries FCB=1, and it is toggled
only after a good answer, since the same FCB again means "send that telegram again". Getting that wrong yields
a meter's oldest telegram for ever.
"""

import logging
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import ClassVar

from drivers.driver import Clock, Driver, IdentityError, Target
from drivers.errors import DecodeError, DriverError, GarbledAnswerError, MeterError, NoAnswerError
from drivers.line import Line
from drivers.mbus.frame import (
    FCB,
    REQ_UD2,
    SND_NKE,
    Ack,
    Address,
    Frame,
    FrameReader,
    LongFrame,
    ShortFrame,
)
from drivers.mbus.readouts import Interpretation, interpret
from drivers.mbus.telegram import Refusal, Telegram, decode_answer
from telemetry.readout import Readout

log = logging.getLogger(__name__)

MAX_TELEGRAMS = 10
_LONGEST_FRAME = 261

# The standard allows 330 bit times and 50 ms; real meters take up to 1.1 s at 2400 Bd, converters add theirs
_ANSWER_BITS = 330
_ANSWER_SECONDS = 0.050
_REAL_LIFE_MARGIN = 1.0
_PIECE_GAP = 0.3  # silence within a telegram, when a network or USB converter delivers it in pieces


_TELL_AGAIN = 86_400.0  # seconds: a set day that is known is told once a day, in case it got lost further on


@dataclass(slots=True)
class _Session:
    """What the master knows of one meter. Not `linked`: the next readout begins with SND_NKE.

    `told`: set-day readouts by meter and instant, and when they were returned (line seconds).
    """

    linked: bool = False
    fcb: bool = True
    told: dict[tuple[str, datetime], tuple[Readout, float]] = field(default_factory=dict)

    def begin(self) -> None:
        self.linked, self.fcb = True, True

    def news(self, kept: Sequence[Readout], now: float) -> list[Readout]:
        """The set-day readouts that are new or changed, or were told a day ago; the meter repeats all."""
        told, self.told = self.told, {}
        news = []
        for readout in kept:
            key = (readout.meter, readout.at)
            known, when = told.get(key, (readout, -_TELL_AGAIN))
            if now - when >= _TELL_AGAIN or known.values != readout.values:
                news.append(readout)
                when = now
            self.told[key] = (readout, when)
        return news


class MBusDriver(Driver):
    """One line of M-Bus meters, addressed by their primary address."""

    protocol: ClassVar[str] = "mbus"

    def __init__(self, line: Line, clock: Clock) -> None:
        super().__init__(line, clock)
        self._sessions: dict[int, _Session] = {}
        self.last: Interpretation | None = None  # the last readout, with the records that were left out

    def read(self, target: Target) -> list[Readout]:
        """All telegrams of the meter, as readouts: the present, then set days that are news.

        A meter sends its set days with every answer; one that was returned before comes again only after a
        day, or with another value. Raises DriverError.
        """
        address = _primary(target.address)
        session = self._sessions.setdefault(address, _Session())
        try:
            telegrams = self._read_all(address, target, session)
        except DriverError:
            session.linked = False
            raise
        self._check_identity(target, telegrams[0])
        self.last = interpret(telegrams, self.clock(), target.time_zone, target.meter)
        for left_out in self.last.rejected:
            log.debug("%s %s left out: %s", self.last.readouts[0].meter, left_out.obis, left_out.reason)
        present, *kept = self.last.readouts
        return [present, *session.news(kept, self.line.now())]

    def _read_all(self, address: int, target: Target, session: _Session) -> list[Telegram]:
        """One telegram, or a chain of them (DIF 1F) until its end, a repeat, silence, or ten."""
        if not session.linked:
            self._reset_link(address, target)
            session.begin()
        telegrams = [self._request(address, target, session)]
        while telegrams[-1].more_follow and len(telegrams) < MAX_TELEGRAMS:
            session.linked = False  # the next readout is to begin with the first telegram again
            try:
                following = self._request(address, target, session)
            except (NoAnswerError, GarbledAnswerError, MeterError, DecodeError) as error:
                log.info("address %d announced more telegrams than it gives: %s", address, error)
                break  # what was read so far is good
            if any(following.records == earlier.records for earlier in telegrams):
                break  # Sensus and others announce more, and send the same for ever
            telegrams.append(following)
        return telegrams

    def _reset_link(self, address: int, target: Target) -> None:
        """SND_NKE. Its E5 is not insisted on: some meters answer requests only."""
        self.line.discard()
        self.line.send(ShortFrame(SND_NKE, address).encode())
        self._await(target, wanted=Ack)

    def _request(self, address: int, target: Target, session: _Session) -> Telegram:
        """REQ_UD2, repeated with the same FCB until there is a good answer; then the FCB is toggled."""
        request = ShortFrame(REQ_UD2 | (FCB if session.fcb else 0), address)
        received = b""
        for _ in range(1 + target.retries):
            self.line.discard()
            self.line.send(request.encode())
            frame, received = self._await(target, wanted=LongFrame)
            if isinstance(frame, LongFrame) and _from(frame, address):
                break
        else:
            raise _no_telegram(address, request, received)
        answer = decode_answer(frame)
        session.fcb = not session.fcb
        if isinstance(answer, Refusal):
            raise MeterError(f"address {address}: {answer.message}", answer.code, retry=answer.busy)
        return answer

    def _await(self, target: Target, wanted: type[Frame]) -> tuple[Frame | None, bytes]:
        """The frame of that kind that comes in time, and every byte that came; echoes are not answers."""
        reader = FrameReader()
        received = b""
        wait = self._timeout(target)
        longest = wait + _LONGEST_FRAME * self.line.settings.character_time + _REAL_LIFE_MARGIN
        deadline = self.line.now() + longest
        while self.line.now() < deadline:
            piece = self.line.receive(wait)
            if not piece:
                break
            received += piece
            reader.add(piece)
            if frame := _take(reader, wanted):
                return frame, received
            if reader.pending:
                wait = max(_PIECE_GAP, 33 * self.line.settings.character_time)
        while reader.pending:  # silence: what looked like the beginning of a frame was none
            reader.resync()
            if frame := _take(reader, wanted):
                return frame, received
        return None, received

    def _timeout(self, target: Target) -> float:
        """Seconds from the end of the request to the first byte of the answer."""
        if target.timeout is not None:
            return target.timeout
        return _ANSWER_BITS / self.line.settings.baud + _ANSWER_SECONDS + _REAL_LIFE_MARGIN

    def _check_identity(self, target: Target, telegram: Telegram) -> None:
        found = telegram.header.meter
        if target.meter is None or found is None:
            return
        if telegram.header.manufacturer is None:  # the fixed structure tells the number only
            same = target.meter.partition("-")[2] == telegram.header.serial
        else:
            same = target.meter == found
        if not same:
            raise IdentityError(target.meter, found)


def _take(reader: FrameReader, wanted: type[Frame]) -> Frame | None:
    """The next frame of that kind that the master did not send itself."""
    while frame := reader.next():
        if isinstance(frame, wanted) and not (isinstance(frame, LongFrame) and frame.from_master):
            return frame
    return None


def _from(frame: LongFrame, address: int) -> bool:
    """254 asks whoever is there; every other address answers with itself."""
    return frame.is_answer and address in (frame.address, Address.ANSWER_ALL)


def _no_telegram(address: int, request: ShortFrame, received: bytes) -> DriverError:
    echo = request.encode()
    others = received.removeprefix(echo)
    if others:
        return GarbledAnswerError(
            f"address {address}: {len(others)} bytes came, but no telegram of it", others
        )
    if received:
        return NoAnswerError(
            f"address {address} is silent; only the echo of the request came back",
            advice="the converter works, but the meter does not answer: check address, baud rate and wiring",
        )
    return NoAnswerError(f"address {address} does not answer")


def _primary(text: str) -> int:
    """The primary address of a configuration. Raises DriverError."""
    if text.isascii() and text.isdecimal():
        address = int(text)
        if address <= Address.LAST_PRIMARY or address == Address.ANSWER_ALL:
            return address
    raise DriverError(
        f"{text!r} is no M-Bus primary address",
        advice="give 1 to 250 (0: a meter that has no address yet; 254: the only meter on the line)",
    )
