"""Answers kept by the `Idempotency-Key` that they were given to, for a day (core/0005)."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from psycopg import Connection
from psycopg.rows import class_row
from psycopg.types.json import Jsonb


@dataclass(frozen=True, slots=True)
class KeptAnswer:
    """`request_hash` is of what was asked; the rest is the answer, `body` to the byte."""

    request_hash: bytes
    status: int
    headers: Mapping[str, str]
    body: bytes


class InFlightError(Exception):
    """The first request with this key has not been answered yet."""


def claim(connection: Connection[Any], utility_id: int, owner: str, key: str) -> KeptAnswer | None:
    """Answer to this key of the owner; None: there is none, and until this transaction ends the key is ours.

    Raises InFlightError where another transaction has it.
    """
    row = connection.execute(
        "select pg_try_advisory_xact_lock(hashtextextended(%s, %s))", (f"{owner}\n{key}", utility_id)
    ).fetchone()
    if row != (True,):
        raise InFlightError
    with connection.cursor(row_factory=class_row(KeptAnswer)) as cursor:
        return cursor.execute(
            """
            select request_hash, status, headers, body from idempotency_keys
            where utility_id = %s and owner = %s and key = %s and at > now() - interval '24 hours'
            """,
            (utility_id, owner, key),
        ).fetchone()


def keep(connection: Connection[Any], utility_id: int, owner: str, key: str, answer: KeptAnswer) -> None:
    """Keep the answer to a key that was claimed; what is older than a day goes."""
    connection.execute(
        """
        insert into idempotency_keys (utility_id, owner, key, request_hash, status, headers, body)
        values (%s, %s, %s, %s, %s, %s, %s)
        """,
        (
            utility_id,
            owner,
            key,
            answer.request_hash,
            answer.status,
            Jsonb(dict(answer.headers)),
            answer.body,
        ),
    )
