"""What people asked for and a worker does: a request is a row, and what came of it is written there.

The API adds rows; `hesper worker run` claims them (`for update skip locked`) and works with rights that the
API does not have. A worker that dies leaves its request to the next one, so a task can be begun a second
time.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import Any

from psycopg import Connection
from psycopg.rows import class_row
from psycopg.types.json import Jsonb


class Task(StrEnum):
    """What can be asked for."""

    DRAFT = "draft"  # of a period's close
    REPLAY = "replay"  # what waits in quarantine is taken as if it came now
    DISCARD = "discard"  # or never
    ACCEPT = "accept"  # an unknown meter, with all that waits of it


class TaskState(StrEnum):
    """How far a request is."""

    WAITING = "waiting"  # or worked on
    DONE = "done"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class RequestRow:
    """A request; `outcome`: the figures of one that is done; `failure`: what to do where it failed."""

    id: int
    utility_id: int
    utility: str
    task: Task
    subject: dict[str, Any]
    author: str
    reason: str
    asked_at: datetime
    done_at: datetime | None
    outcome: dict[str, Any] | None
    failure: str | None

    @property
    def state(self) -> TaskState:
        """How far it is."""
        if self.done_at is None:
            return TaskState.WAITING
        return TaskState.DONE if self.failure is None else TaskState.FAILED


_REQUEST = """
    select r.id, r.utility_id, u.code as utility, r.task, r.subject, r.author, r.reason, r.asked_at,
           r.done_at, r.outcome, r.failure
    from requests r join utilities u on u.id = r.utility_id
"""


def ask(
    connection: Connection[Any],
    utility_id: int,
    task: Task,
    subject: Mapping[str, Any],
    *,
    author: str,
    reason: str = "",
) -> RequestRow:
    """Ask for something. A draft of a period that somebody asked for and that is not done is that request."""
    row = connection.execute(
        """
        insert into requests (utility_id, task, subject, author, reason) values (%s, %s, %s, %s, %s)
        on conflict (utility_id, (subject ->> 'period')) where task = 'draft' and done_at is null do nothing
        returning id
        """,
        (utility_id, task, Jsonb(dict(subject)), author, reason),
    ).fetchone()
    if row is None:
        row = connection.execute(
            """
            select id from requests where utility_id = %s and task = 'draft' and done_at is null
              and subject ->> 'period' = %s
            """,
            (utility_id, subject["period"]),
        ).fetchone()
        if row is None:  # done in this very moment
            return ask(connection, utility_id, task, subject, author=author, reason=reason)
    asked = request(connection, utility_id, row[0])
    assert asked is not None
    return asked


def request(connection: Connection[Any], utility_id: int, request_id: int) -> RequestRow | None:
    """One request of a utility."""
    with connection.cursor(row_factory=class_row(RequestRow)) as cursor:
        cursor.execute(_REQUEST + " where r.utility_id = %s and r.id = %s", (utility_id, request_id))
        return _typed(cursor.fetchone())


def requests_page(
    connection: Connection[Any],
    utility_id: int,
    *,
    limit: int,
    before: int | None = None,
    tasks: frozenset[Task] = frozenset(Task),
) -> list[RequestRow]:
    """At most `limit` requests, the last one first; `before` is the id of the last one seen."""
    with connection.cursor(row_factory=class_row(RequestRow)) as cursor:
        cursor.execute(
            _REQUEST
            + """
            where r.utility_id = %s and r.task = any(%s) and (%s::bigint is null or r.id < %s)
            order by r.id desc limit %s
            """,
            (utility_id, sorted(tasks), before, before, limit),
        )
        return [row for row in map(_typed, cursor.fetchall()) if row is not None]


def claim(connection: Connection[Any]) -> RequestRow | None:
    """The request that has waited longest and that nobody works on, until the transaction ends."""
    with connection.cursor(row_factory=class_row(RequestRow)) as cursor:
        cursor.execute(
            _REQUEST + " where r.done_at is null order by r.id limit 1 for update of r skip locked"
        )
        return _typed(cursor.fetchone())


def done(connection: Connection[Any], row: RequestRow, outcome: Mapping[str, Any]) -> None:
    """Write down that it is done, and what it came to."""
    connection.execute(
        "update requests set done_at = now(), outcome = %s where id = %s", (Jsonb(dict(outcome)), row.id)
    )


def failed(connection: Connection[Any], row: RequestRow, failure: str) -> None:
    """Write down that it could not be done, and what a person can do about it."""
    connection.execute("update requests set done_at = now(), failure = %s where id = %s", (failure, row.id))


def _typed(row: RequestRow | None) -> RequestRow | None:
    return None if row is None else replace(row, task=Task(row.task))
