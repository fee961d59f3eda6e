"""Changed points: those that something happened to since the last close, and that a close again has to draft.

The rest were ordinary then (one meter, a reading or set-day value at both ends, no mark, no finding) and are
ordinary still: no reading came near either boundary, nothing is said of their readings, nobody touched the
registry, and the month before was not closed again. So they would come to the same. Whoever is in doubt is
drafted: each condition errs on that side.
"""

from collections import Counter
from dataclasses import asdict, dataclass
from datetime import timedelta
from typing import Any

from psycopg import Connection

from metering.billing.evidence import Evidence
from metering.billing.ordinary import METHODS, NOTHING_SAID
from metering.periods.calendar import neighbour
from store.billing.drafts import DraftRow
from store.billing.evidence import path
from telemetry.blocks import BLOCK
from telemetry.quality import Quality

KEPT = timedelta(days=400)  # how long touched days are remembered; older periods are drafted whole


@dataclass(frozen=True, slots=True)
class Untouched:
    """Current versions that a draft leaves alone: how many by quality and by the method of their ends.

    `following`: of these, how many are followed by a period that begins elsewhere.
    """

    billed: int
    qualities: dict[int, int]
    methods: dict[str, int]
    following: int


def is_comparable(connection: Connection[Any], draft: DraftRow) -> bool:
    """Whether what was touched since the last close of the draft's period can be told at all."""
    row = connection.execute(
        """
        select c.seen is not null and c.cluster = d.cluster and c.rules is not distinct from d.rules
               and d.starts_at - interval '1 day' > now() - %(kept)s
               and not exists (select from registry_history h where h.utility_id = d.utility_id
                               and h.entity = 'utilities' and h.noted_by >= c.seen)
        from close_drafts d
        join closes c on c.utility_id = d.utility_id and c.period = d.period and c.run = d.base_run
        where d.id = %(draft)s
        """,
        {"draft": draft.id, "kept": KEPT},
    ).fetchone()
    return row is not None and bool(row[0])


_NOTHING_SAID = " and ".join(
    f"coalesce(b.evidence #> {path(Evidence, 'installations', 0, field)}, '[]') in ('[]', '{{}}')"
    for field in NOTHING_SAID
)
_TOUCHED = f"""
    with base as (
        select c.id, c.seen, d.utility_id, d.period, d.starts_at, d.ends_at,
               (select max(coalesce(r.boundary_tolerance, u.boundary_tolerance))
                from registers r join utilities u on u.id = r.utility_id
                where r.utility_id = d.utility_id) as reach
        from close_drafts d
        join closes c on c.utility_id = d.utility_id and c.period = d.period and c.run = d.base_run
        where d.id = %(draft)s
    ), issued as (
        select distinct on (b.service_point_id, b.obis) b.service_point_id, b.quality = {int(Quality.VALID)}
               and b.true_up is null and b.start_method = any(%(plain)s) and b.end_method = any(%(plain)s)
               and jsonb_array_length(b.evidence #> {path(Evidence, "installations")}) = 1
               and {_NOTHING_SAID} as plain
        from base join billing_readings b on b.utility_id = base.utility_id and b.period = base.period
        order by b.service_point_id, b.obis, b.version desc
    ), history as (
        select h.entity, h.entry, h.before, h.after
        from base join registry_history h on h.utility_id = base.utility_id and h.noted_by >= base.seen
    ), metered as (  -- which registers, and meters, something is to be said of
        select r.meter_id
        from base
        join touched_days t on t.touched_by >= base.seen
         and (t.day between ((base.starts_at - base.reach) at time zone 'UTC')::date
                        and ((base.starts_at + base.reach) at time zone 'UTC')::date
              or t.day between ((base.ends_at - base.reach) at time zone 'UTC')::date
                           and ((base.ends_at + base.reach) at time zone 'UTC')::date)
        join registers r on r.id >= t.block * %(block)s and r.id < (t.block + 1) * %(block)s
                        and r.utility_id = base.utility_id
        union
        select r.meter_id
        from base
        join registers r on r.utility_id = base.utility_id
        join marks m on m.register_id = r.id
                    and m.measured_at between base.starts_at - base.reach and base.ends_at + base.reach
        union
        select r.meter_id
        from base
        join findings f on f.utility_id = base.utility_id and f.kind = %(finding)s
                       and f.started_at <= base.ends_at
                       and (f.ended_at is null or f.ended_at >= base.starts_at)
        join registers r on r.id = f.register_id
        union
        select m.id
        from history h join base on true
        join meters m on m.utility_id = base.utility_id
         and m.code = case when h.entity = 'installations' then reverse(split_part(reverse(h.entry), ' ', 1))
                           else split_part(h.entry, ' ', 1) end
        where h.entity in ('meters', 'verifications', 'registers', 'installations')
    ), touched (service_point_id) as (
        select e.service_point_id from base join billing_exceptions e on e.close_id = base.id
        union
        select i.service_point_id from metered join installations i using (meter_id)
        union
        select (each.value ->> 'service_point_id')::int
        from history h cross join lateral (values (h.before), (h.after)) each (value)
        where h.entity = 'installations' and each.value ? 'service_point_id'
        union
        select q.id from history h join base on true
        join service_points q on q.utility_id = base.utility_id and q.code = h.entry
        where h.entity = 'service_points'
        union  -- they may begin elsewhere now
        select b.service_point_id
        from base
        join closes c on c.utility_id = base.utility_id and c.period = %(previous)s
                     and c.issued_by >= base.seen
        join billing_readings b on b.utility_id = c.utility_id and b.period = c.period and b.close_id = c.id
    )
    insert into draft_points (utility_id, draft_id, service_point_id)
    select p.utility_id, %(draft)s, p.id
    from base join service_points p on p.utility_id = base.utility_id
    left join (select service_point_id, bool_and(plain) as plain from issued group by 1) known
        on known.service_point_id = p.id
    left join touched t on t.service_point_id = p.id
    where known.plain is not true or t.service_point_id is not null
    on conflict do nothing
"""  # noqa: S608 - fragments of this module


def note_touched(connection: Connection[Any], draft: DraftRow, finding: str) -> int:
    """Note the points that the draft is about; how many. `finding`: the kind that makes bills doubtful."""
    return connection.execute(
        _TOUCHED.encode(),
        {
            "draft": draft.id,
            "previous": neighbour(draft.period, -1),
            "plain": list(METHODS),
            "finding": finding,
            "block": BLOCK,
        },
    ).rowcount


def untouched(connection: Connection[Any], draft: DraftRow) -> Untouched:
    """What a draft of touched points leaves as it was issued."""
    rows = connection.execute(
        f"""
        with holds as (
            select distinct on (service_point_id, obis) service_point_id, obis, quality, end_method,
                   end_value, evidence
            from billing_readings b
            where utility_id = %(utility_id)s and period = %(period)s
              and not exists (select from draft_points t
                              where t.draft_id = %(id)s and t.service_point_id = b.service_point_id)
            order by service_point_id, obis, version desc
        )
        select h.quality, h.end_method, count(*), count(*) filter (where next.moved)
        from holds h
        left join lateral (
            select n.start_value <> h.end_value
                   and n.evidence #> {path(Evidence, "installations", 0, "start", "instant")}
                       = h.evidence #> {path(Evidence, "installations", -1, "end", "instant")}
                   and n.evidence #> {path(Evidence, "installations", 0, "register")}
                       = h.evidence #> {path(Evidence, "installations", -1, "register")} as moved
            from billing_readings n
            where n.service_point_id = h.service_point_id and n.obis = h.obis and n.period = %(next)s
            order by n.version desc limit 1) next on true
        group by 1, 2
        """.encode(),  # noqa: S608 - paths
        asdict(draft) | {"next": neighbour(draft.period, 1)},
    ).fetchall()
    qualities, methods = Counter[int](), Counter[str]()
    for quality, method, count, _ in rows:
        qualities[quality] += count
        methods[method] += count
    return Untouched(sum(row[2] for row in rows), qualities, methods, sum(row[3] for row in rows))


def forget(connection: Connection[Any]) -> int:
    """Forget touched days that are older than anybody asks for; how many."""
    return connection.execute("delete from touched_days where day < (now() - %s)::date", (KEPT,)).rowcount
