"""History of the registry: rows that triggers write (core/0001), with author and reason, never altered."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from psycopg import Connection
from psycopg.rows import class_row


@dataclass(frozen=True, slots=True)
class HistoryEntry:
    """Row added (`before` is None) or changed: columns that differ, as JSON has them.

    `entity` is the table; `entry` names the row: a code, or a meter's and its register's.
    """

    changed_at: datetime
    author: str
    reason: str
    entity: str
    entry: str
    before: dict[str, Any] | None
    after: dict[str, Any]


@dataclass(frozen=True, slots=True)
class NumberedEntry(HistoryEntry):
    """A change with its number, by which pages go on."""

    id: int


def sign(connection: Connection[Any], author: str, reason: str) -> None:
    """Say who changes the registry to the end of this transaction, and why. Unsigned, the login is named."""
    connection.execute(
        "select set_config('hesper.author', %s, true), set_config('hesper.reason', %s, true)",
        (author, reason),
    )


def changes_page(
    connection: Connection[Any], utility_id: int, *, entry: str | None, before: int | None, limit: int
) -> list[NumberedEntry]:
    """At most `limit` changes, the last first, those before the number `before`; `entry` as in `history`."""
    with connection.cursor(row_factory=class_row(NumberedEntry)) as cursor:
        return cursor.execute(
            """
            select id, changed_at, author, reason, entity, entry, before, after from registry_history
            where utility_id = %(utility)s and (%(before)s::bigint is null or id < %(before)s)
              and (%(entry)s::text is null or entry = %(entry)s or starts_with(entry, %(entry)s || ' '))
            order by id desc limit %(limit)s
            """,
            {"utility": utility_id, "entry": entry, "before": before, "limit": limit},
        ).fetchall()


def history(connection: Connection[Any], utility: str, entry: str | None = None) -> list[HistoryEntry]:
    """A utility's changes, the first one first; of `entry` and what belongs to it, if given.

    What belongs to it begins with its code: the registers of a meter, the installations at a point.
    """
    with connection.cursor(row_factory=class_row(HistoryEntry)) as cursor:
        cursor.execute(
            """
            select h.changed_at, h.author, h.reason, h.entity, h.entry, h.before, h.after
            from registry_history h join utilities u on u.id = h.utility_id
            where u.code = %(utility)s
              and (%(entry)s::text is null or h.entry = %(entry)s or starts_with(h.entry, %(entry)s || ' '))
            order by h.id
            """,
            {"utility": utility, "entry": entry},
        )
        return cursor.fetchall()
