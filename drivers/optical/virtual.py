"""Virtual meters on an optical port: they speak at the speed agreed on, and are deaf at any other."""

from collections.abc import Callable, Sequence
from dataclasses import replace

from drivers.errors import DecodeError
from drivers.line import SerialSettings, Transmission
from drivers.optical.codec.dataset import DataSet, encode_sets
from drivers.optical.codec.telegram import (
    ACK,
    MODE_B_BAUDS,
    MODE_C_BAUDS,
    NAK,
    BlockCheck,
    Frame,
    Identification,
    Mode,
    OptionSelect,
    ProgrammingCommand,
    SingleCharacter,
    TelegramReader,
    encode_block,
    find_option_select,
    find_sign_on,
)
from drivers.optical.virtual_programming import ProgrammingMode

OPTICAL = SerialSettings(300, 7, "E", 1)
_MOST_HEARD = 256

_Sets = Sequence[DataSet] | Callable[[], Sequence[DataSet]]


class VirtualOpticalMeter:
    """Modes A, B and C by its identification's baud character.

    `sets` is the readout, or a function that gives it when asked. A meter without an `address` answers every
    sign-on. `reaction` in seconds, None for what the identification promises. Without `programming` it
    sends its readout where programming mode is asked for.
    """

    def __init__(
        self,
        identification: Identification,
        sets: _Sets,
        *,
        address: str = "",
        check: BlockCheck = BlockCheck.XOR,
        reaction: float | None = None,
        sign_on: SerialSettings = OPTICAL,
        programming: ProgrammingMode | None = None,
    ) -> None:
        self.identification = identification
        self.address = address
        self.check = check
        self.reaction = identification.reaction if reaction is None else reaction
        self.programming = programming
        self._sets = sets
        self._sign_on = sign_on
        self._heard = b""
        self._agreed: SerialSettings | None = None  # the speed after the acknowledgement
        self._reader: TelegramReader | None = None  # in programming mode: what is heard at the agreed speed
        self._identified = False

    def hear(self, data: bytes, settings: SerialSettings) -> list[Transmission]:
        """See `VirtualMeter`. Only the speed is compared: not every host knows the character frame."""
        if self._agreed is not None and settings.baud == self._agreed.baud:
            if self._reader is not None:
                self._reader.add(data)
                said = self._obey(self._reader, self._agreed)
                if said or settings.baud != self._sign_on.baud:
                    return said
            elif data == NAK:
                return [self._readout(self._agreed)]
        if settings.baud != self._sign_on.baud:
            self._heard = b""
            return []
        self._heard = (self._heard + data)[-_MOST_HEARD:]
        if (sign_on := find_sign_on(self._heard)) is not None:
            address, self._heard = sign_on
            return self._identify(address)
        if self._identified and (acknowledged := find_option_select(self._heard)) is not None:
            acknowledgement, self._heard = acknowledged
            return self._agree(acknowledgement)
        return []

    def _identify(self, address: str) -> list[Transmission]:
        self._agreed = self._reader = None
        self._identified = address.lstrip("0") in ("", self.address.lstrip("0")) or not self.address
        if not self._identified:
            return []
        telegram = self.identification.encode()
        said = [Transmission(telegram, self.reaction, self._sign_on)]
        if self.identification.mode is not Mode.C:
            baud = MODE_B_BAUDS.get(self.identification.baud, self._sign_on.baud)
            self._agreed = replace(self._sign_on, baud=baud)
            after = 2 * self.reaction + len(telegram) * self._sign_on.character_time
            said.append(replace(self._readout(self._agreed), delay=after))
        return said

    def _agree(self, acknowledgement: OptionSelect) -> list[Transmission]:
        """Mode C: any speed up to the one offered."""
        self._identified = False
        baud = acknowledgement.baud
        if self.identification.mode is not Mode.C or not "0" <= baud <= self.identification.baud:
            return []
        # '0' keeps the speed of the sign-on, also on wires that have another one than 300 Bd
        speed = self._sign_on.baud if baud == "0" else MODE_C_BAUDS[baud]
        self._agreed = replace(self._sign_on, baud=speed)
        if acknowledgement.purpose == "1" and self.programming is not None:
            self._reader = TelegramReader(self.check)
            return [self._say(self.programming.enter(), self._agreed)]
        return [self._readout(self._agreed)]

    def _obey(self, reader: TelegramReader, settings: SerialSettings) -> list[Transmission]:
        """Programming mode: an answer to every frame that has come."""
        assert self.programming is not None
        said: list[Transmission] = []
        while True:
            try:
                frame = reader.frame()
                answer = self.programming.hear(frame) if frame is not None else None
            except DecodeError:
                said.append(self._say(SingleCharacter.NAK, settings))
                continue
            if frame is None:
                return said
            if answer is not None:
                said.append(self._say(answer, settings))
            if isinstance(frame, ProgrammingCommand) and frame.name == "B0":
                self._agreed = self._reader = None
                return said

    def _say(self, frame: Frame, settings: SerialSettings) -> Transmission:
        if isinstance(frame, SingleCharacter):
            return Transmission(ACK if frame is SingleCharacter.ACK else NAK, self.reaction, settings)
        return Transmission(frame.encode(self.check), self.reaction, settings)

    def _readout(self, settings: SerialSettings) -> Transmission:
        return Transmission(encode_block(_encoded(self._sets), self.check), self.reaction, settings)


def _encoded(sets: _Sets) -> bytes:
    return encode_sets(sets() if callable(sets) else sets)
