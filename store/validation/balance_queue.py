"""Queue of houses whose balance is to be counted, by day: what readings touched, and whose turn it is."""

from collections.abc import Sequence
from datetime import date, datetime
from typing import Any

from psycopg import Connection

from store.validation.balances import NEAR

_WAITING = """
    balance_queue q join sites s on s.id = q.site_id join utilities u on u.id = s.utility_id
    where (q.day + 1)::timestamp at time zone u.time_zone < %(now)s
      and (q.marked_at < %(now)s - interval '1 hour' or not exists (
            select from balance_days b
            where b.site_id = q.site_id and b.day = q.day and b.house is not null and true = all(b.measured)))
"""
_LOCK = 0x4241_4C41  # "BALA": one process counts a house at a time


def note_houses(connection: Connection[Any], register_ids: Sequence[int], days: Sequence[date]) -> None:
    """These registers were judged again for these UTC days: their houses' days are to be counted.

    Those next to them, too, and such as were interpolated from far.
    """
    connection.execute(
        """
        with recursive up (site) as (
            select p.site_id from registers r join installations i on i.meter_id = r.meter_id
            join service_points p on p.id = i.service_point_id
            where r.id = any(%(registers)s) and p.site_id is not null
            union
            select s.parent_id from up join sites s on s.id = up.site where s.parent_id is not null
        ), house as (
            select site from up where exists (select from sites s where s.parent_id = up.site)
                                  and exists (select from service_points p where p.site_id = up.site)
        )
        insert into balance_queue (site_id, day)
        select site, day + beside from house cross join unnest(%(days)s::date[]) day
        cross join generate_series(-1, 1) beside
        union
        select b.site_id, b.day from house join balance_days b on b.site_id = house.site
        where false = any(b.measured) and exists (
            select from unnest(%(days)s::date[]) day where b.day between day - %(near)s and day + %(near)s)
        order by 1, 2
        on conflict do nothing
        """,
        {"registers": list(register_ids), "days": list(days), "near": NEAR.days},
    )


def take(connection: Connection[Any], now: datetime, at_most: int) -> tuple[int, list[date]] | None:
    """A site and days of it that are over and wait to be counted, removed from the queue; None: nothing.

    What was counted from readings at every midnight waits for an hour: each poll of today touches yesterday,
    and hardly ever changes it. Other processes leave the site alone until the transaction ends.
    """
    row = connection.execute(
        f"select q.site_id from {_WAITING} order by q.day limit 1 for update of q skip locked",  # noqa: S608 - a literal
        {"now": now},
    ).fetchone()
    if row is None:
        return None
    if connection.execute("select pg_try_advisory_xact_lock(%s, %s)", (_LOCK, row[0])).fetchone() != (True,):
        return None
    days = connection.execute(
        f"""
        delete from balance_queue where site_id = %(site)s and day in (
            select q.day from {_WAITING} and q.site_id = %(site)s order by q.day limit %(most)s)
        returning day
        """,  # noqa: S608 - a literal
        {"site": row[0], "now": now, "most": at_most},
    ).fetchall()
    return row[0], sorted(day for (day,) in days)
