"""HDLC frames (IEC 62056-46, 6.4), format type 3: flag, format and length, addresses, control, checks, flag.

Bytes in, frames out: `HdlcFrameReader` takes what arrives, in pieces and with stray bytes between, and gives
whole frames. Who may say what, and when, is `link.py`.
"""

from dataclasses import dataclass
from enum import Enum

from drivers.crc import x25
from drivers.errors import DecodeError

FLAG = 0x7E
_TYPE_3 = 0xA0
_SEGMENTED = 0x08
_FINAL = 0x10
MOST_INFORMATION = 2030
_PARAMETERS = b"\x81\x80"  # format and group identifier of negotiated parameters
_INFORMATION_SIZES, _WINDOWS = (5, 6), (7, 8)


class HdlcControl(Enum):
    """Control field of a frame; the value is the field without its numbers and without poll/final."""

    INFORMATION = 0x00
    RECEIVE_READY = 0x01
    RECEIVE_NOT_READY = 0x05
    SET_NORMAL_RESPONSE_MODE = 0x83
    DISCONNECT = 0x43
    UNNUMBERED_ACKNOWLEDGE = 0x63
    DISCONNECTED_MODE = 0x0F
    FRAME_REJECT = 0x87
    UNNUMBERED_INFORMATION = 0x03


@dataclass(frozen=True, slots=True)
class HdlcAddress:
    """A client (`upper` alone), or a server: logical device, and the physical device on a shared wire.

    Encoded in one byte, in two where there is a `lower`, in four where a part is above 127 or `wide`.
    """

    upper: int
    lower: int | None = None
    wide: bool = False

    def __post_init__(self) -> None:
        if not all(0 <= part < 1 << 14 for part in (self.upper, self.lower or 0)):
            raise ValueError(f"{self} is outside 0 to 16383")

    def encode(self) -> bytes:
        parts = [self.upper] if self.lower is None else [self.upper, self.lower]
        if self.wide or max(parts) > 127:
            parts = [self.upper, self.lower or 0]
            shifted = [half << 1 for part in parts for half in (part >> 7, part & 0x7F)]
        else:
            shifted = [part << 1 for part in parts]
        return bytes((*shifted[:-1], shifted[-1] | 1))

    def __str__(self) -> str:
        return f"{self.upper}" if self.lower is None else f"{self.upper}/{self.lower}"


@dataclass(frozen=True, slots=True)
class Frame:
    """One frame. `send` and `receive` are N(S) and N(R); `final` is the poll bit of a client."""

    destination: HdlcAddress
    source: HdlcAddress
    kind: HdlcControl
    information: bytes = b""
    send: int = 0
    receive: int = 0
    segmented: bool = False
    final: bool = True

    @property
    def control(self) -> int:
        control = self.kind.value | (_FINAL if self.final else 0)
        if self.kind is HdlcControl.INFORMATION:
            control |= self.send << 1
        if self.kind in _NUMBERED:
            control |= self.receive << 5
        return control

    def encode(self) -> bytes:
        """The bytes on the wire. Raises ValueError where the information does not fit."""
        if len(self.information) > MOST_INFORMATION:
            raise ValueError(f"{len(self.information)} bytes of information in one frame")
        header = self.destination.encode() + self.source.encode() + bytes((self.control,))
        length = 2 + len(header) + 2 + (len(self.information) + 2 if self.information else 0)
        kind = _TYPE_3 | (_SEGMENTED if self.segmented else 0) | length >> 8
        checked = bytes((kind, length & 0xFF)) + header
        checked += x25(checked)
        if self.information:
            checked += self.information
            checked += x25(checked)
        return bytes((FLAG,)) + checked + bytes((FLAG,))


_NUMBERED = (HdlcControl.INFORMATION, HdlcControl.RECEIVE_READY, HdlcControl.RECEIVE_NOT_READY)


@dataclass(frozen=True, slots=True)
class HdlcParameters:
    """Parameters that two ends agree on: bytes in a frame, each way as seen by the sender of these."""

    transmit: int = 128
    receive: int = 128

    def agreed(self, theirs: "HdlcParameters") -> "HdlcParameters":
        """What both ends can do, as seen by this one."""
        return HdlcParameters(min(self.transmit, theirs.receive), min(self.receive, theirs.transmit))

    def encode(self) -> bytes:
        """The information of an SNRM or UA; the window is always one frame."""
        sizes = zip(_INFORMATION_SIZES, (self.transmit, self.receive), strict=True)
        fields = b"".join(bytes((tag, 2)) + size.to_bytes(2, "big") for tag, size in sizes)
        fields += b"".join(bytes((tag, 4, 0, 0, 0, 1)) for tag in _WINDOWS)
        return _PARAMETERS + bytes((len(fields),)) + fields

    @classmethod
    def decode(cls, information: bytes) -> "HdlcParameters":
        """Those of an SNRM or UA, the defaults where it has none. Raises DecodeError."""
        if not information:
            return cls()
        if information[:2] != _PARAMETERS or len(information) < 3:
            raise DecodeError("no parameters of an HDLC link", offset=0)
        fields = information[3:]
        if information[2] != len(fields):
            raise DecodeError("the parameters have another length than they say", offset=2)
        found = {}
        while fields:
            size = 2 + (fields[1] if len(fields) > 1 else 0)
            if len(fields) < size or size == 2:
                raise DecodeError("the parameters end too early", offset=len(information))
            found[fields[0]] = int.from_bytes(fields[2:size], "big")
            fields = fields[size:]
        sizes = [found.get(tag, 128) for tag in _INFORMATION_SIZES]
        if not all(1 <= size <= MOST_INFORMATION for size in sizes):
            raise DecodeError(f"frames with {sizes} bytes of information")
        return cls(*sizes)


class HdlcFrameReader:
    """Reader of HDLC frames: `add` what arrives, take frames with `next`. Noise is passed over; `damaged`
    counts wrong checks, `pending` may be the beginning of a frame.
    """

    def __init__(self) -> None:
        self.pending = b""
        self.damaged = 0

    def add(self, data: bytes) -> None:
        self.pending += data

    def next(self) -> Frame | None:
        while (start := self.pending.find(FLAG)) >= 0:
            self.pending = self.pending[start:]
            if self.pending[1:2] == bytes((FLAG,)):
                self.pending = self.pending[1:]
                continue
            try:
                length = _length(self.pending)
                if length is None or len(self.pending) < length + 2:
                    return None
                frame = decode_frame(self.pending[: length + 2])
            except DecodeError:
                self.resync()
                continue
            self.pending = self.pending[length + 1 :]  # its last flag may be the next one's first
            return frame
        self.pending = b""
        return None

    def resync(self) -> None:
        """Give up that a frame begins at the first flag: at silence, a stray one must not hide a frame."""
        if len(self.pending) > 2:
            self.damaged += 1
        self.pending = self.pending[1:]


def decode_frame(data: bytes) -> Frame:
    """The one frame that `data` is, from flag to flag. Raises DecodeError."""
    length = _length(data)
    if length is None or len(data) != length + 2 or data[-1] != FLAG:
        raise DecodeError("no frame between two flags", offset=len(data))
    body = data[1:-3]
    if x25(body) != data[-3:-1]:
        raise DecodeError(f"frame check {data[-3:-1].hex()}, computed {x25(body).hex()}", offset=length - 1)
    destination, position = _address(body, 2)
    source, position = _address(body, position)
    if position >= len(body):
        raise DecodeError("the frame has no control field", offset=position + 1)
    control = body[position]
    header, rest = body[: position + 1], body[position + 1 :]
    if rest and (len(rest) < 3 or x25(header) != rest[:2]):
        raise DecodeError("the header check is wrong", offset=position + 2)
    kind = _kind(control, position + 1)
    numbered = kind in _NUMBERED
    return Frame(
        destination,
        source,
        kind,
        rest[2:],
        control >> 1 & 7 if kind is HdlcControl.INFORMATION else 0,
        control >> 5 if numbered else 0,
        bool(body[0] & _SEGMENTED),
        bool(control & _FINAL),
    )


def _length(data: bytes) -> int | None:
    """Bytes between the flags, None while that can't be told. Raises DecodeError for another format."""
    if len(data) > 1 and data[1] & 0xF0 != _TYPE_3:
        raise DecodeError(f"no frame format begins with {data[1]:02X}", offset=1)
    if len(data) < 3:
        return None
    length = (data[1] & 7) << 8 | data[2]
    if length < 7:
        raise DecodeError(f"a frame of {length} bytes", offset=2)
    return length


def _address(body: bytes, begun: int) -> tuple[HdlcAddress, int]:
    position = begun
    while position < len(body) and not body[position] & 1:
        position += 1
    septets = [byte >> 1 for byte in body[begun : position + 1]]
    if position == len(body) or len(septets) not in (1, 2, 4):
        raise DecodeError(f"an address of {len(septets)} bytes", offset=begun + 1)
    if len(septets) == 4:
        return HdlcAddress(
            septets[0] << 7 | septets[1], septets[2] << 7 | septets[3], wide=True
        ), position + 1
    return HdlcAddress(septets[0], septets[1] if len(septets) == 2 else None), position + 1


def _kind(control: int, offset: int) -> HdlcControl:
    if not control & 1:
        return HdlcControl.INFORMATION
    try:
        return HdlcControl(control & 0x0F) if control & 3 == 1 else HdlcControl(control & ~_FINAL)
    except ValueError:
        raise DecodeError(f"no control field is {control:02X}", offset=offset) from None
