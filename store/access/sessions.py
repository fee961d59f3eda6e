"""Signed-in browsers: the cookie holds 256 random bits, the row their SHA-256.

A session can be ended by whom it belongs to. It ends by itself when it was idle too long, at its last hour,
and with the account or the key that began it.
"""

import hashlib
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from psycopg import Connection
from psycopg.rows import class_row
from psycopg.types.json import Jsonb

from store.postgres.roles import enter_person, enter_utility

_BYTES = 32
_SEEN_EVERY = timedelta(minutes=1)  # how exactly the last use is kept: not every request writes


@dataclass(frozen=True, slots=True)
class Session:
    """A session in force, of a person or of a key; `granted` is by a provider's claims: code -> roles."""

    id: int
    utility_id: int
    user_id: int | None
    api_key_id: int | None
    granted: dict[str, list[str]]
    created_at: datetime
    seen_at: datetime


def begin(
    connection: Connection[Any],
    *,
    utility_id: int,
    user_id: int | None = None,
    api_key_id: int | None = None,
    granted: Mapping[str, list[str]] | None = None,
    now: datetime,
    lasts: timedelta,
) -> str:
    """A new session, and the token for its cookie: the only time that it can be seen."""
    token = secrets.token_urlsafe(_BYTES)
    connection.execute(
        """
        insert into sessions
            (utility_id, user_id, api_key_id, token_hash, granted, created_at, seen_at, expires_at)
        values (%s, %s, %s, %s, %s, %s, %s, %s)
        """,
        (utility_id, user_id, api_key_id, _hash(token), Jsonb(granted or {}), now, now, now + lasts),
    )
    return token


def find(connection: Connection[Any], token: str, *, now: datetime, idle: timedelta) -> Session | None:
    """The session in force with this token, its use noted to the minute.

    To the end of the transaction the connection then is one of its utility, and of its person.
    """
    known = connection.execute("select * from session_of_token(%s)", (_hash(token),)).fetchone()
    if known is None:
        return None
    session_id, utility_id, user_id = known
    enter_utility(connection, utility_id)
    if user_id is not None:
        enter_person(connection, user_id)
    with connection.cursor(row_factory=class_row(Session)) as cursor:
        session = cursor.execute(
            """
            select id, utility_id, user_id, api_key_id, granted, created_at, seen_at from sessions
            where id = %s and ended_at is null and expires_at > %s and seen_at > %s
            """,
            (session_id, now, now - idle),
        ).fetchone()
    if session is not None and session.seen_at <= now - _SEEN_EVERY:
        connection.execute("update sessions set seen_at = %s where id = %s", (now, session_id))
    return session


def end(connection: Connection[Any], token: str, now: datetime) -> None:
    """End the session with this token, which was found before in this transaction."""
    connection.execute(
        "update sessions set ended_at = %s where token_hash = %s and ended_at is null", (now, _hash(token))
    )


def end_of_person(connection: Connection[Any], user_id: int, now: datetime, *, but: int | None = None) -> int:
    """End the sessions of the person who was entered, but for one of them; how many there were."""
    return connection.execute(
        """
        update sessions set ended_at = %s
        where user_id = %s and ended_at is null and id is distinct from %s
        """,
        (now, user_id, but),
    ).rowcount


def of_person(connection: Connection[Any], user_id: int, now: datetime, idle: timedelta) -> list[Session]:
    """The sessions in force of the person who was entered, the last used first."""
    with connection.cursor(row_factory=class_row(Session)) as cursor:
        return cursor.execute(
            """
            select id, utility_id, user_id, api_key_id, granted, created_at, seen_at from sessions
            where user_id = %s and ended_at is null and expires_at > %s and seen_at > %s
            order by seen_at desc, id desc
            """,
            (user_id, now, now - idle),
        ).fetchall()


def move(connection: Connection[Any], session_id: int, utility_id: int) -> None:
    """Let a person's session show another of their utilities."""
    connection.execute("update sessions set utility_id = %s where id = %s", (utility_id, session_id))


def _hash(token: str) -> bytes:
    return hashlib.sha256(token.encode()).digest()
