"""Keyring: encrypts the secrets that have to be used again, so that none in a dump of the database works.

The keys are not in the database (hesper/secret_keys.py reads them); the newest one encrypts, each decrypts. A
secret is kept as `sealed:` and a Fernet token; any other text is from before there were keys, and is itself.
"""

import hashlib
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any

from cryptography.fernet import Fernet, InvalidToken
from psycopg import Connection

from store.postgres.errors import StoreError

PREFIX = "sealed:"

Keys = Callable[[], Sequence[str]]
"""Gives the keys as they are now, the newest first: 32 bytes each, in URL-safe base64."""


class KeyringError(StoreError):
    """No key, or none that this database's secrets are encrypted with."""

    advice = (
        "name the keys of this installation: HESPER_SECRET_KEYS, or HESPER_DATA, the data folder whose file "
        "secret-keys has them"
    )


class Keyring:
    """Keys of an installation. Where none fits, they are read again: they may have been rotated."""

    def __init__(self, keys: Keys) -> None:
        self._keys = keys
        self._read()

    def __bool__(self) -> bool:
        if not self._fernets:
            self._read()  # another process may have made the first one meanwhile
        return bool(self._fernets)

    @property
    def fingerprints(self) -> list[str]:
        """Names of the keys, the newest first."""
        return self._fingerprints

    def seal(self, secret: str) -> str:
        """The secret as it is kept. Raises KeyringError."""
        if not self:
            raise KeyringError("there is no key to encrypt secrets with")
        return PREFIX + self._fernets[0].encrypt(secret.encode()).decode()

    def open(self, kept: str) -> str:
        """The secret that was kept. Raises KeyringError."""
        if not kept.startswith(PREFIX):
            return kept
        token = kept.removeprefix(PREFIX).encode()
        secret = _opened(self._fernets, token)
        if secret is None:
            self._read()
            secret = _opened(self._fernets, token)
        if secret is None:
            raise KeyringError("a secret is encrypted with a key that is not here")
        return secret

    def resealed(self, kept: str) -> str | None:
        """What to keep instead of what an older key, or none, encrypts; None: it may stay.

        Raises KeyringError.
        """
        secret = self.open(kept)
        token = kept.removeprefix(PREFIX).encode()
        return None if token != kept.encode() and _opened(self._fernets[:1], token) else self.seal(secret)

    def _read(self) -> None:
        keys = self._keys()
        try:
            self._fernets = [Fernet(key) for key in keys]
        except ValueError:
            raise KeyringError(
                "a key for secrets is not 32 bytes in URL-safe base64",
                advice="`hesper secrets key` prints a new one",
            ) from None
        self._fingerprints = [hashlib.sha256(key.encode()).hexdigest()[:16] for key in keys]


def _opened(fernets: Sequence[Fernet], token: bytes) -> str | None:
    for fernet in fernets:
        with suppress(InvalidToken):
            return fernet.decrypt(token).decode()
    return None


def known_keys(connection: Connection[Any]) -> set[str]:
    """Fingerprints of all keys that this database's secrets were ever encrypted with."""
    return {name for (name,) in connection.execute("select fingerprint from keyring").fetchall()}


def admit(connection: Connection[Any], keyring: Keyring) -> None:
    """Let the newest key encrypt from now on. Raises KeyringError where none of its keys is known here."""
    known = known_keys(connection)
    if not keyring or (known and not known & set(keyring.fingerprints)):
        raise KeyringError("the secrets of this database are encrypted with keys that are not here")
    connection.execute(
        "insert into keyring (fingerprint) values (%s) on conflict do nothing", (keyring.fingerprints[0],)
    )
