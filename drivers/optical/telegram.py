"""The telegrams of IEC 62056-21, 6.3: sign-on, identification, acknowledgement, and the framed data block.

All characters are ASCII; the parity bit is the line's part (7E1).
"""

import re
from dataclasses import dataclass
from enum import StrEnum
from functools import reduce
from operator import xor

from drivers.errors import DecodeError

STX, ETX, ACK, NAK = b"\x02", b"\x03", b"\x06", b"\x15"
END = b"!\r\n"  # of the data in a block

# Baud identification Z: mode C (the reader may choose a lower one), mode B (the meter switches by itself)
MODE_C_BAUDS = {"0": 300, "1": 600, "2": 1200, "3": 2400, "4": 4800, "5": 9600, "6": 19200}
MODE_B_BAUDS = {"A": 600, "B": 1200, "C": 2400, "D": 4800, "E": 9600, "F": 19200}

_SIGN_ON = re.compile(rb"/\?([0-9A-Za-z ]{0,32})!\r\n")
_IDENTIFICATION = re.compile(rb"/([A-Za-z]{3})([!-~])([ -~]{0,64})\r\n")
_ACKNOWLEDGEMENT = re.compile(rb"\x06(.)(.)(.)\r\n", re.DOTALL)


class Mode(StrEnum):
    """How meter and reader agree on a speed."""

    A = "A"  # no switching
    B = "B"  # the meter switches after its identification
    C = "C"  # the reader acknowledges the speed, then both switch


class Check(StrEnum):
    """The block check character: of the standard, or as Energomera CE301/CE303 compute it."""

    XOR = "xor"
    SUM = "sum"

    def of(self, data: bytes) -> int:
        """The check of all bytes after STX up to and including ETX."""
        return reduce(xor, data, 0) if self is Check.XOR else sum(data) & 0x7F


@dataclass(frozen=True, slots=True)
class Identification:
    """`/XXXZ<id>`: manufacturer (FLAG, as sent), baud character, and the type in the maker's own words."""

    manufacturer: str
    baud: str
    type: str

    @property
    def mode(self) -> Mode:
        """Which mode the baud character tells."""
        if self.baud in MODE_C_BAUDS:
            return Mode.C
        return Mode.B if self.baud in MODE_B_BAUDS else Mode.A

    @property
    def reaction(self) -> float:
        """Least seconds between telegrams: 20 ms where the third letter is lower case, else 200 ms."""
        return 0.02 if self.manufacturer[2].islower() else 0.2

    def encode(self) -> bytes:
        """The telegram."""
        return f"/{self.manufacturer}{self.baud}{self.type}\r\n".encode("ascii")


@dataclass(frozen=True, slots=True)
class Acknowledgement:
    """`ACK V Z Y`: protocol (0 normal), baud character, and what for (0 readout, 1 programming)."""

    protocol: str = "0"
    baud: str = "0"
    purpose: str = "0"

    def encode(self) -> bytes:
        """The telegram."""
        return ACK + f"{self.protocol}{self.baud}{self.purpose}\r\n".encode("ascii")


def encode_sign_on(address: str) -> bytes:
    """`/?address!`; the address is empty for the only meter on a line. Raises ValueError for a wrong one."""
    telegram = f"/?{address}!\r\n".encode("ascii", "replace")
    if not _SIGN_ON.fullmatch(telegram):
        raise ValueError(f"{address!r} is not a device address: up to 32 digits, letters and spaces")
    return telegram


def encode_block(data: bytes, check: Check) -> bytes:
    """STX, data, `!`, ETX and the check character."""
    checked = data + END + ETX
    return STX + checked + bytes((check.of(checked),))


def find_sign_on(heard: bytes) -> tuple[str, bytes] | None:
    """The address of the first sign-on, and what follows it."""
    match = _SIGN_ON.search(heard)
    return (match[1].decode("ascii"), heard[match.end() :]) if match else None


def find_acknowledgement(heard: bytes) -> tuple[Acknowledgement, bytes] | None:
    """The first acknowledgement, and what follows it."""
    match = _ACKNOWLEDGEMENT.search(heard)
    if not match:
        return None
    return Acknowledgement(*(part.decode("latin-1") for part in match.groups())), heard[match.end() :]


class Reader:
    """`add` what arrives; take the `identification` and then the `block` as they are complete.

    The echo of what was sent (optical heads see their own light) and stray bytes are passed over.
    """

    def __init__(self, check: Check = Check.XOR) -> None:
        self._check = check
        self._received = bytearray()
        self.damaged = b""  # the last block whose check character was wrong

    @property
    def pending(self) -> bytes:
        """What was received and has become no telegram."""
        return bytes(self._received)

    def add(self, data: bytes) -> None:
        """Take bytes as they come."""
        self._received += data

    def identification(self) -> Identification | None:
        """The meter's identification, or None while it is not all there."""
        match = _IDENTIFICATION.search(bytes(self._received))
        if not match:
            return None
        del self._received[: match.end()]
        return Identification(*(part.decode("ascii") for part in match.groups()))

    def block(self) -> bytes | None:
        """A block from STX to its check character, or None while it is not all there.

        Raises DecodeError where its check character is wrong; the block is then in `damaged`.
        """
        start = self._received.find(STX)
        end = self._received.find(ETX, start + 1)
        if start < 0 or end < 0 or len(self._received) < end + 2:
            return None
        block = bytes(self._received[start : end + 2])
        del self._received[: end + 2]
        computed = self._check.of(block[1:-1])
        if computed != block[-1]:
            self.damaged = block
            raise DecodeError(f"block check {block[-1]:02X}, computed {computed:02X}")
        return block
