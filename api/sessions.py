"""Signed sessions and forms for the pages, and the limit on failed sign-ins.

A session names an API key by its row, never by its secret, and ends with it: every request looks the row up,
so that a revoked key is out at once. Tokens are `base64url(JSON).base64url(HMAC-SHA256)`; the purpose is part
of what is signed, so that one kind of token never passes for another.
"""

import base64
import binascii
import hashlib
import hmac
import json
import secrets
import threading
from collections import OrderedDict, deque
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

_MAX_CLIENTS = 10_000  # addresses remembered by FailureLimit; the oldest is forgotten first


@dataclass(frozen=True, slots=True)
class Session:
    """A signed-in browser. `nonce` ties forms to it."""

    key_id: int
    expires_at: datetime
    nonce: str


class Signer:
    """Makes and checks tokens with one secret."""

    def __init__(self, secret: bytes, clock: Callable[[], datetime]) -> None:
        self._secret = secret
        self._clock = clock

    def session(self, key_id: int, hours: int) -> str:
        """A cookie value for a new session."""
        content = {
            "key": key_id,
            "expires": int((self._clock() + timedelta(hours=hours)).timestamp()),
            "nonce": secrets.token_urlsafe(16),
        }
        body = _encode(json.dumps(content, separators=(",", ":")).encode())
        return f"{body}.{self._mac('session', body)}"

    def read_session(self, token: str) -> Session | None:
        """The session of a cookie value; None if it is not ours, altered, or past its end."""
        body, _, mac = token.partition(".")
        if not self._matches("session", body, mac):
            return None
        content = json.loads(_decode(body))  # ours, since the signature holds
        expires_at = datetime.fromtimestamp(content["expires"], self._clock().tzinfo)
        if expires_at <= self._clock():
            return None
        return Session(content["key"], expires_at, content["nonce"])

    def form_token(self, nonce: str) -> str:
        """The hidden field of a form shown to the holder of `nonce`."""
        return self._mac("form", nonce)

    def accepts_form(self, nonce: str, token: str) -> bool:
        """Whether the form was made for the holder of `nonce`."""
        return bool(nonce) and self._matches("form", nonce, token)

    def _mac(self, purpose: str, body: str) -> str:
        return _encode(hmac.digest(self._secret, f"{purpose}:{body}".encode(), hashlib.sha256))

    def _matches(self, purpose: str, body: str, mac: str) -> bool:
        return hmac.compare_digest(self._mac(purpose, body).encode(), mac.encode())


class FailureLimit:
    """Counts failures by client over a sliding window; in memory, for one process."""

    def __init__(self, limit: int, window: timedelta, clock: Callable[[], datetime]) -> None:
        self._limit = limit
        self._window = window
        self._clock = clock
        self._failures: OrderedDict[str, deque[datetime]] = OrderedDict()
        self._lock = threading.Lock()

    def wait(self, client: str) -> timedelta | None:
        """How long the client has to wait before it may try again; None: it may."""
        now = self._clock()
        with self._lock:
            failures = self._failures.get(client, deque())
            while failures and failures[0] <= now - self._window:
                failures.popleft()
            if len(failures) < self._limit:
                return None
            return failures[0] + self._window - now

    def failed(self, client: str) -> None:
        """Note a failure."""
        with self._lock:
            self._failures.setdefault(client, deque(maxlen=self._limit)).append(self._clock())
            self._failures.move_to_end(client)
            if len(self._failures) > _MAX_CLIENTS:
                self._failures.popitem(last=False)


def _encode(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode()


def _decode(text: str) -> bytes:
    try:
        return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    except binascii.Error:
        return b""
