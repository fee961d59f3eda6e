"""The xDLMS services on logical names (IEC 62056-5-3, 7.3): GET with blocks, SET, ACTION, and refusals."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from drivers.dlms.codec.data import Data, counted, encode_data, take, take_counted, take_data
from drivers.errors import DecodeError

_INVOKE = 0xC1  # invoke id 1, confirmed, high priority
GET_REQUEST, SET_REQUEST, ACTION_REQUEST = 0xC0, 0xC1, 0xC3
GET_RESPONSE, SET_RESPONSE, ACTION_RESPONSE = 0xC4, 0xC5, 0xC7
_EXCEPTION, _SERVICE_ERROR = 0xD8, 0x0E
_NORMAL, _NEXT, _WITH_BLOCK = 1, 2, 2
_COUNTER_ERROR = 6

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Attribute:
    """One attribute (or method) of an object: class, logical name (six bytes), and number."""

    class_id: int
    name: bytes
    number: int

    def encode(self) -> bytes:
        return self.class_id.to_bytes(2, "big") + self.name + bytes((self.number,))

    def __str__(self) -> str:
        a, b, c, d, e, f = self.name
        return f"{a}-{b}:{c}.{d}.{e}*{f} attribute {self.number}"


@dataclass(frozen=True, slots=True)
class RangeSelection:
    """Selective access: 1 a range, 2 entries."""

    selector: int
    parameters: Data


@dataclass(frozen=True, slots=True)
class GetRequest:
    """Request for an attribute, or for the entries of a buffer that `selection` names."""

    attribute: Attribute
    selection: RangeSelection | None = None


@dataclass(frozen=True, slots=True)
class GetNext:
    """Request for the block after this number."""

    block: int


@dataclass(frozen=True, slots=True)
class GetResult:
    """The whole value, or the reason why there is none (data access result)."""

    value: Data | None
    error: int = 0


@dataclass(frozen=True, slots=True)
class GetBlock:
    """A piece of the value's bytes."""

    last: bool
    number: int
    raw: bytes
    error: int = 0


@dataclass(frozen=True, slots=True)
class SetRequest:
    """Gives an attribute a value."""

    attribute: Attribute
    value: Data


@dataclass(frozen=True, slots=True)
class SetResult:
    """0, or the reason why not (data access result)."""

    result: int


@dataclass(frozen=True, slots=True)
class ActionRequest:
    """Request to call a method."""

    method: Attribute
    parameters: Data | None = None


@dataclass(frozen=True, slots=True)
class ActionResult:
    """0 or the reason why not (action result), and what the method returns."""

    result: int
    value: Data | None = None


@dataclass(frozen=True, slots=True)
class ExceptionResponse:
    """The server's general refusal. `counter` is the least invocation counter it takes, if that was wrong."""

    state: int
    service: int
    counter: int | None = None


@dataclass(frozen=True, slots=True)
class ServiceError:
    """A refusal of the association: which service, the kind of error, its value."""

    service: int
    kind: int
    value: int


Request = GetRequest | GetNext | SetRequest | ActionRequest
Response = GetResult | GetBlock | SetResult | ActionResult | ExceptionResponse | ServiceError
Apdu = Request | Response


def encode_apdu(apdu: Apdu) -> bytes:
    """The bytes of an APDU without protection."""
    match apdu:
        case GetRequest(attribute, selection):
            body = attribute.encode()
            if selection is None:
                body += b"\0"
            else:
                body += bytes((1, selection.selector)) + encode_data(selection.parameters)
            return bytes((GET_REQUEST, _NORMAL, _INVOKE)) + body
        case GetNext(block):
            return bytes((GET_REQUEST, _NEXT, _INVOKE)) + block.to_bytes(4, "big")
        case GetResult(value, error):
            result = b"\0" + encode_data(value) if value is not None else bytes((1, error))
            return bytes((GET_RESPONSE, _NORMAL, _INVOKE)) + result
        case GetBlock(last, number, raw, error):
            result = bytes((1, error)) if error else b"\0" + counted(raw)
            return bytes((GET_RESPONSE, _WITH_BLOCK, _INVOKE, last)) + number.to_bytes(4, "big") + result
        case SetRequest(attribute, value):
            return bytes((SET_REQUEST, _NORMAL, _INVOKE)) + attribute.encode() + b"\0" + encode_data(value)
        case SetResult(result):
            return bytes((SET_RESPONSE, _NORMAL, _INVOKE, result))
        case ActionRequest(method, parameters):
            body = b"\0" if parameters is None else b"\1" + encode_data(parameters)
            return bytes((ACTION_REQUEST, _NORMAL, _INVOKE)) + method.encode() + body
        case ActionResult(result, value):
            body = b"\0" if value is None else b"\1\0" + encode_data(value)
            return bytes((ACTION_RESPONSE, _NORMAL, _INVOKE, result)) + body
        case ExceptionResponse(state, service, counter):
            extra = b"" if counter is None else counter.to_bytes(4, "big")
            return bytes((_EXCEPTION, state, service)) + extra
        case ServiceError(service, kind, value):
            return bytes((_SERVICE_ERROR, service, kind, value))


def decode_apdu(data: bytes) -> Apdu:
    """The APDU that `data` is. Raises DecodeError, and nothing else."""
    (tag,), begun = take(data, 0, 1)
    if tag == _EXCEPTION:
        (state, service), end = take(data, begun, 2)
        counter = None
        if service == _COUNTER_ERROR:
            raw, end = take(data, end, 4)
            counter = int.from_bytes(raw, "big")
        return whole(ExceptionResponse(state, service, counter), data, end)
    if tag == _SERVICE_ERROR:
        (service, kind, value), end = take(data, begun, 3)
        return whole(ServiceError(service, kind, value), data, end)
    (form, _), position = take(data, begun, 2)
    decode = _DECODERS.get((tag, form))
    if decode is None:
        raise DecodeError(f"APDU {tag:02X} {form:02X} is not one of those read here", offset=0)
    apdu, end = decode(data, position)
    return whole(apdu, data, end)


def whole(apdu: _T, data: bytes, end: int) -> _T:
    """`apdu`, if it ends where `data` end. Raises DecodeError."""
    if end != len(data):
        raise DecodeError(f"{len(data) - end} bytes after the end of the APDU", offset=end)
    return apdu


def _attribute(data: bytes, position: int) -> tuple[Attribute, int]:
    raw, end = take(data, position, 9)
    return Attribute(int.from_bytes(raw[:2], "big"), raw[2:8], raw[8]), end


def _flag(data: bytes, position: int) -> tuple[bool, int]:
    """Whether an optional part follows."""
    (flag,), end = take(data, position, 1)
    if flag > 1:
        raise DecodeError(f"{flag:02X} where 0 or 1 belongs", offset=position)
    return bool(flag), end


def _get_request(data: bytes, position: int) -> tuple[Apdu, int]:
    attribute, position = _attribute(data, position)
    selective, position = _flag(data, position)
    if not selective:
        return GetRequest(attribute), position
    (selector,), position = take(data, position, 1)
    parameters, end = take_data(data, position)
    return GetRequest(attribute, RangeSelection(selector, parameters)), end


def _get_next(data: bytes, position: int) -> tuple[Apdu, int]:
    raw, end = take(data, position, 4)
    return GetNext(int.from_bytes(raw, "big")), end


def _get_result(data: bytes, position: int) -> tuple[Apdu, int]:
    failed, position = _flag(data, position)
    if failed:
        (error,), end = take(data, position, 1)
        return GetResult(None, error), end
    value, end = take_data(data, position)
    return GetResult(value), end


def _get_block(data: bytes, position: int) -> tuple[Apdu, int]:
    last, position = _flag(data, position)
    raw, position = take(data, position, 4)
    number = int.from_bytes(raw, "big")
    failed, position = _flag(data, position)
    if failed:
        (error,), end = take(data, position, 1)
        if not error:
            raise DecodeError("a block that failed with success", offset=position)
        return GetBlock(last, number, b"", error), end
    raw, end = take_counted(data, position)
    return GetBlock(last, number, raw), end


def _set_request(data: bytes, position: int) -> tuple[Apdu, int]:
    attribute, position = _attribute(data, position)
    selective, position = _flag(data, position)
    if selective:
        raise DecodeError("a SET of selected entries", offset=position)
    value, end = take_data(data, position)
    return SetRequest(attribute, value), end


def _set_result(data: bytes, position: int) -> tuple[Apdu, int]:
    (result,), end = take(data, position, 1)
    return SetResult(result), end


def _action_request(data: bytes, position: int) -> tuple[Apdu, int]:
    method, position = _attribute(data, position)
    present, position = _flag(data, position)
    if not present:
        return ActionRequest(method), position
    parameters, end = take_data(data, position)
    return ActionRequest(method, parameters), end


def _action_result(data: bytes, position: int) -> tuple[Apdu, int]:
    (result,), position = take(data, position, 1)
    present, position = _flag(data, position)
    if not present:
        return ActionResult(result), position
    failed, position = _flag(data, position)
    if failed:
        (error,), end = take(data, position, 1)
        return ActionResult(result or error), end
    value, end = take_data(data, position)
    return ActionResult(result, value), end


_DECODERS: dict[tuple[int, int], Callable[[bytes, int], tuple[Apdu, int]]] = {
    (GET_REQUEST, _NORMAL): _get_request,
    (GET_REQUEST, _NEXT): _get_next,
    (GET_RESPONSE, _NORMAL): _get_result,
    (GET_RESPONSE, _WITH_BLOCK): _get_block,
    (SET_REQUEST, _NORMAL): _set_request,
    (SET_RESPONSE, _NORMAL): _set_result,
    (ACTION_REQUEST, _NORMAL): _action_request,
    (ACTION_RESPONSE, _NORMAL): _action_result,
}
