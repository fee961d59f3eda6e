"""SML binary encoding (TR-03109-1 annex IV, 6): a type-length field, then the value; lists nest.

The high nibble of the type-length byte is the type (bit 7: another length byte follows), the low one the
length: of a list its elements, of anything else the bytes including the type-length field.
"""

from dataclasses import dataclass

from drivers.errors import DecodeError

OCTETS, BOOLEAN, SIGNED, UNSIGNED, LIST = 0x00, 0x40, 0x50, 0x60, 0x70
_MORE = 0x80
_DEEPEST = 12  # a message nests five deep


@dataclass(frozen=True, slots=True)
class Integer:
    """A number, and how it was sent: some meters get the sign wrong, which its `size` in bytes tells."""

    value: int
    size: int
    signed: bool = False

    @property
    def unsigned_value(self) -> int:
        """The same bytes without a sign."""
        return self.value % (1 << 8 * self.size)


Value = bytes | bool | Integer | tuple["Value", ...] | None


def decode(data: bytes, position: int = 0, *, depth: int = 0) -> tuple[Value, int]:
    """The value at `position`, and where it ends. An omitted optional value is None. Raises DecodeError."""
    if depth > _DEEPEST:
        raise DecodeError("lists nest too deep", offset=position)
    begun = position
    kind, length, position = _type_length(data, position)
    if kind == LIST:
        if length > len(data) - position:
            raise DecodeError(f"a list of {length} ends too early", offset=position)
        elements = []
        for _ in range(length):
            element, position = decode(data, position, depth=depth + 1)
            elements.append(element)
        return tuple(elements), position
    end = begun + length
    if length < position - begun or end > len(data):
        raise DecodeError(f"a value of {length} bytes ends too early", offset=begun)
    content = data[position:end]
    if kind == OCTETS:
        return (content if length > 1 else None), end
    if kind == BOOLEAN and len(content) == 1:
        return content != b"\0", end
    if kind in (SIGNED, UNSIGNED) and 1 <= len(content) <= 8:
        signed = kind == SIGNED
        return Integer(int.from_bytes(content, "big", signed=signed), len(content), signed), end
    raise DecodeError(f"no value has type {kind:02X} and {len(content)} bytes", offset=begun)


def encode(value: Value) -> bytes:
    """The bytes of a value. Raises OverflowError for an integer that does not fit its size."""
    if value is None:
        return b"\x01"
    if isinstance(value, bool):
        return bytes((BOOLEAN | 2, value))
    if isinstance(value, Integer):
        kind = SIGNED if value.signed else UNSIGNED
        return bytes((kind | value.size + 1,)) + value.value.to_bytes(value.size, "big", signed=value.signed)
    if isinstance(value, bytes):
        length = len(value) + 1
        while len(field := _field(OCTETS, length)) + len(value) != length:
            length += 1
        return field + value
    return _field(LIST, len(value)) + b"".join(map(encode, value))


def _type_length(data: bytes, position: int) -> tuple[int, int, int]:
    """Type, length, and where the field ends."""
    length, kind = 0, None
    while position < len(data):
        byte = data[position]
        position += 1
        if kind is None:
            kind = byte & 0x70
        elif byte & 0x70:
            raise DecodeError(f"{byte:02X} continues no length", offset=position - 1)
        length = length << 4 | byte & 0x0F
        if length > len(data):
            raise DecodeError(f"a length of {length} in {len(data)} bytes", offset=position - 1)
        if not byte & _MORE:
            return kind, length, position
    raise DecodeError("the data end in a type-length field", offset=position)


def _field(kind: int, length: int) -> bytes:
    nibbles = [length & 0x0F]
    while length := length >> 4:
        nibbles.insert(0, length & 0x0F)
    first, *others = nibbles
    field = [kind | first, *others]
    return bytes(byte | (_MORE if index < len(field) - 1 else 0) for index, byte in enumerate(field))
