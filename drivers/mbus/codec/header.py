"""Headers of M-Bus answers (EN 13757-3, 5): who answers, manufacturer letters, medium and status."""

from dataclasses import dataclass
from enum import Enum

from drivers.errors import DecodeError
from telemetry.meter_id import meter_id
from telemetry.status import Status

LONG_HEADER = 12
SHORT_HEADER = 4

# Configuration word, security modes that hide the records (EN 13757-7): AES-CBC with static and dynamic
# vectors, and TLS. Some old meters put rubbish into the word, so that only these modes count.
_ENCRYPTED_MODES = {5, 7, 13}

_NOT_A_LETTER = "X"


class ByteOrder(Enum):
    """Multi-byte fields: mode 1 sends the least significant byte first, mode 2 (CI bit 2) the most."""

    LSB_FIRST = "little"
    MSB_FIRST = "big"


MEDIA: dict[int, str] = {
    0x00: "other",
    0x01: "oil",
    0x02: "electricity",
    0x03: "gas",
    0x04: "heat (outlet)",
    0x05: "steam",
    0x06: "warm water",
    0x07: "water",
    0x08: "heat cost allocator",
    0x09: "compressed air",
    0x0A: "cooling (outlet)",
    0x0B: "cooling (inlet)",
    0x0C: "heat (inlet)",
    0x0D: "heat and cooling",
    0x0E: "bus, system",
    0x0F: "unknown",
    0x14: "calorific value",
    0x15: "hot water",
    0x16: "cold water",
    0x17: "hot and cold water",
    0x18: "pressure",
    0x19: "A/D converter",
    0x1A: "smoke detector",
    0x1B: "room sensor",
    0x1C: "gas detector",
    0x20: "breaker",
    0x21: "valve",
    0x25: "customer unit",
    0x28: "waste water",
    0x29: "garbage",
    0x2A: "carbon dioxide",
    0x31: "communication controller",
    0x32: "unidirectional repeater",
    0x33: "bidirectional repeater",
    0x36: "radio converter, system side",
    0x37: "radio converter, meter side",
}


@dataclass(frozen=True, slots=True)
class Header:
    """Header in front of the records. Fields that a header form does not carry are None.

    `serial` is the identification number as it reads on the meter: 8 digits (hexadecimal where a meter
    sends such). `medium` is the device type byte of EN 13757-3, table 13.
    """

    serial: str | None = None
    manufacturer: str | None = None
    version: int | None = None
    medium: int | None = None
    access_number: int | None = None
    status: int = 0
    configuration: int = 0

    @property
    def meter(self) -> str | None:
        """`KAM-06855817`; None where no identity was sent."""
        if self.serial is None:
            return None
        letters = self.manufacturer or _NOT_A_LETTER * 3  # the fixed structure names no manufacturer
        return meter_id("".join(c if c.isalpha() else _NOT_A_LETTER for c in letters), self.serial)

    @property
    def medium_name(self) -> str | None:
        """Words for screens: 'heat (outlet)'."""
        return None if self.medium is None else MEDIA.get(self.medium, f"reserved {self.medium:02X}")

    @property
    def encrypted(self) -> bool:
        """The records cannot be read without the meter's key."""
        return self.security_mode in _ENCRYPTED_MODES

    @property
    def security_mode(self) -> int:
        """Bits 8-12 of the configuration word."""
        return self.configuration >> 8 & 0x1F


def read_long_header(data: bytes, order: ByteOrder) -> Header:
    """CI 72 and 76: identification, manufacturer, version, medium, access number, status, configuration."""
    if len(data) < LONG_HEADER:
        raise DecodeError(f"the header has {len(data)} bytes, not {LONG_HEADER}", offset=len(data))
    return Header(
        serial=f"{int.from_bytes(data[0:4], order.value):08X}",
        manufacturer=manufacturer_letters(int.from_bytes(data[4:6], order.value)),
        version=data[6],
        medium=data[7],
        access_number=data[8],
        status=data[9],
        configuration=int.from_bytes(data[10:12], order.value),
    )


def read_short_header(data: bytes) -> Header:
    """CI 7A: access number, status, configuration."""
    if len(data) < SHORT_HEADER:
        raise DecodeError(f"the short header has {len(data)} bytes, not {SHORT_HEADER}", offset=len(data))
    return Header(
        access_number=data[0],
        status=data[1],
        configuration=int.from_bytes(data[2:4], ByteOrder.LSB_FIRST.value),
    )


def encode_long_header(header: Header) -> bytes:
    """The twelve bytes, least significant first. Raises ValueError for a header without identity."""
    if header.serial is None or header.manufacturer is None:
        raise ValueError("a long header needs a serial number and a manufacturer")
    return (
        int(header.serial, 16).to_bytes(4, "little")
        + manufacturer_code(header.manufacturer).to_bytes(2, "little")
        + bytes((header.version or 0, header.medium or 0, header.access_number or 0, header.status))
        + header.configuration.to_bytes(2, "little")
    )


def manufacturer_letters(code: int) -> str:
    """Three characters of five bits each (EN 13757-3, 5.6); bit 15 only says how addresses are assigned.

    A code of another meaning gives characters that are no letters ('@@@' for 0); a meter id writes each
    of them as X, so that such a meter has a lasting name, too.
    """
    return "".join(chr(((code >> shift) & 0x1F) + 64) for shift in (10, 5, 0))


def manufacturer_code(letters: str) -> int:
    a, b, c = (ord(letter) - 64 for letter in letters)
    return a << 10 | b << 5 | c


def status_bits(status: int) -> Status:
    """The status byte (EN 13757-3, 5.10) as telemetry's protocol-neutral bits."""
    bits = {2: Status.APPLICATION_ERROR, 3: Status.ABNORMAL}.get(status & 0x03, Status(0))
    for mask, bit in (
        (0x04, Status.POWER_LOW),
        (0x08, Status.PERMANENT_ERROR),
        (0x10, Status.TEMPORARY_ERROR),
    ):
        if status & mask:
            bits |= bit
    return bits


def status_labels(status: int) -> list[str]:
    """Everything that the status byte says, for people; the top three bits are the manufacturer's own."""
    labels = ["busy"] if status & 0x03 == 1 else []
    labels += status_bits(status).labels()
    return labels + [f"manufacturer bit {bit}" for bit in (5, 6, 7) if status & 1 << bit]
