"""A virtual M-Bus meter: the other end of the wire, which answers with any telegram (EN 13757-2, 5).

It keeps the FCB rules truly, for its primary address and for 253 apart: the same bit again repeats the last
answer, the other bit fetches the next telegram. It can be selected, be given another primary address and
another speed. Several of them share a wire in a `drivers.bus.VirtualBus`.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from drivers.errors import DecodeError
from drivers.line import SerialSettings, Transmission
from drivers.mbus.address import Secondary, secondary_of
from drivers.mbus.codec.frame import (
    FCB,
    REQ_UD2,
    SND_NKE,
    SND_UD,
    Frame,
    LongFrame,
    MBusFrameReader,
    PrimaryAddress,
    ShortFrame,
    SingleCharacterFrame,
    decode_frame,
)
from drivers.mbus.codec.telegram import APPLICATION_RESET, BAUD_OF, DATA_SEND, SELECT, SET_ADDRESS

Telegrams = Sequence[bytes] | Callable[[], Sequence[bytes]]

_MINIMUM_BITS = 11  # an answer starts no sooner than 11 bit times after the request


@dataclass(slots=True)
class _Access:
    """What the meter remembers of the requests to one of its two addresses."""

    fcb: bool | None = None
    answer: bytes | None = None


class VirtualMBusMeter:
    """Meter at a primary address, `telegrams` being the frames of one readout or what makes them anew.

    A readout begins after SND_NKE or a selection, or once the last telegram was fetched; only then is a
    callable asked, so that a chain of telegrams belongs together, and an empty one means silence. Frames are
    sent with the meter's own address in place of theirs, unless `keep_address`. `reaction` is the time to an
    answer in seconds, None for the quickest that the standard allows. `settings` is the only speed it
    understands, None for whatever the line has; a meter that was told another speed keeps to that.

    `secondary` is what it can be selected by; None for what the header of its first telegram says. A meter
    that is not `alive` neither hears nor speaks. `resets` counts the application resets it was sent, by their
    subcode. `hear` raises ValueError for telegrams that are no long frames.
    """

    def __init__(
        self,
        address: int,
        telegrams: Telegrams,
        *,
        reaction: float | None = None,
        keep_address: bool = False,
        settings: SerialSettings | None = None,
        secondary: Secondary | None = None,
    ) -> None:
        self.address = address
        self.telegrams = telegrams
        self.reaction = reaction
        self.keep_address = keep_address
        self.settings = settings
        self.alive = True
        self.resets: list[bytes] = []
        self._secondary = secondary
        self._selected = False
        self._reader = MBusFrameReader()
        self._own, self._as_selected = _Access(), _Access()
        self._left: list[bytes] = []

    def hear(self, data: bytes, settings: SerialSettings) -> list[Transmission]:
        if not self.alive or (self.settings is not None and self.settings != settings):
            return []
        self._reader.add(data)
        answers = []
        while frame := self._reader.next():
            if answer := self._obey(frame, settings):
                delay = _MINIMUM_BITS / settings.baud if self.reaction is None else self.reaction
                answers.append(Transmission(answer, delay))
        return answers

    def _obey(self, frame: Frame, settings: SerialSettings) -> bytes | None:
        if not isinstance(frame, ShortFrame | LongFrame):
            return None
        if frame.address == PrimaryAddress.SELECTED:
            if isinstance(frame, LongFrame) and frame.control_information == SELECT:
                return self._select(frame.user_data)
            return self._command(frame, self._as_selected, settings) if self._selected else None
        if frame.address not in (self.address, PrimaryAddress.ANSWER_ALL, PrimaryAddress.BROADCAST):
            return None
        answer = self._command(frame, self._own, settings)
        return None if frame.address == PrimaryAddress.BROADCAST else answer

    def _command(
        self, frame: ShortFrame | LongFrame, access: _Access, settings: SerialSettings
    ) -> bytes | None:
        command = frame.control & ~FCB
        if isinstance(frame, LongFrame):
            return self._take_data(frame, settings) if command == SND_UD else None
        if frame.control == SND_NKE:
            access.fcb, access.answer, self._left = None, None, []
            if access is self._as_selected:
                self._selected = False
            return SingleCharacterFrame().encode()
        return self._user_data(access, bool(frame.control & FCB)) if command == REQ_UD2 else None

    def _select(self, mask: bytes) -> bytes | None:
        """E5 and an FCB of its own, if the mask fits; any other meter is no longer selected."""
        own = self._identity()
        self._selected = len(mask) >= 8 and own is not None and own.matches(Secondary.decode(mask))
        self._as_selected = _Access()
        if not self._selected:
            return None
        self._left = []
        return SingleCharacterFrame().encode()

    def _take_data(self, frame: LongFrame, settings: SerialSettings) -> bytes | None:
        """What SND_UD asks for; acknowledged at the old speed and before a new address is used."""
        ci, data = frame.control_information, frame.user_data
        if ci in BAUD_OF:
            self.settings = replace(settings, baud=BAUD_OF[ci])
        elif ci == APPLICATION_RESET:
            self.resets.append(data)
            self._left = []
        elif ci == DATA_SEND and data[:2] == SET_ADDRESS and len(data) == 3:
            self.address = data[2]
        else:
            return None
        return SingleCharacterFrame().encode()

    def _user_data(self, access: _Access, fcb: bool) -> bytes | None:
        """The last answer once more for the same FCB, else the next telegram; None where there is none."""
        if access.answer is None or fcb != access.fcb:
            if not self._left:
                self._left = list(self._fresh())
            access.answer = self._addressed(self._left.pop(0)) if self._left else None
        access.fcb = fcb
        return access.answer

    def _fresh(self) -> Sequence[bytes]:
        return self.telegrams() if callable(self.telegrams) else self.telegrams

    def _identity(self) -> Secondary | None:
        if self._secondary is None:
            for telegram in self._fresh():
                self._secondary = secondary_of(self._long_frame(telegram))
                break
        return self._secondary

    def _addressed(self, telegram: bytes) -> bytes:
        frame = self._long_frame(telegram)
        return telegram if self.keep_address else replace(frame, address=self.address).encode()

    def _long_frame(self, telegram: bytes) -> LongFrame:
        try:
            frame = decode_frame(telegram)
        except DecodeError as error:
            raise ValueError(f"a virtual meter cannot answer with this: {error}") from None
        if not isinstance(frame, LongFrame):
            raise ValueError("a virtual meter answers with long frames only")
        return frame
