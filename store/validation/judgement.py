"""The validator's side of the store: which series were touched, and what is said of their readings.

The writer notes blocks of registers by day in `validation_queue`. A validator locks one row of
`validation_blocks`, so nobody else judges these registers at the time, and deletes the block's notes: a
writer that comes meanwhile waits for that, then writes its note anew. So no reading escapes judgement.

A meter is judged whole, for its registers are compared with each other: by who has the block of its first
register, its home. A block that holds further registers of such a meter passes its notes on to the home.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import date, datetime, timedelta
from typing import Any

import numpy as np
import numpy.typing as npt
from psycopg import Connection
from psycopg.rows import class_row

from store.billing.measured import Points
from store.postgres.arrays import IntArray, adapt
from telemetry.blocks import BLOCK


@dataclass(frozen=True, slots=True)
class Claim:
    """One block, locked until the transaction ends. `days` (UTC) were touched; `generation` is the new."""

    block: int
    days: Sequence[date]
    generation: int


@dataclass(frozen=True, slots=True)
class JudgedRegister:
    """A register to judge, with what the registry knows of its meter, whose `home` is this block.

    `capacity` in micro-units; `qmax` in micro-m3 an hour; `interval` between two readings that are due.
    `verified_until` is the last day of the meter's verification. `house`: the meter measures at a site that
    holds other sites (its service point's, or else its own), so somebody behind it always uses something;
    `submetered`: sites behind it have service points of its medium.
    `removed_at`: the meter is installed nowhere since then.
    """

    id: int
    home: int
    utility_id: int
    zone: str
    meter: str
    obis: str
    kind: str
    unit: str
    capacity: int | None
    interval: timedelta | None
    qmax: int | None
    verified_until: date | None
    billed: bool
    house: bool
    submetered: bool
    removed_at: datetime | None


def enrol(connection: Connection) -> None:
    """Give every block in the queue its row to lock. Commit before `claim`, or others wait for it."""
    connection.execute(
        """
        insert into validation_blocks (block)
        select distinct block from validation_queue
        where block not in (select block from validation_blocks)
        on conflict do nothing
        """
    )


def claim(connection: Connection, limit: int = 1) -> list[Claim]:
    """The blocks that wait longest and that nobody works on, with their notes removed; none: nothing to
    do."""
    while True:
        found = connection.execute(
            """
            select b.block, b.generation from validation_blocks b
            where exists (select from validation_queue q where q.block = b.block)
            order by (select min(q.marked_at) from validation_queue q where q.block = b.block)
            limit %s for update skip locked
            """,
            (limit,),
        ).fetchall()
        if not found:
            return []
        days: dict[int, list[date]] = {}
        for block, day in connection.execute(
            "delete from validation_queue where block = any(%s) returning block, day",
            ([block for block, _ in found],),
        ):
            days.setdefault(block, []).append(day)
        if days:  # else another validator has just done it
            connection.execute(
                "update validation_blocks set generation = generation + 1 where block = any(%s)",
                (list(days),),
            )
            return [
                Claim(block, sorted(days[block]), generation + 1)
                for block, generation in found
                if block in days
            ]


def waiting(connection: Connection) -> int:
    """How many blocks wait for judgement."""
    row = connection.execute("select count(distinct block) from validation_queue").fetchone()
    return row[0] if row else 0


def registers_of(connection: Connection, blocks: Sequence[int]) -> list[JudgedRegister]:
    """All registers of the meters whose home is one of the blocks, by id."""
    with connection.cursor(row_factory=class_row(JudgedRegister)) as cursor:
        return cursor.execute(
            """
            select r.id, h.home / %(size)s as home, r.utility_id, u.time_zone as zone, m.code as meter,
                   r.obis, r.kind, r.unit, r.capacity, r.expected_interval as interval, m.qmax,
                   m.verified_until, r.billed,
                   exists (select from sites s where s.parent_id = place.site) as house,
                   exists (
                       with recursive below (site) as (
                           select id from sites where parent_id = place.site
                           union all
                           select s.id from below b join sites s on s.parent_id = b.site)
                       select from below b
                       join service_points p on p.site_id = b.site and p.medium = m.medium) as submetered,
                   (select max(i.valid_to) from installations i where i.meter_id = m.id
                    having bool_and(i.valid_to is not null)) as removed_at
            from (
                select distinct h.meter_id, (select min(f.id) from registers f where f.meter_id = h.meter_id)
                       as home
                from unnest(%(blocks)s::int[]) as b (block)
                join registers h on h.id >= b.block * %(size)s and h.id < (b.block + 1) * %(size)s
            ) h
            join registers r on r.meter_id = h.meter_id
            join meters m on m.id = r.meter_id join utilities u on u.id = r.utility_id
            cross join lateral (
                select coalesce(
                    (select p.site_id
                     from installations i join service_points p on p.id = i.service_point_id
                     where i.meter_id = m.id
                     order by i.valid_to desc nulls first, i.valid_from desc limit 1),
                    m.site_id) as site
            ) place
            where h.home / %(size)s = any(%(blocks)s)
            order by r.id
            """,
            {"blocks": list(blocks), "size": BLOCK},
        ).fetchall()


def pass_on(connection: Connection, claims: Sequence[Claim]) -> None:
    """Note the touched days at the homes of the meters that these blocks hold further registers of."""
    connection.execute(
        """
        insert into validation_queue (block, day)
        select distinct home.block, touched.day
        from unnest(%(blocks)s::int[], %(days)s::date[]) as touched (block, day) cross join lateral (
            select (select min(h.id) from registers h where h.meter_id = r.meter_id) / %(size)s as block
            from registers r
            where r.id >= touched.block * %(size)s and r.id < (touched.block + 1) * %(size)s) home
        where home.block <> touched.block
        order by 1, 2
        on conflict (block, day) do nothing
        """,
        {
            "size": BLOCK,
            "blocks": [each.block for each in claims for _ in each.days],
            "days": [day for each in claims for day in each.days],
        },
    )


def stored_readings(
    connection: Connection, register_ids: Sequence[int], since: datetime, until: datetime
) -> tuple[npt.NDArray[Any], ...]:
    """(register ids, instants, values, status, instants of arrival) from `since` to before `until`, by
    register and instant: arrays of one length."""
    with connection.cursor() as cursor:
        adapt(cursor)
        cursor.execute(
            """
            select coalesce(array_agg(register_id), '{}'), coalesce(array_agg(measured_at), '{}'),
                   coalesce(array_agg(value), '{}'), coalesce(array_agg(status), '{}'),
                   coalesce(array_agg(received_at), '{}')
            from (
                select register_id, measured_at, value, status, received_at from readings
                where register_id = any(%s) and measured_at >= %s and measured_at < %s
                order by register_id, measured_at
            ) as ordered
            """,
            (IntArray(np.array(register_ids, np.int32)), since, until),
        )
        row = cursor.fetchone()
    assert row is not None
    return row


def await_validators(connection: Connection, points: Points) -> None:
    """Wait for validators at work on registers of these service points, and keep others away.

    Until the transaction ends.
    """
    connection.execute(
        """
        select from validation_blocks where block in (
            select r.id / %(size)s from service_points p join installations i on i.service_point_id = p.id
            join registers r on r.meter_id = i.meter_id
            where p.utility_id = %(utility_id)s and p.id between %(first)s and %(last)s
              and (%(of_draft)s::bigint is null or exists (select from draft_points t
                   where t.draft_id = %(of_draft)s and t.service_point_id = p.id)))
        order by block for share
        """,
        asdict(points) | {"size": BLOCK},
    )


def set_validated(connection: Connection, judged: Mapping[int, datetime]) -> None:
    """Note up to when registers are validated: readings before it without a mark hold.

    `judged`: the last judged reading of each.
    """
    connection.execute(
        """
        update registers r set validated_until = done.at + interval '1 microsecond'
        from unnest(%s::int[], %s::timestamptz[]) as done (id, at)
        where r.id = done.id and r.validated_until is distinct from done.at + interval '1 microsecond'
        """,
        (list(judged), list(judged.values())),
    )
