"""Answers of a meter: a telegram with its records, or an application error (EN 13757-3, 4 and 9).

telegram = decode(bytes.fromhex("68 1F 1F 68 08 02 72 ..."))
"""

from dataclasses import dataclass

from drivers.errors import DecodeError
from drivers.mbus.codec.dif import Function
from drivers.mbus.codec.fixed import read_fixed
from drivers.mbus.codec.frame import LongFrame, decode_frame
from drivers.mbus.codec.header import (
    LONG_HEADER,
    SHORT_HEADER,
    ByteOrder,
    Header,
    encode_long_header,
    read_long_header,
    read_short_header,
)
from drivers.mbus.codec.records import Record, read_records
from drivers.mbus.codec.security import decrypted, encrypted

VARIABLE_LONG = 0x72  # CI fields of answers; with bit 2 (76, 77): most significant byte first
WITH_LONG_HEADER = (VARIABLE_LONG, 0x76)
FIXED = (0x73, 0x77)
VARIABLE_BARE = 0x78
VARIABLE_SHORT = 0x7A
APPLICATION_ERROR = 0x70
ALARM = 0x71

SELECT = 0x52  # CI fields of commands
APPLICATION_RESET = 0x50
DATA_SEND = 0x51
BAUD_OF = {0xB8: 300, 0xB9: 600, 0xBA: 1200, 0xBB: 2400, 0xBC: 4800, 0xBD: 9600, 0xBE: 19200, 0xBF: 38400}

SET_ADDRESS = b"\x01\x7a"  # DIF and VIF of data that are sent: one byte, bus address

_BUSY = 8

_APPLICATION_ERRORS = {
    0: "unspecified error",
    1: "it does not know this CI field",
    2: "buffer too long, truncated",
    3: "too many records",
    4: "premature end of record",
    5: "more than 10 DIFEs",
    6: "more than 10 VIFEs",
    _BUSY: "application busy",
    9: "too many readouts",
}


@dataclass(frozen=True, slots=True)
class Telegram:
    """One answer with data. `raw` is the frame as received."""

    header: Header
    records: tuple[Record, ...]
    raw: bytes = b""

    @property
    def more_follow(self) -> bool:
        """The meter has a further telegram of this readout (DIF 1F)."""
        return bool(self.records) and self.records[-1].function is Function.MORE_FOLLOWS


@dataclass(frozen=True, slots=True)
class ApplicationError:
    """The meter's own report instead of data: an application error (CI 70) or an alarm (CI 71).

    `busy`: asking later can help.
    """

    code: int
    message: str
    busy: bool = False


def decode(data: bytes, key: bytes | None = None) -> Telegram | ApplicationError:
    """The answer in one frame, decrypted with the meter's key. Raises DecodeError for what is none."""
    frame = decode_frame(data)
    if not isinstance(frame, LongFrame):
        raise DecodeError("a frame that carries no data")
    return decode_answer(frame, key)


def decode_answer(frame: LongFrame, key: bytes | None = None) -> Telegram | ApplicationError:
    """The same of a frame that was taken apart already. Offsets in errors count from the user data on."""
    ci, data = frame.control_information, frame.user_data
    if not frame.is_answer:
        raise DecodeError(f"control field {frame.control:02X} is no answer of a meter")
    if ci == APPLICATION_ERROR:
        code = data[0] if data else 0
        return ApplicationError(
            code, _APPLICATION_ERRORS.get(code, f"application error {code}"), code == _BUSY
        )
    if ci == ALARM:
        return ApplicationError(data[0] if data else 0, f"alarm {data.hex(' ').upper()}")
    order = byte_order(ci)
    if ci in FIXED:
        return Telegram(*read_fixed(data, order), frame.encode())
    header, start = _read_header(ci, data, order)
    if header.encrypted:
        sent = data[:start] if order is ByteOrder.LSB_FIRST else encode_long_header(header)
        data, start = decrypted(header, sent, data[start:], key), 0
    return Telegram(header, read_records(data, order, start), frame.encode())


def decode_header(frame: LongFrame) -> Header | None:
    """The header of an answer, also where its records cannot be read; None where it has none."""
    ci, data = frame.control_information, frame.user_data
    order = byte_order(ci)
    try:
        return read_fixed(data, order)[0] if ci in FIXED else _read_header(ci, data, order)[0]
    except DecodeError:
        return None


def byte_order(ci: int) -> ByteOrder:
    """The order of multi-byte fields behind a CI field (bit 2)."""
    return ByteOrder.MSB_FIRST if ci & 0x04 else ByteOrder.LSB_FIRST


def _read_header(ci: int, data: bytes, order: ByteOrder) -> tuple[Header, int]:
    """The header of the variable structure, and where its records begin."""
    if ci in WITH_LONG_HEADER:
        return read_long_header(data, order), LONG_HEADER
    if ci == VARIABLE_SHORT:
        return read_short_header(data), SHORT_HEADER
    if ci == VARIABLE_BARE:
        return Header(), 0
    raise DecodeError(f"CI {ci:02X} is no meter data of EN 13757-3")


def encode_telegram(address: int, header: Header, records: bytes, key: bytes | None = None) -> bytes:
    """An answer RSP_UD with a long header (CI 72) and encoded records, encrypted where there is a key.

    Raises ValueError if too long.
    """
    if key is not None:
        header, records = encrypted(header, records, key)
    return LongFrame(0x08, address, VARIABLE_LONG, encode_long_header(header) + records).encode()
