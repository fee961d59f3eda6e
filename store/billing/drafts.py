"""Draft of a close, from its first block to its last.

A block of service points is claimed, drafted and counted in one transaction, so a process that dies leaves it
to the next one. What is drafted is in `drafted.py`, and how it becomes billing readings in `approval.py`.
"""

from collections.abc import Mapping
from dataclasses import asdict, astuple, dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from psycopg import Connection
from psycopg.rows import class_row
from psycopg.types.json import Jsonb

from metering.periods.calendar import Period

LAST_POINT = 2**31 - 1


@dataclass(frozen=True, slots=True)
class DraftRow:
    """Draft of a period. `base_run`: the last close when it began; `drafted_at` None: not complete.

    `blocks` and `summary`: how many it came to, and the counts of the close, once it is complete. `whole`: it
    is of all service points, not of those alone that something happened to since the last close.
    """

    id: int
    utility_id: int
    period: str
    starts_at: datetime
    ends_at: datetime
    start_offset: timedelta
    end_offset: timedelta
    base_run: int
    author: str
    rules: int | None
    begun_at: datetime
    drafted_at: datetime | None
    blocks: int | None
    summary: dict[str, Any] | None
    whole: bool


@dataclass(frozen=True, slots=True)
class DraftBlock:
    """Block of a draft: service points by id, both ends included."""

    number: int
    first: int
    last: int


def draft_of(connection: Connection[Any], utility_id: int, period: str) -> DraftRow | None:
    """Draft of a period, complete or not."""
    with connection.cursor(row_factory=class_row(DraftRow)) as cursor:
        return cursor.execute(
            """
            select id, utility_id, period, starts_at, ends_at, start_offset, end_offset, base_run, author,
                   rules, begun_at, drafted_at, blocks, summary, whole
            from close_drafts where utility_id = %s and period = %s
            """,
            (utility_id, period),
        ).fetchone()


def begin(
    connection: Connection[Any],
    utility_id: int,
    period: Period,
    *,
    base_run: int,
    author: str,
    rules: int | None,
) -> DraftRow:
    """New draft, in place of the one that was there."""
    known = draft_of(connection, utility_id, period.name)
    if known is not None:
        remove(connection, known)
    connection.execute(
        """
        insert into close_drafts (utility_id, period, starts_at, ends_at, start_offset, end_offset, base_run,
                                  author, rules)
        values (%s, %s, %s, %s, %s, %s, %s, %s, %s)
        """,
        (utility_id, *astuple(period), base_run, author, rules),
    )
    begun = draft_of(connection, utility_id, period.name)
    assert begun is not None
    return begun


def is_cut(connection: Connection[Any], draft: DraftRow) -> bool:
    """Whether the draft has blocks: they go when the server loses power."""
    return (
        connection.execute("select from draft_blocks where draft_id = %s limit 1", (draft.id,)).rowcount > 0
    )


def narrow(connection: Connection[Any], draft: DraftRow) -> DraftRow:
    """Draft of the service points in `draft_points` alone (`changed_points.py`)."""
    connection.execute("update close_drafts set whole = false where id = %s", (draft.id,))
    return replace(draft, whole=False)


def cut(connection: Connection[Any], draft: DraftRow, size: int) -> None:
    """Have the service points that the draft is about in blocks of `size`.

    The last one of a whole draft has no end, for points that are registered meanwhile.
    """
    connection.execute(
        """
        insert into draft_blocks (utility_id, draft_id, block, first_point, last_point)
        select %(utility_id)s, %(id)s, block,
               case when block = 0 then 0 else min(id) end,
               coalesce(lead(min(id)) over (order by block) - 1, %(last)s)
        from (select id, (row_number() over (order by id) - 1) / %(size)s as block
              from service_points p
              where utility_id = %(utility_id)s
                and (%(whole)s or exists (select from draft_points t
                                          where t.draft_id = %(id)s and t.service_point_id = p.id))
             ) numbered
        group by block
        """,
        asdict(draft) | {"size": size, "last": LAST_POINT},
    )


def claim(connection: Connection, draft: DraftRow) -> DraftBlock | None:
    """Block that is missing and nobody works on, until the transaction ends; None: no other is left."""
    row = connection.execute(
        """
        select block, first_point, last_point from draft_blocks where draft_id = %s and counts is null
        order by block limit 1 for update skip locked
        """,
        (draft.id,),
    ).fetchone()
    return None if row is None else DraftBlock(*row)


def progress(connection: Connection, draft: DraftRow) -> tuple[int, int]:
    """(blocks that are drafted, blocks in all)."""
    row = connection.execute(
        "select count(counts), count(*) from draft_blocks where draft_id = %s", (draft.id,)
    ).fetchone()
    assert row is not None
    return row[0], row[1]


def complete(connection: Connection[Any], draft: DraftRow, summary: Mapping[str, Any]) -> None:
    """Nothing of it is missing, and it comes to that."""
    connection.execute(
        """
        update close_drafts set drafted_at = now(), summary = %s,
               blocks = (select count(*) from draft_blocks where draft_id = %s)
        where id = %s
        """,
        (Jsonb(dict(summary)), draft.id, draft.id),
    )


def remove(connection: Connection[Any], draft: DraftRow) -> None:
    """Leave nothing of a draft."""
    for statement in (
        "delete from draft_blocks where draft_id = %s",  # first: waits for those who are at work on one
        "delete from draft_readings where draft_id = %s",
        "delete from draft_exceptions where draft_id = %s",
        "delete from draft_points where draft_id = %s",
        "delete from close_drafts where id = %s",
    ):
        connection.execute(statement, (draft.id,))
