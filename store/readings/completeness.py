"""Expected against received: the share of due readings that arrived, by register and local day.

A register with an expected interval of at most a day is due once in each interval of the local day, counted
from its midnight; 23- and 25-hour days have fewer and more. A reading counts for the interval that it was
measured in, however often it comes; late ones are found when they come. Utilities hold their suppliers to the
share that was there by 06:00 of the next morning (Ontario: 98 of 100, every day).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum
from typing import Any

from psycopg import Connection

from telemetry.blocks import BLOCK

KEPT_DAYS = 100
MONTH_DAYS = 30
_LOCK = 0x4152_5249_5645  # "ARRIVE": one process counts at a time
_TOGETHER = 5_000  # notes that are dealt with in one transaction


class ArrivalGroup(StrEnum):
    """Grouping of the shares."""

    METER = "meter"
    GATEWAY = "gateway"
    SITE = "site"
    UTILITY = "utility"


@dataclass(frozen=True, slots=True)
class ArrivalShare:
    """Readings that were due and those of them that arrived. `today` counts intervals that are over.

    `yesterday_arrived` is what had come by 06:00 of today, `yesterday_late` what came since. `month` is the
    30 whole days before today.
    """

    name: str
    registers: int
    today_due: int
    today_arrived: int
    yesterday_due: int
    yesterday_arrived: int
    yesterday_late: int
    month_due: int
    month_arrived: int


def count(connection: Connection[Any]) -> int:
    """Count anew where readings arrived; how many days of blocks that were.

    0 where nothing waits, or another counts. Runs in a transaction of its own: dying before its end leaves
    the work to the next.
    """
    with connection.transaction():
        locked = connection.execute("select pg_try_advisory_xact_lock(%s)", (_LOCK,)).fetchone()
        if locked != (True,):
            return 0
        places = connection.execute(_TAKE, (_TOGETHER,)).fetchall()
        if places:
            blocks, days = zip(*places, strict=True)
            connection.execute(
                _COUNT.replace("<due>", _DUE), {"blocks": list(blocks), "days": list(days), "size": BLOCK}
            )
        return len(places)


def forget(connection: Connection[Any], before: date) -> int:
    """Remove what was counted for days before that; how many rows that were."""
    return connection.execute("delete from arrivals where day < %s", (before,)).rowcount


def shares(
    connection: Connection[Any],
    utility: str,
    now: datetime,
    by: ArrivalGroup = ArrivalGroup.METER,
    *,
    site: str | None = None,
    gateway: str | None = None,
    meters: Sequence[str] | None = None,
) -> list[ArrivalShare]:
    """The shares of a utility as of `now`, the lowest of yesterday first.

    `site` means that site with all that is in it. A meter is due from the first whole day after it was
    registered, or after its first reading where history was imported, until it was taken out of its last
    installation; a register without an expected interval is never.
    """
    rows = connection.execute(
        _SHARES.replace("<due>", _DUE).replace("<name>", _NAMES[by]),
        {
            "utility": utility,
            "now": now,
            "days": MONTH_DAYS,
            "site": site,
            "gateway": gateway,
            "meters": None if meters is None else list(meters),
        },
    )
    return [ArrivalShare(*row) for row in rows]


_NAMES = {
    ArrivalGroup.METER: "m.code",
    ArrivalGroup.GATEWAY: "coalesce(g.code, '')",
    ArrivalGroup.SITE: "coalesce(s.code, '')",
    ArrivalGroup.UTILITY: "u.code",
}

_TAKE = """
    with taken as (
        delete from arrival_queue where ctid = any(array(
            select ctid from arrival_queue order by marked_at limit %s for update skip locked
        )) returning block, day
    )
    select distinct block, day from taken order by block, day
"""

# how many readings are due in a day of that length; the last interval of a longer day is a longer one
_DUE = "greatest(1, round(extract(epoch from ends - starts) / seconds))::int"

_COUNT = """
    with days as (
        select distinct r.id, r.utility_id, extract(epoch from r.expected_interval) as seconds, u.time_zone,
               local.day
        from unnest(%(blocks)s::int[], %(days)s::date[]) as touched (block, day)
        join registers r on r.id >= touched.block * %(size)s and r.id < (touched.block + 1) * %(size)s
        join utilities u on u.id = r.utility_id
        cross join lateral (values
            ((touched.day::timestamp at time zone 'UTC' at time zone u.time_zone)::date),
            ((((touched.day + 1)::timestamp - interval '1 microsecond') at time zone 'UTC'
              at time zone u.time_zone)::date)
        ) as local (day)
        where r.expected_interval between interval '1 second' and interval '1 day'
    ), bounds as (
        select *, day::timestamp at time zone time_zone as starts,
               (day + 1)::timestamp at time zone time_zone as ends,
               ((day + 1)::timestamp + interval '6 hours') at time zone time_zone as deadline
        from days
    ), due as materialized (
        select *, <due> as due from bounds
    )
    insert into arrivals (register_id, utility_id, day, slots, in_time)
    select due.id, due.utility_id, due.day, bit_or(got.slot),
           coalesce(bit_count(bit_or(got.slot) filter (where got.received_at <= due.deadline)), 0)
    from due
    cross join lateral (
        select r.received_at, set_bit(
            repeat('0', due.due)::bit varying,
            least(due.due - 1, floor(extract(epoch from r.measured_at - due.starts) / due.seconds)::int),
            1
        ) as slot
        from readings r
        where r.register_id = due.id and r.measured_at >= due.starts and r.measured_at < due.ends
    ) as got
    group by due.id, due.utility_id, due.day
    on conflict (register_id, day) do update set slots = excluded.slots, in_time = excluded.in_time
        where (arrivals.slots, arrivals.in_time) is distinct from (excluded.slots, excluded.in_time)
"""

_SHARES = """
    with recursive u as (
        select id, code, time_zone, (%(now)s::timestamptz at time zone time_zone)::date as today
        from utilities where code = %(utility)s
    ), inside as (
        select s.id from sites s join u on s.utility_id = u.id where s.code = %(site)s
        union
        select s.id from sites s join inside i on s.parent_id = i.id
    ), watched as (
        select r.id, <name> as name, extract(epoch from r.expected_interval) as seconds,
               1 + least((m.created_at at time zone u.time_zone)::date,
                         (select min(a.day) from arrivals a where a.register_id = r.id)) as since,
               removed.day as until
        from u
        join meters m on m.utility_id = u.id
        join registers r on r.meter_id = m.id
        left join gateways g on g.id = m.gateway_id
        left join sites s on s.id = m.site_id
        cross join lateral (
            select case when bool_and(i.valid_to <= %(now)s)
                        then (max(i.valid_to) at time zone u.time_zone)::date end as day
            from installations i where i.meter_id = m.id
        ) as removed
        where r.expected_interval between interval '1 second' and interval '1 day'
          and (%(site)s::text is null or m.site_id in (select id from inside))
          and (%(gateway)s::text is null or g.code = %(gateway)s)
          and (%(meters)s::text[] is null or m.code = any(%(meters)s))
    ), days as (
        select u.today - n as day, (u.today - n)::timestamp at time zone u.time_zone as starts,
               (u.today - n + 1)::timestamp at time zone u.time_zone as ends
        from u cross join generate_series(0, %(days)s) as n
    ), dues as (
        select day, starts, seconds, <due> as due
        from days cross join (select distinct seconds from watched) as intervals
    ), sums as (  -- what is due from a day on until yesterday
        select day, seconds, sum(due) over (partition by seconds order by day desc) as due
        from dues cross join u where day < u.today
    ), figures as (
        select w.name,
               case when w.since <= u.today and w.until is null
                    then least(d.due, floor(extract(epoch from %(now)s - d.starts) / w.seconds))::int
                    else 0 end as today_due,
               t.slots as today_slots,
               case when w.since < u.today and (w.until is null or w.until >= u.today) then y.due else 0
                    end as yesterday_due,
               late.slots as yesterday_slots, late.in_time as yesterday_in_time,
               coalesce(from_since.due, 0) - coalesce(from_until.due, 0) as month_due,
               coalesce(month.arrived, 0) as month_arrived
        from watched w
        cross join u
        join dues d on d.day = u.today and d.seconds = w.seconds
        join dues y on y.day = u.today - 1 and y.seconds = w.seconds
        left join sums from_since
            on from_since.seconds = w.seconds and from_since.day = greatest(w.since, u.today - %(days)s)
        left join sums from_until
            on from_until.seconds = w.seconds
            and from_until.day = greatest(w.until, w.since, u.today - %(days)s) and w.until is not null
        left join arrivals t on t.register_id = w.id and t.day = u.today
        left join arrivals late on late.register_id = w.id and late.day = u.today - 1
        left join lateral (
            select sum(bit_count(a.slots)) as arrived from arrivals a
            where a.register_id = w.id and a.day >= greatest(w.since, u.today - %(days)s)
              and a.day < least(w.until, u.today)
        ) as month on true
    )
    select name, count(*)::int,
           sum(today_due)::int,
           coalesce(sum(bit_count(substring(today_slots from 1 for today_due))), 0)::int,
           sum(yesterday_due)::int,
           coalesce(sum(yesterday_in_time) filter (where yesterday_due > 0), 0)::int,
           coalesce(
               sum(bit_count(yesterday_slots) - yesterday_in_time) filter (where yesterday_due > 0), 0)::int,
           sum(month_due)::int, sum(month_arrived)::int
    from figures
    group by name
    order by coalesce(sum(yesterday_in_time) filter (where yesterday_due > 0), 0)::float
             / nullif(sum(yesterday_due), 0) nulls last, name
"""
