"""Server of a virtual meter: log-ins of three levels, GET with blocks and ranges, SET, ACTION."""

from collections.abc import Callable, Iterable, Mapping, MutableMapping
from dataclasses import dataclass, field
from datetime import UTC

from drivers.dlms.codec import security
from drivers.dlms.codec.acse import (
    AARQ,
    CIPHERED_INITIATE_REQUEST,
    CIPHERED_INITIATE_RESPONSE,
    RLRE,
    RLRQ,
    SUPPORTED,
    AssociationRequest,
    AssociationResponse,
    Initiate,
    Mechanism,
    Result,
)
from drivers.dlms.codec.apdu import (
    ActionRequest,
    ActionResult,
    Attribute,
    ExceptionResponse,
    GetBlock,
    GetNext,
    GetRequest,
    GetResult,
    RangeSelection,
    Response,
    SetRequest,
    SetResult,
    decode_apdu,
    encode_apdu,
)
from drivers.dlms.codec.clock import decode_date_time
from drivers.dlms.codec.data import (
    Data,
    DataTag,
    array,
    counted,
    encode_data,
    long_unsigned,
    octet_string,
    structure,
    take_counted,
    unsigned,
)
from drivers.dlms.codec.objects import (
    BUFFER,
    CAPTURE_OBJECTS,
    INVOCATION_COUNTERS,
    OBJECT_LIST,
    REPLY_TO_CHALLENGE,
    CaptureColumn,
    ClassId,
)
from drivers.dlms.codec.security import Keys
from drivers.errors import DecodeError

Content = Data | Callable[[], Data]
Objects = MutableMapping[Attribute, Content]

_REQUEST_NOT_ALLOWED, _WRONG_COUNTER = ExceptionResponse(1, 1), 6
_DENIED, _UNDEFINED, _NOT_UNDERSTOOD, _BLOCK_UNKNOWN = 3, 4, 13, 19
_AUTHENTICATION_FAILED, _MECHANISM_REQUIRED = 13, 12
_BLOCK_OVERHEAD = 24  # of a block's APDU, and of its protection


@dataclass(slots=True)
class ServerAccess:
    """Ways to log in: for anybody (`public`), with a password, with keys; `writable` may be set."""

    password: bytes | None = field(default=None, repr=False)
    keys: Keys | None = field(default=None, repr=False)
    public: bool = True
    writable: frozenset[Attribute] = frozenset()


class DlmsServer:
    """Server with one association at a time. `title` is the meter's system title (8 bytes)."""

    def __init__(
        self,
        objects: Objects,
        access: ServerAccess,
        title: bytes,
        random: Callable[[int], bytes],
        *,
        longest: int,
    ) -> None:
        self.objects = objects
        self.access = access
        self.title = title
        self.random = random
        self.longest = longest
        self.refuses_ranges = False
        self.hides_objects = False
        self._counter = 0
        self.clients_counter = 0
        self.reset()

    def reset(self) -> None:
        """The link was set up anew: nobody is logged in."""
        self._mechanism: int | None = None
        self._proven = False
        self._client_title = self._challenge = self._clients_challenge = b""
        self._blocks: list[bytes] = []
        self._block = 0
        self._size = self.longest

    def handle(self, apdu: bytes) -> bytes:
        try:
            if apdu[:1] == bytes((AARQ,)):
                return self._associate(AssociationRequest.decode(apdu)).encode()
            if apdu[:1] == bytes((RLRQ,)):
                self.reset()
                return bytes((RLRE, 3, 0x80, 1, 0))
            ciphered = security.decode_ciphered(apdu)
            if ciphered is None:
                return encode_apdu(self._answer(apdu, protected=False))
            keys = self.access.keys
            if keys is None or self._mechanism != Mechanism.HIGH_GMAC:
                return encode_apdu(_REQUEST_NOT_ALLOWED)
            counter, text = security.unprotect(keys, self._client_title, ciphered.content)
            if counter <= self.clients_counter:
                return encode_apdu(ExceptionResponse(1, _WRONG_COUNTER, self.clients_counter + 1))
            self.clients_counter = counter
            answer = encode_apdu(self._answer(text, protected=True))
            content = security.protect(keys, self.title, self._next_counter(), answer)
            title = None if ciphered.title is None else self.title
            return security.Ciphered(content, title).encode(answer[0])
        except DecodeError:
            return encode_apdu(ExceptionResponse(2, 1))

    def _associate(self, request: AssociationRequest) -> AssociationResponse:
        self.reset()
        access, mechanism = self.access, request.mechanism
        initiate = request.initiate
        if mechanism == Mechanism.HIGH_GMAC and access.keys and request.ciphered and request.title:
            self._client_title = request.title
            if initiate[:1] == bytes((CIPHERED_INITIATE_REQUEST,)):
                counter, initiate = security.unprotect(
                    access.keys, request.title, take_counted(initiate, 1)[0]
                )
                if counter <= self.clients_counter:
                    return AssociationResponse(Result.REJECTED, _AUTHENTICATION_FAILED)
                self.clients_counter = counter
        elif mechanism == Mechanism.LOW:
            if access.password is None or request.authentication != access.password:
                return AssociationResponse(Result.REJECTED, _AUTHENTICATION_FAILED)
        elif mechanism != Mechanism.NONE or not access.public:
            return AssociationResponse(Result.REJECTED, _MECHANISM_REQUIRED)
        proposed = Initiate.decode(initiate)
        self._size = min(self.longest, proposed.longest or self.longest)
        self._mechanism = mechanism
        agreed = Initiate(proposed.conformance & SUPPORTED, self.longest).encode(response=True)
        if mechanism != Mechanism.HIGH_GMAC:
            self._proven = True
            return AssociationResponse(Result.ACCEPTED, 0, agreed)
        assert access.keys is not None  # as checked above
        self._clients_challenge, self._challenge = request.authentication or b"", self.random(16)
        content = security.protect(access.keys, self.title, self._next_counter(), agreed)
        return AssociationResponse(
            Result.ACCEPTED,
            14,
            bytes((CIPHERED_INITIATE_RESPONSE,)) + counted(content),
            Mechanism.HIGH_GMAC,
            ciphered=True,
            title=self.title,
            authentication=self._challenge,
        )

    def _answer(self, data: bytes, *, protected: bool) -> Response:
        request = decode_apdu(data)
        if self._mechanism is None or (self._mechanism == Mechanism.HIGH_GMAC) != protected:
            return _REQUEST_NOT_ALLOWED
        if isinstance(request, ActionRequest) and request.method == REPLY_TO_CHALLENGE:
            return self._prove(request)
        if not self._proven:
            return _REQUEST_NOT_ALLOWED
        if isinstance(request, GetRequest):
            return self._get(request)
        if isinstance(request, GetNext):
            return self._next_block(request.block)
        if isinstance(request, SetRequest):
            return SetResult(self._set(request))
        if isinstance(request, ActionRequest):
            return ActionResult(_UNDEFINED)
        return _REQUEST_NOT_ALLOWED

    def _prove(self, request: ActionRequest) -> ActionResult:
        keys = self.access.keys
        reply = request.parameters.octets if request.parameters else b""
        counter = int.from_bytes(reply[1:5], "big")
        if keys is None or reply != security.gmac(keys, self._client_title, counter, self._challenge):
            return ActionResult(_DENIED)
        self._proven = True
        answer = security.gmac(keys, self.title, self._next_counter(), self._clients_challenge)
        return ActionResult(0, octet_string(answer))

    def _get(self, request: GetRequest) -> Response:
        attribute = request.attribute
        if self._mechanism == Mechanism.NONE and self.access.keys and attribute != INVOCATION_COUNTERS[0]:
            return GetResult(None, _DENIED)
        if attribute == OBJECT_LIST and not self.hides_objects:
            content: Content = object_list(self.objects)
        elif attribute == INVOCATION_COUNTERS[0] and self.access.keys:
            content = Data(DataTag.DOUBLE_LONG_UNSIGNED, self.clients_counter)
        elif attribute in self.objects:
            content = self.objects[attribute]
        else:
            return GetResult(None, _UNDEFINED)
        value = content() if callable(content) else content
        if request.selection:
            if self.refuses_ranges:
                return GetResult(None, _NOT_UNDERSTOOD)
            value = self._selected(attribute, value, request.selection)
        encoded = encode_data(value)
        size = self._size - _BLOCK_OVERHEAD
        if len(encoded) <= size:
            return GetResult(value)
        self._blocks = [encoded[first : first + size] for first in range(0, len(encoded), size)]
        self._block = 0
        return self._next_block(0)

    def _next_block(self, number: int) -> Response:
        if number != self._block or self._block >= len(self._blocks):
            return GetBlock(last=True, number=number, raw=b"", error=_BLOCK_UNKNOWN)
        self._block += 1
        return GetBlock(self._block == len(self._blocks), self._block, self._blocks[number])

    def _set(self, request: SetRequest) -> int:
        if request.attribute not in self.objects:
            return _UNDEFINED
        if request.attribute not in self.access.writable:
            return _DENIED
        self.objects[request.attribute] = request.value
        return 0

    def _selected(self, attribute: Attribute, buffer: Data, selection: RangeSelection) -> Data:
        """The entries within a range of the restricting column. Raises DecodeError for other selections."""
        parameters = selection.parameters.items
        columns = self.objects.get(Attribute(attribute.class_id, attribute.name, CAPTURE_OBJECTS))
        if selection.selector != 1 or attribute.number != BUFFER or len(parameters) != 4:
            raise DecodeError("a selection that is no range")
        assert isinstance(columns, Data)  # a virtual meter's profiles have them, and they don't change
        restricting, first, last, _ = parameters
        attributes = [CaptureColumn.decode(one).attribute for one in columns.items]
        if CaptureColumn.decode(restricting).attribute not in attributes:
            raise DecodeError("a range of a column that is not there")
        place = attributes.index(CaptureColumn.decode(restricting).attribute)
        since, until = (decode_date_time(one.octets, UTC).instant for one in (first, last))
        return array(
            *(
                entry
                for entry in buffer.items
                if since <= decode_date_time(entry.items[place].octets, UTC).instant <= until
            )
        )

    def _next_counter(self) -> int:
        self._counter += 1
        return self._counter


def object_list(objects: Iterable[Attribute] | Mapping[Attribute, Content]) -> Data:
    """Attribute 2 of the association: class, version, logical name, access rights (none told)."""
    known = dict.fromkeys((one.class_id, one.name) for one in objects)
    rights = structure(array(), array())
    return array(
        *(structure(long_unsigned(c), unsigned(0), octet_string(name), rights) for c, name in known),
        structure(long_unsigned(ClassId.ASSOCIATION), unsigned(1), octet_string(OBJECT_LIST.name), rights),
    )
