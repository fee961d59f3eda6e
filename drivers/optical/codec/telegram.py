"""The telegrams of IEC 62056-21, 6.3 and 6.5: sign-on, identification, acknowledgement, blocks and commands.

All characters are ASCII; the parity bit is the line's part (7E1).
"""

import re
from dataclasses import dataclass, field
from enum import StrEnum
from functools import reduce
from operator import xor

from drivers.errors import DecodeError

SOH, STX, ETX, EOT = b"\x01", b"\x02", b"\x03", b"\x04"
ACK, NAK = b"\x06", b"\x15"
END = b"!\r\n"  # of the data in a block

# Baud identification Z: mode C (the reader may choose a lower one), mode B (the meter switches by itself)
MODE_C_BAUDS = {"0": 300, "1": 600, "2": 1200, "3": 2400, "4": 4800, "5": 9600, "6": 19200}
MODE_B_BAUDS = {"A": 600, "B": 1200, "C": 2400, "D": 4800, "E": 9600, "F": 19200}

_SIGN_ON = re.compile(rb"/\?([0-9A-Za-z ]{0,32})!\r\n")
_IDENTIFICATION = re.compile(rb"/([A-Za-z]{3})([!-~])([ -~]{0,64})\r\n")
_START = re.compile(rb"[\x01\x02\x06\x15]")
_FRAME = re.compile(rb"[\x01\x02][^\x03\x04]*[\x03\x04](.)", re.DOTALL)
_COMMAND = re.compile(rb"\x01([A-Z][0-9])(?:\x02([^\x02-\x04]*))?\x03", re.DOTALL)
_ACKNOWLEDGEMENT = re.compile(rb"\x06(.)(.)(.)\r\n", re.DOTALL)


class Mode(StrEnum):
    """Mode in which meter and reader agree on a speed."""

    A = "A"  # no switching
    B = "B"  # the meter switches after its identification
    C = "C"  # the reader acknowledges the speed, then both switch
    D = "D"  # the meter speaks by itself, always at the same speed


class BlockCheck(StrEnum):
    """The block check character: of the standard, or as Energomera CE301/CE303 compute it."""

    XOR = "xor"
    SUM = "sum"

    def of(self, data: bytes) -> int:
        """The check of all bytes after SOH or STX up to and including ETX or EOT."""
        return reduce(xor, data, 0) if self is BlockCheck.XOR else sum(data) & 0x7F


@dataclass(frozen=True, slots=True)
class Identification:
    """Identification `/XXXZ<id>`: manufacturer (FLAG, as sent), baud character, type in the maker's words."""

    manufacturer: str
    baud: str
    type: str

    @property
    def mode(self) -> Mode:
        if self.baud in MODE_C_BAUDS:
            return Mode.C
        return Mode.B if self.baud in MODE_B_BAUDS else Mode.A

    @property
    def reaction(self) -> float:
        """Least seconds between telegrams: 20 ms where the third letter is lower case, else 200 ms."""
        return 0.02 if self.manufacturer[2].islower() else 0.2

    def encode(self) -> bytes:
        return f"/{self.manufacturer}{self.baud}{self.type}\r\n".encode("ascii")


@dataclass(frozen=True, slots=True)
class OptionSelect:
    """Option select, `ACK V Z Y`: protocol (0 normal), baud character, purpose (0 readout, 1 programming)."""

    protocol: str = "0"
    baud: str = "0"
    purpose: str = "0"

    def encode(self) -> bytes:
        return ACK + f"{self.protocol}{self.baud}{self.purpose}\r\n".encode("ascii")


class SingleCharacter(StrEnum):
    """A single character: what the meter says of the command before."""

    ACK = "acknowledged"
    NAK = "not understood, say it again"


@dataclass(frozen=True, slots=True)
class DataBlock:
    """Block between STX and the check character. `more`: a partial block, the next follows an ACK."""

    data: bytes
    more: bool = False

    def encode(self, check: BlockCheck) -> bytes:
        checked = self.data + (EOT if self.more else ETX)
        return STX + checked + bytes((check.of(checked),))


@dataclass(frozen=True, slots=True)
class ProgrammingCommand:
    """Command `SOH C D STX data ETX BCC`: `name` is "R1", "P1", "W1"; None: no data at all (B0).

    The data may be a password, so it is never shown.
    """

    name: str
    data: bytes | None = field(default=None, repr=False)

    @classmethod
    def of(cls, name: str, address: str, argument: str = "") -> "ProgrammingCommand":
        """Such as R1 1.8.0(). Raises ValueError for what a data set cannot carry."""
        text = f"{address}({argument})"
        if not text.isascii() or not text.isprintable() or any(sign in "()/!" for sign in address + argument):
            raise ValueError("an address or value with characters that a data set cannot carry")
        return cls(name, text.encode("ascii"))

    def encode(self, check: BlockCheck) -> bytes:
        checked = self.name.encode("ascii") + (b"" if self.data is None else STX + self.data) + ETX
        return SOH + checked + bytes((check.of(checked),))


BREAK = ProgrammingCommand("B0")
Frame = DataBlock | ProgrammingCommand | SingleCharacter


def encode_sign_on(address: str) -> bytes:
    """`/?address!`; the address is empty for the only meter on a line. Raises ValueError for a wrong one."""
    telegram = f"/?{address}!\r\n".encode("ascii", "replace")
    if not _SIGN_ON.fullmatch(telegram):
        raise ValueError(f"{address!r} is not a device address: up to 32 digits, letters and spaces")
    return telegram


def encode_block(data: bytes, check: BlockCheck) -> bytes:
    """The block of a readout: STX, data, `!`, ETX and the check character."""
    return DataBlock(data + END).encode(check)


def encode_push(identification: Identification, data: bytes) -> bytes:
    """The telegram of mode D, sent without being asked: no STX, and no check character."""
    return identification.encode() + b"\r\n" + data + END


def find_sign_on(heard: bytes) -> tuple[str, bytes] | None:
    """The address of the first sign-on, and what follows it."""
    match = _SIGN_ON.search(heard)
    return (match[1].decode("ascii"), heard[match.end() :]) if match else None


def find_option_select(heard: bytes) -> tuple[OptionSelect, bytes] | None:
    """The first acknowledgement, and what follows it."""
    match = _ACKNOWLEDGEMENT.search(heard)
    if not match:
        return None
    return OptionSelect(*(part.decode("latin-1") for part in match.groups())), heard[match.end() :]


class TelegramReader:
    """Reader: `add` what arrives; take the `identification`, then `frame` after `frame`.

    Stray bytes are passed over, and so is the echo of what was `sent` (optical heads see their own light).
    """

    def __init__(self, check: BlockCheck = BlockCheck.XOR) -> None:
        self._check = check
        self._received = bytearray()
        self._echo = b""
        self.damaged = b""  # the last frame whose check character was wrong

    @property
    def pending(self) -> bytes:
        """Bytes that were received and have become no telegram."""
        return bytes(self._received)

    def sent(self, data: bytes) -> None:
        """Note what the reader says: it may come back before the answer. Earlier bytes are forgotten."""
        self._received.clear()
        self._echo = data

    def add(self, data: bytes) -> None:
        self._received += data
        if self._received.startswith(self._echo):
            del self._received[: len(self._echo)]
            self._echo = b""
        elif not self._echo.startswith(self._received):
            self._echo = b""  # there is none

    def identification(self) -> Identification | None:
        """The meter's identification, or None while it is not all there."""
        match = _IDENTIFICATION.search(bytes(self._received))
        if not match:
            return None
        del self._received[: match.end()]
        return _identification(match)

    def frame(self) -> Frame | None:
        """The next block, command, ACK or NAK, or None while it is not all there.

        Raises DecodeError where its check character is wrong; the frame is then in `damaged`.
        """
        received = bytes(self._received)
        start = _START.search(received)
        if start is None or self._echo:
            return None
        if start[0] in (ACK, NAK):
            del self._received[: start.end()]
            return SingleCharacter.ACK if start[0] == ACK else SingleCharacter.NAK
        match = _FRAME.match(received, start.start())
        if match is None:
            return None
        raw = match[0]
        del self._received[: match.end()]
        computed = self._check.of(raw[1:-1])
        if computed != raw[-1]:
            self.damaged = raw
            raise DecodeError(f"block check {raw[-1]:02X}, computed {computed:02X}")
        if raw[:1] == STX:
            return DataBlock(raw[1:-2], raw[-2:-1] == EOT)
        if command := _COMMAND.fullmatch(raw[:-1]):
            return ProgrammingCommand(command[1].decode("ascii"), command[2])
        self.damaged = raw
        raise DecodeError("a header that is no command")

    def push(self) -> tuple[Identification, bytes, bytes] | None:
        """A telegram of mode D: who sent it, its data, and all of it; None while it is not all there."""
        end = self._received.find(b"\n" + END)
        if end < 0:
            return None
        end += 1 + len(END)
        said = bytes(self._received[:end])
        del self._received[:end]
        found = list(_IDENTIFICATION.finditer(said))  # the last: a telegram that broke off may stand before
        if not found:
            return self.push()
        return _identification(found[-1]), said[found[-1].end() : -len(END)], said[found[-1].start() :]


def _identification(match: re.Match[bytes]) -> Identification:
    return Identification(*(part.decode("ascii") for part in match.groups()))
