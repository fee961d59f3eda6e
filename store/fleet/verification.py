"""Verifications that are due: by month, and the meters of a month."""

from dataclasses import dataclass
from datetime import date
from typing import Any

from psycopg import Connection
from psycopg.rows import class_row, scalar_row

from store.fleet.places import INSIDE

_IN_PLACE = """
    from meters m left join sites s on s.id = m.site_id
    where m.utility_id = %(utility)s
      and (%(site)s::text is null or m.site_id in (select id from inside))
      and (%(medium)s::int is null or m.medium = %(medium)s)
      and (not exists (select from installations i where i.meter_id = m.id)
           or exists (select from installations i where i.meter_id = m.id and i.valid_to is null))
"""


@dataclass(frozen=True, slots=True)
class MonthOfVerifications:
    """Number of meters in place verified until a day of that month; `month` None: never told."""

    month: date | None
    meters: int


@dataclass(frozen=True, slots=True)
class DueMeter:
    """A meter in place with the last day of its verification; None: never told."""

    code: str
    model: str
    medium: int
    verified_until: date | None
    site_name: str | None
    point_name: str | None
    account: str | None


def months(
    connection: Connection[Any], utility_id: int, *, site: str | None = None, medium: int | None = None
) -> list[MonthOfVerifications]:
    """By month, the earliest first, those that were never told last."""
    with connection.cursor(row_factory=class_row(MonthOfVerifications)) as cursor:
        cursor.execute(
            f"""
            with {INSIDE}
            select date_trunc('month', m.verified_until)::date as month, count(*)::int as meters
            {_IN_PLACE} group by 1 order by 1 nulls last
            """,
            {"utility": utility_id, "site": site, "medium": medium},
        )
        return cursor.fetchall()


def ending(
    connection: Connection[Any],
    utility_id: int,
    days: tuple[date | None, date],
    *,
    site: str | None = None,
    medium: int | None = None,
) -> int:
    """Number of meters in place verified until a day from the first of `days` (None: ever) to before the
    second."""
    with connection.cursor(row_factory=scalar_row) as cursor:
        cursor.execute(
            f"""
            with {INSIDE}
            select count(*)::int {_IN_PLACE} and m.verified_until >= coalesce(%(first)s::date, '-infinity')
              and m.verified_until < %(until)s
            """,
            {"utility": utility_id, "site": site, "medium": medium, "first": days[0], "until": days[1]},
        )
        count: int | None = cursor.fetchone()
    return count or 0


def due(
    connection: Connection[Any],
    utility_id: int,
    *,
    first: date | None,
    until: date | None,
    limit: int,
    after: str | None = None,
    site: str | None = None,
    medium: int | None = None,
) -> list[DueMeter]:
    """At most `limit` meters whose verification ends from `first` (included) to `until` (not), the earliest
    first, behind the meter id `after`; without both bounds those that were never told."""
    with connection.cursor(row_factory=class_row(DueMeter)) as cursor:
        cursor.execute(
            f"""
            with {INSIDE}, found as (
                select m.id, m.code, m.model, m.medium, m.verified_until, s.name as site_name,
                       row(coalesce(m.verified_until, 'infinity'::date), m.code) as place
                {_IN_PLACE}
                  and case when %(first)s::date is null and %(until)s::date is null
                           then m.verified_until is null
                           else m.verified_until >= coalesce(%(first)s::date, '-infinity')
                                and m.verified_until < coalesce(%(until)s::date, 'infinity') end
            )
            select found.code, found.model, found.medium, found.verified_until, found.site_name,
                   p.point_name, p.account
            from found
            left join lateral (
                select coalesce(nullif(sp.name, ''), sp.code) as point_name, nullif(sp.account, '') as account
                from installations i join service_points sp on sp.id = i.service_point_id
                where i.meter_id = found.id and i.valid_to is null and sp.utility_id = %(utility)s
                order by i.valid_from desc limit 1
            ) p on true
            where %(after)s::text is null
               or found.place > (select seen.place from found seen where seen.code = %(after)s)
            order by found.place limit %(limit)s
            """,  # noqa: S608 - a constant of this module
            {
                "utility": utility_id,
                "first": first,
                "until": until,
                "after": after,
                "limit": limit,
                "site": site,
                "medium": medium,
            },
        )
        return cursor.fetchall()
