"""M-Bus link layer (EN 13757-2, format class FT 1.2): acknowledgement, short, control and long frames.

Bytes in, frames out: `MBusFrameReader` takes what arrives, in pieces and with stray bytes between, and gives
whole frames. Nothing here knows what a frame means.
"""

from dataclasses import dataclass
from enum import IntEnum

from drivers.errors import DecodeError

ACK = 0xE5
SHORT_START = 0x10
LONG_START = 0x68
STOP = 0x16

MAX_USER_DATA = 252  # L counts C, A and CI too and is one byte

# Control fields without FCB; bit 6 (PRM) says that the master speaks
SND_NKE = 0x40
REQ_UD2 = 0x5B
SND_UD = 0x53
RSP_UD = 0x08
FCB = 0x20  # frame count bit, in REQ_UD and SND_UD
_PRM = 0x40
_ACD_DFC = 0x30  # in answers: access demand and data flow control


class PrimaryAddress(IntEnum):
    """The addresses that are no single meter's (EN 13757-2, 5.7.5)."""

    LAST_PRIMARY = 250
    SELECTED = 253
    ANSWER_ALL = 254
    BROADCAST = 255


def checksum(payload: bytes) -> int:
    """Sum of C to the last user byte, modulo 256."""
    return sum(payload) & 0xFF


@dataclass(frozen=True, slots=True)
class SingleCharacterFrame:
    """E5: understood."""

    def encode(self) -> bytes:
        return bytes((ACK,))


@dataclass(frozen=True, slots=True)
class ShortFrame:
    """Short frame, `10 C A CS 16`: a command without data."""

    control: int
    address: int

    def encode(self) -> bytes:
        payload = bytes((self.control, self.address))
        return bytes((SHORT_START, *payload, checksum(payload), STOP))


@dataclass(frozen=True, slots=True)
class LongFrame:
    """Long frame, `68 L L 68 C A CI data CS 16`; without data a control frame (at most 252 bytes)."""

    control: int
    address: int
    control_information: int
    user_data: bytes = b""

    @property
    def from_master(self) -> bool:
        """True for a command; if it was just sent, it is its own echo."""
        return bool(self.control & _PRM)

    @property
    def is_answer(self) -> bool:
        """RSP_UD, whatever its access demand and data flow bits say (08, 18, 28, 38)."""
        return self.control & ~_ACD_DFC == RSP_UD

    def encode(self) -> bytes:
        """The bytes on the wire. Raises ValueError where the data do not fit."""
        if len(self.user_data) > MAX_USER_DATA:
            raise ValueError(f"{len(self.user_data)} bytes do not fit into one frame of {MAX_USER_DATA}")
        payload = bytes((self.control, self.address, self.control_information)) + self.user_data
        head = bytes((LONG_START, len(payload), len(payload), LONG_START))
        return head + payload + bytes((checksum(payload), STOP))


Frame = SingleCharacterFrame | ShortFrame | LongFrame


def decode_frame(data: bytes) -> Frame:
    """The one frame that `data` is, whole and nothing else. Raises DecodeError."""
    length = _length(data)
    if length is None or len(data) < length:
        raise DecodeError("the frame ends too early", offset=len(data))
    if len(data) > length:
        raise DecodeError(f"{len(data) - length} bytes after the end of the frame", offset=length)
    return _decode(data)


def _length(data: bytes) -> int | None:
    """Length of the frame that begins here, None while that can't be told. Raises DecodeError if none."""
    if not data:
        return None
    if data[0] == ACK:
        return 1
    if data[0] == SHORT_START:
        return 5
    if data[0] != LONG_START:
        raise DecodeError(f"no frame begins with {data[0]:02X}", offset=0)
    if len(data) > 3 and data[3] != LONG_START:
        raise DecodeError(f"second start byte is {data[3]:02X}, not 68", offset=3)
    if len(data) > 2 and data[1] != data[2]:
        raise DecodeError(f"the two length bytes differ: {data[1]:02X} and {data[2]:02X}", offset=2)
    if len(data) > 1 and data[1] < 3:
        raise DecodeError(f"length {data[1]} has no room for C, A and CI", offset=1)
    return data[1] + 6 if len(data) > 3 else None


def _decode(data: bytes) -> Frame:
    if data[0] == ACK:
        return SingleCharacterFrame()
    payload = data[1:-2] if data[0] == SHORT_START else data[4:-2]
    if data[-1] != STOP:
        raise DecodeError(f"the frame ends with {data[-1]:02X}, not 16", offset=len(data) - 1)
    if data[-2] != checksum(payload):
        raise DecodeError(
            f"checksum is {data[-2]:02X}, the bytes add up to {checksum(payload):02X}", offset=len(data) - 2
        )
    if data[0] == SHORT_START:
        return ShortFrame(payload[0], payload[1])
    return LongFrame(payload[0], payload[1], payload[2], payload[3:])


class MBusFrameReader:
    """Reader of frames: `add` what arrives, take them with `next`. Bytes that begin no frame are skipped and
    counted.
    """

    def __init__(self) -> None:
        self.pending = b""  # may be the beginning of a frame
        self.skipped = 0

    def add(self, data: bytes) -> None:
        self.pending += data

    def next(self) -> Frame | None:
        while self.pending:
            try:
                length = _length(self.pending)
                if length is None or len(self.pending) < length:
                    return None
                frame = _decode(self.pending[:length])
            except DecodeError:
                self.resync()
                continue
            self.pending = self.pending[length:]
            return frame
        return None

    def resync(self) -> None:
        """Give up that a frame begins where it seemed to: at silence, a stray 68 must not hide a frame."""
        self.pending = self.pending[1:]
        self.skipped += 1
