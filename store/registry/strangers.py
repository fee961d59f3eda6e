"""Meters that report and are not registered: their readouts wait in quarantine until accepted."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from psycopg import Connection
from psycopg.rows import class_row

from store.quarantine import QuarantineRow

_AT_ONCE = 500


@dataclass(frozen=True, slots=True)
class Stranger:
    """An unknown meter and how much of it waits."""

    meter: str
    readouts: int
    first_at: datetime
    last_at: datetime


def strangers(connection: Connection[Any], utility: str) -> list[Stranger]:
    """The utility's unknown meters, the latest first; instants are those of arrival."""
    with connection.cursor(row_factory=class_row(Stranger)) as cursor:
        cursor.execute(
            """
            select q.meter, count(*) as readouts,
                   min(q.received_at) as first_at, max(q.received_at) as last_at
            from quarantine q join utilities u on u.id = q.utility_id
            where u.code = %s and q.state = 'waiting' and q.reason = 'unknown_meter' and q.meter is not null
            group by q.meter order by max(q.received_at) desc, q.meter
            """,
            (utility,),
        )
        return cursor.fetchall()


_WAITING = """
    select meter, count(*) as readouts, min(received_at) as first_at, max(received_at) as last_at
    from quarantine
    where utility_id = %(utility)s and state = 'waiting' and reason = 'unknown_meter' and meter is not null
"""


def strangers_page(
    connection: Connection[Any], utility_id: int, *, limit: int, after: str | None = None
) -> list[Stranger]:
    """At most `limit` of the utility's unknown meters by meter id; `after` is that of the last one seen."""
    with connection.cursor(row_factory=class_row(Stranger)) as cursor:
        cursor.execute(
            _WAITING
            + """
              and (%(after)s::text is null or meter > %(after)s)
            group by meter order by meter limit %(limit)s
            """,
            {"utility": utility_id, "after": after, "limit": limit},
        )
        return cursor.fetchall()


def stranger(connection: Connection[Any], utility_id: int, meter: str) -> Stranger | None:
    """An unknown meter of the utility."""
    with connection.cursor(row_factory=class_row(Stranger)) as cursor:
        cursor.execute(
            _WAITING + " and meter = %(meter)s group by meter", {"utility": utility_id, "meter": meter}
        )
        return cursor.fetchone()


def waiting_of(connection: Connection[Any], utility: str, meter: str) -> Iterator[list[QuarantineRow]]:
    """Entries that wait of an unknown meter, in the order of arrival, some hundred readouts at once."""
    last = 0
    while True:
        with connection.cursor(row_factory=class_row(QuarantineRow)) as cursor:
            cursor.execute(
                """
                select q.id, q.utility_id, q.topic, q.reason, q.detail, q.meter, q.payload, q.state,
                       q.received_at
                from quarantine q join utilities u on u.id = q.utility_id
                where u.code = %s and q.meter = %s and q.state = 'waiting' and q.reason = 'unknown_meter'
                  and q.id > %s order by q.id limit %s
                """,
                (utility, meter, last, _AT_ONCE),
            )
            found = cursor.fetchall()
        if not found:
            return
        last = found[-1].id
        yield found
