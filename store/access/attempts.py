"""Attempts to sign in, counted by whom they were for and from where, for all processes together (core/0005).

An attempt is counted when it begins, in a transaction of its own, so that many at once are as many attempts;
one that was right is taken back. After `free` wrong ones the next has to wait `first`, and after each further
one twice as long, up to `longest`; a subject that kept quiet for twice that time begins anew.
"""

import hashlib
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from psycopg import Connection


@dataclass(frozen=True, slots=True)
class Patience:
    """Number of attempts without waiting, and how the waits grow."""

    free: int
    first: timedelta = timedelta(minutes=1)
    longest: timedelta = timedelta(minutes=15)


def begin(connection: Connection[Any], subject: str, patience: Patience, now: datetime) -> timedelta:
    """Count an attempt; zero where it may be made, else the time to wait, and nothing was counted."""
    given = {
        "subject": _hash(subject),
        "now": now,
        "free": patience.free,
        "first": patience.first,
        "longest": patience.longest,
    }
    connection.execute(
        """
        delete from sign_in_attempts where ctid = any(array(
            select ctid from sign_in_attempts where last_at <= %(now)s - interval '24 hours'
            limit 1000 for update skip locked))
        """,
        given,
    )
    counted = connection.execute(
        """
        insert into sign_in_attempts as had (subject, failures, last_at) values (%(subject)s, 1, %(now)s)
        on conflict (subject) do update
        set failures = case when %(now)s - had.last_at > 2 * %(longest)s then 1 else had.failures + 1 end,
            last_at = %(now)s
        where %(now)s - had.last_at >= sign_in_wait(had, %(free)s, %(first)s, %(longest)s)
        returning true
        """,
        given,
    ).fetchone()
    if counted is not None:
        return timedelta(0)
    left = connection.execute(
        """
        select sign_in_wait(had, %(free)s, %(first)s, %(longest)s) - (%(now)s - last_at)
        from sign_in_attempts had where subject = %(subject)s
        """,
        given,
    ).fetchone()
    return max(left[0], timedelta(seconds=1)) if left else timedelta(0)


def right(connection: Connection[Any], subject: str, *, forgive: bool) -> None:
    """The attempt was right: it was no failure, nor, with `forgive`, do those before it count any more."""
    connection.execute(
        """
        update sign_in_attempts set failures = case when %s then 0 else greatest(failures - 1, 0) end
        where subject = %s
        """,
        (forgive, _hash(subject)),
    )


def _hash(subject: str) -> bytes:
    """What was typed as a login may be a password: only its hash is kept."""
    return hashlib.sha256(subject.encode()).digest()
