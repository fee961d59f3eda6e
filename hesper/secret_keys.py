"""Keys that encrypt the secrets in the database: where an installation keeps them, outside of it.

    HESPER_SECRET_KEYS                     the keys themselves, with spaces between, the newest first
    $CREDENTIALS_DIRECTORY/secret-keys     a credential of systemd (LoadCredential=), one a line
    secret-keys in the data folder         made at the first start (mode 0600)

The first that is there is used. `hesper secrets rotate` changes the file; the others their owner changes.
"""

import os
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cryptography.fernet import Fernet
from psycopg import Connection

from hesper.private_files import write_private
from store.keyring import Keyring, KeyringError, admit, known_keys

_NAME = "secret-keys"


@dataclass(frozen=True, slots=True)
class SecretKeys:
    """Keys of an installation, read anew at each call: they may have been rotated."""

    file: Path
    given: str | None  # the keys themselves; None: they are in the file
    made_here: bool  # whether the file is ours to make and to change

    @classmethod
    def of(cls, data: Path, environment: Mapping[str, str] = os.environ) -> "SecretKeys":
        """Where the environment says that they are, or in the data folder."""
        given = environment.get("HESPER_SECRET_KEYS")
        credential = Path(environment.get("CREDENTIALS_DIRECTORY", "")) / _NAME
        if given is None and "CREDENTIALS_DIRECTORY" in environment and credential.is_file():
            return cls(credential, None, made_here=False)
        return cls(data / _NAME, given, made_here=given is None)

    def __call__(self) -> list[str]:
        """The keys, the newest first; none where there is no file yet."""
        if self.given is not None:
            return self.given.split()
        try:
            return self.file.read_text(encoding="utf-8").split()
        except FileNotFoundError:
            return []

    def make(self) -> None:
        """Make the first key; of two processes that do so at once, one does."""
        fresh = self._with(new_key())
        with suppress(FileExistsError):
            os.link(fresh, self.file)
        fresh.unlink()

    def add(self) -> None:
        """Let a new key be the newest. Raises KeyringError where they are not ours to change."""
        if not self.made_here:
            raise KeyringError(
                "the keys are given by HESPER_SECRET_KEYS or a credential",
                advice="put a new one (`hesper secrets key`) before them there, and restart all processes",
            )
        self._with(new_key(), *self()).replace(self.file)

    def _with(self, *keys: str) -> Path:
        """A file beside ours that holds these keys."""
        self.file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        fresh = self.file.with_name(f"{_NAME}.{os.getpid()}")
        write_private(fresh, "".join(f"{key}\n" for key in keys))
        return fresh


def new_key() -> str:
    """A key: 32 random bytes in URL-safe base64."""
    return Fernet.generate_key().decode()


def sealing_keyring(connection: Connection[Any], keys: SecretKeys) -> Keyring:
    """Keyring to encrypt with; the first key is made where this database has none. Raises KeyringError."""
    if not keys() and keys.made_here and not known_keys(connection):
        keys.make()
    keyring = Keyring(keys)
    admit(connection, keyring)
    return keyring
