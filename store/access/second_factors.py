"""Second factors of all accounts, encrypted with another key than before."""

from collections.abc import Callable
from typing import Any

from psycopg import Connection


def reseal(connection: Connection[Any], resealed: Callable[[bytes], bytes | None]) -> int:
    """Keep what `resealed` gives instead of each secret of a second factor, unless that is None; how many."""
    rows = connection.execute(
        """
        select id, totp_secret, totp_pending from users
        where totp_secret is not null or totp_pending is not null order by id for update
        """
    ).fetchall()
    changed = 0
    for number, secret, pending in rows:
        fresh, fresh_pending = (None if old is None else resealed(bytes(old)) for old in (secret, pending))
        changed += (fresh is not None) + (fresh_pending is not None)
        if fresh or fresh_pending:
            connection.execute(
                "update users set totp_secret = %s, totp_pending = %s where id = %s",
                (fresh or secret, fresh_pending or pending, number),
            )
    return changed
