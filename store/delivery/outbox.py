"""The outbox: messages of billing readings for the destinations of a utility, from waiting to acknowledged.

A message is made in the transaction of the close, and names its readings instead of holding them: those are
never altered, so what is sent is the same at every attempt. A worker holds the row of the message that it
sends; when it dies the row is free again, and the message goes out again under the same id.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import Any
from uuid import UUID

from psycopg import Connection
from psycopg.rows import class_row
from psycopg.types.json import Jsonb

from store.delivery.control_totals import control_sums, note_delivered

READINGS_PER_MESSAGE = 200


class State(StrEnum):
    """How far a message is."""

    WAITING = "waiting"
    DELIVERED = "delivered"  # the destination answered that it has it
    ACKNOWLEDGED = "acknowledged"  # the billing system counted and summed it as we do
    DEAD = "dead"  # given up, until a person says otherwise


@dataclass(frozen=True, slots=True)
class Claimed:
    """A message that is due, held until the transaction ends. Of `secrets` the first is the newest."""

    id: int
    message_id: UUID
    utility_id: int
    utility: str
    destination_id: int
    url: str
    allow_private: bool
    secrets: tuple[str, ...] = field(repr=False)
    close_id: int
    period: str
    first_reading: int
    last_reading: int
    attempts: int
    created_at: datetime


@dataclass(frozen=True, slots=True)
class MessageRow:
    """A message as people and billing systems see it; `state` is the text of a State."""

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


@dataclass(frozen=True, slots=True)
class ClaimRow:
    """What a billing system said of a message. `totals` as it wrote them."""

    key_name: str
    readings: int
    totals: dict[str, str]
    accepted: bool
    at: datetime


def put(connection: Connection[Any], close_id: int, *, destination_id: int | None = None) -> int:
    """Messages with the billing readings that a close added, for each destination of its utility, or for
    this one alone; how many. Part of the close's transaction. What is there already is left."""
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
    """Whether there is any destination: numbering the readings of a close takes a while."""
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
    """For a new destination, what its utility closed for the periods from `since` (YYYY-MM) on; how many."""
    closed = connection.execute(
        """
        select c.id from closes c join destinations d on d.utility_id = c.utility_id
        where d.id = %s and c.period >= %s order by c.id
        """,
        (destination_id, since),
    ).fetchall()
    return sum(put(connection, close_id, destination_id=destination_id) for (close_id,) in closed)


def claim(connection: Connection[Any], now: datetime) -> Claimed | None:
    """The message that has been due for longest, held until the transaction ends; None where none is due."""
    row = connection.execute(
        """
        select o.id, o.message_id, o.utility_id, u.code, d.id, d.url, d.allow_private, d.secret,
               case when d.previous_until > %(now)s then d.previous_secret end,
               o.close_id, o.period, o.first_reading, o.last_reading, o.attempts, o.created_at
        from outbox o
        join destinations d on d.id = o.destination_id
        join utilities u on u.id = o.utility_id
        where o.state = 'waiting' and o.due_at <= %(now)s and d.removed_at is null
          and (d.resting_until is null or d.resting_until <= %(now)s)
        order by o.due_at, o.id limit 1
        for update of o skip locked
        """,
        {"now": now},
    ).fetchone()
    if row is None:
        return None
    *address, secret, previous = row[:9]
    secrets = (secret,) if previous is None else (secret, previous)
    return Claimed(*address, secrets, *row[9:])  # type: ignore[call-arg]  # the columns are its fields


def delivered(connection: Connection[Any], message: Claimed, now: datetime) -> None:
    """The destination has it."""
    connection.execute(
        """
        update outbox set state = 'delivered', delivered_at = %s, attempts = attempts + 1, last_error = null
        where id = %s
        """,
        (now, message.id),
    )


def failed(
    connection: Connection[Any], message: Claimed, error: str, *, again: datetime | None, resting: datetime
) -> None:
    """It did not get there: it is due again at `again`, or (None) dead; its destination rests meanwhile."""
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
    """Dead messages wait again, with all their attempts: those with these ids, or (None) all; how many.

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
    state: State | None = None,
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


def differences(ours: Mapping[str, str], theirs: Mapping[str, str]) -> dict[str, str]:
    """Ours minus theirs (decimals by register and unit), where they differ or one side has none."""
    found = {}
    for name in sorted(ours.keys() | theirs.keys()):
        difference = Decimal(ours.get(name, "0")) - Decimal(theirs.get(name, "0"))
        if difference or name not in ours or name not in theirs:
            found[name] = format(difference, "f")
    return found


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
    """Keep what a billing system says of a message; if it is what we say, the message is acknowledged."""
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


def last_claim(connection: Connection[Any], message_id: int) -> ClaimRow | None:
    """What a billing system last said of a message."""
    with connection.cursor(row_factory=class_row(ClaimRow)) as cursor:
        cursor.execute(
            """
            select k.name as key_name, a.readings, a.totals, a.accepted, a.at
            from delivery_acknowledgements a join api_keys k on k.id = a.api_key_id
            where a.outbox_id = %s order by a.id desc limit 1
            """,
            (message_id,),
        )
        return cursor.fetchone()
