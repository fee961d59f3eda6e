"""Houses and their flats, found in the tree of sites, and what each used by local day, counted from readings.

A house is a site with a service point of its own and points of the same medium at sites below it, as for
common needs (`common_needs.py`): points below that have others behind them in turn are left out.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any

from psycopg import Connection
from psycopg.rows import class_row

from metering.billing.differences import ROUND

NEAR = timedelta(days=4)  # how far from a reading a day may be interpolated by it


@dataclass(frozen=True, slots=True)
class House:
    """A house's medium. `points` are its own, `flats` those behind it, by id; the register that is compared
    is `obis`, in `unit`. `registers` are all that such a house point ever had.
    """

    site_id: int
    utility_id: int
    zone: str
    limit: timedelta  # the longest gap that interpolation may bridge
    medium: int
    obis: str
    unit: str
    points: list[int]
    flats: list[int]
    registers: list[int]


@dataclass(frozen=True, slots=True)
class MeasuredStretch:
    """A meter at a service point during a day or a part of it; None: without such a register.

    `first` and `last` are micro-units that a fitter wrote down at its ends, None where it is read off.
    """

    point: int
    day: date
    begins: datetime
    ends: datetime
    register_id: int | None
    unit: str | None
    capacity: int | None
    interval: timedelta | None
    multiplier: Decimal
    first: int | None
    last: int | None


@dataclass(frozen=True, slots=True)
class Edge:
    """The usable readings next to an instant: at or before it (or a round after it), and after it."""

    before_at: datetime | None
    before: int | None
    after_at: datetime | None
    after: int | None


@dataclass(frozen=True, slots=True)
class BalanceDay:
    """A local day of a house's medium; see core/0003."""

    day: date
    obis: str
    unit: str
    house: int | None
    points: list[int]
    used: list[int | None]
    measured: list[bool]


def houses_at(connection: Connection[Any], site_id: int) -> list[House]:
    """The media of a site that are measured for the whole house and behind it."""
    with connection.cursor(row_factory=class_row(House)) as cursor:
        return cursor.execute(
            """
            with recursive below (part) as (
                select id from sites where parent_id = %(site)s
                union all
                select s.id from below join sites s on s.parent_id = below.part
            ), tree (house, part) as (
                select s.parent_id, s.id from sites s join below on below.part = s.id
                union all
                select t.house, s.id from tree t join sites s on s.parent_id = t.part
            ), measuring as (  -- points below that have others of their medium behind them
                select distinct p.id from service_points p join tree t on t.house = p.site_id
                join service_points q on q.site_id = t.part and q.medium = p.medium
                where p.site_id in (select part from below)
            ), own as (
                select p.medium, array_agg(p.id order by p.id) as points from service_points p
                where p.site_id = %(site)s group by 1
            ), behind as (
                select p.medium, array_agg(p.id order by p.id) as flats from service_points p
                where p.site_id in (select part from below) and p.id not in (select id from measuring)
                group by 1
            ), register as (
                select o.medium, r.obis, r.unit, array_agg(distinct r.id) as registers,
                       row_number() over (partition by o.medium order by (  -- the one that most flats have
                           select count(distinct f.service_point_id)
                           from behind b join installations f on f.service_point_id = any(b.flats)
                           join registers c on c.meter_id = f.meter_id and c.obis = r.obis
                           where b.medium = o.medium) desc, r.obis, r.unit) as place
                from own o join installations i on i.service_point_id = any(o.points)
                join registers r on r.meter_id = i.meter_id
                where r.billed and r.kind = 'counter' group by 1, 2, 3
            )
            select s.id as site_id, s.utility_id, u.time_zone as zone, u.interpolation_limit as limit,
                   o.medium::int, r.obis, r.unit, o.points, b.flats, r.registers
            from sites s join utilities u on u.id = s.utility_id cross join own o
            join behind b on b.medium = o.medium
            join register r on r.medium = o.medium and r.place = 1
            where s.id = %(site)s order by o.medium
            """,
            {"site": site_id},
        ).fetchall()


def stretches(
    connection: Connection[Any], points: Sequence[int], obis: str, days: Sequence[date], zone: str
) -> list[MeasuredStretch]:
    """The meters at points on local days, by point and instant; of an ended point those up to its end."""
    with connection.cursor(row_factory=class_row(MeasuredStretch)) as cursor:
        return cursor.execute(
            """
            with bounds as (
                select day, day::timestamp at time zone %(zone)s as starts,
                       (day + 1)::timestamp at time zone %(zone)s as stops
                from unnest(%(days)s::date[]) day
            )
            select p.id as point, d.day, greatest(d.starts, i.valid_from) as begins,
                   least(d.stops, i.valid_to, p.ended_at) as ends, r.id as register_id, r.unit, r.capacity,
                   r.expected_interval as interval, i.multiplier,
                   case when i.valid_from >= d.starts then (i.start_values ->> %(obis)s)::bigint end as first,
                   case when i.valid_to <= d.stops then (i.end_values ->> %(obis)s)::bigint end as last
            from service_points p cross join bounds d
            join installations i on i.service_point_id = p.id
                 and i.valid_from < d.stops and coalesce(i.valid_to, 'infinity') > d.starts
            left join registers r on r.meter_id = i.meter_id and r.obis = %(obis)s and r.kind = 'counter'
            where p.id = any(%(points)s)
              and coalesce(p.ended_at, 'infinity') > greatest(d.starts, i.valid_from)
            order by p.id, begins
            """,
            {"points": list(points), "obis": obis, "days": list(days), "zone": zone},
        ).fetchall()


def edges(
    connection: Connection[Any], places: Sequence[tuple[int, datetime]], limit: timedelta
) -> Mapping[tuple[int, datetime], Edge]:
    """The readings next to instants of registers, by both; none that is further than `limit`."""
    if not places:
        return {}
    registers, instants = zip(*places, strict=True)
    rows = connection.execute(
        """
        select e.register_id, e.at, b.measured_at, b.value, a.measured_at, a.value
        from unnest(%(registers)s::int[], %(instants)s::timestamptz[]) as e (register_id, at)
        left join lateral (
            select x.measured_at, x.value from readings x
            where x.register_id = e.register_id and x.measured_at <= e.at + %(round)s
              and x.measured_at > e.at - %(limit)s
              and not exists (select from marks m where m.register_id = x.register_id
                              and m.measured_at = x.measured_at and not m.usable)
            order by x.measured_at desc limit 1
        ) b on true
        left join lateral (
            select x.measured_at, x.value from readings x
            where x.register_id = e.register_id and x.measured_at > e.at + %(round)s
              and x.measured_at < e.at + %(limit)s
              and not exists (select from marks m where m.register_id = x.register_id
                              and m.measured_at = x.measured_at and not m.usable)
            order by x.measured_at limit 1
        ) a on true
        """,
        {"registers": list(registers), "instants": list(instants), "round": ROUND, "limit": limit},
    )
    return {(register, at): Edge(*rest) for register, at, *rest in rows}


def keep_days(
    connection: Connection[Any], house: House, counted: Sequence[date], days: Sequence[BalanceDay]
) -> int:
    """Let the days of a house that were counted be `days`; how many rows changed."""
    whose = (house.site_id, house.medium, house.utility_id)
    nothing_known = sorted({*counted} - {day.day for day in days})
    changed = connection.execute(
        "delete from balance_days where site_id = %s and medium = %s and day = any(%s)",
        (house.site_id, house.medium, nothing_known),
    ).rowcount
    for day in days:
        changed += connection.execute(
            """
            insert into balance_days as t
                (site_id, medium, utility_id, day, obis, unit, house, points, used, measured)
            values (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s)
            on conflict (site_id, medium, day) do update
            set obis = excluded.obis, unit = excluded.unit, house = excluded.house,
                points = excluded.points, used = excluded.used, measured = excluded.measured
            where row(t.obis, t.unit, t.house, t.points, t.used, t.measured) is distinct from
                  row(excluded.obis, excluded.unit, excluded.house, excluded.points, excluded.used,
                      excluded.measured)
            """,
            (*whose, day.day, day.obis, day.unit, day.house, day.points, day.used, day.measured),
        ).rowcount
    return changed


def days_of(connection: Connection[Any], house: House) -> list[BalanceDay]:
    """All days of a house that were counted in the register and unit of today, in order."""
    with connection.cursor(row_factory=class_row(BalanceDay)) as cursor:
        return cursor.execute(
            """
            select day, obis, unit, house, points, used, measured from balance_days
            where site_id = %s and medium = %s and obis = %s and unit = %s order by day
            """,
            (house.site_id, house.medium, house.obis, house.unit),
        ).fetchall()


def register_at(connection: Connection[Any], house: House, at: datetime) -> int:
    """The house's register that was installed at an instant, or else the one that came next to it."""
    row = connection.execute(
        """
        select r.id from registers r join installations i on i.meter_id = r.meter_id
        where r.id = any(%(registers)s) and i.service_point_id = any(%(points)s)
        order by (i.valid_from <= %(at)s and coalesce(i.valid_to, 'infinity') > %(at)s) desc,
                 i.valid_from desc, r.id
        limit 1
        """,
        {"registers": house.registers, "points": house.points, "at": at},
    ).fetchone()
    assert row is not None  # `houses_at` found it by its installation
    return int(row[0])
