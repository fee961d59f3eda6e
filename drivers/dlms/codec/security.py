"""Security suite 0 (IEC 62056-5-3, 5.3): AES-128-GCM over APDUs, and GMAC over the challenges of a log-in.

Protected content is the security control byte, the invocation counter, the text, and 12 bytes of tag. The
nonce is the sender's system title and counter, so no counter may be used twice with one key.
"""

from dataclasses import dataclass, field
from enum import IntFlag

from drivers.dlms.codec.apdu import (
    ACTION_REQUEST,
    ACTION_RESPONSE,
    GET_REQUEST,
    GET_RESPONSE,
    SET_REQUEST,
    SET_RESPONSE,
    whole,
)
from drivers.dlms.codec.data import counted, take_counted
from drivers.errors import DecodeError

KEY_SIZE = 16
TITLE_SIZE = 8
_TAG_SIZE = 12
_WRONG_KEY = "check the meter's encryption and authentication key, and that nobody changed them since"


class Control(IntFlag):
    """The security control byte of suite 0."""

    AUTHENTICATED = 0x10
    ENCRYPTED = 0x20


BOTH = Control.AUTHENTICATED | Control.ENCRYPTED


_CIPHERED = {
    GET_REQUEST: 0xC8,
    SET_REQUEST: 0xC9,
    ACTION_REQUEST: 0xCB,
    GET_RESPONSE: 0xCC,
    SET_RESPONSE: 0xCD,
    ACTION_RESPONSE: 0xCF,
}
_GENERAL = 0xDB


@dataclass(frozen=True, slots=True)
class Keys:
    """A meter's global unicast encryption key and its authentication key, 16 bytes each; never shown."""

    encryption: bytes = field(repr=False)
    authentication: bytes = field(repr=False)

    @classmethod
    def parse(cls, key: bytes) -> "Keys":
        """16 bytes: one key for both; 32: first the encryption key, then the other. Raises ValueError."""
        if len(key) not in (KEY_SIZE, 2 * KEY_SIZE):
            raise ValueError(f"a DLMS key has 16 bytes, or 32 with the authentication key; not {len(key)}")
        return cls(key[:KEY_SIZE], key[-KEY_SIZE:])


def protect(keys: Keys, title: bytes, counter: int, text: bytes, control: Control = BOTH) -> bytes:
    """The protected content of `text`, sent by `title`."""
    from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes  # noqa: PLC0415

    head = bytes((control,)) + counter.to_bytes(4, "big")
    clear = b"" if control & Control.ENCRYPTED else text
    encryptor = Cipher(algorithms.AES(keys.encryption), modes.GCM(title + head[1:])).encryptor()
    encryptor.authenticate_additional_data(head[:1] + keys.authentication + clear)
    hidden = encryptor.update(text[len(clear) :]) + encryptor.finalize()
    return head + clear + hidden + encryptor.tag[:_TAG_SIZE]


def unprotect(keys: Keys, title: bytes, content: bytes) -> tuple[int, bytes]:
    """The sender's invocation counter, and the text. Raises DecodeError where the tag is wrong."""
    from cryptography.exceptions import InvalidTag  # noqa: PLC0415 (only meters with keys need it)
    from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes  # noqa: PLC0415

    if len(content) < 5 or content[0] & ~BOTH:
        raise DecodeError("no content of security suite 0")
    control = Control(content[0])
    head, text = content[1:5], content[5:]
    if not control & Control.AUTHENTICATED:
        raise DecodeError("the content is not authenticated")
    if len(text) < _TAG_SIZE:
        raise DecodeError("the content ends before its tag")
    text, tag = text[:-_TAG_SIZE], text[-_TAG_SIZE:]
    clear = b"" if control & Control.ENCRYPTED else text
    mode = modes.GCM(title + head, tag, min_tag_length=_TAG_SIZE)
    decryptor = Cipher(algorithms.AES(keys.encryption), mode).decryptor()
    decryptor.authenticate_additional_data(bytes((control,)) + keys.authentication + clear)
    try:
        opened = decryptor.update(text[len(clear) :]) + decryptor.finalize()
    except InvalidTag:
        error = DecodeError("the authentication tag is wrong")
        error.advice = _WRONG_KEY
        raise error from None
    return int.from_bytes(head, "big"), clear + opened


def gmac(keys: Keys, title: bytes, counter: int, challenge: bytes) -> bytes:
    """The answer to a challenge: control, counter, and the tag over it (mechanism 5)."""
    protected = protect(keys, title, counter, challenge, Control.AUTHENTICATED)
    return protected[:5] + protected[-_TAG_SIZE:]


@dataclass(frozen=True, slots=True)
class Ciphered:
    """A protected APDU. `title` is the sender's where it is sent along (general ciphering)."""

    content: bytes = field(repr=False)
    title: bytes | None = None

    def encode(self, inner: int) -> bytes:
        """The bytes; `inner` is the tag of the APDU in it, which service-specific ciphering shows."""
        if self.title is None:
            return bytes((_CIPHERED[inner],)) + counted(self.content)
        return bytes((_GENERAL,)) + counted(self.title) + counted(self.content)


def decode_ciphered(data: bytes) -> Ciphered | None:
    """The protected APDU that `data` is, None for one without protection. Raises DecodeError."""
    if not data or data[0] not in (*_CIPHERED.values(), _GENERAL):
        return None
    position, title = 1, None
    if data[0] == _GENERAL:
        title, position = take_counted(data, position)
    content, end = take_counted(data, position)
    return whole(Ciphered(content, title), data, end)
