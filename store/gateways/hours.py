"""Hours of gateways, their lines and their meters, as `health_message.py` keeps them, for those who judge."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from psycopg import Connection

from store.postgres.rows import all_rows

_LOCK = 0x4845_4152  # "HEAR": one process looks at a gateway at a time
KEPT = timedelta(days=100)


@dataclass(frozen=True, slots=True)
class WatchedGateway:
    """A gateway that was heard lately, and how many meters it reads."""

    id: int
    utility_id: int
    meters: int


@dataclass(frozen=True, slots=True)
class GatewayHour:
    """A gateway in an hour in which it was heard; None: it did not tell. See core/0009 and core/0014."""

    hour: datetime
    cpu_celsius: float | None
    disk_used: float | None
    unsynchronised: bool
    clock_ahead: float | None
    returns: int


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
    query = """
        select g.id, g.utility_id,
               (select count(*)::int from meters m where m.gateway_id = g.id) as meters
        from gateways g
        where g.kind = 'field' and exists (
            select from gateway_hours h where h.gateway_id = g.id and h.hour >= %s)
        order by g.id
        """
    return all_rows(connection, WatchedGateway, query, (since,))


def gateway_hours(connection: Connection[Any], gateway_id: int, since: datetime) -> list[GatewayHour]:
    """The hours in which it was heard, in order."""
    query = """
        select hour, cpu_celsius, disk_used, unsynchronised, clock_ahead, returns from gateway_hours
        where gateway_id = %s and hour >= %s order by hour
        """
    return all_rows(connection, GatewayHour, query, (gateway_id, since))


def line_hours(connection: Connection[Any], gateway_id: int, since: datetime) -> list[LineHour]:
    """The counters of its lines, by line and hour."""
    query = """
        select line, hour, exchanges, retries, crc_errors from line_hours
        where gateway_id = %s and hour >= %s order by line, hour
        """
    return all_rows(connection, LineHour, query, (gateway_id, since))


def missed_hours(
    connection: Connection[Any], gateway_id: int, since: datetime, others: Sequence[str]
) -> list[MissedHour]:
    """Missed polls by meter and hour. `others`: reasons for which the meter is not to blame."""
    query = """
        select meter_id, date_trunc('hour', due_at) as hour, count(*) as all,
               count(*) filter (where reason <> all(%s)) as own
        from missed_polls where gateway_id = %s and due_at >= %s group by 1, 2 order by 1, 2
        """
    return all_rows(connection, MissedHour, query, (list(others), gateway_id, since))


def read_hours(
    connection: Connection[Any], register_ids: Sequence[int], since: datetime
) -> dict[int, dict[datetime, int]]:
    """The number of readings that registers have in each hour."""
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
    """True where nobody else looks at it, until the transaction ends."""
    locked = connection.execute("select pg_try_advisory_xact_lock(%s, %s)", (_LOCK, gateway_id)).fetchone()
    return locked == (True,)


def places(connection: Connection[Any], gateway_id: int, meter_ids: Sequence[int]) -> list[MeterPlace]:
    """These meters but for those of other gateways, and those with findings of missed polls here.

    A meter that any gateway may read is looked at with the one that missed it last. Meters without a register
    are left out.
    """
    query = """
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
        """
    return all_rows(connection, MeterPlace, query, {"meters": list(meter_ids), "gateway": gateway_id})


def forget(connection: Connection[Any], before: datetime) -> int:
    """Remove the hours before that; how many rows that were. Clocks stay as long as readings do."""
    return sum(
        connection.execute(statement.encode(), (before,)).rowcount
        for statement in (
            "delete from gateway_hours where hour < %s",
            "delete from line_hours where hour < %s",
        )
    )
