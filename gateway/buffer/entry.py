"""Entry of the buffer: a readout or a miss, as few bytes as may be, and never silently changed.

An SD card wears out by what is written to it, and a worn one gives back wrong bits. So the JSON of the wire
contract is deflated (RFC 1951, with a dictionary of what every readout holds), the telegram stands behind it
as bytes instead of base64, and a CRC over all of it tells a damaged row from a meter's value.

    kind (1) | CRC-32 of kind and rest (4, big endian) | deflated: JSON [newline, telegram]
"""

import zlib
from typing import NamedTuple, TypeAlias

import msgspec

from telemetry.status import Status
from telemetry.wire import Miss, WireReadout

Entry: TypeAlias = WireReadout | Miss

_KINDS: dict[bytes, type[WireReadout] | type[Miss]] = {b"r": WireReadout, b"m": Miss}
_MOST_BYTES = 4_000_000  # of one row, inflated: a body that claims more is damaged

# Part of the file's format: a buffer written with other words here could not be read.
_WORDS = (
    b'{"meter":"KAM-","at":179,"reason":"not running"}{"meter":"EAS-","at":18,"values":{"1-0:31.7.0":230.'
    b'","1-0:32.7.0":"1-0:21.7.0":"1-0:2.8.0":"1-0:1.8.0":"7-0:3.0.0":"8-0:2.0.0":"8-0:1.0.0":"6-0:8.0.0":'
    b'"6-0:12.0.0":"6-0:11.0.0":"6-0:10.0.0":"6-0:9.0.0":"6-0:2.0.0":"6-0:1.0.0":0.0,"},"status":32,"units":{}}'
)


class PackedEntry(NamedTuple):
    """Entry with its body, packed once."""

    entry: Entry
    body: bytes


class DamagedEntryError(ValueError):
    """A row whose bytes are not those that were written."""


def pack(entry: Entry) -> bytes:
    """The row's body."""
    if isinstance(entry, Miss):
        kind, plain = b"m", msgspec.json.encode(entry)
    else:
        kind = b"r"
        plain = msgspec.json.encode(msgspec.structs.replace(entry, raw=b"")) + b"\n" + entry.raw
    deflate = zlib.compressobj(9, zlib.DEFLATED, -15, 8, zlib.Z_DEFAULT_STRATEGY, _WORDS)
    packed = deflate.compress(plain) + deflate.flush()
    return kind + _check(kind, packed) + packed


def unpack(body: object) -> Entry:
    """The entry in a body. Raises DamagedEntryError, and nothing else, whatever was read from the file."""
    if not isinstance(body, bytes) or len(body) < 6:
        raise DamagedEntryError("no row of ours")
    kind, packed = body[:1], body[5:]
    if _check(kind, packed) != body[1:5] or kind not in _KINDS:
        raise DamagedEntryError("its checksum is wrong")
    inflate = zlib.decompressobj(-15, _WORDS)
    try:
        text, _, raw = inflate.decompress(packed, _MOST_BYTES).partition(b"\n")
        entry: Entry = msgspec.json.decode(text, type=_KINDS[kind])
    except (zlib.error, msgspec.DecodeError, UnicodeDecodeError) as error:
        raise DamagedEntryError(str(error)) from None
    return msgspec.structs.replace(entry, raw=raw) if isinstance(entry, WireReadout) and raw else entry


def status_of(entry: Entry) -> Status:
    """A miss has none."""
    return Status(0) if isinstance(entry, Miss) else Status(entry.status)


def encoded_size(entry: Entry) -> int:
    """The bytes that the entry takes in a batch."""
    return len(msgspec.json.encode(entry)) + 1


def _check(kind: bytes, packed: bytes) -> bytes:
    return zlib.crc32(packed, zlib.crc32(kind)).to_bytes(4, "big")
