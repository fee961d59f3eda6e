"""Link: a question and its answer on the wire (EN 13757-2, 5), with waits, echoes and repetitions.

What was sent and comes back (some converters echo) is dropped, bytes that begin no frame are skipped, and an
answer may come in pieces. Every question is counted in the driver's `Tally`.
"""

from collections.abc import Callable
from dataclasses import dataclass

from drivers.driver import Tally
from drivers.errors import DriverError, GarbledAnswerError, NoAnswerError
from drivers.line import Line, RealTimeLine
from drivers.mbus.codec.frame import Frame, LongFrame, MBusFrameReader, SingleCharacterFrame

SELECT_SIZE = 17  # bytes on the wire
SHORT_SIZE = 5
LONGEST_FRAME = 261
MEDIAN_ANSWER = 87  # of the 76 real telegrams that libmbus is tested with

STRAY = 4  # bytes in front of an answer that are a converter's; more of them are noise

_MINIMUM_BITS = 11
_ANSWER_BITS = 330
_ANSWER_SECONDS = 0.050
_REAL_LIFE_MARGIN = 1.0  # real meters take up to 1.1 s at 2400 Bd
_LATENCY = 0.1  # what USB and network converters add, on a line in real time
_QUIET, _QUIET_TELEGRAMS = 3, 10  # characters
_PIECE_GAP = 0.3  # silence within a telegram, when a network or USB converter delivers it in pieces


def quickest(baud: int) -> float:
    """Seconds before which no meter begins its answer: 11 bit times."""
    return _MINIMUM_BITS / baud


def window(baud: int) -> float:
    """Seconds within which a meter of the standard begins its answer: 330 bit times and 50 ms."""
    return _ANSWER_BITS / baud + _ANSWER_SECONDS


@dataclass(frozen=True, slots=True)
class LinkAnswer:
    """Answer on a link: the frame that was wanted, if it came, and every byte but the echo."""

    frame: Frame | None
    data: bytes
    echoed: bool = False

    @property
    def silence(self) -> bool:
        return not self.data


class MBusLink:
    """The questions of one master on one line."""

    def __init__(self, line: Line, tally: Tally) -> None:
        self.line = line
        self.tally = tally

    def patience(self, timeout: float | None = None) -> float:
        """Seconds to wait for an answer; `timeout` is that of a meter's own profile."""
        return window(self.line.settings.baud) + _REAL_LIFE_MARGIN if timeout is None else timeout

    def window(self) -> float:
        """Seconds after which a search takes silence for silence.

        The standard's, the first character that begins at its end, and what converters add.
        """
        return window(self.line.settings.baud) + self.line.settings.character_time + self._latency()

    def exchange(self, request: bytes, wanted: type[Frame], timeout: float) -> LinkAnswer:
        """Send, and return with the wanted frame as soon as it is whole, or when nothing more comes."""
        self.line.discard()
        self.line.send(request)
        heard = self._receive(request, wanted, timeout)
        self.tally.exchanges += 1
        if heard.frame is None:
            if heard.silence:
                self.tally.timeouts += 1
            else:
                self.tally.garbled += 1
        return heard

    def ask(
        self,
        who: str,
        request: bytes,
        wanted: type[Frame],
        accept: Callable[[Frame], bool],
        *,
        timeout: float,
        retries: int,
    ) -> Frame:
        """The accepted answer, after at most that many repetitions.

        Raises NoAnswerError, GarbledAnswerError.
        """
        heard = LinkAnswer(None, b"")
        for attempt in range(1 + retries):
            self.tally.retries += attempt > 0
            heard = self.exchange(request, wanted, timeout)
            if heard.frame is not None and accept(heard.frame):
                return heard.frame
        raise _no_telegram(who, heard)

    def listen(self, seconds: float) -> bytes:
        """The bytes that still come in that time; of a line that is never silent, as many as a frame has."""
        ends, late = self.line.now() + seconds, b""
        longest = ends + self._longest()
        while (left := min(ends, longest) - self.line.now()) > 0:
            if piece := self.line.receive(left):
                late += piece
                ends = max(ends, self.line.now() + self._quiet(SingleCharacterFrame))
        return late

    def _quiet(self, wanted: type[Frame]) -> float:
        """Seconds of silence after which something that is no frame is over.

        Many telegrams at once are one long 0, of which a receiver makes no bytes for a while.
        """
        characters = _QUIET if wanted is SingleCharacterFrame else _QUIET_TELEGRAMS
        return characters * self.line.settings.character_time + self._latency()

    def _longest(self) -> float:
        """Seconds within which any frame that has begun is over."""
        return LONGEST_FRAME * self.line.settings.character_time + _REAL_LIFE_MARGIN

    def _latency(self) -> float:
        return _LATENCY if isinstance(self.line, RealTimeLine) else 0.0

    def _receive(self, request: bytes, wanted: type[Frame], timeout: float) -> LinkAnswer:
        reader, echo = MBusFrameReader(), _Echo(request)
        received = b""
        character = self.line.settings.character_time
        ends = self.line.now() + timeout
        longest = ends + self._longest()
        while (left := min(ends, longest) - self.line.now()) > 0:
            piece = self.line.receive(left)
            if not piece:
                break
            fresh = echo.removed(piece)
            received += fresh
            reader.add(fresh)
            if frame := _take(reader, wanted):
                return LinkAnswer(frame, received, echo.seen)
            if received or echo.held:  # an echo alone does not prolong the wait for an answer
                unfinished = echo.held or (reader.pending and reader.skipped <= STRAY)
                gap = max(_PIECE_GAP, 33 * character) if unfinished else self._quiet(wanted)
                ends = max(ends, self.line.now() + gap)
        received += echo.held  # silence: what looked like the beginning of an echo, or of a frame, was none
        reader.add(echo.held)
        while reader.pending:
            if frame := _take(reader, wanted):
                return LinkAnswer(frame, received, echo.seen)
            reader.resync()
        return LinkAnswer(None, received, echo.seen)


class _Echo:
    """Takes the first occurrence of what was sent out of what comes back, in pieces and after stray bytes."""

    def __init__(self, sent: bytes) -> None:
        self._sent = sent
        self.held = b""  # may be the beginning of the echo
        self.seen = False

    def removed(self, piece: bytes) -> bytes:
        """The bytes so far that are no echo; those that may yet become one are held back."""
        if self.seen:
            return piece
        self.held += piece
        before, found, after = self.held.partition(self._sent)
        if found:
            self.seen, self.held = True, b""
            return before + after
        beginnings = (n for n in range(len(self._sent) - 1, 0, -1) if self.held.endswith(self._sent[:n]))
        fresh = len(self.held) - next(beginnings, 0)
        piece, self.held = self.held[:fresh], self.held[fresh:]
        return piece


def _take(reader: MBusFrameReader, wanted: type[Frame]) -> Frame | None:
    """The next frame of that kind that the master did not send itself."""
    while frame := reader.next():
        if isinstance(frame, wanted) and not (isinstance(frame, LongFrame) and frame.from_master):
            return frame
    return None


def _no_telegram(who: str, heard: LinkAnswer) -> DriverError:
    if heard.data:
        return GarbledAnswerError(
            f"{who}: {len(heard.data)} bytes came, but no telegram of it",
            heard.data,
            advice="check parity and baud rate, and that no two meters share the address: a search tells",
        )
    if heard.echoed:
        return NoAnswerError(
            f"{who} is silent; only the echo of the request came back",
            advice="the converter works, but the meter does not answer: check address, baud rate and wiring",
        )
    return NoAnswerError(f"{who} does not answer")
