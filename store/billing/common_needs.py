"""Sums that house meters and the meters behind them were billed for a period, by the tree of sites."""

from datetime import datetime

from psycopg import Connection
from psycopg.rows import class_row

from metering.billing.common_needs import CommonNeeds
from metering.billing.method import ESTIMATES


def common_needs(
    connection: Connection, utility_id: int, period: str, starts_at: datetime
) -> list[CommonNeeds]:
    """Each site with a billed point of its own and points of the same medium at sites below it.

    Points that measure others in turn (a staircase's meter) are not counted among those behind a house:
    what lies behind them is. Points that had ended by `starts_at` are left out.
    """
    with connection.cursor(row_factory=class_row(CommonNeeds)) as cursor:
        return cursor.execute(
            """
            with recursive tree (house, part) as (
                select parent_id, id from sites where utility_id = %(utility)s and parent_id is not null
                union all
                select t.house, s.id from tree t join sites s on s.parent_id = t.part
            ), measuring as (  -- points that have others of their medium behind them
                select distinct p.id from service_points p join tree t on t.house = p.site_id
                join service_points q on q.site_id = t.part and q.medium = p.medium
                where p.utility_id = %(utility)s and (q.ended_at is null or q.ended_at > %(starts)s)
            ), billed as (
                select distinct on (service_point_id, obis)
                       service_point_id, obis, unit, end_method, consumption + coalesce(true_up, 0) as used
                from billing_readings where utility_id = %(utility)s and period = %(period)s
                order by service_point_id, obis, version desc
            ), house as (
                select p.site_id, p.medium, b.obis, b.unit, sum(b.used)::bigint as used
                from billed b join measuring m on m.id = b.service_point_id
                join service_points p on p.id = m.id group by 1, 2, 3, 4
            )
            select s.code as site, h.obis, h.unit, h.used as house, coalesce(sum(b.used), 0)::bigint as flats,
                   count(p.id)::int as points,
                   count(*) filter (where b.end_method = any(%(estimates)s))::int as estimated,
                   count(*) filter (where b.used is null)::int as missing
            from house h
            join sites s on s.id = h.site_id
            join tree t on t.house = h.site_id
            join service_points p on p.site_id = t.part and p.medium = h.medium
                                  and (p.ended_at is null or p.ended_at > %(starts)s)
            left join billed b on b.service_point_id = p.id and b.obis = h.obis and b.unit = h.unit
            where not exists (select from measuring m where m.id = p.id)
            group by 1, 2, 3, 4 order by 1, 2
            """,
            {"utility": utility_id, "period": period, "estimates": list(ESTIMATES), "starts": starts_at},
        ).fetchall()
