"""Acknowledgements: the totals that billing systems report for messages, and when a close is delivered.

A close is delivered when billing has acknowledged all that it added. Where it was pushed, every message is
acknowledged with its control totals, at every destination that is still there. Where it was pushed nowhere,
somebody pulled the period to the close's last cursor and acknowledged that. The fact is a step of the close
(`close_events`), noted once.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from psycopg import Connection
from psycopg.rows import class_row
from psycopg.types.json import Jsonb

from metering.delivery.control_totals import control_sums
from store.delivery.outbox import MessageRow


@dataclass(frozen=True, slots=True)
class ReportedTotalsRow:
    """Count and totals that a billing system reported for a message; `totals` as it wrote them."""

    key_name: str
    readings: int
    totals: dict[str, str]
    accepted: bool
    at: datetime


def sent_totals(connection: Connection[Any], sent: MessageRow) -> dict[str, int]:
    """The control totals of a message, in micro-units."""
    rows = connection.execute(
        """
        select obis || ' ' || unit, sum(consumption)::bigint, sum(true_up)::bigint from billing_readings
        where utility_id = %s and period = %s and close_id = %s and id between %s and %s
        group by 1 order by 1
        """,
        (sent.utility_id, sent.period, sent.close_id, sent.first_reading, sent.last_reading),
    )
    return control_sums(rows.fetchall())


def acknowledge(
    connection: Connection[Any],
    sent: MessageRow,
    key_id: int,
    *,
    readings: int,
    totals: dict[str, str],
    accepted: bool,
    now: datetime,
) -> None:
    """Keep the totals that a billing system reports for a message; accepted, they acknowledge it."""
    connection.execute(
        """
        insert into delivery_acknowledgements
            (utility_id, outbox_id, api_key_id, readings, totals, accepted, at)
        values (%s, %s, %s, %s, %s, %s, %s)
        """,
        (sent.utility_id, sent.id, key_id, readings, Jsonb(totals), accepted, now),
    )
    if accepted:
        connection.execute(
            "update outbox set state = 'acknowledged', acknowledged_at = %s where id = %s", (now, sent.id)
        )
        note_delivered(connection, sent.utility_id, sent.period, f"key {key_id}")


def last_report(connection: Connection[Any], message_id: int) -> ReportedTotalsRow | None:
    """The totals that a billing system last reported for a message."""
    with connection.cursor(row_factory=class_row(ReportedTotalsRow)) as cursor:
        cursor.execute(
            """
            select k.name as key_name, a.readings, a.totals, a.accepted, a.at
            from delivery_acknowledgements a join api_keys k on k.id = a.api_key_id
            where a.outbox_id = %s order by a.id desc limit 1
            """,
            (message_id,),
        )
        return cursor.fetchone()


def note_delivered(connection: Connection[Any], utility_id: int, period: str, author: str) -> int:
    """Note the delivery of those closes of a period that are newly delivered, as by `author`; how many.

    For whoever has just stored an acknowledgement, or issued a close, in the same transaction.
    """
    return connection.execute(
        """
        insert into close_events (utility_id, period, run, state, author)
        select c.utility_id, c.period, c.run, 'delivered', %(author)s
        from closes c
        cross join lateral (
            select count(*) as messages, count(*) filter (where o.state <> 'acknowledged') as open
            from outbox o join destinations d on d.id = o.destination_id
            where o.close_id = c.id and d.removed_at is null
        ) pushed
        where c.utility_id = %(utility)s and c.period = %(period)s and pushed.open = 0
          and not exists (select from close_events e
                          where e.utility_id = c.utility_id and e.period = c.period and e.run = c.run
                            and e.state = 'delivered')
          and (pushed.messages > 0
               or coalesce((select b.id from billing_readings b
                            where b.utility_id = c.utility_id and b.period = c.period and b.close_id = c.id
                            order by b.id desc limit 1), 0)
                  <= coalesce((select max(a.cursor) from billing_acknowledgements a
                               where a.utility_id = c.utility_id and a.period = c.period), 0))
        on conflict do nothing
        """,
        {"utility": utility_id, "period": period, "author": author},
    ).rowcount
