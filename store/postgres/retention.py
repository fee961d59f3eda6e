"""Daily maintenance: room for the months to come is made, and what was kept long enough is removed.

The settings are rows of `retention` (core/0011). What is removed follows from them and the present alone, so
any validator may do it, at any time and as often as it likes; two at once do no harm.
"""

from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import psycopg
from psycopg import Connection
from psycopg.rows import class_row

from store.postgres.errors import StoreError

MONTHS_AHEAD = 3
_AT_ONCE = 20_000  # rows removed in one transaction


@dataclass(frozen=True, slots=True)
class Retention:
    """A kind of data; `keep` is as PostgreSQL writes an interval ('60 days'), None: for ever."""

    kind: str
    keep: str | None
    what: str


class RetentionError(StoreError):
    """A setting that cannot be."""


def settings(connection: Connection[Any]) -> list[Retention]:
    """All kinds, by name."""
    with connection.cursor(row_factory=class_row(Retention)) as cursor:
        cursor.execute("select kind, keep::text, what from retention order by kind")
        return cursor.fetchall()


def keep(connection: Connection[Any], kind: str, how_long: timedelta | str | None) -> None:
    """Sets how long a kind is kept: a duration, an interval such as '3 years', or None for ever.

    Raises RetentionError for an unknown kind, for what is no interval, and for less than is needed.
    """
    try:
        with connection.transaction():
            changed = connection.execute(
                "update retention set keep = %s::interval where kind = %s", (how_long, kind)
            ).rowcount
    except psycopg.DataError as error:
        raise RetentionError(f"{how_long!r} is no interval", advice="write one such as '90 days'") from error
    except psycopg.errors.CheckViolation as error:
        raise RetentionError(
            f"{kind} cannot be kept for {how_long} only",
            advice="readings and aggregates are kept for 90 days at least, all else for 7",
        ) from error
    if not changed:
        kinds = ", ".join(each.kind for each in settings(connection))
        raise RetentionError(f"there is no kind of data {kind!r}", advice=f"use one of: {kinds}")


def upkeep(connection: Connection[Any]) -> dict[str, int]:
    """Does what is due, and returns how much of each kind was removed: rows, or whole months of readings.

    The connection must be in autocommit: each step is a transaction of its own, so that nobody waits long.
    """
    make_months(connection)
    removed = {}
    for each in settings(connection):
        removed[each.kind] = 0
        while count := _expire(connection, each.kind):
            removed[each.kind] += count
            if count < _AT_ONCE:
                break
    return removed


def make_months(connection: Connection[Any]) -> int:
    """Make the months of readings that are missing; how many were. None where TimescaleDB makes chunks."""
    row = connection.execute("select to_regproc('make_months') is not null").fetchone()
    if row != (True,):
        return 0
    made = connection.execute("select make_months(%s)", (MONTHS_AHEAD,)).fetchone()
    assert made is not None
    return int(made[0])


def _expire(connection: Connection[Any], kind: str) -> int:
    row = connection.execute("select expire(%s, %s)", (kind, _AT_ONCE)).fetchone()
    assert row is not None
    return int(row[0])
