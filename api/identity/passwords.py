"""Passwords as Argon2id hashes (RFC 9106), and the second factor: TOTP (RFC 6238) and recovery codes.

A person whom nobody knows costs as long to refuse as one with a wrong password. The secret of a second factor
has to be read again to check a code, so it is encrypted with a key of this installation: a copy of the
database alone gives no codes.
"""

import base64
import hashlib
import hmac
import secrets
import threading
from datetime import datetime

import pyotp
import segno
from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError
from cryptography.fernet import Fernet, InvalidToken
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from markupsafe import Markup

from store.keyring import PREFIX, Keyring, KeyringError

SHORTEST = 12  # characters; NIST SP 800-63B asks for eight at least, and for no rules about their kinds
LONGEST = 256
MEMORY_KIB = 64 * 1024  # RFC 9106, 4: the second recommended option
AT_ONCE = 2  # hashes computed at a time: each takes that memory
_STEP_SECONDS = 30
_WINDOW = 1  # steps that a person's clock may be off
_RECOVERY_CODES = 10
_RECOVERY_BYTES = 10


class Passwords:
    """Makes and checks hashes; `memory_kib` is what each costs."""

    def __init__(self, memory_kib: int = MEMORY_KIB) -> None:
        self._hasher = PasswordHasher(time_cost=3, memory_cost=memory_kib, parallelism=4)
        self._turn = threading.BoundedSemaphore(AT_ONCE)
        self._nobodys = self._hasher.hash(secrets.token_urlsafe())

    def hash(self, password: str) -> str:
        """The hash to keep."""
        with self._turn:
            return self._hasher.hash(password)

    def matches(self, password_hash: str | None, password: str) -> bool:
        """True where the hash is of this password; None, for nobody's, takes as long and is never right."""
        with self._turn:
            try:
                right = self._hasher.verify(password_hash or self._nobodys, password)
            except (VerificationError, InvalidHashError):
                return False
        return right and password_hash is not None

    def outdated(self, password_hash: str) -> bool:
        """True where the hash was made with other parameters than today's."""
        return self._hasher.check_needs_rehash(password_hash)


def new_password() -> str:
    """A random one, to be shown once: 120 bits."""
    return secrets.token_urlsafe(15)


class SecondFactor:
    """TOTP secrets encrypted with the installation's keys, or with one derived from its session secret.

    What the session secret encrypted is read for as long as it stays; `resealed` moves it to the keys.
    """

    def __init__(self, secret: bytes, keyring: Keyring | None = None) -> None:
        key = HKDF(SHA256(), 32, salt=None, info=b"hesper second factor").derive(secret)
        self._cipher = Fernet(base64.urlsafe_b64encode(key))
        self._keyring = keyring

    def new_secret(self) -> str:
        """A secret for an authenticator app, in base32."""
        return pyotp.random_base32()

    def seal(self, secret: str) -> bytes:
        """The secret as it is kept."""
        if self._keyring:
            return self._keyring.seal(secret).encode()
        return self._cipher.encrypt(secret.encode())

    def resealed(self, sealed: bytes) -> bytes | None:
        """What to keep instead of what an older key encrypts; None: it may stay, or nobody can read it."""
        if self._keyring is None or (secret := self._opened(sealed)) is None:
            return None
        if sealed.startswith(PREFIX.encode()):
            kept = self._keyring.resealed(sealed.decode())
            return kept.encode() if kept else None
        return self.seal(secret)

    def step_of(self, sealed: bytes, code: str, now: datetime) -> int | None:
        """The time step that the code belongs to; None if it is wrong, or sealed by another installation.

        A step is to be accepted once: the caller keeps the last one.
        """
        secret = self._opened(sealed)
        if secret is None:
            return None
        totp = pyotp.TOTP(secret)
        current = int(now.timestamp()) // _STEP_SECONDS
        for step in range(current - _WINDOW, current + _WINDOW + 1):
            if hmac.compare_digest(totp.generate_otp(step).encode(), code.encode()):
                return step
        return None

    def _opened(self, sealed: bytes) -> str | None:
        """None: another installation sealed it."""
        try:
            if sealed.startswith(PREFIX.encode()):
                return self._keyring.open(sealed.decode()) if self._keyring is not None else None
            return self._cipher.decrypt(sealed).decode()
        except (InvalidToken, KeyringError):
            return None


def provisioning_uri(secret: str, login: str) -> str:
    """Address that an authenticator app reads."""
    return pyotp.TOTP(secret).provisioning_uri(name=login, issuer_name="Hesper")


def qr_code(uri: str) -> Markup:
    """The address as an SVG for a camera (ISO/IEC 18004); black on white, also where the page is dark."""
    drawn = segno.make(uri, micro=False).svg_inline(scale=5, border=4, dark="#000", light="#fff")
    return Markup(drawn)  # noqa: S704 - squares, and nothing that was typed


def recovery_codes() -> list[str]:
    """Codes that each stand in for the second factor once: 80 random bits."""
    return [secrets.token_hex(_RECOVERY_BYTES) for _ in range(_RECOVERY_CODES)]


def recovery_hash(code: str) -> bytes:
    """Hash that is kept of a recovery code; the code is random, so that no dictionary holds it."""
    return hashlib.sha256(code.strip().lower().encode()).digest()
