"""The client's end of an association (IEC 62056-5-3): log in, then GET, SET and ACTION on logical names.

Three levels: none; low, with a password; high, with GMAC over challenges and every APDU ciphered (suite 0).
"""

import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from hmac import compare_digest
from typing import TypeVar

from drivers.dlms.codec import security
from drivers.dlms.codec.acse import (
    AARE,
    CIPHERED_INITIATE_REQUEST,
    CIPHERED_INITIATE_RESPONSE,
    DIAGNOSTICS,
    AssociationRequest,
    AssociationResponse,
    Conformance,
    Initiate,
    Mechanism,
    Result,
)
from drivers.dlms.codec.apdu import (
    ActionRequest,
    ActionResult,
    Apdu,
    Attribute,
    ExceptionResponse,
    GetBlock,
    GetNext,
    GetRequest,
    GetResult,
    RangeSelection,
    Request,
    ServiceError,
    SetRequest,
    SetResult,
    decode_apdu,
    encode_apdu,
)
from drivers.dlms.codec.data import Data, counted, decode_data, octet_string, take_counted
from drivers.dlms.codec.objects import REPLY_TO_CHALLENGE
from drivers.dlms.codec.security import Keys
from drivers.dlms.link import HdlcLink
from drivers.errors import DecodeError, GarbledAnswerError, MeterError

log = logging.getLogger(__name__)

_T = TypeVar("_T")

_MOST_BYTES = 1 << 20
_LAST_COUNTER = (1 << 32) - 1
_CHALLENGE_SIZE = 16
ACCESS_RESULTS = {  # data access results (IEC 62056-5-3, 7.3.2)
    1: "hardware fault",
    2: "temporary failure",
    3: "reading or writing is not allowed",
    4: "there is no such object",
    9: "the object is of another class",
    11: "the object is not available",
    12: "the type does not fit",
    13: "this access is not allowed",
    14: "the block is not available",
    15: "the long GET was aborted",
    16: "no long GET is in progress",
    19: "the block's number is wrong",
    250: "another reason",
}
_TEMPORARY = 2


class AccessError(MeterError):
    """The meter refuses one attribute or method; the association goes on."""

    advice = "another client may be shown it: give its address with its password (often 32/1) or key (1/1)"


class LoginError(MeterError):
    """The meter did not accept this client."""

    advice = "check password or keys, and that this client may use them; too many wrong ones lock a meter"


@dataclass(slots=True)
class Credentials:
    """Credentials of a client; `title` is its system title. `counter` is the last one used."""

    title: bytes
    password: bytes | None = field(default=None, repr=False)
    keys: Keys | None = field(default=None, repr=False)
    counter: int = 0

    @property
    def mechanism(self) -> Mechanism:
        if self.keys:
            return Mechanism.HIGH_GMAC
        return Mechanism.LOW if self.password is not None else Mechanism.NONE


class Association:
    """One log-in over a connected link. `random` gives that many random bytes, for the challenge."""

    def __init__(self, link: HdlcLink, credentials: Credentials, random: Callable[[int], bytes]) -> None:
        self.link = link
        self.credentials = credentials
        self.random = random
        self.title = b""  # of the meter, where it tells
        self._raw = bytearray()
        self._conformance = 0
        self._heard = -1  # the meter's last invocation counter

    def open(self) -> None:
        """Log in. Raises LoginError where the meter refuses, and DriverError."""
        credentials, keys = self.credentials, self.credentials.keys
        initiate = Initiate().encode(response=False)
        challenge = self.random(_CHALLENGE_SIZE) if keys else credentials.password
        if keys:
            content = security.protect(keys, credentials.title, self._next_counter(), initiate)
            initiate = bytes((CIPHERED_INITIATE_REQUEST,)) + counted(content)
        request = AssociationRequest(
            initiate,
            credentials.mechanism,
            keys is not None,
            credentials.title if keys else None,
            challenge,
        )
        answer = self.link.exchange(request.encode())
        if answer[:1] != bytes((AARE,)):
            raise LoginError(f"{self.link} does not accept this client: {decode_apdu(answer)}", 0)
        response = AssociationResponse.decode(answer)
        if response.result != Result.ACCEPTED:
            reason = DIAGNOSTICS.get(response.diagnostic, f"diagnostic {response.diagnostic}")
            raise LoginError(f"{self.link} does not accept this client: {reason}", response.diagnostic)
        self.title = response.title or b""
        if keys and len(self.title) != security.TITLE_SIZE:
            raise DecodeError(f"{self.link}: the meter does not tell its system title")
        self._conformance = Initiate.decode(self._initiate(response.initiate)).conformance
        if keys:
            self._prove(keys, response.authentication or b"", challenge or b"")

    def take_raw(self) -> bytes:
        """Requests and answers since it was last taken, without protection; an answer names no object."""
        raw, self._raw = bytes(self._raw), bytearray()
        return raw

    def get(self, attribute: Attribute, selection: RangeSelection | None = None) -> Data:
        """The value of an attribute, in blocks where it is long. Raises AccessError and DriverError."""
        answer = self._request(GetRequest(attribute, selection))
        if isinstance(answer, GetResult):
            if answer.value is None:
                raise _access_error(attribute, answer.error)
            return answer.value
        content = b""
        number = 1
        while isinstance(answer, GetBlock):
            if answer.error:
                raise _access_error(attribute, answer.error)
            if answer.number != number:
                raise DecodeError(f"{self.link}: block {answer.number} of {attribute} instead of {number}")
            content += answer.raw
            if answer.last:
                return decode_data(content)
            if len(content) > _MOST_BYTES:
                raise GarbledAnswerError(f"{self.link}: {attribute} is without end", content)
            answer = self._request(GetNext(number))
            number += 1
        raise _unexpected(answer)

    def get_optional(self, attribute: Attribute) -> Data | None:
        """The value, None where the meter refuses it. Raises DriverError."""
        try:
            return self.get(attribute)
        except AccessError as refusal:
            log.debug("%s", refusal)
            return None

    def told(self, attribute: Attribute, meaning: Callable[[Data], _T]) -> _T | None:
        """What the value means, None where the meter refuses it. Raises DriverError."""
        value = self.get_optional(attribute)
        return None if value is None else meaning(value)

    def set(self, attribute: Attribute, value: Data) -> None:
        """Raises AccessError and DriverError."""
        answer = self._request(SetRequest(attribute, value))
        if not isinstance(answer, SetResult):
            raise _unexpected(answer)
        if answer.result:
            raise _access_error(attribute, answer.result)

    def _prove(self, keys: Keys, theirs: bytes, ours: bytes) -> None:
        """Answer the meter's challenge, and check its answer to ours."""
        reply = security.gmac(keys, self.credentials.title, self._next_counter(), theirs)
        answer = self._request(ActionRequest(REPLY_TO_CHALLENGE, octet_string(reply)))
        if not isinstance(answer, ActionResult):
            raise _unexpected(answer)
        if answer.result or answer.value is None:
            raise LoginError(f"{self.link} refuses the answer to its challenge", answer.result)
        proof = answer.value.octets
        expected = security.gmac(keys, self.title, int.from_bytes(proof[1:5], "big"), ours)
        if not compare_digest(proof, expected):
            raise LoginError(f"{self.link} cannot prove that it knows the key", 0)

    def _request(self, request: Request) -> Apdu:
        data = encode_apdu(request)
        keys = self.credentials.keys
        if keys is None:
            answer = self.link.exchange(data)
        else:
            title = self.credentials.title
            general = title if self._conformance & Conformance.GENERAL_PROTECTION else None
            content = security.protect(keys, title, self._next_counter(), data)
            sent = security.Ciphered(content, general).encode(data[0])
            answer = self._opened(keys, self.link.exchange(sent))
        self._raw += data + answer
        apdu = decode_apdu(answer)
        if isinstance(apdu, ExceptionResponse):
            if apdu.counter is not None:
                raise LoginError(f"{self.link} expects another invocation counter", apdu.service)
            raise AccessError(f"{self.link} cannot: exception {apdu.state}, {apdu.service}", apdu.service)
        if isinstance(apdu, ServiceError):
            raise AccessError(f"{self.link} cannot: service error {apdu.kind}, {apdu.value}", apdu.value)
        return apdu

    def _opened(self, keys: Keys, answer: bytes) -> bytes:
        """The answer without its protection. Only refusals may come unprotected."""
        ciphered = security.decode_ciphered(answer)
        if ciphered is not None:
            return self._unprotected(keys, ciphered.content)
        if isinstance(decode_apdu(answer), ExceptionResponse | ServiceError):
            return answer
        raise DecodeError(f"{self.link}: an answer without protection")

    def _unprotected(self, keys: Keys, content: bytes) -> bytes:
        counter, text = security.unprotect(keys, self.title, content)
        if counter <= self._heard:
            raise DecodeError(f"{self.link}: an old answer, its invocation counter is {counter}")
        self._heard = counter
        return text

    def _initiate(self, data: bytes) -> bytes:
        keys = self.credentials.keys
        if keys is None or data[:1] != bytes((CIPHERED_INITIATE_RESPONSE,)):
            return data
        return self._unprotected(keys, take_counted(data, 1)[0])

    def _next_counter(self) -> int:
        if self.credentials.counter >= _LAST_COUNTER:
            raise LoginError(f"{self.link}: the key is used up, no invocation counter is left", 0)
        self.credentials.counter += 1
        return self.credentials.counter


def _access_error(attribute: Attribute, result: int) -> AccessError:
    reason = ACCESS_RESULTS.get(result, f"result {result}")
    return AccessError(f"{attribute}: {reason}", result, retry=result == _TEMPORARY)


def _unexpected(apdu: Apdu) -> DecodeError:
    return DecodeError(f"{type(apdu).__name__} is no answer to what was asked")
