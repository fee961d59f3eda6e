"""Content of a draft: billing readings to come, exceptions, and what the blocks came to."""

from collections.abc import Mapping, Sequence
from operator import attrgetter
from typing import Any

from psycopg import Connection
from psycopg.types.json import Jsonb

from metering.billing.canonical_hash import BillingDraft, BillingException
from store.billing.drafts import DraftBlock, DraftRow
from store.billing.evidence import stored, with_evidence

_READING = (
    *("service_point_id", "obis", "version", "start_value", "end_value", "consumption", "unit", "quality"),
    *("start_method", "end_method", "true_up"),
)
_EXCEPTION = ("service_point_id", "obis", "reason", "detail")


def add_drafted(
    connection: Connection,
    draft: DraftRow,
    readings: Sequence[BillingDraft],
    exceptions: Sequence[BillingException],
) -> None:
    """Billing readings to come, numbered already, and exceptions."""
    of, reading, exception = (draft.utility_id, draft.id), attrgetter(*_READING), attrgetter(*_EXCEPTION)
    with connection.cursor() as cursor:
        if readings:
            cursor.executemany(
                f"""
                insert into draft_readings
                    (utility_id, draft_id, {", ".join(_READING)}, evidence, content_hash)
                values ({", ".join(["%s"] * (len(_READING) + 4))})
                """.encode(),  # noqa: S608 - constants of this module
                [(*of, *reading(row), stored(row.evidence), row.digest()) for row in readings],
            )
        if exceptions:
            cursor.executemany(
                f"""
                insert into draft_exceptions (utility_id, draft_id, {", ".join(_EXCEPTION)}, evidence)
                values ({", ".join(["%s"] * (len(_EXCEPTION) + 3))})
                """.encode(),  # noqa: S608 - constants of this module
                [(*of, *exception(row), stored(row.evidence)) for row in exceptions],
            )


def count_block(
    connection: Connection, draft: DraftRow, block: DraftBlock, counts: Mapping[str, Any]
) -> None:
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


def drafted_exceptions(connection: Connection, draft: DraftRow) -> list[BillingException]:
    """What there is to work off, by service point and register."""
    with connection.cursor(row_factory=with_evidence(BillingException)) as cursor:
        return cursor.execute(
            """
            select service_point_id, obis, reason, detail, evidence from draft_exceptions
            where draft_id = %s order by service_point_id, obis
            """,
            (draft.id,),
        ).fetchall()


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
