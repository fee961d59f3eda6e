"""Form tokens: what shows that a form is ours, and was made for the browser that sends it.

`base64url(HMAC-SHA256)` over a nonce that only that browser holds: its session's token, or before it has one
the cookie of the sign-in form.
"""

import base64
import hashlib
import hmac


class Signer:
    """Makes and checks tokens with one secret."""

    def __init__(self, secret: bytes) -> None:
        self._secret = secret

    def form_token(self, nonce: str) -> str:
        """The hidden field of a form shown to the holder of `nonce`."""
        mac = hmac.digest(self._secret, f"form:{nonce}".encode(), hashlib.sha256)
        return base64.urlsafe_b64encode(mac).rstrip(b"=").decode()

    def accepts_form(self, nonce: str, token: str) -> bool:
        """True where the form was made for the holder of `nonce`."""
        return bool(nonce) and hmac.compare_digest(self.form_token(nonce).encode(), token.encode())
