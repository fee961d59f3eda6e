"""What houses used against what their flats did, for charts and tables: counted by day by the validators.

Figures are micro-units of `unit`, by local days of the utility. What a flat used and nobody knows is part of
the difference: `missing` counts such days, and `estimated` those that were interpolated between readings
which stood too far from midnight.
"""

from dataclasses import dataclass
from datetime import date
from typing import Any

from psycopg import Connection
from psycopg.rows import class_row


@dataclass(frozen=True, slots=True)
class BalanceRow:
    """A house's medium over a range of days.

    `house`, `flats` and `difference` (house minus flats) are sums over the `days` on which the house meter's
    figure is known; None where it never is. Of `flat_days` (flats with a meter, times those days)
    `estimated` were interpolated and `missing` are not known. `points` counts the flats, `reporting` those
    with a measured day.
    """

    site_code: str
    site_name: str
    medium: int
    obis: str
    unit: str
    days: int
    house: int | None
    flats: int | None
    difference: int | None
    points: int
    reporting: int
    flat_days: int
    estimated: int
    missing: int

    @property
    def uncertain_share(self) -> float:
        """The share of flats and days that was not measured, 0 to 1; 0 without any."""
        return (self.estimated + self.missing) / self.flat_days if self.flat_days else 0.0


@dataclass(frozen=True, slots=True)
class BalanceDayRow:
    """One local day of a house's medium. `reporting` flats were measured, `estimated` interpolated, and
    `missing` are not known; `difference` None: the house meter's figure is not known."""

    site_code: str
    medium: int
    obis: str
    unit: str
    day: date
    house: int | None
    flats: int
    difference: int | None
    points: int
    reporting: int
    estimated: int
    missing: int


def balances(
    connection: Connection[Any], utility_id: int, first: date, last: date, *, site: str | None = None
) -> list[BalanceRow]:
    """All houses of a utility, or the one of that code, from `first` to `last` (both included).

    By name and medium.
    """
    with connection.cursor(row_factory=class_row(BalanceRow)) as cursor:
        return cursor.execute(
            """
            with day as (
                select b.* from balance_days b join sites s on s.id = b.site_id
                where b.utility_id = %(utility)s and b.day between %(first)s and %(last)s
                  and (%(site)s::text is null or s.code = %(site)s)
            ), flat as (
                select day.site_id, day.medium, day.obis, day.unit, day.house is not null as counts, f.*
                from day cross join unnest(day.points, day.used, day.measured) as f (point, used, measured)
            ), flats as (
                select site_id, medium, obis, unit, sum(used) filter (where counts)::bigint as used,
                       count(distinct point)::int as points,
                       (count(distinct point) filter (where measured))::int as reporting,
                       (count(*) filter (where counts))::int as flat_days,
                       (count(*) filter (where counts and used is not null and not measured))::int
                           as estimated,
                       (count(*) filter (where counts and used is null))::int as missing
                from flat group by 1, 2, 3, 4
            ), house as (
                select site_id, medium, obis, unit, count(house)::int as days, sum(house)::bigint as used
                from day group by 1, 2, 3, 4
            )
            select s.code as site_code, s.name as site_name, h.medium, h.obis, h.unit, h.days,
                   h.used as house, case when h.days > 0 then coalesce(f.used, 0) end as flats,
                   h.used - coalesce(f.used, 0) as difference, coalesce(f.points, 0) as points,
                   coalesce(f.reporting, 0) as reporting, coalesce(f.flat_days, 0) as flat_days,
                   coalesce(f.estimated, 0) as estimated, coalesce(f.missing, 0) as missing
            from house h join sites s on s.id = h.site_id
            left join flats f using (site_id, medium, obis, unit)
            order by s.name, s.code, h.medium, h.obis, h.unit
            """,
            {"utility": utility_id, "first": first, "last": last, "site": site},
        ).fetchall()


def balance_days(
    connection: Connection[Any], utility_id: int, first: date, last: date, *, site: str, medium: int
) -> list[BalanceDayRow]:
    """A house's medium from `first` to `last` (both included), day by day; days without a count are left
    out."""
    with connection.cursor(row_factory=class_row(BalanceDayRow)) as cursor:
        return cursor.execute(
            """
            select s.code as site_code, b.medium, b.obis, b.unit, b.day, b.house, f.used as flats,
                   b.house - f.used as difference, cardinality(b.points) as points, f.reporting,
                   f.estimated, f.missing
            from balance_days b join sites s on s.id = b.site_id
            cross join lateral (
                select coalesce(sum(used), 0)::bigint as used,
                       (count(*) filter (where measured))::int as reporting,
                       (count(*) filter (where used is not null and not measured))::int as estimated,
                       (count(*) filter (where used is null))::int as missing
                from unnest(b.used, b.measured) as t (used, measured)
            ) f
            where b.utility_id = %s and b.day between %s and %s and s.code = %s and b.medium = %s
            order by b.day
            """,
            (utility_id, first, last, site, medium),
        ).fetchall()
