"""The ordinary cases of a block of service points, drafted by one statement.

Ordinary is what nothing can be said about: one meter all the time, a reading in tolerance (or the meter's own
set-day value) at both ends, no mark, finding or event anywhere near, a count that went up, and a start
where the last period ended. The rows are those that `ingest/billing` makes of such a case, to the last byte
of evidence and hash; a test holds the two together. Everything else is left to it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from psycopg import Connection
from psycopg.types.json import Jsonb

from metering.billing.canonical_hash import instant
from store.billing.drafts import DraftRow
from store.billing.measured import Points


@dataclass(frozen=True, slots=True)
class Setting:
    """What is the same for all cases of a close.

    `has_previous`, `has_next`: the neighbouring period was closed. `ways` and `statuses` are fragments of
    canonical JSON: of a boundary's method, and of the labels of each status that an ordinary reading may
    have. `historical` is the status bit of a set-day value. `rules` as canonical JSON; `verified_until`:
    the meter's verification must reach so far, None: the rules ask for none; `sums`: registers of one
    quantity are compared, so not here.
    """

    utility: str
    starts_at: datetime
    ends_at: datetime
    previous: str
    next: str
    has_previous: bool
    has_next: bool
    finding: str
    ways: Mapping[str, str]
    statuses: Mapping[int, str]
    historical: int
    rules: str | None = None
    verified_until: date | None = None
    sums: bool = False


@dataclass(frozen=True, slots=True)
class Drafted:
    """How many were ordinary; of these, first and further versions, how many are followed by another value,
    and how many end with the meter's own set-day value.

    `rest`: (service point id, register) of all others.
    """

    billed: int
    new: int
    corrected: int
    following: int
    set_day: int
    rest: Sequence[tuple[int, str]]


def _boundary(end: str) -> str:
    """SQL of a boundary's evidence as canonical JSON; `end` is 'start' or 'end'."""
    return f"""
        '{{"instant":"' || %({end}s_text)s || '",' || {end}_way || ',"readings":[{{"at":"'
        || {end}_at_text || '","status":' || {end}_status || ',"status_labels":'
        || (%(statuses)s::jsonb ->> {end}_status::text) || ',"value":"' || {end}_value_text
        || '"}}],"settled_at":"' || {end}_at_text || '","value":"' || {end}_value_text
        || '"}}'
    """


def _nearest(instant: str) -> str:
    """SQL of the usable reading in tolerance that is nearest to a boundary; of two, the earlier."""
    return f"""
        select measured_at, value, status from readings
        where register_id = x.register_id and measured_at < x.validated_until
          and measured_at >= greatest(%({instant})s - x.tolerance, x.valid_from)
          and measured_at <= least(%({instant})s + x.tolerance, x.valid_to)
        order by greatest(measured_at - %({instant})s, %({instant})s - measured_at), measured_at limit 1
    """  # noqa: S608 - the names of two parameters


_ORDINARY = f"""
    with installed as materialized (
        select p.id as point_id, p.code as point, i.id as installation_id, i.multiplier, i.valid_from,
               i.valid_to, m.id as meter_id, m.code as meter, m.verified_until, r.id as register_id, r.obis,
               r.unit, r.capacity, r.validated_until, coalesce(r.boundary_tolerance, u.boundary_tolerance)
               as tolerance, count(*) over (partition by p.id, r.obis) as meters
        from service_points p
        join utilities u on u.id = p.utility_id
        join installations i on i.service_point_id = p.id
        join meters m on m.id = i.meter_id
        join registers r on r.meter_id = m.id and r.billed and r.kind = 'counter'
        where p.utility_id = %(utility_id)s and p.id between %(first)s and %(last)s
          and (%(of_draft)s::bigint is null or exists (select from draft_points t
               where t.draft_id = %(of_draft)s and t.service_point_id = p.id))
          and i.valid_from < %(ends)s and (i.valid_to is null or i.valid_to > %(starts)s)
    ), bounded as (
        select x.*, s.measured_at as start_at, s.value as start_value, s.status as start_status,
               e.measured_at as end_at, e.value as end_value, e.status as end_status,
               case when s.measured_at = %(starts)s and s.status & %(historical)s <> 0
                    then 'set_day' else 'reading' end as start_method,
               case when e.measured_at = %(ends)s and e.status & %(historical)s <> 0
                    then 'set_day' else 'reading' end as end_method,
               (e.value - s.value) * x.multiplier as used
        from installed x
        cross join lateral ({_nearest("starts")}) s
        cross join lateral ({_nearest("ends")}) e
        where x.meters = 1 and x.valid_from < %(starts)s and (x.valid_to is null or x.valid_to > %(ends)s)
          and e.value >= s.value
          and s.value * x.multiplier = trunc(s.value * x.multiplier)
          and e.value * x.multiplier = trunc(e.value * x.multiplier)
          and %(statuses)s::jsonb ? s.status::text and %(statuses)s::jsonb ? e.status::text
          and (%(verified)s::date is null or coalesce(
                  (select max(valid_until) from verifications where meter_id = x.meter_id
                   and verified_on <= %(verified)s::date),
                  x.verified_until, %(verified)s::date) >= %(verified)s::date)
          and not exists (select from marks where register_id = x.register_id and measured_at
                          between %(starts)s - x.tolerance and %(ends)s + x.tolerance)
          and not exists (select from findings where register_id = x.register_id and kind = %(finding)s
                          and started_at < %(ends)s and (ended_at is null or ended_at > %(starts)s)
                          and state in ('open', 'acknowledged'))
          and not exists (select from installations i where i.service_point_id = x.point_id
                          and i.valid_from < %(ends)s and (i.valid_to is null or i.valid_to > %(starts)s)
                          and not exists (select from registers where meter_id = i.meter_id))
          and not exists (select from registers tariff where tariff.meter_id = x.meter_id
                          and tariff.billed and tariff.kind = 'counter' and tariff.obis <> x.obis
                          and %(sums)s and split_part(tariff.obis, '.', 1) = split_part(x.obis, '.', 1)
                          and split_part(tariff.obis, '.', 2) = split_part(x.obis, '.', 2))
    ), written as materialized (  -- each text once: they stand in the evidence and in what is hashed
        select bounded.*, %(ways)s::jsonb ->> start_method as start_way,
               %(ways)s::jsonb ->> end_method as end_way, instant_text(start_at) as start_at_text,
               instant_text(end_at) as end_at_text, decimal_text(start_value) as start_value_text,
               decimal_text(end_value) as end_value_text, decimal_text(used::bigint) as used_text
        from bounded
    ), evident as materialized (
        select written.*, '{{"installations":[{{"capacity":'
               || coalesce('"' || decimal_text(capacity) || '"', 'null')
               || ',"consumption":"' || used_text || '","end":' || {_boundary("end")}
               || ',"events":[],"findings":[],"installation":' || installation_id || ',"marks":{{}},"meter":'
               || to_json(meter) || ',"multiplier":"' || trim_scale(multiplier) || '","register":'
               || register_id || ',"start":' || {_boundary("start")} || '}}]' || %(rules)s || '}}' as evidence
        from written
    ), drafted as materialized (
        select z.*,
               sha256(convert_to('{{"consumption":"' || used_text || '","end_method":"'
               || end_method || '","end_value":"' || end_value_text
               || '","ends_at":"' || %(ends_text)s || '","evidence":' || z.evidence
               || ',"obis":"' || z.obis || '","period":"' || %(period)s
               || '","quality":0,"service_point":' || to_json(point) || ',"start_method":"' || start_method
               || '","start_value":"' || start_value_text || '","starts_at":"' || %(starts_text)s
               || '","unit":' || to_json(unit)
               || ',"utility":' || to_json(%(utility)s::text) || '}}', 'UTF8')) as content_hash
        from evident z
        left join lateral (
            select evidence -> 'installations' -> -1 as part from billing_readings
            where %(has_previous)s and service_point_id = z.point_id and obis = z.obis
              and period = %(previous)s
            order by version desc limit 1) last on true
        where last.part is null
           or ((last.part ->> 'register')::int = register_id
               and last.part #>> '{{end,instant}}' = %(starts_text)s
               and last.part #>> '{{end,value}}' = start_value_text
               and last.part #>> '{{end,settled_at}}' = start_at_text)
    ), known as (
        select d.*, before.version as known_version, before.content_hash as known_hash,
               next.part #>> '{{start,instant}}' = %(ends_text)s
               and (next.part ->> 'register')::int = register_id and next.start_value <> d.end_value as moved
        from drafted d
        left join lateral (
            select version, content_hash from billing_readings
            where %(again)s and service_point_id = d.point_id and obis = d.obis and period = %(period)s
            order by version desc limit 1) before on true
        left join lateral (
            select start_value, evidence -> 'installations' -> 0 as part from billing_readings
            where %(has_next)s and service_point_id = d.point_id and obis = d.obis and period = %(next)s
            order by version desc limit 1) next on true
    ), added as (
        insert into draft_readings
            (utility_id, draft_id, service_point_id, obis, version, start_value, end_value, consumption, unit,
             quality, start_method, end_method, evidence, content_hash)
        select %(utility_id)s, %(draft)s, point_id, obis, coalesce(known_version, 0) + 1, start_value,
               end_value, used, unit, 0, start_method, end_method, evidence::jsonb, content_hash
        from known where known_hash is distinct from content_hash
        returning version
    ), rest as (
        select point_id, obis from installed except select point_id, obis from drafted
    )
    select (select count(*) from drafted), (select count(*) from added where version = 1),
           (select count(*) from added where version > 1), (select count(*) from known where moved),
           (select count(*) from drafted where end_method = 'set_day'),
           array(select point_id from rest order by point_id, obis),
           array(select obis from rest order by point_id, obis)
"""  # noqa: S608 - fragments of this module


def draft_ordinary(connection: Connection, draft: DraftRow, points: Points, setting: Setting) -> Drafted:
    """Draft what is ordinary of these points."""
    parameters: dict[str, Any] = {
        "utility_id": points.utility_id,
        "first": points.first,
        "last": points.last,
        "of_draft": points.of_draft,
        "utility": setting.utility,
        "period": draft.period,
        "starts": setting.starts_at,
        "ends": setting.ends_at,
        "starts_text": instant(setting.starts_at),
        "ends_text": instant(setting.ends_at),
        "previous": setting.previous,
        "next": setting.next,
        "has_previous": setting.has_previous,
        "has_next": setting.has_next,
        "again": draft.base_run > 0,
        "finding": setting.finding,
        "ways": Jsonb(dict(setting.ways)),
        "statuses": Jsonb({str(status): labels for status, labels in setting.statuses.items()}),
        "rules": "" if setting.rules is None else f',"rules":{setting.rules}',
        "verified": setting.verified_until,
        "historical": setting.historical,
        "sums": setting.sums,
        "draft": draft.id,
    }
    # compiling takes longer than a block does
    connection.execute("set local jit = off")
    row = connection.execute(_ORDINARY.encode(), parameters).fetchone()
    assert row is not None
    billed, new, corrected, following, set_day, points_left, registers = row
    rest = list(zip(points_left, registers, strict=True))
    return Drafted(billed, new, corrected, following, set_day, rest)
