"""Standard Webhooks 1.0: how a message is signed, so that a receiver knows that it is ours and unaltered.

    webhook-id         the same at every attempt: by it a receiver tells a repetition
    webhook-timestamp  seconds since 1970 at which this attempt was made
    webhook-signature  v1,<base64 of HMAC-SHA256(secret, "id.timestamp.body")>, one for each secret in force

A secret is 24 to 64 random bytes, written as `whsec_` and base64.
"""

import base64
import binascii
import hashlib
import hmac
import secrets
from collections.abc import Sequence

_PREFIX = "whsec_"
_BYTES = 32
_SHORTEST, _LONGEST = 24, 64


class SecretError(ValueError):
    """A text that is no signing secret. The text is not in the message."""


def new_secret() -> str:
    """A signing secret of 256 random bits."""
    return _PREFIX + base64.b64encode(secrets.token_bytes(_BYTES)).decode()


def headers(message_id: str, timestamp: int, body: bytes, signing: Sequence[str]) -> dict[str, str]:
    """The three headers of a message, signed by every secret of `signing`. Raises SecretError."""
    signed = f"{message_id}.{timestamp}.".encode() + body
    return {
        "webhook-id": message_id,
        "webhook-timestamp": str(timestamp),
        "webhook-signature": " ".join(f"v1,{_signature(secret, signed)}" for secret in signing),
    }


def _signature(secret: str, signed: bytes) -> str:
    return base64.b64encode(hmac.digest(_key(secret), signed, hashlib.sha256)).decode()


def _key(secret: str) -> bytes:
    try:
        key = base64.b64decode(secret.removeprefix(_PREFIX), validate=True)
    except binascii.Error:
        raise SecretError("a signing secret is whsec_ and base64") from None
    if not _SHORTEST <= len(key) <= _LONGEST:
        raise SecretError("a signing secret has 24 to 64 bytes")
    return key
