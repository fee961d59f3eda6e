"""The fleet of a utility: its sites as a tree with what is wrong below each, and one search over all."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from psycopg import Connection
from psycopg.rows import class_row

_REMOVED = """
    left join (
        select i.meter_id, bool_and(i.valid_to is not null) as removed from installations i
        join service_points p on p.id = i.service_point_id and p.utility_id = %(utility)s
        group by i.meter_id
    ) gone on gone.meter_id = m.id
"""  # meters m: whether each was taken out of every place that it had
_FOUND_EACH = 20  # hits of a kind that a search shows


@dataclass(frozen=True, slots=True)
class SiteCounts:
    """A site with its own counts, those of the sites below it apart.

    `meters` are those in place; `alarms` and `warnings` open findings; `expired` meters in place whose
    verification has ended by the day that the caller asks about.
    """

    id: int
    parent_id: int | None
    code: str
    name: str
    address: str
    meters: int
    alarms: int
    warnings: int
    expired: int


@dataclass(frozen=True, slots=True)
class Arrived:
    """Readings that came of those that were due at a site (None: at none): today until now, and yesterday.

    `in_time` of yesterday's came by 06:00 of today. `meters` are those in place, of which `late` ones have no
    reading since an instant that the caller sets.
    """

    site: str | None
    meters: int
    late: int
    today_due: int
    today: int
    yesterday_due: int
    yesterday: int
    in_time: int

    @property
    def share_today(self) -> float | None:
        """0 to 1; None where nothing was due yet."""
        return self.today / self.today_due if self.today_due else None

    @property
    def share_yesterday(self) -> float | None:
        """0 to 1; None where nothing was due."""
        return self.yesterday / self.yesterday_due if self.yesterday_due else None

    @property
    def share_in_time(self) -> float | None:
        """0 to 1; None where nothing was due."""
        return self.in_time / self.yesterday_due if self.yesterday_due else None


@dataclass(frozen=True, slots=True)
class FleetCounts:
    """Counts over the whole fleet: its sites, and the readings that arrived by site (None: at none)."""

    sites: list[SiteCounts]
    arrived: dict[str | None, Arrived]

    @property
    def total(self) -> Arrived:
        """The readings over all sites."""
        sums = (sum(getattr(one, name) for one in self.arrived.values()) for name in Arrived.__slots__[1:])
        return Arrived(None, *sums)


@dataclass(frozen=True, slots=True)
class SearchHit:
    """Hit of a search. `kind`: site, meter, or account (of the service point `code`)."""

    kind: str
    code: str
    title: str
    detail: str


def site_counts(connection: Connection[Any], utility_id: int, today: date) -> list[SiteCounts]:
    """All sites of a utility by name; `today` is the local date after which a verification has expired."""
    with connection.cursor(row_factory=class_row(SiteCounts)) as cursor:
        cursor.execute(
            f"""
            with in_place as (
                select m.site_id, m.verified_until from meters m
                {_REMOVED}
                where m.utility_id = %(utility)s and not coalesce(gone.removed, false)
            ), counted as (
                select site_id, count(*)::int as meters,
                       count(*) filter (where verified_until < %(today)s)::int as expired
                from in_place group by site_id
            ), found as (
                select m.site_id, count(*) filter (where f.severity = 'alarm')::int as alarms,
                       count(*) filter (where f.severity = 'warning')::int as warnings
                from findings f join registers r on r.id = f.register_id join meters m on m.id = r.meter_id
                where f.utility_id = %(utility)s and f.state = 'open' group by m.site_id
            )
            select s.id, s.parent_id, s.code, s.name, s.address, coalesce(c.meters, 0) as meters,
                   coalesce(f.alarms, 0) as alarms, coalesce(f.warnings, 0) as warnings,
                   coalesce(c.expired, 0) as expired
            from sites s left join counted c on c.site_id = s.id left join found f on f.site_id = s.id
            where s.utility_id = %(utility)s order by s.name, s.code
            """,  # noqa: S608 - a constant of this module
            {"utility": utility_id, "today": today},
        )
        return cursor.fetchall()


def arrived(
    connection: Connection[Any], utility_id: int, now: datetime, late_since: datetime
) -> list[Arrived]:
    """By site, as `store.arrival.shares` counts, of these two days alone: the fleet is looked at often.

    A meter whose day has an arrival after `late_since` is not late; only of the others the last reading is
    looked up.
    """
    with connection.cursor(row_factory=class_row(Arrived)) as cursor:
        cursor.execute(_ARRIVED, {"utility": utility_id, "now": now, "since": late_since})
        return cursor.fetchall()


def fleet_counts(
    connection: Connection[Any], utility_id: int, today: date, now: datetime, late_since: datetime
) -> FleetCounts:
    """Both counts above, as of now."""
    by_site = {one.site: one for one in arrived(connection, utility_id, now, late_since)}
    return FleetCounts(site_counts(connection, utility_id, today), by_site)


def search(connection: Connection[Any], utility_id: int, text: str) -> list[SearchHit]:
    """Hits of `text`, whatever its case: sites by name, code and address, meters by id, serial number
    and model, service points by name, code and account. At most 20 of each."""
    given = {"utility": utility_id, "text": text.lower(), "each": _FOUND_EACH}
    with connection.cursor(row_factory=class_row(SearchHit)) as cursor:
        cursor.execute(
            """
            (select 'site' as kind, s.code, s.name as title, s.address as detail from sites s
             where s.utility_id = %(utility)s
               and position(%(text)s in lower(concat_ws(' ', s.code, s.name, s.address))) > 0
             order by s.name, s.code limit %(each)s)
            union all
            (select 'meter', m.code, coalesce(p.name, m.code), concat_ws(', ', nullif(m.model, ''), s.name)
             from meters m left join sites s on s.id = m.site_id
             left join lateral (
                 select coalesce(nullif(sp.name, ''), sp.code) as name from installations i
                 join service_points sp on sp.id = i.service_point_id
                 where i.meter_id = m.id and sp.utility_id = m.utility_id
                 order by i.valid_to desc nulls first, i.valid_from desc limit 1
             ) p on true
             where m.utility_id = %(utility)s
               and position(%(text)s in lower(concat_ws(' ', m.code, m.model))) > 0
             order by m.code limit %(each)s)
            union all
            (select 'account', coalesce(m.code, ''), coalesce(nullif(sp.name, ''), sp.code),
                    concat_ws(', ', nullif(sp.account, ''), s.name)
             from service_points sp left join sites s on s.id = sp.site_id
             left join lateral (
                 select mm.code from installations i join meters mm on mm.id = i.meter_id
                 where i.service_point_id = sp.id and mm.utility_id = sp.utility_id
                 order by i.valid_to desc nulls first, i.valid_from desc limit 1
             ) m on true
             where sp.utility_id = %(utility)s
               and position(%(text)s in lower(concat_ws(' ', sp.code, sp.name, sp.account))) > 0
             order by sp.account, sp.code limit %(each)s)
            """,
            given,
        )
        return cursor.fetchall()


_ARRIVED = f"""
    with u as (
        select id, time_zone, (%(now)s::timestamptz at time zone time_zone)::date as today,
               ((%(since)s::timestamptz - interval '1 microsecond') at time zone time_zone)::date + 1
                   as heard_from
        from utilities where id = %(utility)s
    ), days as (
        select u.today - n as day, (u.today - n)::timestamp at time zone u.time_zone as starts,
               (u.today - n + 1)::timestamp at time zone u.time_zone as ends
        from u cross join generate_series(0, 1) n
    ), in_place as materialized (
        select m.id, m.site_id, (m.created_at at time zone u.time_zone)::date as registered
        from u join meters m on m.utility_id = u.id
        {_REMOVED}
        where not coalesce(gone.removed, false)
    ), recent as materialized (
        select a.register_id, a.day, a.slots, a.in_time
        from u join arrivals a on a.utility_id = u.id and a.day >= u.today - 1 and a.day <= u.today
    ), watched as (
        select r.id, r.meter_id, m.site_id, m.registered, extract(epoch from r.expected_interval) as seconds
        from in_place m join registers r on r.meter_id = m.id
        where r.expected_interval between interval '1 second' and interval '1 day'
    ), dues as (
        select d.day, i.seconds,
               case when d.day = u.today
                    then least(whole.due, floor(extract(epoch from %(now)s - d.starts) / i.seconds))
                    else whole.due end::int as due
        from u cross join days d cross join (select distinct seconds from watched) i
        cross join lateral (
            select greatest(1, round(extract(epoch from d.ends - d.starts) / i.seconds)) as due
        ) whole
    ), sums as (
        select w.site_id,
               sum(d.due) filter (where d.day = u.today)::int as today_due,
               sum(bit_count(substring(a.slots from 1 for d.due))) filter (where d.day = u.today)::int
                   as today,
               sum(d.due) filter (where d.day < u.today)::int as yesterday_due,
               sum(bit_count(a.slots)) filter (where d.day < u.today)::int as yesterday,
               sum(a.in_time) filter (where d.day < u.today)::int as in_time
        from u cross join watched w
        join dues d on d.seconds = w.seconds
        left join recent a on a.register_id = w.id and a.day = d.day
        where w.registered < d.day
           or exists (select from arrivals x where x.register_id = w.id and x.day < d.day)
        group by w.site_id
    ), heard as (
        select distinct r.meter_id
        from u cross join recent a join registers r on r.id = a.register_id
        where a.day >= u.heard_from
    ), counted as (
        select m.site_id, count(*)::int as meters,
               count(*) filter (where h.meter_id is null and not exists (
                   select from registers r cross join lateral (
                       select measured_at from utility_latest_readings where register_id = r.id offset 0
                   ) last
                   where r.meter_id = m.id and last.measured_at >= %(since)s))::int as late
        from in_place m left join heard h on h.meter_id = m.id
        group by m.site_id
    )
    select s.code as site, c.meters, c.late, coalesce(x.today_due, 0) as today_due,
           coalesce(x.today, 0) as today, coalesce(x.yesterday_due, 0) as yesterday_due,
           coalesce(x.yesterday, 0) as yesterday, coalesce(x.in_time, 0) as in_time
    from counted c left join sites s on s.id = c.site_id
    left join sums x on x.site_id is not distinct from c.site_id
"""  # noqa: S608 - a constant of this module


@dataclass(frozen=True, slots=True)
class Branch:
    """A site in the tree, with the sums over it and all sites below."""

    site: SiteCounts
    depth: int
    meters: int
    alarms: int
    warnings: int
    expired: int
    below: tuple["Branch", ...]

    def walk(self) -> Iterator["Branch"]:
        """This one and all below it, in the order of the tree."""
        yield self
        for branch in self.below:
            yield from branch.walk()


def tree(sites: list[SiteCounts]) -> list[Branch]:
    """The sites as branches, by name, Flat 2 before Flat 10. A site whose parents go round in a circle stands
    at the top."""
    sites = sorted(sites, key=_natural)
    known = {site.id for site in sites}
    below: dict[int | None, list[SiteCounts]] = {}
    for site in sites:
        below.setdefault(site.parent_id if site.parent_id in known else None, []).append(site)
    placed: set[int] = set()

    def grow(site: SiteCounts, depth: int) -> Branch:
        placed.add(site.id)
        branches = tuple(grow(one, depth + 1) for one in below.get(site.id, []) if one.id not in placed)
        return Branch(
            site,
            depth,
            site.meters + sum(one.meters for one in branches),
            site.alarms + sum(one.alarms for one in branches),
            site.warnings + sum(one.warnings for one in branches),
            site.expired + sum(one.expired for one in branches),
            branches,
        )

    roots = [grow(site, 0) for site in below.get(None, [])]
    return roots + [grow(site, 0) for site in sites if site.id not in placed]


def _natural(site: SiteCounts) -> tuple[list[tuple[int, int, str]], str]:
    parts = re.split(r"(\d+)", site.name.casefold())
    return [(1, int(part), "") if part.isdecimal() else (0, 0, part) for part in parts], site.code
