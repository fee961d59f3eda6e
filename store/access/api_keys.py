"""API keys: 256 random bits, shown once; the database keeps their SHA-256.

A hash without salt or stretching is enough: the key is random, so no dictionary holds it.
"""

import hashlib
import secrets
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from psycopg import Connection
from psycopg.rows import class_row

from metering.access import BILLING_SYSTEM, Scope
from store.postgres.roles import enter_utility

_PREFIX = "hesper_"  # lets secret scanners and people recognise a key
_BYTES = 32


@dataclass(frozen=True, slots=True)
class ApiKey:
    """A key in force: what it opens is one utility, and there what its scopes name.

    Scopes are names of store.access.Scope. One that a newer version gave, and this one does not know, opens
    nothing.
    """

    id: int
    utility_id: int
    name: str
    scopes: list[str]

    @property
    def actor(self) -> str:
        """Name in the audit log."""
        return f"key {self.id} ({self.name})"


@dataclass(frozen=True, slots=True)
class KeyRow:
    """A key as a list shows it, in force or not."""

    id: int
    utility: str
    name: str
    scopes: list[str]
    created_at: datetime
    expires_at: datetime | None
    revoked_at: datetime | None
    last_used_at: datetime | None


def issue(
    connection: Connection[Any],
    utility: str,
    name: str,
    *,
    expires_at: datetime | None = None,
    scopes: Collection[Scope] = BILLING_SYSTEM,
) -> str:
    """A new key of a utility, by its code. This is the only time that the key can be seen.

    Raises LookupError for a utility that is not registered.
    """
    key = _PREFIX + secrets.token_urlsafe(_BYTES)
    row = connection.execute(
        """
        insert into api_keys (utility_id, name, secret_hash, expires_at, scopes)
        select id, %s, %s, %s, %s from utilities where code = %s
        returning id
        """,
        (name, _hash(key), expires_at, sorted(scopes), utility),
    ).fetchone()
    if row is None:
        raise LookupError(f"no utility has the code {utility!r}")
    return key


def verify(connection: Connection[Any], key: str) -> ApiKey | None:
    """The key in force with this text, its use noted to the minute; None for any other text.

    To the end of the transaction the session then is one of the key's utility.
    """
    if not key.startswith(_PREFIX):
        return None
    known = connection.execute("select id, utility_id from api_key_of_secret(%s)", (_hash(key),)).fetchone()
    found = _in_force(connection, *known) if known else None
    if found is not None:
        connection.execute(
            """
            update api_keys set last_used_at = now()
            where id = %s and (last_used_at is null or last_used_at < now() - interval '1 minute')
            """,
            (found.id,),
        )
    return found


def find(connection: Connection[Any], key_id: int) -> ApiKey | None:
    """The key with this id while it is in force: a session that a key began ends with the key.

    To the end of the transaction the session then is one of the key's utility.
    """
    owner = connection.execute("select utility_of_api_key(%s)", (key_id,)).fetchone()
    if owner is None or owner[0] is None:
        return None
    return _in_force(connection, key_id, owner[0])


def _in_force(connection: Connection[Any], key_id: int, utility_id: int) -> ApiKey | None:
    enter_utility(connection, utility_id)
    with connection.cursor(row_factory=class_row(ApiKey)) as cursor:
        return cursor.execute(f"{_IN_FORCE} and id = %s", (key_id,)).fetchone()


def revoke(connection: Connection[Any], key_id: int) -> None:
    """Ends a key at once; what it acknowledged stays on record. Raises LookupError if it had ended."""
    ended = connection.execute(
        "update api_keys set revoked_at = now() where id = %s and revoked_at is null", (key_id,)
    )
    if not ended.rowcount:
        raise LookupError(f"no key in force has the number {key_id}")


def listed(connection: Connection[Any], utility: str | None = None) -> list[KeyRow]:
    """All keys, or those of the utility with this code, the oldest first."""
    with connection.cursor(row_factory=class_row(KeyRow)) as cursor:
        return cursor.execute(
            """
            select k.id, u.code as utility, k.name, k.scopes, k.created_at, k.expires_at, k.revoked_at,
                   k.last_used_at
            from api_keys k join utilities u on u.id = k.utility_id
            where %(utility)s::text is null or u.code = %(utility)s order by k.id
            """,
            {"utility": utility},
        ).fetchall()


_IN_FORCE = """
    select id, utility_id, name, scopes from api_keys
    where revoked_at is null and (expires_at is null or expires_at > now())
"""


def _hash(key: str) -> bytes:
    return hashlib.sha256(key.encode()).digest()
