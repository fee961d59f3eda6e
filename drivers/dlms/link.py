"""The client's end of an HDLC link (IEC 62056-46, 6.4.3): set up, exchange, disconnect, and bear silence.

Frames are numbered. After silence the client asks with a poll (RR) how far the server got, instead of sending
a request again: so nothing is carried out twice, whichever of request and answer was lost.
"""

import logging
from dataclasses import replace

from drivers.dlms.codec.hdlc import Frame, HdlcAddress, HdlcControl, HdlcFrameReader, HdlcParameters
from drivers.driver import Tally
from drivers.errors import (
    DecodeError,
    DriverError,
    GarbledAnswerError,
    LineError,
    MeterError,
    NoAnswerError,
)
from drivers.line import Line

log = logging.getLogger(__name__)

COMMAND, RESPONSE = b"\xe6\xe6\x00", b"\xe6\xe7\x00"  # LLC headers
_LONGEST_ANSWER = 1 << 20
_RESPONSE_TIMEOUT = 2.0  # to the first byte; meters work on a ciphered request for up to a second
_MOST_TURNS = 30  # of one frame: polls of a meter that is busy
_BUSY = 0.1  # seconds between them
_PIECE_GAP = 0.3  # silence within a frame, where a network or USB converter delivers it in pieces


class HdlcLink:
    """HDLC link of one client and one server on a line. Not connected until `connect`.

    `timeout` in seconds to the first byte (None: the usual), `retries` for each frame.
    """

    def __init__(
        self,
        line: Line,
        tally: Tally,
        client: HdlcAddress,
        server: HdlcAddress,
        *,
        timeout: float | None,
        retries: int,
        proposed: HdlcParameters,
    ) -> None:
        self.line = line
        self.tally = tally
        self.client = client
        self.server = server
        self.timeout = timeout or _RESPONSE_TIMEOUT
        self.retries = retries
        self.proposed = proposed
        self.agreed = HdlcParameters()
        self._send = self._receive = 0  # V(S), V(R)

    def connect(self) -> None:
        """SNRM, answered by UA. Raises NoAnswerError, GarbledAnswerError, MeterError."""
        self.line.discard()
        self._send = self._receive = 0
        request = self._frame(HdlcControl.SET_NORMAL_RESPONSE_MODE, self.proposed.encode())
        for attempt in range(1 + self.retries):
            self.tally.retries += attempt > 0
            answer = self._ask(request)
            if answer is None:
                continue
            if answer.kind is HdlcControl.UNNUMBERED_ACKNOWLEDGE:
                self.agreed = self.proposed.agreed(HdlcParameters.decode(answer.information))
                return
            raise self._refused(answer)
        raise self._failure()

    def exchange(self, apdu: bytes) -> bytes:
        """The answer to an APDU, both in as many frames as they need. Raises DriverError."""
        out = COMMAND + apdu
        size = self.agreed.transmit
        pieces = [out[first : first + size] for first in range(0, len(out), size)]
        for piece in pieces[:-1]:
            self._converse(piece, segmented=True)
        answer = self._converse(pieces[-1], segmented=False)
        received = answer.information
        while answer.segmented:
            answer = self._converse(None, segmented=False)
            received += answer.information
            if len(received) > _LONGEST_ANSWER:
                raise GarbledAnswerError(f"{self}: an answer without end", received)
        if not received.startswith(RESPONSE):
            raise DecodeError(f"{self}: an answer without its LLC header")
        return received.removeprefix(RESPONSE)

    def disconnect(self) -> None:
        """DISC, once; an answer is not insisted on, and a line that is lost by now took nothing away."""
        try:
            self._ask(self._frame(HdlcControl.DISCONNECT))
        except LineError as error:
            log.debug("%s: not disconnected: %s", self, error)

    def __str__(self) -> str:
        return f"server {self.server} on {self.line.name}"

    def _converse(self, piece: bytes | None, *, segmented: bool) -> Frame:
        """Send a piece (None: only poll) until the server has it, and give its answer.

        That is an I frame, or RR where more segments are to come.
        """
        poll = self._frame(HdlcControl.RECEIVE_READY)
        request = poll
        if piece is not None:
            request = replace(
                self._frame(HdlcControl.INFORMATION, piece), send=self._send, segmented=segmented
            )
            self._send = (self._send + 1) % 8
        sent = request
        silences = 0
        for _ in range(_MOST_TURNS):
            answer = self._ask(sent)
            if answer is None:
                silences += 1
                if silences > self.retries:
                    raise self._failure()
                self.tally.retries += 1
                sent = poll
            elif answer.kind is HdlcControl.INFORMATION:
                self._receive = (self._receive + 1) % 8
                return answer
            elif (
                answer.kind is HdlcControl.RECEIVE_READY
                and piece is not None
                and answer.receive == request.send
            ):
                sent = request  # it was lost on the way
            elif answer.kind is HdlcControl.RECEIVE_READY and segmented:
                return answer
            elif answer.kind in (HdlcControl.RECEIVE_READY, HdlcControl.RECEIVE_NOT_READY):
                self.line.wait(_BUSY)
                sent = poll
            else:
                raise self._refused(answer)
        raise MeterError(f"{self} takes too long", HdlcControl.RECEIVE_NOT_READY.value, retry=True)

    def _ask(self, request: Frame) -> Frame | None:
        """The server's next frame, or None after silence or damage."""
        self.tally.exchanges += 1
        self.line.discard()
        self.line.send(request.encode())
        reader = HdlcFrameReader()
        self._heard = b""
        wait = self.timeout
        while data := self.line.receive(wait):
            self._heard += data
            reader.add(data)
            if frame := self._take(reader, request):
                return frame
            wait = _PIECE_GAP if reader.pending else wait
            if len(self._heard) > _LONGEST_ANSWER:
                break
        while reader.pending:  # silence: what looked like the beginning of a frame was none
            reader.resync()
            if frame := self._take(reader, request):
                return frame
        if self._heard.removeprefix(request.encode()):
            self.tally.garbled += 1
        else:
            self._heard = b""
            self.tally.timeouts += 1
        return None

    def _take(self, reader: HdlcFrameReader, request: Frame) -> Frame | None:
        """The next frame from the server to us.

        Passed over: the request's echo, other talk, and I frames that came before (late, or twice).
        """
        ends = (self.client.encode(), self.server.encode())
        while frame := reader.next():
            mine = (frame.destination.encode(), frame.source.encode()) == ends and frame != request
            if mine and (frame.kind is not HdlcControl.INFORMATION or frame.send == self._receive):
                return frame
        return None

    def _frame(self, kind: HdlcControl, information: bytes = b"") -> Frame:
        return Frame(self.server, self.client, kind, information, receive=self._receive)

    def _refused(self, answer: Frame) -> MeterError:
        return MeterError(
            f"{self} answered {answer.kind.name.lower().replace('_', ' ')}",
            answer.kind.value,
            retry=True,
            advice="the meter serves another client, or lost this one: check the address, or try later",
        )

    def _failure(self) -> DriverError:
        if self._heard:
            return GarbledAnswerError(f"{self}: {len(self._heard)} bytes came, but no frame", self._heard)
        return NoAnswerError(
            f"{self} does not answer",
            advice="check client, logical and physical address, speed and wiring; many meters want the "
            "sign-on of an optical head first (mode E)",
        )
