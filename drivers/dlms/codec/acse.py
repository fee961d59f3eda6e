"""Opening an association (IEC 62056-5-3, 7.2): AARQ and AARE in BER, around the xDLMS initiate in A-XDR."""

from dataclasses import dataclass, field
from enum import IntEnum, IntFlag

from drivers.dlms.codec.data import counted, take, take_counted
from drivers.errors import DecodeError

AARQ, AARE, RLRQ, RLRE = 0x60, 0x61, 0x62, 0x63
_OBJECT_ID = bytes.fromhex("6085740508")
_CONTEXT_NAME, _MECHANISM_NAME = 1, 2
_LOGICAL_NAMES, _LOGICAL_NAMES_CIPHERED = 1, 3
_INITIATE_REQUEST, _INITIATE_RESPONSE = 0x01, 0x08
CIPHERED_INITIATE_REQUEST, CIPHERED_INITIATE_RESPONSE = 0x21, 0x28
_VERSION = 6
_CONFORMANCE = b"\x5f\x1f\x04\x00"  # BER, four bytes, of which the first counts unused bits
_VAA_NAME = b"\x00\x07"
_REQUIRES_AUTHENTICATION = b"\x07\x80"


class Mechanism(IntEnum):
    """Mechanism by which the client proves who it is."""

    NONE = 0
    LOW = 1  # a password
    HIGH_GMAC = 5


class Conformance(IntFlag):
    """Services, as bits of the 24-bit conformance block (7.3.1); only those of this driver and its server."""

    GENERAL_PROTECTION = 1 << 22
    BLOCK_TRANSFER_WITH_GET = 1 << 12
    GET = 1 << 4
    SET = 1 << 3
    SELECTIVE_ACCESS = 1 << 2
    ACTION = 1 << 0


SUPPORTED = Conformance(sum(Conformance))


class Result(IntEnum):
    """Result of an association request."""

    ACCEPTED = 0
    REJECTED = 1
    REJECTED_FOR_NOW = 2


DIAGNOSTICS = {
    2: "this application context is not supported (with or without ciphering)",
    11: "this authentication mechanism is not recognised",
    12: "an authentication mechanism is required",
    13: "authentication failed",
    14: "authentication required",
}


@dataclass(frozen=True, slots=True)
class Initiate:
    """The xDLMS part, of a request or a response: services, and the longest APDU that its sender takes."""

    conformance: int = SUPPORTED
    longest: int = 0xFFFF

    def encode(self, *, response: bool) -> bytes:
        sizes = _CONFORMANCE + int(self.conformance).to_bytes(3, "big") + self.longest.to_bytes(2, "big")
        if response:
            return bytes((_INITIATE_RESPONSE, 0, _VERSION)) + sizes + _VAA_NAME
        return bytes((_INITIATE_REQUEST, 0, 0, 0, _VERSION)) + sizes

    @classmethod
    def decode(cls, data: bytes) -> "Initiate":
        """Those of a request without a dedicated key, or of a response. Raises DecodeError."""
        (tag,), position = take(data, 0, 1)
        if tag == _INITIATE_REQUEST:
            optional, position = take(
                data, position, 3
            )  # dedicated key, response allowed, quality of service
            if optional[0] or optional[2]:
                raise DecodeError("a dedicated key or a quality of service", offset=1)
        elif tag == _INITIATE_RESPONSE:
            (quality,), position = take(data, position, 1)
            _, position = take(data, position, 1 if quality else 0)
        else:
            raise DecodeError(f"no initiate begins with {tag:02X}", offset=0)
        version, position = take(data, position, 1)
        head, position = take(data, position, 2)
        if head == _CONFORMANCE[:2]:
            head, position = take(data, position, 2)
        if version[0] != _VERSION or head != _CONFORMANCE[2:]:
            raise DecodeError("another version of DLMS, or no conformance block", offset=position)
        conformance, position = take(data, position, 3)
        longest, _ = take(data, position, 2)
        return cls(int.from_bytes(conformance, "big"), int.from_bytes(longest, "big"))


@dataclass(frozen=True, slots=True)
class AssociationRequest:
    """AARQ. `authentication` is the password, or the client's challenge; `initiate` may be protected."""

    initiate: bytes
    mechanism: int = Mechanism.NONE
    ciphered: bool = False
    title: bytes | None = None
    authentication: bytes | None = field(default=None, repr=False)

    def encode(self) -> bytes:
        fields = [
            _field(0xA1, _context(self.ciphered)),
            *([_field(0xA6, _field(0x04, self.title))] if self.title else []),
        ]
        if self.mechanism:
            fields += [_field(0x8A, _REQUIRES_AUTHENTICATION), _field(0x8B, _mechanism(self.mechanism))]
            fields.append(_field(0xAC, _field(0x80, self.authentication or b"")))
        fields.append(_field(0xBE, _field(0x04, self.initiate)))
        return _field(AARQ, b"".join(fields))

    @classmethod
    def decode(cls, data: bytes) -> "AssociationRequest":
        """Raises DecodeError."""
        fields = _fields(data, AARQ)
        return cls(
            _inner(fields, 0xBE, 0x04) or b"",
            fields.get(0x8B, b"\0")[-1],
            _is_ciphered(fields),
            _inner(fields, 0xA6, 0x04),
            _inner(fields, 0xAC, 0x80),
        )


@dataclass(frozen=True, slots=True)
class AssociationResponse:
    """AARE. `authentication` is the server's challenge; `initiate` a response, an error, or protected."""

    result: int
    diagnostic: int
    initiate: bytes = b""
    mechanism: int = Mechanism.NONE
    ciphered: bool = False
    title: bytes | None = None
    authentication: bytes | None = field(default=None, repr=False)

    def encode(self) -> bytes:
        fields = [
            _field(0xA1, _context(self.ciphered)),
            _field(0xA2, _field(0x02, bytes((self.result,)))),
            _field(0xA3, _field(0xA1, _field(0x02, bytes((self.diagnostic,))))),
            *([_field(0xA4, _field(0x04, self.title))] if self.title else []),
        ]
        if self.authentication:
            fields += [_field(0x88, _REQUIRES_AUTHENTICATION), _field(0x89, _mechanism(self.mechanism))]
            fields.append(_field(0xAA, _field(0x80, self.authentication)))
        if self.initiate:
            fields.append(_field(0xBE, _field(0x04, self.initiate)))
        return _field(AARE, b"".join(fields))

    @classmethod
    def decode(cls, data: bytes) -> "AssociationResponse":
        """Raises DecodeError."""
        fields = _fields(data, AARE)
        result = _inner(fields, 0xA2, 0x02)
        source = fields.get(0xA3, b"")[:1]  # the user of the association service, or its provider
        diagnostic = _inner({0: _inner(fields, 0xA3, source[0]) or b""}, 0, 0x02) if source else None
        if not result or not diagnostic:
            raise DecodeError("an AARE without result")
        return cls(
            result[-1],
            diagnostic[-1],
            _inner(fields, 0xBE, 0x04) or b"",
            fields.get(0x89, b"\0")[-1],
            _is_ciphered(fields),
            _inner(fields, 0xA4, 0x04),
            _inner(fields, 0xAA, 0x80),
        )


def _context(ciphered: bool) -> bytes:
    name = bytes((_CONTEXT_NAME, _LOGICAL_NAMES_CIPHERED if ciphered else _LOGICAL_NAMES))
    return _field(0x06, _OBJECT_ID + name)


def _mechanism(mechanism: int) -> bytes:
    return _OBJECT_ID + bytes((_MECHANISM_NAME, mechanism))


def _is_ciphered(fields: dict[int, bytes]) -> bool:
    name = _inner(fields, 0xA1, 0x06) or b""
    if name[:-1] != _OBJECT_ID + bytes((_CONTEXT_NAME,)) or name[-1] not in (1, 3):
        raise DecodeError("the application context is not one of logical names")
    return name[-1] == _LOGICAL_NAMES_CIPHERED


def _field(tag: int, content: bytes) -> bytes:
    return bytes((tag,)) + counted(content)


def _fields(data: bytes, tag: int) -> dict[int, bytes]:
    """The fields of the APDU with that tag, none of them empty. Raises DecodeError."""
    (found,), position = take(data, 0, 1)
    if found != tag:
        raise DecodeError(f"APDU {found:02X} where {tag:02X} belongs", offset=0)
    body, end = take_counted(data, position)
    if end != len(data):
        raise DecodeError(f"{len(data) - end} bytes after the end of the APDU", offset=end)
    fields: dict[int, bytes] = {}
    position = 0
    while position < len(body):
        (one,), position = take(body, position, 1)
        content, position = take_counted(body, position)
        if content:
            fields[one] = content
    return fields


def _inner(fields: dict[int, bytes], tag: int, inner: int) -> bytes | None:
    """The content of the field within the field, None where it is missing. Raises DecodeError."""
    if tag not in fields:
        return None
    (found,), position = take(fields[tag], 0, 1)
    if found != inner:
        raise DecodeError(f"field {tag:02X} holds {found:02X}, not {inner:02X}")
    content, _ = take_counted(fields[tag], position)
    return content or None
