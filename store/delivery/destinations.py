"""Destinations that a utility's billing readings are pushed to, and the secrets that sign what goes there.

A secret is written here as a keyring sealed it, and read by `store.delivery.outbox.claim` alone, as the role
that delivers.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from psycopg import Connection
from psycopg.errors import UniqueViolation
from psycopg.rows import class_row

from store.keyring import Keyring
from store.postgres.errors import StoreError


class DestinationError(StoreError):
    """A destination that is not there, or is there already."""


@dataclass(frozen=True, slots=True)
class DestinationRow:
    """Destination of billing readings. `previous_until`: the secret before this one signs until then."""

    id: int
    utility: str
    url: str
    allow_private: bool
    previous_until: datetime | None
    resting_until: datetime | None
    created_at: datetime
    removed_at: datetime | None


def add(
    connection: Connection[Any], utility: str, url: str, secret: str, author: str, *, allow_private: bool
) -> int:
    """Add a destination to the utility with that code; its id.

    Raises LookupError for an unknown utility, and DestinationError where it has this destination already.
    """
    try:
        with connection.transaction():
            row = connection.execute(
                """
                insert into destinations (utility_id, url, secret, author, allow_private)
                select id, %s, %s, %s, %s from utilities where code = %s returning id
                """,
                (url, secret, author, allow_private, utility),
            ).fetchone()
    except UniqueViolation:
        raise DestinationError(
            f"{utility} has this destination already", advice="`hesper deliver rotate` gives it a new secret"
        ) from None
    if row is None:
        raise LookupError(f"no utility has the code {utility!r}")
    destination_id: int = row[0]
    return destination_id


def listing(connection: Connection[Any]) -> list[DestinationRow]:
    """All destinations, those that were removed too, without their secrets."""
    with connection.cursor(row_factory=class_row(DestinationRow)) as cursor:
        cursor.execute(
            """
            select d.id, u.code as utility, d.url, d.allow_private, d.previous_until, d.resting_until,
                   d.created_at, d.removed_at
            from destinations d join utilities u on u.id = d.utility_id order by d.id
            """
        )
        return cursor.fetchall()


def rotate(connection: Connection[Any], destination_id: int, secret: str, until: datetime) -> None:
    """Set a new secret; the one before signs beside it until then. Raises DestinationError."""
    changed = connection.execute(
        "update destinations set secret = %s, previous_until = %s where id = %s and removed_at is null",
        (secret, until, destination_id),
    )
    _one(changed.rowcount, destination_id)


def reseal(connection: Connection[Any], keyring: Keyring) -> int:
    """Encrypt with the newest key what an older one, or none, does; how many secrets.

    Only the role that delivers can.
    """
    connection.execute("select set_config('hesper.resealing', 'on', true)")
    rows = connection.execute(
        "select id, secret, previous_secret from destinations order by id for update"
    ).fetchall()
    changed = 0
    for number, secret, previous in rows:
        fresh = keyring.resealed(secret)
        fresh_previous = None if previous is None else keyring.resealed(previous)
        changed += (fresh is not None) + (fresh_previous is not None)
        if fresh or fresh_previous:
            connection.execute(
                "update destinations set secret = %s, previous_secret = %s where id = %s",
                (fresh or secret, fresh_previous or previous, number),
            )
    connection.execute("select set_config('hesper.resealing', '', true)")
    return changed


def remove(connection: Connection[Any], destination_id: int, now: datetime) -> None:
    """Send nothing more there; what waits stays in the list. Raises DestinationError."""
    changed = connection.execute(
        "update destinations set removed_at = %s where id = %s and removed_at is null", (now, destination_id)
    )
    _one(changed.rowcount, destination_id)


def _one(count: int, destination_id: int) -> None:
    if not count:
        raise DestinationError(
            f"there is no destination {destination_id}", advice="`hesper deliver destinations` lists them"
        )
