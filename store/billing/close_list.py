"""Closes and drafts as people look at them: how far each is, what is to be worked off, what looks odd.

A close is named by its period and run. The draft of a period has the run that it will be, and is looked at
with the same queries. Pages go on behind the last row seen.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from psycopg import Connection
from psycopg.rows import class_row


@dataclass(frozen=True, slots=True)
class CloseProgress:
    """How far a close is: `state` is drafting, drafted, approved or delivered.

    `summary`: the counts of the close (`qualities`, `methods`, `exceptions` by reason ...), None while it is
    drafting; then `blocks_done` of `blocks` say how far that is. `messages` are those of its outbox for
    destinations that are still there; `pulled`: somebody acknowledged all of it by cursor.
    """

    period: str
    run: int
    state: str
    starts_at: datetime
    ends_at: datetime
    drafted_by: str
    drafted_at: datetime | None
    approved_by: str | None
    approved_at: datetime | None
    delivered_at: datetime | None
    summary: dict[str, Any] | None
    blocks_done: int
    blocks: int
    messages: int
    messages_taken: int  # the destination answered that it has them, acknowledged or not
    messages_acknowledged: int
    messages_dead: int
    pulled: bool


@dataclass(frozen=True, slots=True)
class ExceptionRow:
    """Why a register has no billing reading; `detail` says what is wrong and what can be done.

    `standing`: what was issued for it before stands until then.
    """

    service_point: str
    service_point_name: str
    account: str
    obis: str
    reason: str
    detail: str
    standing: bool


@dataclass(frozen=True, slots=True)
class ShareRow:
    """How many billing readings are alike in these respects, and their sums (micro-units)."""

    medium: int
    unit: str
    quality: int
    start_method: str
    end_method: str
    readings: int
    consumption: int
    true_up: int


_STATES = """
    with drafts as (
        select d.period, d.base_run + 1 as run,
               case when d.drafted_at is null then 'drafting' else 'drafted' end as state,
               d.starts_at, d.ends_at, d.author as drafted_by, d.drafted_at, null as approved_by,
               null::timestamptz as approved_at, null::timestamptz as delivered_at, d.summary,
               (select count(counts) from draft_blocks b where b.draft_id = d.id)::int as blocks_done,
               (select count(*) from draft_blocks b where b.draft_id = d.id)::int as blocks,
               0 as messages, 0 as messages_taken, 0 as messages_acknowledged, 0 as messages_dead,
               false as pulled
        from close_drafts d where d.utility_id = %(utility)s
    ), issued as (
        select c.period, c.run, case when delivered.at is null then 'approved' else 'delivered' end as state,
               c.starts_at, c.ends_at, c.author as drafted_by, c.drafted_at, approved.author as approved_by,
               c.closed_at as approved_at, delivered.at as delivered_at, c.summary, 0 as blocks_done,
               0 as blocks, sent.messages, sent.taken, sent.acknowledged, sent.dead,
               coalesce((select b.id from billing_readings b
                         where b.utility_id = c.utility_id and b.period = c.period and b.close_id = c.id
                         order by b.id desc limit 1)
                        <= (select max(a.cursor) from billing_acknowledgements a
                            where a.utility_id = c.utility_id and a.period = c.period), false) as pulled
        from (
            select * from closes
            where utility_id = %(utility)s and (%(period)s::text is null or period = %(period)s)
              and (%(before_period)s::text is null or (period, run) < (%(before_period)s, %(before_run)s))
            order by period desc, run desc limit %(limit)s
        ) c
        left join lateral (
            select author from close_events e where e.utility_id = c.utility_id and e.period = c.period
              and e.run = c.run and e.state = 'approved' order by e.id desc limit 1) approved on true
        left join lateral (
            select at from close_events e where e.utility_id = c.utility_id and e.period = c.period
              and e.run = c.run and e.state = 'delivered' order by e.id desc limit 1) delivered on true
        cross join lateral (
            select count(*)::int as messages,
                   (count(*) filter (where o.state in ('delivered', 'acknowledged')))::int as taken,
                   (count(*) filter (where o.state = 'acknowledged'))::int as acknowledged,
                   (count(*) filter (where o.state = 'dead'))::int as dead
            from outbox o join destinations d on d.id = o.destination_id
            where o.close_id = c.id and d.removed_at is null) sent
    )
    select * from (select * from drafts union all select * from issued) both_kinds
    where (%(period)s::text is null or period = %(period)s)
      and (%(before_period)s::text is null or (period, run) < (%(before_period)s, %(before_run)s))
    order by period desc, run desc limit %(limit)s
"""


def states(
    connection: Connection[Any],
    utility_id: int,
    *,
    limit: int,
    period: str | None = None,
    before: tuple[str, int] | None = None,
) -> list[CloseProgress]:
    """At most `limit` closes and drafts, the latest period and run first; `before`: (period, run) of the
    last one seen."""
    before_period, before_run = before or (None, None)
    with connection.cursor(row_factory=class_row(CloseProgress)) as cursor:
        return cursor.execute(
            _STATES,
            {
                "utility": utility_id,
                "limit": limit,
                "period": period,
                "before_period": before_period,
                "before_run": before_run,
            },
        ).fetchall()


def state(connection: Connection[Any], utility_id: int, period: str, run: int) -> CloseProgress | None:
    """One close, or the draft that will be it."""
    found = states(connection, utility_id, limit=1, period=period, before=(period, run + 1))
    return found[0] if found and found[0].run == run else None


_EXCEPTIONS = """
    select e.service_point_id, e.obis, e.reason, e.detail
    from close_drafts d join draft_exceptions e on e.draft_id = d.id
    where d.utility_id = %(utility)s and d.period = %(period)s and d.base_run + 1 = %(run)s
    union all
    select e.service_point_id, e.obis, e.reason, e.detail
    from closes c join billing_exceptions e on e.close_id = c.id
    where c.utility_id = %(utility)s and c.period = %(period)s and c.run = %(run)s
"""


def exceptions_page(
    connection: Connection[Any],
    utility_id: int,
    period: str,
    run: int,
    *,
    limit: int,
    after: tuple[str, str] | None = None,
    reason: str | None = None,
) -> list[ExceptionRow]:
    """What a close or draft leaves to work off, by service point and register; `after`: both of the last
    row seen."""
    after_point, after_obis = after or (None, None)
    with connection.cursor(row_factory=class_row(ExceptionRow)) as cursor:
        return cursor.execute(
            f"""
            select p.code as service_point, p.name as service_point_name, p.account, e.obis, e.reason,
                   e.detail, exists (select from billing_readings b
                                     where b.service_point_id = e.service_point_id and b.obis = e.obis
                                       and b.period = %(period)s) as standing
            from ({_EXCEPTIONS}) e join service_points p on p.id = e.service_point_id
            where (%(reason)s::text is null or e.reason = %(reason)s)
              and (%(after_point)s::text is null or (p.code, e.obis) > (%(after_point)s, %(after_obis)s))
            order by p.code, e.obis limit %(limit)s
            """,  # noqa: S608 - a constant
            {
                "utility": utility_id,
                "period": period,
                "run": run,
                "limit": limit,
                "after_point": after_point,
                "after_obis": after_obis,
                "reason": reason,
            },
        ).fetchall()


def exception_counts(connection: Connection[Any], utility_id: int, period: str, run: int) -> dict[str, int]:
    """How many exceptions a close or draft has, by reason, the most first."""
    rows = connection.execute(
        f"select reason, count(*) from ({_EXCEPTIONS}) e group by 1 order by 2 desc, 1",  # noqa: S608
        {"utility": utility_id, "period": period, "run": run},
    )
    return dict(rows.fetchall())


HOLDS = """
    select distinct on (service_point_id, obis) * from (
        select b.service_point_id, b.obis, b.version, b.unit, b.quality, b.start_method, b.end_method,
               b.consumption, b.true_up
        from billing_readings b join closes c on c.id = b.close_id
        where b.utility_id = %(utility)s and b.period = %(period)s and c.run <= %(run)s
        union all
        select r.service_point_id, r.obis, r.version, r.unit, r.quality, r.start_method, r.end_method,
               r.consumption, r.true_up
        from close_drafts d join draft_readings r on r.draft_id = d.id
        where d.utility_id = %(utility)s and d.period = %(period)s and d.base_run + 1 = %(run)s
    ) every order by service_point_id, obis, version desc
"""
"""SQL of what holds as of a close or draft: its own rows in place of those of the runs before."""


def shares(connection: Connection[Any], utility_id: int, period: str, run: int) -> list[ShareRow]:
    """What holds as of a close or draft, counted and summed by medium, unit, quality and methods."""
    with connection.cursor(row_factory=class_row(ShareRow)) as cursor:
        return cursor.execute(
            f"""
            select p.medium, b.unit, b.quality, b.start_method, b.end_method, count(*)::int as readings,
                   sum(b.consumption)::bigint as consumption, coalesce(sum(b.true_up), 0)::bigint as true_up
            from ({HOLDS}) b join service_points p on p.id = b.service_point_id
            group by 1, 2, 3, 4, 5 order by 1, 2, 3, 4, 5
            """,  # noqa: S608 - a constant
            {"utility": utility_id, "period": period, "run": run},
        ).fetchall()
