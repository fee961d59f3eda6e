"""Where things are: from the environment, with defaults for one machine.

DATABASE_URL    postgresql://... of the store; unset: the embedded PostgreSQL in the data folder
DATABASE_URL_INGEST, _DELIVER, _API, _ADMIN  the same with a login of that role, which `hesper serve` gives
                its processes instead; unset: that of DATABASE_URL
HESPER_BROKER   mqtt://host:port of the broker; unset: the embedded one
HESPER_DATA     the data folder; default ./hesper-data
HESPER_SESSION  file of the token that `hesper login` keeps; default session in ~/.config/hesper/
HESPER_AUDIT    folder of the audit log's anchors; default audit/ in the data folder
HESPER_AUDIT_HOOK  program that gets each new anchor on its standard input
"""

import os
from pathlib import Path
from urllib.parse import urlsplit

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict

from store.postgres.roles import Role


class UnusableSettingError(ValueError):
    """A setting that cannot be used; the text names the variable and the remedy."""


class Settings(BaseSettings):
    """Read once by a command, then passed on as arguments."""

    model_config = SettingsConfigDict(env_prefix="HESPER_", extra="ignore")

    database_url: str | None = Field(default=None, validation_alias="DATABASE_URL", repr=False)
    broker: str | None = Field(default=None, repr=False)
    data: Path = Path("hesper-data")
    session: Path | None = None
    audit: Path | None = None
    audit_hook: str = ""

    def audit_folder(self, data: Path | None) -> Path:
        """Folder of the anchors, where `data` is the data folder that a command was given."""
        return self.audit or (data or self.data) / "audit"


def role_url(role: Role, url: str) -> str:
    """The database with the login that processes of a role are given; `url` where there is none for them."""
    return os.environ.get(_variable(role)) or url


def only_for(url: str) -> dict[str, str]:
    """Environment of a process that knows this login of the database, and none of the others."""
    return {"DATABASE_URL": url} | {_variable(role): "" for role in Role if _variable(role) in os.environ}


def _variable(role: Role) -> str:
    return f"DATABASE_URL_{role.name}"


def broker_address(url: str) -> tuple[str, int]:
    """(host, port) of `mqtt://host:port`. Raises UnusableSettingError."""
    try:
        parts = urlsplit(url)
        port = parts.port or 1883
    except ValueError:
        parts, port = urlsplit(""), 0
    if parts.scheme != "mqtt" or not parts.hostname:
        told = repr(url) if "@" not in url else "an address with a login"  # which may hold a password
        raise UnusableSettingError(f"HESPER_BROKER is {told}; write it as mqtt://host:port")
    return parts.hostname, port
