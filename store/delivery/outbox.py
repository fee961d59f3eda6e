"""Outbox: messages of billing readings for the destinations of a utility, from waiting to acknowledged.

A message is made in the transaction of the close, and names its readings instead of holding them: those are
never altered, so what is sent is the same at every attempt. A worker holds the row of the message that it
sends; when it dies the row is free again, and the message goes out again under the same id.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

from psycopg import Connection
from psycopg.rows import class_row

from metering.delivery.document import webhook_id

READINGS_PER_MESSAGE = 200


class MessageState(StrEnum):
    """State of a message on its way."""

    WAITING = "waiting"
    DELIVERED = "delivered"  # the destination answered that it has it
    ACKNOWLEDGED = "acknowledged"  # the billing system counted and summed it as we do
    DEAD = "dead"  # given up, until a person says otherwise


@dataclass(frozen=True, slots=True)
class DueMessage:
    """A message that is due, held until the transaction ends. Of `secrets` the first is the newest."""

    id: int
    message_id: UUID
    utility_id: int
    utility: str
    destination_id: int
    url: str
    allow_private: bool
    secrets: list[str] = field(repr=False)
    close_id: int
    period: str
    first_reading: int
    last_reading: int
    attempts: int
    created_at: datetime


@dataclass(frozen=True, slots=True)
class MessageRow:
    """A message as people and billing systems see it; `state` is the text of a MessageState."""

    id: int
    message_id: UUID
    utility_id: int
    utility: str
    url: str
    close_id: int
    period: str
    first_reading: int
    last_reading: int
    readings: int
    state: str
    attempts: int
    due_at: datetime
    created_at: datetime
    delivered_at: datetime | None
    acknowledged_at: datetime | None
    last_error: str | None

    @property
    def message(self) -> str:
        """Its `webhook-id`."""
        return webhook_id(self.message_id)

    @property
    def destination(self) -> str:
        """The address without its query, which may hold a token."""
        return self.url.partition("?")[0]

    @property
    def cursors(self) -> tuple[int, int]:
        """The first and the last billing reading."""
        return self.first_reading, self.last_reading


def put(connection: Connection[Any], close_id: int, *, destination_id: int | None = None) -> int:
    """Make messages of the billing readings that a close added, for each destination of its utility, or for
    this one alone; how many. Part of the close's transaction. Those that are there already are left."""
    if not _is_awaited(connection, close_id):
        return 0
    return connection.execute(
        """
        insert into outbox
            (utility_id, destination_id, close_id, period, first_reading, last_reading, readings)
        select d.utility_id, d.id, %(close)s, part.period, part.first_reading, part.last_reading,
               part.readings
        from (
            select min(utility_id) as utility_id, min(period) as period, min(id) as first_reading,
                   max(id) as last_reading, count(*) as readings
            from (
                select b.id, b.utility_id, b.period,
                       (row_number() over (order by b.id) - 1) / %(size)s as part
                from closes c
                join billing_readings b
                  on b.utility_id = c.utility_id and b.period = c.period and b.close_id = c.id
                where c.id = %(close)s
            ) numbered group by part
        ) part
        join destinations d on d.utility_id = part.utility_id and d.removed_at is null
        where %(destination)s::int is null or d.id = %(destination)s
        order by part.first_reading, d.id
        on conflict (destination_id, close_id, first_reading) do nothing
        """,
        {"close": close_id, "size": READINGS_PER_MESSAGE, "destination": destination_id},
    ).rowcount


def _is_awaited(connection: Connection[Any], close_id: int) -> bool:
    """True where there is any destination: numbering the readings of a close takes a while."""
    return (
        connection.execute(
            """
            select from closes c join destinations d on d.utility_id = c.utility_id
            where c.id = %s and d.removed_at is null limit 1
            """,
            (close_id,),
        ).rowcount
        > 0
    )


def put_closed(connection: Connection[Any], destination_id: int, since: str) -> int:
    """Make a new destination's messages of the closes from the period `since` (YYYY-MM) on; how many."""
    closed = connection.execute(
        """
        select c.id from closes c join destinations d on d.utility_id = c.utility_id
        where d.id = %s and c.period >= %s order by c.id
        """,
        (destination_id, since),
    ).fetchall()
    return sum(put(connection, close_id, destination_id=destination_id) for (close_id,) in closed)


def claim(connection: Connection[Any], now: datetime) -> DueMessage | None:
    """The message that has been due for longest, held until the transaction ends; None where none is due."""
    with connection.cursor(row_factory=class_row(DueMessage)) as cursor:
        cursor.execute(
            """
            select o.id, o.message_id, o.utility_id, u.code as utility, d.id as destination_id, d.url,
                   d.allow_private, o.close_id, o.period, o.first_reading, o.last_reading, o.attempts,
                   o.created_at,
                   array[d.secret] || case when d.previous_until > %(now)s then array[d.previous_secret]
                                      else '{}' end as secrets
            from outbox o
            join destinations d on d.id = o.destination_id
            join utilities u on u.id = o.utility_id
            where o.state = 'waiting' and o.due_at <= %(now)s and d.removed_at is null
              and (d.resting_until is null or d.resting_until <= %(now)s)
            order by o.due_at, o.id limit 1
            for update of o skip locked
            """,
            {"now": now},
        )
        return cursor.fetchone()


def mark_delivered(connection: Connection[Any], message: DueMessage, now: datetime) -> None:
    """Note that the destination has the message."""
    connection.execute(
        """
        update outbox set state = 'delivered', delivered_at = %s, attempts = attempts + 1, last_error = null
        where id = %s
        """,
        (now, message.id),
    )


def mark_failed(
    connection: Connection[Any], message: DueMessage, error: str, *, again: datetime | None, resting: datetime
) -> None:
    """Note a failed attempt: it is due again at `again`, or (None) dead; its destination rests meanwhile."""
    connection.execute(
        """
        update outbox set state = case when %(again)s::timestamptz is null then 'dead' else 'waiting' end,
               due_at = coalesce(%(again)s, due_at), attempts = attempts + 1, last_error = %(error)s
        where id = %(id)s
        """,
        {"again": again, "error": error, "id": message.id},
    )
    connection.execute(
        "update destinations set resting_until = %s where id = %s", (resting, message.destination_id)
    )


def requeue(
    connection: Connection[Any],
    message_ids: Sequence[int] | None,
    now: datetime,
    *,
    utility_id: int | None = None,
) -> int:
    """Let dead messages wait again, with all their attempts: those with these ids, or (None) all; how many.

    Of one utility, or (None) of any.
    """
    return connection.execute(
        """
        update outbox set state = 'waiting', attempts = 0, due_at = %(now)s
        where state = 'dead' and (%(ids)s::bigint[] is null or id = any(%(ids)s))
          and (%(utility)s::int is null or utility_id = %(utility)s)
        """,
        {
            "now": now,
            "ids": None if message_ids is None else list(message_ids),
            "utility": utility_id,
        },
    ).rowcount


_MESSAGE = """
    select o.id, o.message_id, o.utility_id, u.code as utility, d.url, o.close_id, o.period, o.first_reading,
           o.last_reading, o.readings, o.state, o.attempts, o.due_at, o.created_at, o.delivered_at,
           o.acknowledged_at, o.last_error
    from outbox o join destinations d on d.id = o.destination_id join utilities u on u.id = o.utility_id
"""


def messages(
    connection: Connection[Any],
    *,
    utility_id: int | None = None,
    state: MessageState | None = None,
    period: str | None = None,
    after: int = 0,
    limit: int = 1000,
) -> list[MessageRow]:
    """Messages behind the id `after`, in order of id, of one utility or of all."""
    with connection.cursor(row_factory=class_row(MessageRow)) as cursor:
        cursor.execute(
            _MESSAGE
            + """
            where (%(utility)s::int is null or o.utility_id = %(utility)s)
              and (%(state)s::text is null or o.state = %(state)s)
              and (%(period)s::text is null or o.period = %(period)s) and o.id > %(after)s
            order by o.id limit %(limit)s
            """,
            {"utility": utility_id, "state": state, "period": period, "after": after, "limit": limit},
        )
        return cursor.fetchall()


def message(
    connection: Connection[Any], message_id: int, *, utility_id: int | None = None
) -> MessageRow | None:
    """The message with this id, of this utility or of any."""
    with connection.cursor(row_factory=class_row(MessageRow)) as cursor:
        cursor.execute(
            _MESSAGE + " where o.id = %(id)s and (%(utility)s::int is null or o.utility_id = %(utility)s)",
            {"id": message_id, "utility": utility_id},
        )
        return cursor.fetchone()
