"""A virtual M-Bus meter: the other end of the wire, which answers with any telegram (EN 13757-2, 5).

It keeps the FCB rules truly: the same bit again repeats the last answer, the other bit fetches the next
telegram. Several of them share a wire in a `drivers.bus.VirtualBus`.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace

from drivers.errors import DecodeError
from drivers.line import SerialSettings, Transmission
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
    decode_frame,
)

Telegrams = Sequence[bytes] | Callable[[], Sequence[bytes]]

_MINIMUM_BITS = 11  # an answer starts no sooner than 11 bit times after the request


class VirtualMBusMeter:
    """One meter at a primary address, `telegrams` being the frames of one readout or what makes them anew.

    A readout begins after SND_NKE or once the last telegram was fetched; only then is a callable asked, so
    that a chain of telegrams belongs together, and an empty one means silence. Frames are sent with the
    meter's own address in place of theirs, unless `keep_address`. `reaction` is the time to an answer in
    seconds, None for the quickest that the standard allows. `hear` raises ValueError for telegrams that are
    no long frames.
    """

    def __init__(
        self,
        address: int,
        telegrams: Telegrams,
        *,
        reaction: float | None = None,
        keep_address: bool = False,
        settings: SerialSettings | None = None,
    ) -> None:
        self.address = address
        self.telegrams = telegrams
        self.reaction = reaction
        self.keep_address = keep_address
        self.settings = settings  # the only speed it understands; None for whatever the line has
        self._reader = FrameReader()
        self._fcb: bool | None = None
        self._left: list[bytes] = []
        self._answer: bytes | None = None

    def hear(self, data: bytes, settings: SerialSettings) -> list[Transmission]:
        """Take bytes (they may come in pieces) and say what goes back, if anything."""
        if self.settings is not None and self.settings != settings:
            return []
        self._reader.add(data)
        answers = []
        while frame := self._reader.next():
            if answer := self._obey(frame):
                delay = _MINIMUM_BITS / settings.baud if self.reaction is None else self.reaction
                answers.append(Transmission(answer, delay))
        return answers

    def _obey(self, frame: Frame) -> bytes | None:
        if not isinstance(frame, ShortFrame) or frame.address not in (
            self.address,
            Address.ANSWER_ALL,
            Address.BROADCAST,
        ):
            return None
        answer: bytes | None
        if frame.control == SND_NKE:
            self._fcb, self._left, self._answer = None, [], None
            answer = Ack().encode()
        elif frame.control & ~FCB == REQ_UD2:
            answer = self._user_data(bool(frame.control & FCB))
        else:
            return None
        return None if frame.address == Address.BROADCAST else answer

    def _user_data(self, fcb: bool) -> bytes | None:
        """The last answer once more for the same FCB, else the next telegram; None where there is none."""
        if self._answer is None or fcb != self._fcb:
            if not self._left:
                telegrams = self.telegrams() if callable(self.telegrams) else self.telegrams
                self._left = [self._addressed(telegram) for telegram in telegrams]
            self._answer = self._left.pop(0) if self._left else None
        self._fcb = fcb
        return self._answer

    def _addressed(self, telegram: bytes) -> bytes:
        try:
            frame = decode_frame(telegram)
        except DecodeError as error:
            raise ValueError(f"a virtual meter cannot answer with this: {error}") from None
        if not isinstance(frame, LongFrame):
            raise ValueError("a virtual meter answers with long frames only")
        return telegram if self.keep_address else replace(frame, address=self.address).encode()
