"""Meters by local days: how many readings were due and how many of them came, and what is known of the rest.

`store/readings/completeness.py` counts them; this shows them, for a heatmap and for the reason behind one of
its cells."""

from collections import defaultdict
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

from psycopg import Connection
from psycopg.rows import class_row

from store.fleet.places import INSIDE


@dataclass(frozen=True, slots=True)
class DayCell:
    """A meter's local day. `due` 0: none was; `late` of the arrived came after 06:00 of the next day."""

    day: date
    due: int
    arrived: int
    late: int


@dataclass(frozen=True, slots=True)
class MeterDays:
    """A meter in place with its days in order."""

    code: str
    medium: int
    point_name: str | None
    gateway: str | None
    days: list[DayCell]


@dataclass(frozen=True, slots=True)
class MissedReason:
    """Polls of a day that gave nothing, by the reason that the gateway told."""

    reason: str
    polls: int
    first: datetime
    last: datetime


def meter_days(
    connection: Connection[Any],
    utility_id: int,
    site: str,
    days: tuple[date, date],
    *,
    now: datetime,
    limit: int,
    after: str | None = None,
) -> list[MeterDays]:
    """At most `limit` meters of a site and of all below it that are read by plan, by service point,
    behind the meter id `after`.

    Each with every local day from the first to the last of `days`; of the present one what is over.
    """
    rows = connection.execute(
        f"""
        with {INSIDE}, u as (
            select id, time_zone, (%(now)s::timestamptz at time zone time_zone)::date as today
            from utilities where id = %(utility)s
        ), placed as (
            select m.id, m.code, m.medium, g.code as gateway, p.name as point_name,
                   (m.created_at at time zone u.time_zone)::date as registered, p.until,
                   row(coalesce(p.code, '~'), m.code) as place
            from u join meters m on m.utility_id = u.id and m.site_id in (select id from inside)
            left join gateways g on g.id = m.gateway_id
            left join lateral (
                select sp.code, coalesce(nullif(sp.name, ''), sp.code) as name,
                       (i.valid_to at time zone u.time_zone)::date as until
                from installations i join service_points sp on sp.id = i.service_point_id
                where i.meter_id = m.id and sp.utility_id = u.id
                order by i.valid_to desc nulls first, i.valid_from desc limit 1
            ) p on true
            where (p.until is null or p.until >= %(first)s)
              and exists (select from registers r where r.meter_id = m.id
                          and r.expected_interval between interval '1 second' and interval '1 day')
        ), page as (
            select * from placed where %(after)s::text is null
               or place > (select seen.place from placed seen where seen.code = %(after)s)
            order by place limit %(limit)s
        ), days as (
            select d::date as day, d::date::timestamp at time zone u.time_zone as starts,
                   (d::date + 1)::timestamp at time zone u.time_zone as ends, u.today
            from u cross join generate_series(
                %(first)s::date, least(%(last)s::date, u.today), interval '1 day') as d
        ), counted as (
            select page.code, d.day,
                   case when d.day = d.today
                        then least(day.due, floor(extract(epoch from %(now)s - d.starts) / r.seconds))
                        else day.due end::int as due,
                   bit_count(case when d.day = d.today
                        then substring(a.slots from 1 for greatest(0, floor(
                            extract(epoch from %(now)s - d.starts) / r.seconds))::int)
                        else a.slots end) as arrived,
                   case when d.day < d.today then bit_count(a.slots) - a.in_time end as late
            from page
            cross join days d
            join lateral (
                select r.id, extract(epoch from r.expected_interval) as seconds,
                       (select min(x.day) from arrivals x where x.register_id = r.id) as came
                from registers r where r.meter_id = page.id
                  and r.expected_interval between interval '1 second' and interval '1 day'
            ) r on true
            cross join lateral (
                select greatest(1, round(extract(epoch from d.ends - d.starts) / r.seconds)) as due
            ) day
            left join arrivals a on a.register_id = r.id and a.day = d.day
            where d.day > least(page.registered, r.came) and (page.until is null or d.day < page.until)
        )
        select page.code, page.medium, page.point_name, page.gateway, d.day, coalesce(sum(c.due), 0)::int,
               coalesce(sum(c.arrived), 0)::int, coalesce(sum(c.late), 0)::int
        from page cross join days d left join counted c on c.code = page.code and c.day = d.day
        group by page.place, page.code, page.medium, page.point_name, page.gateway, d.day
        order by page.place, d.day
        """,  # noqa: S608 - a constant
        {
            "utility": utility_id,
            "site": site,
            "first": days[0],
            "last": days[1],
            "now": now,
            "limit": limit,
            "after": after,
        },
    )
    meters: dict[str, tuple[int, str | None, str | None]] = {}
    cells: dict[str, list[DayCell]] = defaultdict(list)
    for code, medium, point, gateway, *cell in rows:
        meters[code] = (medium, point, gateway)
        cells[code].append(DayCell(*cell))
    return [MeterDays(code, *about, cells[code]) for code, about in meters.items()]


def missed_reasons(
    connection: Connection[Any], meter_id: int, start: datetime, end: datetime
) -> list[MissedReason]:
    """Reasons why polls of a meter that were due in that time gave nothing, the most frequent first."""
    with connection.cursor(row_factory=class_row(MissedReason)) as cursor:
        cursor.execute(
            """
            select reason, count(*)::int as polls, min(due_at) as first, max(due_at) as last
            from missed_polls where meter_id = %s and due_at >= %s and due_at < %s
            group by reason order by polls desc, reason
            """,
            (meter_id, start, end),
        )
        return cursor.fetchall()


def local_day(day: date, zone: Any) -> tuple[datetime, datetime]:
    """The instants at which a local day begins and ends, 23 to 25 hours apart."""
    begin = datetime(day.year, day.month, day.day, tzinfo=zone)
    following = day + timedelta(days=1)
    return begin, datetime(following.year, following.month, following.day, tzinfo=zone)
