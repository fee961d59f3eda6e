"""Encrypted records: security mode 5, AES-128-CBC with a vector from the header (EN 13757-7, OMS volume 2).

The key is the meter's own, from the configuration. It appears in no message.
"""

from dataclasses import replace
from typing import TYPE_CHECKING

from drivers.errors import DecodeError
from drivers.mbus.codec.header import Header, encode_long_header

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.ciphers import Cipher
    from cryptography.hazmat.primitives.ciphers.modes import CBC

KEY_SIZE = 16
BLOCK = 16
PROOF = b"\x2f\x2f"  # two fillers: what decrypted records begin with, if the key was right

_MODE_5 = 5
_MODE_7 = 7
_TLS = 13
_NAMES = {_MODE_7: "7 (a key for each telegram)", _TLS: "13 (TLS)"}


def decrypted(header: Header, sent: bytes, data: bytes, key: bytes | None) -> bytes:
    """The records behind a header that says `encrypted`. Raises DecodeError.

    `sent` are the header's bytes, least significant first: the vector is made of them, and a manufacturer's
    code has a bit that its letters don't show. Bits 4-7 of the configuration word count the encrypted blocks;
    0 is taken for as many as there are.
    """
    whose = f"the records of {header.meter or 'this meter'} are encrypted"
    if header.security_mode != _MODE_5:
        raise DecodeError(f"{whose} in security mode {_NAMES[header.security_mode]}, which is not supported")
    if key is None:
        raise DecodeError(f"{whose}, and there is no key")
    if len(key) != KEY_SIZE:
        raise DecodeError(f"{whose}, and the configured key has {len(key)} bytes instead of {KEY_SIZE}")
    if header.serial is None:
        raise DecodeError(f"{whose}, and their header names no meter, without which the key is of no use")
    size = BLOCK * (header.configuration >> 4 & 0x0F or len(data) // BLOCK)
    if not 0 < size <= len(data):
        raise DecodeError(f"{whose} in {size} bytes, but there are {len(data)}")
    plain = _aes_cbc(key, sent).decryptor().update(data[:size])
    if not plain.startswith(PROOF):
        raise DecodeError(f"{whose}, and the configured key is not theirs")
    return plain + data[size:]


def encrypted(header: Header, records: bytes, key: bytes) -> tuple[Header, bytes]:
    """The header with its configuration word, and the records in whole blocks, as a meter sends them."""
    plain = PROOF + records
    plain += PROOF[:1] * (-len(plain) % BLOCK)
    blocks = len(plain) // BLOCK
    if blocks > 0x0F:
        raise ValueError(f"{len(records)} bytes of records do not fit into 15 encrypted blocks")
    header = replace(header, configuration=_MODE_5 << 8 | blocks << 4)
    return header, _aes_cbc(key, encode_long_header(header)).encryptor().update(plain)


def _aes_cbc(key: bytes, sent: bytes) -> "Cipher[CBC]":
    """Initial vector: manufacturer, identification, version, medium, and eight times the access number."""
    # a gateway without encrypted meters need not load this library, which takes a second on a small Pi
    from cryptography.hazmat.primitives.ciphers import Cipher  # noqa: PLC0415
    from cryptography.hazmat.primitives.ciphers.algorithms import AES  # noqa: PLC0415
    from cryptography.hazmat.primitives.ciphers.modes import CBC  # noqa: PLC0415

    vector = sent[4:6] + sent[0:4] + sent[6:8] + sent[8:9] * 8
    return Cipher(AES(key), CBC(vector))
