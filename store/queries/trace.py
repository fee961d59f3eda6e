"""What stands behind a billing reading: its close, its other versions, the telegrams of its readings."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from psycopg import Connection
from psycopg.rows import class_row


@dataclass(frozen=True, slots=True)
class VersionRow:
    """One version of a billing reading and the close that added it. `consumption` in micro-units."""

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
class BehindRow:
    """The telegram that brought a meter's readings of an instant, and the message that it came in.

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


def versions(connection: Connection[Any], utility_id: int, reading_id: int) -> list[VersionRow]:
    """All versions of the billing reading of which one has this id, the first one first."""
    with connection.cursor(row_factory=class_row(VersionRow)) as cursor:
        cursor.execute(
            """
            select b.id, b.version, b.consumption, b.quality, b.content_hash, b.created_at,
                   c.run, c.author, c.closed_at
            from billing_readings one
            join billing_readings b using (service_point_id, obis, period)
            join closes c on c.id = b.close_id
            where one.utility_id = %s and one.id = %s order by b.version
            """,
            (utility_id, reading_id),
        )
        return cursor.fetchall()


def telegrams_behind(
    connection: Connection[Any], utility_id: int, readings: Sequence[tuple[str, datetime]]
) -> dict[tuple[str, datetime], BehindRow]:
    """The telegrams of these (meter id, instant); imported readings have none, and old ones are gone."""
    with connection.cursor(row_factory=class_row(BehindRow)) as cursor:
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
