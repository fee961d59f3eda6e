"""Health messages, kept hour by hour: of gateways, their lines and their meters' clocks.

Every figure is the largest, the smallest or the last of its hour or day, so that neither the order of
messages nor one that comes twice changes anything. Of a gateway whose clock has no reference, the present is
the hour, and what it says of meters' clocks is not kept.

How far a gateway's clock is off is told by the messages that come in an hour, whatever instants they bear:
by the least far of them, since others may have been long on their way.
"""

from datetime import UTC, date, datetime, timedelta
from typing import Any

import numpy as np
from psycopg import Connection

from store.postgres.arrays import microseconds
from store.readings.raw import mark_for_validation
from telemetry.wire import Health, from_milliseconds

_EPOCHS = 8  # of a gateway, the latest
CLOCK_SECONDS = 60  # M-Bus type F tells no seconds; good clocks write nothing


def keep_hour(connection: Connection[Any], utility: str, gateway: str, health: Health) -> None:
    """Keep what a health message of a registered gateway says."""
    row = connection.execute(
        """
        select g.id, g.utility_id, now(), g.epochs from gateways g join utilities u on u.id = g.utility_id
        where u.code = %s and g.code = %s for no key update of g
        """,
        (utility, gateway),
    ).fetchone()
    if row is None:
        return
    gateway_id, utility_id, now, epochs = row
    at = from_milliseconds(health.at)
    instant = min(at, now) if health.clock_synchronised else now
    returned = _keep_epoch(connection, gateway_id, epochs, health.epoch)
    _keep_gateway(connection, (gateway_id, utility_id), health, (instant, now), returned=returned)
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


def _keep_epoch(connection: Connection[Any], gateway_id: int, epochs: list[str], told: str) -> bool:
    """Whether an epoch came back that the gateway had left."""
    if told != (epochs[0] if epochs else None):
        kept = [told, *(one for one in epochs if one != told)][:_EPOCHS]
        connection.execute("update gateways set epochs = %s where id = %s", (kept, gateway_id))
    return told in epochs[1:]


def _keep_gateway(
    connection: Connection[Any],
    whose: tuple[int, int],
    health: Health,
    hours: tuple[datetime, datetime],
    *,
    returned: bool,
) -> None:
    """`hours` are those that it speaks of and in which it came, mostly the same."""
    free, total = health.disk_free_bytes, health.disk_total_bytes
    used = None if free is None or not total else min(1.0, max(0.0, 1 - free / total))
    told, came = hours
    connection.execute(
        """
        insert into gateway_hours as t
            (gateway_id, utility_id, hour, cpu_celsius, disk_used, unsynchronised, clock_ahead, returns)
        select %(gateway)s, %(utility)s, hour, max(cpu), max(used), bool_or(lost), max(ahead), max(returns)
        from (values
            (date_trunc('hour', %(told)s), %(cpu)s::real, %(used)s::real, %(lost)s, null::real, 0),
            (date_trunc('hour', %(came)s), null, null, false, %(ahead)s, %(returned)s::int)
        ) as said (hour, cpu, used, lost, ahead, returns)
        group by hour order by hour
        on conflict (gateway_id, hour) do update
        set cpu_celsius = greatest(t.cpu_celsius, excluded.cpu_celsius),
            disk_used = greatest(t.disk_used, excluded.disk_used),
            unsynchronised = t.unsynchronised or excluded.unsynchronised,
            clock_ahead = case when abs(excluded.clock_ahead) < abs(coalesce(t.clock_ahead, 'infinity'))
                               then excluded.clock_ahead else t.clock_ahead end,
            returns = t.returns + excluded.returns
        """,
        {
            "gateway": whose[0],
            "utility": whose[1],
            "told": told,
            "came": came,
            "cpu": health.cpu_celsius,
            "used": used,
            "lost": not health.clock_synchronised,
            "ahead": (from_milliseconds(health.at) - came).total_seconds(),
            "returned": int(returned),
        },
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
