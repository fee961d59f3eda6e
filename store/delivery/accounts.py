"""Accounts: what a utility's service points are billed to."""

from dataclasses import dataclass
from typing import Any

from psycopg import Connection
from psycopg.rows import class_row


@dataclass(frozen=True, slots=True)
class AccountRow:
    """An account and the names of its service points, in order."""

    account: str
    points: list[str]


def accounts(
    connection: Connection[Any], utility_id: int, *, limit: int, text: str | None = None
) -> list[AccountRow]:
    """At most `limit` accounts in order; `text` is part of the account, or of a point's code or name."""
    with connection.cursor(row_factory=class_row(AccountRow)) as cursor:
        cursor.execute(
            """
            select account, array_agg(coalesce(nullif(name, ''), code) order by code) as points
            from service_points
            where utility_id = %(utility)s and account <> ''
            group by account
            having %(text)s::text is null or position(
                lower(%(text)s) in lower(concat_ws(' ', account, string_agg(code || ' ' || name, ' ')))) > 0
            order by account limit %(limit)s
            """,
            {"utility": utility_id, "text": text, "limit": limit},
        )
        return cursor.fetchall()


def account_points(connection: Connection[Any], utility_id: int, account: str) -> dict[str, str]:
    """The names of an account's service points by code."""
    rows = connection.execute(
        """
        select code, coalesce(nullif(name, ''), code) from service_points
        where utility_id = %s and account = %s
        """,
        (utility_id, account),
    )
    return dict(rows.fetchall())
