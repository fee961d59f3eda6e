"""The fleet of a utility: its sites as a tree with what is wrong below each, and one search over all."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from psycopg import Connection
from psycopg.rows import class_row

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
class Hit:
    """Something that a search found. `kind`: site, meter, or account (of the service point `code`)."""

    kind: str
    code: str
    title: str
    detail: str


def site_counts(connection: Connection[Any], utility_id: int, today: Any) -> list[SiteCounts]:
    """All sites of a utility by name; `today` is the local date after which a verification has expired."""
    with connection.cursor(row_factory=class_row(SiteCounts)) as cursor:
        cursor.execute(
            """
            with in_place as (
                select m.id, m.site_id, m.verified_until from meters m where m.utility_id = %(utility)s
                  and (not exists (select from installations i where i.meter_id = m.id)
                       or exists (select from installations i where i.meter_id = m.id and i.valid_to is null))
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
            """,
            {"utility": utility_id, "today": today},
        )
        return cursor.fetchall()


def search(connection: Connection[Any], utility_id: int, text: str) -> list[Hit]:
    """What has `text` in it, whatever its case: sites by name, code and address, meters by id, serial number
    and model, service points by name, code and account. At most 20 of each."""
    given = {"utility": utility_id, "text": text.lower(), "each": _FOUND_EACH}
    with connection.cursor(row_factory=class_row(Hit)) as cursor:
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
