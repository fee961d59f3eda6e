"""Rows behind a billing reading: its close, its other versions, the telegrams of its readings."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from psycopg import Connection
from psycopg.rows import class_row


@dataclass(frozen=True, slots=True)
class ReadingVersion:
    """Version of a billing reading and the close that added it. `consumption` in micro-units."""

    id: int
    version: int
    consumption: int
    quality: int
    content_hash: bytes
    created_at: datetime
    run: int
    author: str
    closed_at: datetime


@dataclass(frozen=True, slots=True)
class TelegramBehind:
    """Telegram that brought a meter's readings of an instant, and the message that it came in.

    `model`: the meter's in the registry.
    """

    meter: str
    measured_at: datetime
    received_at: datetime
    gateway: str
    epoch: str
    batch: int
    raw: bytes
    model: str


def utility_of_billing_reading(connection: Connection[Any], reading_id: int) -> int | None:
    """Whose billing reading has this id, as far as the session may see."""
    row = connection.execute(
        "select utility_id from billing_readings where id = %s", (reading_id,)
    ).fetchone()
    return None if row is None else int(row[0])


def versions(connection: Connection[Any], utility_id: int, reading_id: int) -> list[ReadingVersion]:
    """All versions of the billing reading of which one has this id, the first one first."""
    with connection.cursor(row_factory=class_row(ReadingVersion)) as cursor:
        return cursor.execute(
            """
            select b.id, b.version, b.consumption, b.quality, b.content_hash, b.created_at,
                   c.run, c.author, c.closed_at
            from billing_readings one
            join billing_readings b using (service_point_id, obis, period)
            join closes c on c.id = b.close_id
            where one.utility_id = %s and one.id = %s order by b.version
            """,
            (utility_id, reading_id),
        ).fetchall()


def telegrams_behind(
    connection: Connection[Any], utility_id: int, readings: Sequence[tuple[str, datetime]]
) -> dict[tuple[str, datetime], TelegramBehind]:
    """The telegrams of these (meter id, instant); imported readings have none, and old ones are gone."""
    with connection.cursor(row_factory=class_row(TelegramBehind)) as cursor:
        cursor.execute(
            """
            select distinct m.code as meter, t.measured_at, t.received_at, g.code as gateway, t.epoch,
                   t.batch, t.raw, m.model
            from unnest(%s::text[], %s::timestamptz[]) as wanted (meter, measured_at)
            join meters m on m.utility_id = %s and m.code = wanted.meter
            join telegrams t on t.meter_id = m.id and t.measured_at = wanted.measured_at
            join gateways g on g.id = t.gateway_id
            """,
            ([meter for meter, _ in readings], [at for _, at in readings], utility_id),
        )
        return {(row.meter, row.measured_at): row for row in cursor.fetchall()}


RegisterSpan = tuple[int, datetime, datetime]
"""Register, and its readings from one instant to another, both included."""


@dataclass(frozen=True, slots=True)
class MarkBehind:
    """Mark of a rule, or a person, on one reading as of today. `value` in micro-units; None: it is gone."""

    register_id: int
    measured_at: datetime
    value: int | None
    rule: str
    quality: int
    usable: bool
    evidence: dict[str, Any]
    author: str
    created_at: datetime


@dataclass(frozen=True, slots=True)
class EditBehind:
    """Decision about one reading, and the second person, where one was needed and has approved."""

    register_id: int
    id: int
    measured_at: datetime
    action: str
    value: int | None
    undoes: int | None
    author: str
    reason: str
    created_at: datetime
    needs_approval: bool
    approved_by: str | None
    approved_at: datetime | None


@dataclass(frozen=True, slots=True)
class InstallationBehind:
    """A meter's time at a service point, with what was written down at its ends (micro-units by register)."""

    id: int
    meter: str
    valid_from: datetime
    valid_to: datetime | None
    multiplier: Decimal
    start_values: dict[str, int]
    end_values: dict[str, int]


@dataclass(frozen=True, slots=True)
class EarlierReading:
    """Billing reading of an earlier period: what an average rests on. `consumption` in micro-units."""

    id: int
    period: str
    version: int
    consumption: int
    start_value: int
    end_value: int
    quality: int


def marks_behind(connection: Connection[Any], stretches: Sequence[RegisterSpan]) -> list[MarkBehind]:
    """The marks on the readings of these stretches, by register, instant and rule."""
    with connection.cursor(row_factory=class_row(MarkBehind)) as cursor:
        return cursor.execute(
            """
            select distinct m.register_id, m.measured_at, r.value, m.rule, m.quality, m.usable, m.evidence,
                   m.author, m.created_at
            from unnest(%s::int[], %s::timestamptz[], %s::timestamptz[]) as part (register_id, since, until)
            join marks m on m.register_id = part.register_id
                        and m.measured_at between part.since and part.until
            left join readings r on r.register_id = m.register_id and r.measured_at = m.measured_at
            order by 1, 2, 4
            """,
            _columns(stretches),
        ).fetchall()


def edits_behind(connection: Connection[Any], stretches: Sequence[RegisterSpan]) -> list[EditBehind]:
    """The edits of readings of these stretches, in the order in which they were made."""
    with connection.cursor(row_factory=class_row(EditBehind)) as cursor:
        return cursor.execute(
            """
            select distinct e.register_id, e.id, e.measured_at, e.action, e.value, e.undoes, e.author,
                   e.reason, e.created_at, e.needs_approval, a.author as approved_by,
                   a.created_at as approved_at
            from unnest(%s::int[], %s::timestamptz[], %s::timestamptz[]) as part (register_id, since, until)
            join edits e on e.register_id = part.register_id
                        and e.measured_at between part.since and part.until
            left join edit_approvals a on a.edit_id = e.id
            order by e.id
            """,
            _columns(stretches),
        ).fetchall()


def _columns(stretches: Sequence[RegisterSpan]) -> tuple[list[int], list[datetime], list[datetime]]:
    return [each[0] for each in stretches], [each[1] for each in stretches], [each[2] for each in stretches]


def installations_behind(
    connection: Connection[Any], utility_id: int, installation_ids: Sequence[int]
) -> dict[int, InstallationBehind]:
    """The installations with these ids, as they are in the registry today."""
    with connection.cursor(row_factory=class_row(InstallationBehind)) as cursor:
        cursor.execute(
            """
            select i.id, m.code as meter, i.valid_from, i.valid_to, i.multiplier, i.start_values, i.end_values
            from installations i join meters m on m.id = i.meter_id
            where m.utility_id = %s and i.id = any(%s)
            """,
            (utility_id, list(installation_ids)),
        )
        return {row.id: row for row in cursor.fetchall()}


def earlier(
    connection: Connection[Any], utility_id: int, reading_id: int, periods: Sequence[str]
) -> list[EarlierReading]:
    """What was billed of the same register for these periods when this one was issued, in order."""
    with connection.cursor(row_factory=class_row(EarlierReading)) as cursor:
        return cursor.execute(
            """
            select distinct on (b.period) b.id, b.period, b.version, b.consumption, b.start_value,
                   b.end_value, b.quality
            from billing_readings one
            join billing_readings b using (service_point_id, obis)
            where one.utility_id = %s and one.id = %s and b.period = any(%s) and b.id < one.id
            order by b.period, b.version desc
            """,
            (utility_id, reading_id, list(periods)),
        ).fetchall()
