"""SML transport protocol version 1 (TR-03109-1 annex IV, 8): escape sequences around the messages, and a CRC.

`1B1B1B1B 01010101`, the messages padded with zeros to a multiple of four bytes, `1B1B1B1B 1A nn crc`, where
nn counts the zeros. Four bytes 1B within the messages are sent twice.
"""

from dataclasses import dataclass, field

from drivers.crc import x25
from drivers.errors import DecodeError

_ESCAPE = b"\x1b" * 4
START = _ESCAPE + b"\x01" * 4
_END = 0x1A
_MOST_BYTES = 1 << 14  # real telegrams have 200 to 900


@dataclass(frozen=True, slots=True)
class Envelope:
    """A whole telegram: `raw` as received, and the messages in it."""

    raw: bytes = field(repr=False)
    messages: bytes


def enclose(messages: bytes) -> bytes:
    """The telegram that carries these messages."""
    padding = -len(messages) % 4
    body = messages.replace(_ESCAPE, _ESCAPE * 2) + bytes(padding)
    unchecked = START + body + _ESCAPE + bytes((_END, padding))
    return unchecked + x25(unchecked)


class TransportReader:
    """Reader of telegrams: `add` what arrives, take them with `next`. `damaged` counts wrong CRCs."""

    def __init__(self) -> None:
        self.pending = b""  # received, and no telegram yet
        self.damaged = 0

    def add(self, data: bytes) -> None:
        self.pending += data

    def next(self) -> Envelope | None:
        while (start := self.pending.find(START)) >= 0:
            self.pending = self.pending[start:]
            try:
                envelope = _open(self.pending)
            except DecodeError:
                self.damaged += 1
                self.pending = self.pending[len(START) :]
                continue
            if envelope is None:
                return None
            self.pending = self.pending[len(envelope.raw) :]
            return envelope
        self.pending = self.pending[-len(START) + 1 :]  # may be the beginning of a start
        return None


def _open(data: bytes) -> Envelope | None:
    """The telegram at the beginning of `data`, None while it is not all there. Raises DecodeError."""
    messages = b""
    position = len(START)
    while (escape := data.find(_ESCAPE, position)) >= 0:
        messages += data[position:escape]
        position = escape + 8
        command = data[escape + 4 : position]
        if len(command) < 4:
            break
        if command == _ESCAPE:
            messages += _ESCAPE
        elif command[0] == _END:
            return _close(data[:position], messages)
        else:
            raise DecodeError(f"escape sequence {command.hex()} within a telegram", offset=escape)
    if len(data) > _MOST_BYTES:
        raise DecodeError(f"no end after {len(data)} bytes", offset=len(data))
    return None


def _close(raw: bytes, messages: bytes) -> Envelope:
    computed, padding = x25(raw[:-2]), raw[-3]
    if computed != raw[-2:]:
        raise DecodeError(f"CRC {raw[-2:].hex()}, computed {computed.hex()}", offset=len(raw) - 2)
    if padding > 3 or padding > len(messages):
        raise DecodeError(f"{padding} bytes of padding", offset=len(raw) - 3)
    return Envelope(raw, messages[: len(messages) - padding])
