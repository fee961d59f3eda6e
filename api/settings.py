"""What the API needs to be told, and the session secret of an installation."""

import os
import secrets
from dataclasses import dataclass, field
from pathlib import Path

SECRET_BYTES = 32


class SettingsError(ValueError):
    """A setting that would make the API unsafe; the text says what to give instead."""


@dataclass(frozen=True, slots=True)
class ApiSettings:
    """`secure_cookies` is False for plain http on loopback only, and by an explicit word of the operator.

    `session_secret` signs sessions and forms: at least 32 random bytes, of this installation alone.
    """

    database_url: str = field(repr=False)
    session_secret: bytes = field(repr=False)
    secure_cookies: bool = True
    session_hours: int = 12
    pool_size: int = 8
    statement_seconds: int = 15
    max_body_bytes: int = 64 * 1024
    sign_in_failures: int = 10  # within `sign_in_window_seconds`, by client address
    sign_in_window_seconds: int = 300

    def __post_init__(self) -> None:
        if len(self.session_secret) < SECRET_BYTES:
            raise SettingsError(
                f"the session secret has {len(self.session_secret)} bytes: give at least {SECRET_BYTES} "
                "random ones, or a data folder in which one is made and kept"
            )


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
