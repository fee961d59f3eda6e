"""The draft of a close: blocks of service points that are worked on side by side, and what came of each.

A block is claimed, drafted and counted in one transaction, so a process that dies leaves it to the next one.
What was drafted becomes billing readings in one statement (`issue`), and nothing of it is left behind.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from psycopg import Connection
from psycopg.rows import class_row
from psycopg.types.json import Jsonb

from store.closes import BillingRow, CloseRow, ExceptionRow

LAST_POINT = 2**31 - 1


@dataclass(frozen=True, slots=True)
class DraftRow:
    """The draft of a period. `base_run`: the last close when it began; `drafted_at` None: not complete."""

    id: int
    utility_id: int
    period: str
    base_run: int
    author: str
    rules: int | None
    begun_at: datetime
    drafted_at: datetime | None


@dataclass(frozen=True, slots=True)
class Block:
    """Service points by id, both ends included."""

    number: int
    first: int
    last: int


def draft_of(connection: Connection, utility_id: int, period: str) -> DraftRow | None:
    """The draft of a period, complete or not."""
    with connection.cursor(row_factory=class_row(DraftRow)) as cursor:
        return cursor.execute(
            """
            select id, utility_id, period, base_run, author, rules, begun_at, drafted_at
            from close_drafts where utility_id = %s and period = %s
            """,
            (utility_id, period),
        ).fetchone()


def begin(
    connection: Connection, utility_id: int, period: str, *, base_run: int, author: str, rules: int | None
) -> DraftRow:
    """A new draft, in place of the one that was there."""
    known = draft_of(connection, utility_id, period)
    if known is not None:
        remove(connection, known)
    connection.execute(
        "insert into close_drafts (utility_id, period, base_run, author, rules) values (%s, %s, %s, %s, %s)",
        (utility_id, period, base_run, author, rules),
    )
    begun = draft_of(connection, utility_id, period)
    assert begun is not None
    return begun


def cut(connection: Connection, draft: DraftRow, size: int) -> None:
    """Have the utility's service points in blocks of `size`, where they are not already.

    The last one has no end, for points that are registered meanwhile.
    """
    connection.execute(
        """
        insert into draft_blocks (utility_id, draft_id, block, first_point, last_point)
        select %(utility)s, %(draft)s, block,
               case when block = 0 then 0 else min(id) end,
               coalesce(lead(min(id)) over (order by block) - 1, %(last)s)
        from (select id, (row_number() over (order by id) - 1) / %(size)s as block
              from service_points where utility_id = %(utility)s) numbered
        where not exists (select from draft_blocks where draft_id = %(draft)s)
        group by block
        """,
        {"utility": draft.utility_id, "draft": draft.id, "size": size, "last": LAST_POINT},
    )


def claim(connection: Connection, draft: DraftRow) -> Block | None:
    """A block that is missing and nobody works on, until the transaction ends; None: no other is left."""
    row = connection.execute(
        """
        select block, first_point, last_point from draft_blocks where draft_id = %s and counts is null
        order by block limit 1 for update skip locked
        """,
        (draft.id,),
    ).fetchone()
    return None if row is None else Block(*row)


def progress(connection: Connection, draft: DraftRow) -> tuple[int, int]:
    """(blocks that are drafted, blocks in all)."""
    row = connection.execute(
        "select count(counts), count(*) from draft_blocks where draft_id = %s", (draft.id,)
    ).fetchone()
    assert row is not None
    return row[0], row[1]


def add_drafted(
    connection: Connection,
    draft: DraftRow,
    readings: Sequence[BillingRow],
    exceptions: Sequence[ExceptionRow],
) -> None:
    """Billing readings to come, numbered already, and exceptions."""
    with connection.cursor() as cursor:
        if readings:
            cursor.executemany(
                """
                insert into draft_readings
                    (utility_id, draft_id, service_point_id, obis, version, start_value, end_value,
                     consumption, unit, quality, start_method, end_method, evidence, content_hash, true_up)
                values (%(utility)s, %(draft)s, %(service_point_id)s, %(obis)s, %(version)s, %(start_value)s,
                        %(end_value)s, %(consumption)s, %(unit)s, %(quality)s, %(start_method)s,
                        %(end_method)s, %(evidence)s, %(content_hash)s, %(true_up)s)
                """,
                [_parameters(draft, row) for row in readings],
            )
        if exceptions:
            cursor.executemany(
                """
                insert into draft_exceptions
                    (utility_id, draft_id, service_point_id, obis, reason, detail, evidence)
                values (%(utility)s, %(draft)s, %(service_point_id)s, %(obis)s, %(reason)s, %(detail)s,
                        %(evidence)s)
                """,
                [_parameters(draft, row) for row in exceptions],
            )


def _parameters(draft: DraftRow, row: BillingRow | ExceptionRow) -> dict[str, Any]:
    return asdict(row) | {"utility": draft.utility_id, "draft": draft.id, "evidence": Jsonb(row.evidence)}


def count_block(connection: Connection, draft: DraftRow, block: Block, counts: Mapping[str, Any]) -> None:
    """The block is drafted, and came to that."""
    connection.execute(
        "update draft_blocks set counts = %s where draft_id = %s and block = %s",
        (Jsonb(dict(counts)), draft.id, block.number),
    )


def counted(connection: Connection, draft: DraftRow) -> list[dict[str, Any]]:
    """What the blocks came to."""
    rows = connection.execute(
        "select counts from draft_blocks where draft_id = %s and counts is not null order by block",
        (draft.id,),
    )
    return [counts for (counts,) in rows]


def complete(connection: Connection, draft: DraftRow) -> None:
    """Nothing of it is missing."""
    connection.execute("update close_drafts set drafted_at = now() where id = %s", (draft.id,))


def drafted_exceptions(connection: Connection, draft: DraftRow) -> list[ExceptionRow]:
    """What there is to work off, by service point and register."""
    with connection.cursor(row_factory=class_row(ExceptionRow)) as cursor:
        cursor.execute(
            """
            select service_point_id, obis, reason, detail, evidence from draft_exceptions
            where draft_id = %s order by service_point_id, obis
            """,
            (draft.id,),
        )
        return cursor.fetchall()


def to_work_off(connection: Connection, utility_id: int, period: str) -> list[tuple[str, str, str, str]]:
    """(service point, register, reason, what is wrong and what can be done) of a draft, by service point."""
    return connection.execute(
        """
        select p.code, e.obis, e.reason, e.detail
        from close_drafts d join draft_exceptions e on e.draft_id = d.id
        join service_points p on p.id = e.service_point_id
        where d.utility_id = %s and d.period = %s order by p.code, e.obis
        """,
        (utility_id, period),
    ).fetchall()


def issue(connection: Connection, draft: DraftRow, close: CloseRow, run: int) -> int:
    """Make what was drafted the run `run` of the period's close; the id of its row in `closes`."""
    row = connection.execute(
        """
        insert into closes (utility_id, period, starts_at, ends_at, run, author, summary)
        values (%s, %s, %s, %s, %s, %s, %s) returning id
        """,
        (
            close.utility_id,
            close.period,
            close.starts_at,
            close.ends_at,
            run,
            close.author,
            Jsonb(close.summary),
        ),
    ).fetchone()
    assert row is not None
    parameters = asdict(close) | {"close": row[0], "draft": draft.id, "summary": None}
    connection.execute(
        """
        insert into billing_readings
            (utility_id, close_id, period, starts_at, ends_at, start_offset, end_offset, service_point_id,
             obis, version, start_value, end_value, consumption, unit, quality, start_method, end_method,
             evidence, content_hash, true_up, account)
        select %(utility_id)s, %(close)s, %(period)s, %(starts_at)s, %(ends_at)s, %(start_offset)s,
               %(end_offset)s, r.service_point_id, r.obis, r.version, r.start_value, r.end_value,
               r.consumption, r.unit, r.quality, r.start_method, r.end_method, r.evidence, r.content_hash,
               r.true_up, p.account
        from draft_readings r join service_points p on p.id = r.service_point_id
        where r.draft_id = %(draft)s
        """,
        parameters,
    )
    connection.execute(
        """
        insert into billing_exceptions
            (utility_id, close_id, period, service_point_id, obis, reason, detail, evidence)
        select %(utility_id)s, %(close)s, %(period)s, service_point_id, obis, reason, detail, evidence
        from draft_exceptions where draft_id = %(draft)s
        """,
        parameters,
    )
    return int(row[0])


def remove(connection: Connection, draft: DraftRow) -> None:
    """Leave nothing of a draft."""
    for statement in (
        "delete from draft_blocks where draft_id = %s",  # first: waits for those who are at work on one
        "delete from draft_readings where draft_id = %s",
        "delete from draft_exceptions where draft_id = %s",
        "delete from close_drafts where id = %s",
    ):
        connection.execute(statement, (draft.id,))
