"""Settings of the API, and the session secret of an installation."""

import os
import secrets
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

from api.identity.oidc import OidcSettings
from api.identity.passwords import MEMORY_KIB
from store.access.attempts import Patience
from store.keyring import Keyring

SECRET_BYTES = 32
_OF_A_NETWORK, _OF_AN_ACCOUNT = Patience(10), Patience(5)


class SettingsError(ValueError):
    """A setting that would make the API unsafe; the text says what to give instead."""


@dataclass(frozen=True, slots=True)
class ApiSettings:
    """`secure_cookies` is False for plain http on loopback only, and by an explicit word of the operator.

    Exports hold a connection while somebody downloads: so many at once, and each so long at the most.
    `session_secret` signs forms, and encrypts second factors where there is no `keyring`: at least 32 random
    bytes, of this installation.
    Requests are counted by address and by caller (a key or a person): how many a second, how many at once.
    After some failed sign-ins a network, and there an account, has to wait, twice as long each time.
    """

    database_url: str = field(repr=False)
    session_secret: bytes = field(repr=False)
    secure_cookies: bool = True
    session_hours: int = 12
    session_idle_minutes: int = 60
    workers: int = 8  # requests answered at a time, each with a connection
    statement_seconds: int = 15
    answer_seconds: float = 20  # after which a server that keeps no limit is given up
    max_body_bytes: int = 64 * 1024
    stream_seconds: float = 300  # how long a stream of events lasts: a revoked key is noticed after that
    exports_at_once: int = 2
    export_seconds: int = 600
    address_rate: float = 100
    address_burst: int = 1000
    caller_rate: float = 50
    caller_burst: int = 500
    network_patience: Patience = _OF_A_NETWORK
    account_patience: Patience = _OF_AN_ACCOUNT  # from one network: nobody keeps others out of their account
    password_memory_kib: int = MEMORY_KIB
    oidc: OidcSettings | None = None
    keyring: Keyring | None = None  # encrypts second factors instead of the session secret

    def __post_init__(self) -> None:
        if len(self.session_secret) < SECRET_BYTES:
            raise SettingsError(
                f"the session secret has {len(self.session_secret)} bytes: give at least {SECRET_BYTES} "
                "random ones, or a data folder in which one is made and kept"
            )

    @property
    def session_idle(self) -> timedelta:
        """Time for which a session may be idle."""
        return timedelta(minutes=self.session_idle_minutes)


def kept_session_secret(path: Path) -> bytes:
    """The secret in `path`, made on the first call (mode 0600). Raises SettingsError if it is too short."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f"{path.name}.{secrets.token_hex(8)}")
    draft.touch(mode=0o600)
    try:
        draft.write_bytes(secrets.token_bytes(SECRET_BYTES))
        os.link(draft, path)  # whole or not at all, also when two processes start at once
    except FileExistsError:
        pass
    finally:
        draft.unlink()
    secret = path.read_bytes()
    if len(secret) < SECRET_BYTES:
        raise SettingsError(f"{path} has no whole secret in it: delete it, and a new one is made")
    return secret
