"""Addresses: primary and secondary ones, and wildcards (EN 13757-2, 5.7.5; EN 13757-3, 11).

A configuration names a meter by one of
    "5"                  the primary address, 1 to 250 (0: not configured yet; 254: the only one on the line)
    "06855817"           the eight digits of the identification number, whatever maker, version and medium
    "KAM-06855817"       the digits and the maker
    "068558172D2C0804"   the digits, and maker, version and medium as they pass on the wire (libmbus's form)
F in the place of a digit, FFFF, FF and FF in the others, stand for anything.
"""

import re
from dataclasses import dataclass

from drivers.errors import DriverError
from drivers.mbus.codec.frame import SND_UD, LongFrame, PrimaryAddress
from drivers.mbus.codec.header import ByteOrder, manufacturer_code
from drivers.mbus.codec.telegram import FIXED, SELECT, WITH_LONG_HEADER, byte_order

SIZE = 8  # bytes of a secondary address
ANY_DIGIT = "F"
ANY_MANUFACTURER = 0xFFFF
ANY = 0xFF

_HEX = re.compile(r"[0-9A-F]{8}(?:[0-9A-F]{8})?")
_METER_ID = re.compile(r"([A-Z]{3})-([0-9A-F]{8})")


@dataclass(frozen=True, slots=True)
class Secondary:
    """Identification number (8 hexadecimal digits), manufacturer code, version, medium; or a mask of them."""

    serial: str = ANY_DIGIT * 8
    manufacturer: int = ANY_MANUFACTURER
    version: int = ANY
    medium: int = ANY

    def encode(self) -> bytes:
        return (
            int(self.serial, 16).to_bytes(4, "little")
            + self.manufacturer.to_bytes(2, "little")
            + bytes((self.version, self.medium))
        )

    def selection(self) -> bytes:
        """The frame that selects every meter that matches, and ends the selection of all others."""
        return LongFrame(SND_UD, PrimaryAddress.SELECTED, SELECT, self.encode()).encode()

    @classmethod
    def decode(cls, data: bytes, order: ByteOrder = ByteOrder.LSB_FIRST) -> "Secondary":
        """The inverse, also of the first eight bytes of a long header."""
        serial = int.from_bytes(data[0:4], order.value)
        return cls(f"{serial:08X}", int.from_bytes(data[4:6], order.value), data[6], data[7])

    def matches(self, mask: "Secondary") -> bool:
        """True where a meter of this address feels meant by a selection with `mask`."""
        return (
            all(asked in (own, ANY_DIGIT) for own, asked in zip(self.serial, mask.serial, strict=True))
            and mask.manufacturer in (self.manufacturer, ANY_MANUFACTURER)
            and mask.version in (self.version, ANY)
            and mask.medium in (self.medium, ANY)
        )

    def __str__(self) -> str:
        """The sixteen digits of a configuration."""
        return self.serial + self.encode()[4:].hex().upper()


MeterAddress = int | Secondary  # an integer is a primary address


def parse_address(text: str) -> MeterAddress:
    """The address of a configuration. Raises DriverError."""
    if text.isascii() and text.isdecimal() and len(text) <= 3:
        address = int(text)
        if address <= PrimaryAddress.LAST_PRIMARY or address == PrimaryAddress.ANSWER_ALL:
            return address
    elif secondary := parse_secondary(text):
        return secondary
    raise DriverError(
        f"{text!r} is no M-Bus address",
        advice="give the primary address, 1 to 250 (0: a meter that has no address yet; 254: the only meter "
        "on the line), or the secondary one: the 8 digits on the meter, or 16 with maker, version and medium",
    )


def parse_secondary(text: str) -> Secondary | None:
    """A secondary address in any of its forms, None for what is none."""
    text = text.upper()
    if named := _METER_ID.fullmatch(text):
        return Secondary(named[2], manufacturer_code(named[1]))
    if not _HEX.fullmatch(text):
        return None
    rest = bytes.fromhex(text[8:].ljust(8, ANY_DIGIT))
    return Secondary(text[:8], int.from_bytes(rest[:2], "little"), rest[2], rest[3])


def secondary_of(frame: LongFrame) -> Secondary | None:
    """The secondary address of the meter that sent an answer, as far as its header tells; None if not."""
    ci, data = frame.control_information, frame.user_data
    order = byte_order(ci)
    if len(data) >= SIZE and ci in WITH_LONG_HEADER:
        return Secondary.decode(data, order)
    if len(data) >= SIZE and ci in FIXED:
        return Secondary(f"{int.from_bytes(data[0:4], order.value):08X}")
    return None
