"""Reports of a gateway: the last one, its history, and the meters that it reads."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from psycopg import Connection

from store.postgres.rows import all_rows, one_row


@dataclass(frozen=True, slots=True)
class GatewayReportRow:
    """A gateway's state as it, or its last will, said. `said`: the last health message, of `health_at`."""

    id: int
    code: str
    site_code: str | None
    site_name: str | None
    state: str
    state_at: datetime | None
    health_at: datetime | None
    said: dict[str, Any] | None
    copies: bool  # lately, two gateways reported under this name


@dataclass(frozen=True, slots=True)
class HealthRow:
    """A health message, without its meters. `clock_ahead` in seconds; `lines` as they were told.

    None, where it is possible: not told.
    """

    at: datetime
    received_at: datetime
    clock_ahead: float
    clock_synchronised: bool
    buffered_readouts: int
    oldest_unacknowledged: datetime | None
    buffer_full: bool
    disk_free_bytes: int | None
    disk_total_bytes: int | None
    memory_bytes: int | None
    memory_total_bytes: int | None
    cpu_celsius: float | None
    version: str
    config_version: str
    lines: list[dict[str, Any]]


@dataclass(frozen=True, slots=True)
class GatewayStateRow:
    """Since when it was online or offline, as far as we noticed."""

    state: str
    noticed_at: datetime


@dataclass(frozen=True, slots=True)
class TrendRow:
    """The worst of a stretch of time that begins at `at`. Shares from 0 to 1."""

    at: datetime
    buffered_readouts: int
    disk_used: float | None
    cpu_celsius: float | None


@dataclass(frozen=True, slots=True)
class LineTrendRow:
    """The mean share of a line's time on the wire in a stretch of time that begins at `at`."""

    at: datetime
    line: str
    utilisation: float


@dataclass(frozen=True, slots=True)
class ReadMeterRow:
    """A meter that the registry has at a gateway; `missed` polls since an instant, mostly for `reason`."""

    code: str
    model: str
    medium: int
    point_name: str | None
    missed: int
    reason: str | None


_HEALTH = """
    select at, received_at, clock_ahead, clock_synchronised, buffered_readouts, oldest_unacknowledged,
           buffer_full, disk_free_bytes, disk_total_bytes, memory_bytes, memory_total_bytes, cpu_celsius,
           version, config_version, lines
    from gateway_health
"""


def gateway(connection: Connection[Any], utility_id: int, code: str) -> GatewayReportRow | None:
    """A field gateway by its code; imports are no devices."""
    query = """
        select g.id, g.code, s.code as site_code, s.name as site_name, g.state, g.state_at, g.health_at,
               g.health as said,
               exists (select from gateway_hours h where h.gateway_id = g.id and h.returns > 1
                       and h.hour > now() - interval '2 hours') as copies
        from gateways g left join sites s on s.id = g.site_id
        where g.utility_id = %s and g.code = %s and g.kind = 'field'
        """
    return one_row(connection, GatewayReportRow, query, (utility_id, code))


def latest(connection: Connection[Any], gateway_id: int) -> HealthRow | None:
    """The last health message that is kept."""
    query = _HEALTH + "where gateway_id = %s order by at desc limit 1"
    return one_row(connection, HealthRow, query, (gateway_id,))


def history(
    connection: Connection[Any], gateway_id: int, start: datetime, end: datetime, limit: int
) -> list[HealthRow]:
    """The health messages from `start` (included) to `end` (not), the newest first."""
    query = _HEALTH + "where gateway_id = %s and at >= %s and at < %s order by at desc limit %s"
    return all_rows(connection, HealthRow, query, (gateway_id, start, end, limit))


def states(connection: Connection[Any], gateway_id: int, limit: int) -> list[GatewayStateRow]:
    """The last changes of its connection, the newest first."""
    query = "select state, noticed_at from gateway_states where gateway_id = %s order by id desc limit %s"
    return all_rows(connection, GatewayStateRow, query, (gateway_id, limit))


def trend(
    connection: Connection[Any], gateway_id: int, start: datetime, end: datetime, stretch: timedelta
) -> list[TrendRow]:
    """Its reports from `start` on, by stretches of time; none where it said nothing."""
    query = """
        select date_bin(%(stretch)s, at, %(start)s) as at, max(buffered_readouts) as buffered_readouts,
               max(1 - disk_free_bytes / nullif(disk_total_bytes, 0)::real) as disk_used,
               max(cpu_celsius) as cpu_celsius
        from gateway_health where gateway_id = %(gateway)s and at >= %(start)s and at < %(end)s
        group by 1 order by 1
        """
    return all_rows(
        connection, TrendRow, query, {"stretch": stretch, "gateway": gateway_id, "start": start, "end": end}
    )


def line_trend(
    connection: Connection[Any], gateway_id: int, start: datetime, end: datetime, stretch: timedelta
) -> list[LineTrendRow]:
    """The load of its lines, by the same stretches of time."""
    query = """
        select date_bin(%(stretch)s, h.at, %(start)s) as at, l.line, avg(l.utilisation) as utilisation
        from gateway_health h
        cross join jsonb_to_recordset(h.lines) as l (line text, utilisation double precision)
        where h.gateway_id = %(gateway)s and h.at >= %(start)s and h.at < %(end)s
        group by 1, 2 order by 1, 2
        """
    return all_rows(
        connection,
        LineTrendRow,
        query,
        {"stretch": stretch, "gateway": gateway_id, "start": start, "end": end},
    )


def meters(
    connection: Connection[Any], utility_id: int, gateway_id: int, since: datetime
) -> list[ReadMeterRow]:
    """The meters that the registry has at a gateway, with the polls that gave nothing since then."""
    query = """
        select m.code, m.model, m.medium, p.name as point_name, coalesce(x.missed, 0) as missed, x.reason
        from meters m
        left join lateral (
            select coalesce(nullif(p.name, ''), p.code) as name from installations i
            join service_points p on p.id = i.service_point_id
            where i.meter_id = m.id and i.valid_to is null order by i.valid_from desc limit 1
        ) p on true
        left join (
            select meter_id, count(*)::int as missed, mode() within group (order by reason) as reason
            from missed_polls where utility_id = %(utility)s and gateway_id = %(gateway)s
              and due_at >= %(since)s
            group by meter_id
        ) x on x.meter_id = m.id
        where m.gateway_id = %(gateway)s
        order by m.code
        """
    return all_rows(
        connection, ReadMeterRow, query, {"utility": utility_id, "gateway": gateway_id, "since": since}
    )
