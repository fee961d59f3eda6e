"""How gateways, their lines and their meters' clocks were, hour by hour, out of their health messages.

Every figure is the largest, the smallest or the last of its hour or day, so that neither the order of
messages nor one that comes twice changes anything. Of a gateway whose clock has no reference, the present is
the hour, and what it says of meters' clocks is not kept.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any

import numpy as np
from psycopg import Connection
from psycopg.rows import class_row

from store.postgres.arrays import microseconds
from store.readings.raw import mark_for_validation
from telemetry.wire import Health, from_milliseconds

_LOCK = 0x4845_4152  # "HEAR": one process looks at a gateway at a time
KEPT = timedelta(days=100)
CLOCK_SECONDS = 60  # M-Bus type F tells no seconds; good clocks write nothing


@dataclass(frozen=True, slots=True)
class WatchedGateway:
    """A gateway that was heard lately, and how many meters it reads."""

    id: int
    utility_id: int
    meters: int


@dataclass(frozen=True, slots=True)
class GatewayHour:
    """A gateway in an hour in which it was heard; None: it did not tell. See core/0009."""

    hour: datetime
    cpu_celsius: float | None
    disk_used: float | None
    unsynchronised: bool
    clock_ahead: float


@dataclass(frozen=True, slots=True)
class LineHour:
    """A line's counters at the end of an hour, since its gateway's process began."""

    line: str
    hour: datetime
    exchanges: int
    retries: int
    crc_errors: int


@dataclass(frozen=True, slots=True)
class MissedHour:
    """Polls of a meter in an hour that gave no readout: by the meter's own fault, or by any."""

    meter_id: int
    hour: datetime
    own: int
    all: int


@dataclass(frozen=True, slots=True)
class MeterPlace:
    """A meter, the register that its findings hang on, and all of its registers."""

    meter_id: int
    register_id: int
    register_ids: list[int]


def keep_hour(connection: Connection[Any], utility: str, gateway: str, health: Health) -> None:
    """Keep what a health message of a registered gateway says."""
    row = connection.execute(
        """
        select g.id, g.utility_id, now() from gateways g join utilities u on u.id = g.utility_id
        where u.code = %s and g.code = %s
        """,
        (utility, gateway),
    ).fetchone()
    if row is None:
        return
    gateway_id, utility_id, now = row
    at = from_milliseconds(health.at)
    instant = min(at, now) if health.clock_synchronised else now
    _keep_gateway(connection, (gateway_id, utility_id), instant, health, (at - now).total_seconds())
    for line in health.lines:
        told = (line.exchanges, line.retries, line.crc_errors)
        connection.execute(
            """
            insert into line_hours as t
                (gateway_id, line, hour, utility_id, told_at, exchanges, retries, crc_errors)
            values (%s, %s, date_trunc('hour', %s), %s, %s, %s, %s, %s)
            on conflict (gateway_id, line, hour) do update
            set told_at = excluded.told_at, exchanges = excluded.exchanges, retries = excluded.retries,
                crc_errors = excluded.crc_errors
            where t.told_at < excluded.told_at
            """,
            (gateway_id, line.line, instant, utility_id, instant, *told),
        )
    if health.clock_synchronised:
        _keep_clocks(connection, (gateway_id, utility_id), health, now)


def _keep_gateway(
    connection: Connection[Any], whose: tuple[int, int], instant: datetime, health: Health, ahead: float
) -> None:
    free, total = health.disk_free_bytes, health.disk_total_bytes
    used = None if free is None or not total else min(1.0, max(0.0, 1 - free / total))
    connection.execute(
        """
        insert into gateway_hours as t
            (gateway_id, utility_id, hour, cpu_celsius, disk_used, unsynchronised, clock_ahead)
        values (%s, %s, date_trunc('hour', %s), %s, %s, %s, %s)
        on conflict (gateway_id, hour) do update
        set cpu_celsius = greatest(t.cpu_celsius, excluded.cpu_celsius),
            disk_used = greatest(t.disk_used, excluded.disk_used),
            unsynchronised = t.unsynchronised or excluded.unsynchronised,
            clock_ahead = case when abs(excluded.clock_ahead) < abs(t.clock_ahead) then excluded.clock_ahead
                               else t.clock_ahead end
        """,
        (*whose, instant, health.cpu_celsius, used, not health.clock_synchronised, ahead),
    )


def _keep_clocks(connection: Connection[Any], whose: tuple[int, int], health: Health, now: datetime) -> None:
    """The distance belongs to the day of the meter's last readout; where it grew, that is judged anew."""
    told = [
        (meter.meter, read.date(), round(max(-2e9, min(2e9, meter.clock_drift))))
        for meter in health.meters
        if meter.clock_drift is not None
        and abs(meter.clock_drift) >= CLOCK_SECONDS
        and meter.last_success is not None
        and (read := from_milliseconds(meter.last_success)) <= now + timedelta(days=1)
    ]
    if not told:
        return
    codes, days, ahead = zip(*told, strict=True)
    gateway_id, utility_id = whose
    rows = connection.execute(
        """
        with told as (
            select distinct on (m.id, t.day) m.id, t.day, t.ahead
            from unnest(%(codes)s::text[], %(days)s::date[], %(ahead)s::int[]) as t (code, day, ahead)
            join meters m on m.utility_id = %(utility)s and m.code = t.code
                         and (m.gateway_id is null or m.gateway_id = %(gateway)s)
            where not exists (select from meter_clocks c  -- mostly nothing is new
                              where c.meter_id = m.id and c.day = t.day and abs(c.ahead) >= abs(t.ahead))
            order by m.id, t.day, abs(t.ahead) desc
        ), kept as (
            insert into meter_clocks as c (meter_id, day, utility_id, ahead)
            select id, day, %(utility)s, ahead from told order by id, day
            on conflict (meter_id, day) do update set ahead = excluded.ahead
            where abs(c.ahead) < abs(excluded.ahead)
            returning meter_id, day
        )
        select r.id, kept.day from kept join registers r on r.meter_id = kept.meter_id order by 1
        """,
        {
            "codes": list(codes),
            "days": list(days),
            "ahead": list(ahead),
            "utility": utility_id,
            "gateway": gateway_id,
        },
    ).fetchall()
    mark_for_validation(
        connection,
        np.array([register for register, _ in rows], dtype=np.int32),
        np.array([_midnight(day) for _, day in rows], dtype=np.int64),
    )


def _midnight(day: date) -> int:
    return microseconds(datetime(day.year, day.month, day.day, tzinfo=UTC))


def heard_hours(connection: Connection[Any], since: datetime) -> set[datetime]:
    """Hours in which any gateway at all was heard: in the others nobody listened."""
    return {
        hour
        for (hour,) in connection.execute(
            "select distinct hour from gateway_hours where hour >= %s", (since,)
        )
    }


def watched_gateways(connection: Connection[Any], since: datetime) -> list[WatchedGateway]:
    """Gateways that were heard since then, with the meters that only they read."""
    with connection.cursor(row_factory=class_row(WatchedGateway)) as cursor:
        cursor.execute(
            """
            select g.id, g.utility_id,
                   (select count(*)::int from meters m where m.gateway_id = g.id) as meters
            from gateways g
            where g.kind = 'field' and exists (
                select from gateway_hours h where h.gateway_id = g.id and h.hour >= %s)
            order by g.id
            """,
            (since,),
        )
        return cursor.fetchall()


def gateway_hours(connection: Connection[Any], gateway_id: int, since: datetime) -> list[GatewayHour]:
    """The hours in which it was heard, in order."""
    with connection.cursor(row_factory=class_row(GatewayHour)) as cursor:
        cursor.execute(
            """
            select hour, cpu_celsius, disk_used, unsynchronised, clock_ahead from gateway_hours
            where gateway_id = %s and hour >= %s order by hour
            """,
            (gateway_id, since),
        )
        return cursor.fetchall()


def line_hours(connection: Connection[Any], gateway_id: int, since: datetime) -> list[LineHour]:
    """The counters of its lines, by line and hour."""
    with connection.cursor(row_factory=class_row(LineHour)) as cursor:
        cursor.execute(
            """
            select line, hour, exchanges, retries, crc_errors from line_hours
            where gateway_id = %s and hour >= %s order by line, hour
            """,
            (gateway_id, since),
        )
        return cursor.fetchall()


def missed_hours(
    connection: Connection[Any], gateway_id: int, since: datetime, others: Sequence[str]
) -> list[MissedHour]:
    """Missed polls by meter and hour. `others`: reasons for which the meter is not to blame."""
    with connection.cursor(row_factory=class_row(MissedHour)) as cursor:
        cursor.execute(
            """
            select meter_id, date_trunc('hour', due_at) as hour, count(*) as all,
                   count(*) filter (where reason <> all(%s)) as own
            from missed_polls where gateway_id = %s and due_at >= %s group by 1, 2 order by 1, 2
            """,
            (list(others), gateway_id, since),
        )
        return cursor.fetchall()


def read_hours(
    connection: Connection[Any], register_ids: Sequence[int], since: datetime
) -> dict[int, dict[datetime, int]]:
    """How many readings registers have in each hour."""
    rows = connection.execute(
        """
        select register_id, date_trunc('hour', measured_at), count(*) from readings
        where register_id = any(%s) and measured_at >= %s group by 1, 2
        """,
        (list(register_ids), since),
    )
    found: dict[int, dict[datetime, int]] = {}
    for register, hour, count in rows:
        found.setdefault(register, {})[hour] = count
    return found


def take_gateway(connection: Connection[Any], gateway_id: int) -> bool:
    """Whether nobody else looks at it, until the transaction ends."""
    locked = connection.execute("select pg_try_advisory_xact_lock(%s, %s)", (_LOCK, gateway_id)).fetchone()
    return locked == (True,)


def places(connection: Connection[Any], gateway_id: int, meter_ids: Sequence[int]) -> list[MeterPlace]:
    """These meters but for those of other gateways, and those with findings of missed polls here.

    A meter that any gateway may read is looked at with the one that missed it last. Meters without a register
    are left out.
    """
    with connection.cursor(row_factory=class_row(MeterPlace)) as cursor:
        cursor.execute(
            """
            select r.meter_id, (array_agg(r.id order by r.billed desc, r.kind, r.obis))[1] as register_id,
                   array_agg(r.id) as register_ids
            from registers r
            where r.meter_id in (
                select m.id from meters m
                where m.id = any(%(meters)s) and %(gateway)s = coalesce(m.gateway_id, (
                    select p.gateway_id from missed_polls p where p.meter_id = m.id
                    order by p.due_at desc limit 1))
                union
                select m.id from meters m join registers o on o.meter_id = m.id
                join findings f on f.register_id = o.id and f.kind = 'communication.missed_polls'
                where m.gateway_id = %(gateway)s)
            group by 1 order by 1
            """,
            {"meters": list(meter_ids), "gateway": gateway_id},
        )
        return cursor.fetchall()


def forget(connection: Connection[Any], before: datetime) -> int:
    """Remove the hours before that; how many rows that were. Clocks stay as long as readings do."""
    return sum(
        connection.execute(statement.encode(), (before,)).rowcount
        for statement in (
            "delete from gateway_hours where hour < %s",
            "delete from line_hours where hour < %s",
        )
    )
