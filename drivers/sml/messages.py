"""The messages of a pushed telegram (TR-03109-1 annex IV, 7): open, the list of values, close.

Every message has a CRC of its own. Some Holley and Itron meters compute it as CRC-16/Kermit instead of X.25
(github.com/volkszaehler/libsml, issues 75 and 83); both are taken, none is left unchecked.
"""

from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from enum import IntEnum

from drivers.cosem import scaled
from drivers.crc import kermit, x25
from drivers.errors import DecodeError
from drivers.sml.tlv import Integer, Value, decode, encode

_END_OF_MESSAGE = b"\0"
_MOST_SCALER = 30  # 10^30: nothing that is measured


class MessageTag(IntEnum):
    """Tag of a message's body."""

    OPEN_RESPONSE = 0x0101
    CLOSE_RESPONSE = 0x0201
    LIST_RESPONSE = 0x0701


class TimeKind(IntEnum):
    """Kind of a time: what it counts."""

    SECONDS_INDEX = 1  # seconds of operation: no wall clock
    TIMESTAMP = 2  # seconds since 1970, UTC
    LOCAL_TIMESTAMP = 3


@dataclass(frozen=True, slots=True)
class SmlTime:
    """A time as meters tell it."""

    kind: TimeKind
    seconds: int

    @property
    def instant(self) -> datetime | None:
        """The instant, None for a count of seconds of operation, and beyond the calendar."""
        if self.kind is TimeKind.SECONDS_INDEX:
            return None
        try:
            return datetime.fromtimestamp(self.seconds, UTC)
        except (ValueError, OverflowError, OSError):
            return None


@dataclass(frozen=True, slots=True)
class ListEntry:
    """Value: `name` is the OBIS code's six bytes, `unit` a COSEM unit code, `scaler` a power of ten."""

    name: bytes
    value: Value
    unit: int | None = None
    scaler: int = 0
    status: int | None = None
    time: SmlTime | None = None

    @property
    def number(self) -> Decimal | None:
        """The exact number, None for a text."""
        return scaled(self.value.value, self.scaler) if isinstance(self.value, Integer) else None


@dataclass(frozen=True, slots=True)
class OpenResponse:
    """Message that begins a telegram."""

    server_id: bytes
    file_id: bytes = b"\0"
    client_id: bytes | None = None
    time: SmlTime | None = None


@dataclass(frozen=True, slots=True)
class ListResponse:
    """The values of one meter."""

    server_id: bytes
    entries: tuple[ListEntry, ...]
    list_name: bytes | None = None
    sensor_time: SmlTime | None = None


@dataclass(frozen=True, slots=True)
class CloseResponse:
    """Ends a telegram."""


@dataclass(frozen=True, slots=True)
class OtherBody:
    """A message that no reader of values needs."""

    tag: int


Body = OpenResponse | ListResponse | CloseResponse | OtherBody


@dataclass(frozen=True, slots=True)
class Message:
    """A body in its frame."""

    transaction: bytes
    body: Body


def decode_messages(data: bytes) -> list[Message]:
    """All messages of a telegram. Raises DecodeError, and nothing else."""
    messages = []
    position = 0
    while position < len(data):
        message, position = _message(data, position)
        messages.append(message)
    return messages


def encode_message(message: Message) -> bytes:
    """The bytes of a message with its CRC. Raises ValueError for a body that is only ever read."""
    body = message.body
    if isinstance(body, OpenResponse):
        tag = MessageTag.OPEN_RESPONSE
        fields: tuple[Value, ...] = (
            *(None, body.client_id, body.file_id),
            *(body.server_id, _encoded_time(body.time), None),
        )
    elif isinstance(body, ListResponse):
        tag = MessageTag.LIST_RESPONSE
        entries = tuple(map(_encoded_entry, body.entries))
        fields = (
            *(None, body.server_id, body.list_name),
            *(_encoded_time(body.sensor_time), entries, None, None),
        )
    elif isinstance(body, CloseResponse):
        tag, fields = MessageTag.CLOSE_RESPONSE, (None,)
    else:
        raise ValueError(f"messages with tag {body.tag:04X} are not written")
    zero = Integer(0, 1)
    frame: tuple[Value, ...] = (message.transaction, zero, zero, (Integer(tag, 2), fields))
    unchecked = b"\x76" + b"".join(map(encode, frame))
    return unchecked + encode(Integer(int.from_bytes(x25(unchecked), "big"), 2)) + _END_OF_MESSAGE


def _message(data: bytes, begun: int) -> tuple[Message, int]:
    if data[begun] != 0x76:
        raise DecodeError(f"no message begins with {data[begun]:02X}", offset=begun)
    position = begun + 1
    fields: list[Value] = []
    for _ in range(4):
        field, position = decode(data, position)
        fields.append(field)
    crc, end = decode(data, position)
    if data[end : end + 1] != _END_OF_MESSAGE:
        raise DecodeError("the message has no end", offset=end)
    if not isinstance(crc, Integer) or crc.signed or crc.size > 2:
        raise DecodeError("the message has no CRC", offset=position)
    checked = data[begun:position]
    if crc.value.to_bytes(2, "big") not in (x25(checked), kermit(checked)):
        raise DecodeError(f"message CRC {crc.value:04X}, computed {x25(checked).hex()}", offset=position)
    transaction, _, _, body = fields
    return Message(_octets(transaction), _body(body)), end + 1


def _body(value: Value) -> Body:
    tag, content = _list(value, 2, "a body")
    number = _integer(tag)
    if number == MessageTag.OPEN_RESPONSE:
        _, client_id, file_id, server_id, time, _ = _list(content, 6, "an open response")
        return OpenResponse(_octets(server_id), _octets(file_id), _optional(client_id), _time(time))
    if number == MessageTag.LIST_RESPONSE:
        _, server_id, name, time, values, _, _ = _list(content, 7, "a list response")
        if not isinstance(values, tuple):
            raise DecodeError("a list response without values")
        return ListResponse(_octets(server_id), tuple(map(_entry, values)), _optional(name), _time(time))
    if number == MessageTag.CLOSE_RESPONSE:
        return CloseResponse()
    return OtherBody(number)


def _entry(value: Value) -> ListEntry:
    name, status, time, unit, scaler, content, _ = _list(value, 7, "a list entry")
    if len(_octets(name)) != 6:
        raise DecodeError(f"{_octets(name).hex()} is no OBIS code")
    power = 0 if scaler is None else _integer(scaler)
    if abs(power) > _MOST_SCALER:
        raise DecodeError(f"a scaler of {power}")
    return ListEntry(
        _octets(name),
        content,
        None if unit is None else _integer(unit),
        power,
        status.unsigned_value if isinstance(status, Integer) else None,
        _time(time),
    )


def _time(value: Value) -> SmlTime | None:
    """`(choice, seconds)`; Holley meters leave the choice out (libsml, issue 75)."""
    if value is None:
        return None
    if isinstance(value, Integer):
        return SmlTime(TimeKind.SECONDS_INDEX, value.value)
    choice, content = _list(value, 2, "a time")
    seconds = content[0] if isinstance(content, tuple) and content else content
    try:
        return SmlTime(TimeKind(_integer(choice)), _integer(seconds))
    except ValueError as error:  # which a DecodeError is, too
        raise DecodeError(str(error)) from None


def _encoded_time(time: SmlTime | None) -> Value:
    if time is None:
        return None
    seconds = Integer(time.seconds, 4)
    if time.kind is TimeKind.LOCAL_TIMESTAMP:
        zero = Integer(0, 2, signed=True)
        return (Integer(time.kind, 1), (seconds, zero, zero))
    return (Integer(time.kind, 1), seconds)


def _encoded_entry(entry: ListEntry) -> Value:
    return (
        entry.name,
        None if entry.status is None else Integer(entry.status, 4),
        _encoded_time(entry.time),
        None if entry.unit is None else Integer(entry.unit, 1),
        None if entry.unit is None else Integer(entry.scaler, 1, signed=True),
        entry.value,
        None,
    )


def _list(value: Value, length: int, what: str) -> tuple[Value, ...]:
    if not isinstance(value, tuple) or len(value) != length:
        raise DecodeError(f"{what} has not {length} elements")
    return value


def _octets(value: Value) -> bytes:
    if not isinstance(value, bytes):
        raise DecodeError(f"{value!r:.60} where octets belong")
    return value


def _optional(value: Value) -> bytes | None:
    return None if value is None else _octets(value)


def _integer(value: Value) -> int:
    if not isinstance(value, Integer):
        raise DecodeError(f"{value!r:.60} where a number belongs")
    return value.value
