"""What was drafted of a period: billing readings to come, exceptions, and what the blocks came to."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from psycopg import Connection
from psycopg.rows import class_row
from psycopg.types.json import Jsonb

from store.billing.closes import BillingRow, ExceptionRow
from store.billing.drafts import Block, DraftRow


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
