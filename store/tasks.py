"""Queue of the tasks that people ask for and a worker does; what came of each is written in its row.

The API adds rows; a worker claims them (`for update skip locked`) and works with rights that the API does not
have. A worker that dies leaves its task to the next one, so a task can be begun a second time.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import Any

from psycopg import Connection
from psycopg.rows import class_row
from psycopg.types.json import Jsonb


class TaskKind(StrEnum):
    """Kinds of tasks."""

    DRAFT = "draft"  # of a period's close
    REPLAY = "replay"  # what waits in quarantine is taken as if it came now
    DISCARD = "discard"  # or never
    ACCEPT = "accept"  # an unknown meter, with all that waits of it


class TaskState(StrEnum):
    """State of a task."""

    WAITING = "waiting"  # or worked on
    DONE = "done"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class TaskRow:
    """A task; `outcome`: the figures of one that is done; `failure`: what to do where it failed."""

    id: int
    utility_id: int
    utility: str
    kind: TaskKind
    subject: dict[str, Any]
    author: str
    reason: str
    asked_at: datetime
    done_at: datetime | None
    outcome: dict[str, Any] | None
    failure: str | None

    @property
    def state(self) -> TaskState:
        """State that follows from its times and failure."""
        if self.done_at is None:
            return TaskState.WAITING
        return TaskState.DONE if self.failure is None else TaskState.FAILED


_TASK = """
    select t.id, t.utility_id, u.code as utility, t.kind, t.subject, t.author, t.reason, t.asked_at,
           t.done_at, t.outcome, t.failure
    from tasks t join utilities u on u.id = t.utility_id
"""


def ask(
    connection: Connection[Any],
    utility_id: int,
    kind: TaskKind,
    subject: Mapping[str, Any],
    *,
    author: str,
    reason: str = "",
) -> TaskRow:
    """Adds a task. For a draft of a period that was asked for and is not done, it is that one."""
    row = connection.execute(
        """
        insert into tasks (utility_id, kind, subject, author, reason) values (%s, %s, %s, %s, %s)
        on conflict (utility_id, (subject ->> 'period')) where kind = 'draft' and done_at is null do nothing
        returning id
        """,
        (utility_id, kind, Jsonb(dict(subject)), author, reason),
    ).fetchone()
    if row is None:
        row = connection.execute(
            """
            select id from tasks where utility_id = %s and kind = 'draft' and done_at is null
              and subject ->> 'period' = %s
            """,
            (utility_id, subject["period"]),
        ).fetchone()
        if row is None:  # done in this very moment
            return ask(connection, utility_id, kind, subject, author=author, reason=reason)
    asked = task(connection, utility_id, row[0])
    assert asked is not None
    return asked


def task(connection: Connection[Any], utility_id: int, task_id: int) -> TaskRow | None:
    """A task of the utility."""
    with connection.cursor(row_factory=class_row(TaskRow)) as cursor:
        cursor.execute(_TASK + " where t.utility_id = %s and t.id = %s", (utility_id, task_id))
        return _typed(cursor.fetchone())


def tasks_page(
    connection: Connection[Any],
    utility_id: int,
    *,
    limit: int,
    before: int | None = None,
    kinds: frozenset[TaskKind] = frozenset(TaskKind),
) -> list[TaskRow]:
    """At most `limit` tasks, the last one first; `before` is the id of the last one seen."""
    with connection.cursor(row_factory=class_row(TaskRow)) as cursor:
        cursor.execute(
            _TASK
            + """
            where t.utility_id = %s and t.kind = any(%s) and (%s::bigint is null or t.id < %s)
            order by t.id desc limit %s
            """,
            (utility_id, sorted(kinds), before, before, limit),
        )
        return [row for row in map(_typed, cursor.fetchall()) if row is not None]


def claim(connection: Connection[Any]) -> TaskRow | None:
    """The task that has waited longest and that nobody works on, until the transaction ends."""
    with connection.cursor(row_factory=class_row(TaskRow)) as cursor:
        cursor.execute(_TASK + " where t.done_at is null order by t.id limit 1 for update of t skip locked")
        return _typed(cursor.fetchone())


def done(connection: Connection[Any], row: TaskRow, outcome: Mapping[str, Any]) -> None:
    """Writes down that it is done, and what it came to."""
    connection.execute(
        "update tasks set done_at = now(), outcome = %s where id = %s", (Jsonb(dict(outcome)), row.id)
    )


def failed(connection: Connection[Any], row: TaskRow, failure: str) -> None:
    """Writes down that it could not be done, and what a person can do about it."""
    connection.execute("update tasks set done_at = now(), failure = %s where id = %s", (failure, row.id))


def _typed(row: TaskRow | None) -> TaskRow | None:
    return None if row is None else replace(row, kind=TaskKind(row.kind))
