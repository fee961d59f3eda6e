"""Health of a meter's readings: what arrived of what was due, what was missed, what the meter said."""

from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from psycopg import Connection
from psycopg.rows import class_row

from telemetry.status import Status

# What a meter says of itself; the other bits tell how a reading came.
_COMPLAINTS = int(
    Status.POWER_LOW
    | Status.PERMANENT_ERROR
    | Status.TEMPORARY_ERROR
    | Status.APPLICATION_ERROR
    | Status.ABNORMAL
    | Status.TAMPER
)


@dataclass(frozen=True, slots=True)
class DayRow:
    """A local day: readings that arrived and readings that were due, and polls that gave nothing."""

    day: date
    due: int
    arrived: int
    missed: int


@dataclass(frozen=True, slots=True)
class ReasonRow:
    """Reason why polls gave nothing: how often, and when last."""

    reason: str
    count: int
    last_at: datetime


@dataclass(frozen=True, slots=True)
class StatusRow:
    """A status that readings had: from when to when, and how many of them."""

    status: int
    first_at: datetime
    last_at: datetime
    count: int


def days(connection: Connection[Any], meter_id: int, first: date, last: date) -> list[DayRow]:
    """Each day from `first` to `last` on which something was due or missed, the earliest first."""
    with connection.cursor(row_factory=class_row(DayRow)) as cursor:
        cursor.execute(
            """
            with counted as (
                select a.day, sum(length(a.slots))::int as due, sum(bit_count(a.slots))::int as arrived
                from arrivals a join registers r on r.id = a.register_id
                where r.meter_id = %(meter)s and a.day between %(first)s and %(last)s group by a.day
            ), missed as (
                select (p.due_at at time zone u.time_zone)::date as day, count(*)::int as missed
                from missed_polls p join utilities u on u.id = p.utility_id
                where p.meter_id = %(meter)s
                  and p.due_at >= %(first)s::date::timestamp at time zone u.time_zone
                  and p.due_at < (%(last)s::date + 1)::timestamp at time zone u.time_zone
                group by 1
            )
            select day, coalesce(due, 0) as due, coalesce(arrived, 0) as arrived,
                   coalesce(missed, 0) as missed
            from counted full join missed using (day) order by day
            """,
            {"meter": meter_id, "first": first, "last": last},
        )
        return cursor.fetchall()


def reasons(connection: Connection[Any], meter_id: int, start: datetime, end: datetime) -> list[ReasonRow]:
    """Reasons why polls that were due from `start` to `end` gave nothing, the commonest reason first."""
    with connection.cursor(row_factory=class_row(ReasonRow)) as cursor:
        cursor.execute(
            """
            select reason, count(*)::int as count, max(due_at) as last_at
            from missed_polls where meter_id = %s and due_at >= %s and due_at < %s
            group by reason order by count(*) desc, reason
            """,
            (meter_id, start, end),
        )
        return cursor.fetchall()


def complaints(connection: Connection[Any], meter_id: int, start: datetime, end: datetime) -> list[StatusRow]:
    """Complaints of the meter with its readings, the last heard first; each combination of bits once."""
    with connection.cursor(row_factory=class_row(StatusRow)) as cursor:
        cursor.execute(
            """
            select x.status & %(complaints)s as status, min(x.measured_at) as first_at,
                   max(x.measured_at) as last_at, count(distinct x.measured_at)::int as count
            from registers r
            cross join lateral (
                select measured_at, status from utility_readings
                where register_id = r.id and measured_at >= %(start)s and measured_at < %(end)s offset 0
            ) x
            where r.meter_id = %(meter)s and x.status & %(complaints)s <> 0
            group by 1 order by max(x.measured_at) desc
            """,
            {"meter": meter_id, "start": start, "end": end, "complaints": _COMPLAINTS},
        )
        return cursor.fetchall()


def last_arrival(connection: Connection[Any], meter_id: int) -> tuple[datetime, datetime] | None:
    """(measured at, received at) of the meter's newest reading."""
    row = connection.execute(
        """
        select x.measured_at, x.received_at
        from (
            select r.id, last.measured_at from registers r
            cross join lateral (select measured_at from utility_latest_readings
                                where register_id = r.id offset 0) last
            where r.meter_id = %s order by last.measured_at desc limit 1
        ) newest
        cross join lateral (  -- or the planner reads all readings of the utility: the view is a barrier
            select r.measured_at, r.received_at from utility_readings r
            where r.register_id = newest.id and r.measured_at = newest.measured_at offset 0
        ) x
        """,
        (meter_id,),
    ).fetchone()
    return None if row is None else (row[0], row[1])
