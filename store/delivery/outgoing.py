"""Billing readings as they leave: those of a message, and the highest versions of a period, streamed."""

from collections.abc import Iterator
from typing import Any

from psycopg import Connection
from psycopg.rows import class_row

from metering.delivery.outgoing import Issue, OutgoingReading
from store.delivery.outbox import DueMessage

_AT_ONCE = 5000  # rows that a stream keeps in memory


_COLUMNS = """
    b.id, p.code as service_point, coalesce(b.account, '') as account,
    array(select part ->> 'meter' from jsonb_array_elements(b.evidence -> 'installations')
          with ordinality as each (part, position) where part ->> 'meter' is not null
          order by position) as meters,
    b.obis, b.unit, b.period, b.version, b.starts_at, b.ends_at, b.start_offset, b.end_offset,
    b.start_value, b.end_value, b.consumption, b.quality, b.start_method, b.end_method,
    b.content_hash, b.created_at, b.true_up
"""


def readings_of(connection: Connection[Any], message: DueMessage) -> list[OutgoingReading]:
    """The billing readings of a message, in order of id."""
    with connection.cursor(row_factory=class_row(OutgoingReading)) as cursor:
        cursor.execute(
            f"""
            select {_COLUMNS} from billing_readings b join service_points p on p.id = b.service_point_id
            where b.utility_id = %s and b.period = %s and b.close_id = %s and b.id between %s and %s
            order by b.id
            """,  # noqa: S608 - a constant
            (
                message.utility_id,
                message.period,
                message.close_id,
                message.first_reading,
                message.last_reading,
            ),
        )
        return cursor.fetchall()


def issue(connection: Connection[Any], utility: str, period: str, cursor: int | None = None) -> Issue | None:
    """The issue of a period up to a cursor (None: all of it); None where nothing was issued."""
    with connection.cursor(row_factory=class_row(Issue)) as statement:
        statement.execute(
            """
            select u.code as utility, b.period, b.starts_at, b.ends_at, b.id as cursor,
                   b.created_at as issued_at
            from billing_readings b join utilities u on u.id = b.utility_id
            where u.code = %(utility)s and b.period = %(period)s
              and (%(cursor)s::bigint is null or b.id <= %(cursor)s)
            order by b.id desc limit 1
            """,
            {"utility": utility, "period": period, "cursor": cursor},
        )
        return statement.fetchone()


def held(connection: Connection[Any], of: Issue) -> Iterator[OutgoingReading]:
    """The highest versions up to the issue's cursor by service point and register, streamed.

    Runs in the caller's transaction, which must last until the end of the stream.
    """
    with connection.cursor("outgoing", row_factory=class_row(OutgoingReading)) as cursor:
        cursor.itersize = _AT_ONCE
        cursor.execute(
            f"""
            select {_COLUMNS}
            from (
                select distinct on (x.service_point_id, x.obis) x.id from billing_readings x
                join utilities u on u.id = x.utility_id
                where u.code = %s and x.period = %s and x.id <= %s
                order by x.service_point_id, x.obis, x.version desc
            ) highest
            join billing_readings b on b.id = highest.id
            join service_points p on p.id = b.service_point_id
            order by p.code collate "C", b.obis collate "C"
            """,  # noqa: S608 - a constant
            (of.utility, of.period, of.cursor),
        )
        yield from cursor
