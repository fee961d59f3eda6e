"""Ordinary cases of a block of service points, drafted by one statement.

The rows are those that `metering/billing` makes of such a case, to the last byte of evidence and hash:
the text is a canonical one of its structs, with SQL in place of what differs by row. A test holds the
two together, and `python -m bench.close` says why there are two. Everything else is left to the ladder.
"""

import json
import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from psycopg import Connection
from psycopg.types.json import Jsonb

from metering.billing.boundary import SET_DAY_MISSING
from metering.billing.canonical_hash import CanonicalContent, canonical, instant
from metering.billing.case import BillingMonth
from metering.billing.evidence import BoundaryEvidence, Evidence, InstallationEvidence, ReadingEvidence
from metering.billing.method import Method
from metering.billing.ordinary import STATUS_LABELS
from metering.billing.rule_set import last_day
from metering.periods.calendar import neighbour
from store.billing.drafts import DraftRow
from store.billing.evidence import path
from store.billing.measured import Points
from telemetry.quality import Quality
from telemetry.status import Status


@dataclass(frozen=True, slots=True)
class BulkSetting:
    """Facts that all blocks of a close share.

    `has_previous`, `has_next`: the neighbouring period was closed. `finding`: the kind that makes bills
    questionable. `ordinary` False: by the rules of the month no case is.
    """

    month: BillingMonth
    has_previous: bool
    has_next: bool
    finding: str
    ordinary: bool


@dataclass(frozen=True, slots=True)
class BulkDrafted:
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


def _json(sql: str) -> Any:
    """Stand-in for a value whose canonical JSON this SQL gives."""
    return f"<<{sql}>>"


def _text(sql: str) -> Any:
    """Stand-in for a text that needs no escapes: its quotes stay."""
    return f"<[{sql}]>"


def _written(content: object) -> str:
    """SQL of the canonical JSON of a struct with stand-ins."""
    *pieces, last = re.split(r'"<<(.*?)>>"|<\[(.*?)\]>', canonical(content))
    parts = []
    for literal, one, other in zip(pieces[::3], pieces[1::3], pieces[2::3], strict=True):
        value = json.loads(f'"{one or other}"')  # which was escaped as JSON
        parts += [_quoted(literal), value]
    return f"concat({', '.join([*parts, _quoted(last)])})"


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def _end(end: str) -> BoundaryEvidence:
    """Boundary of an ordinary case; `end` is 'start' or 'end'."""
    missing = _quoted(canonical([SET_DAY_MISSING]))
    reading = ReadingEvidence(
        at=_text(f"{end}_at_text"),
        value=_text(f"{end}_value_text"),
        status=_json(f"{end}_status"),
        status_labels=_json(f"(%(statuses)s::jsonb ->> {end}_status::text)"),
    )
    return BoundaryEvidence(
        instant=_text(f"%({end}s_text)s::text"),
        passed_over=_json(f"case {end}_method when '{Method.SET_DAY}' then '[]' else {missing} end"),
        value=reading.value,
        method=_text(f"{end}_method"),
        settled_at=reading.at,
        readings=(reading,),
    )


_INSTALLATION = InstallationEvidence(
    installation=_json("installation_id"),
    meter=_json("to_json(meter)"),
    register=_json("register_id"),
    multiplier=_text("trim_scale(multiplier)"),
    capacity=_json("coalesce(to_json(decimal_text(capacity)), 'null')"),
    start=_end("start"),
    end=_end("end"),
    marks={},
    findings=(),
    events=(),
    consumption=_text("used_text"),
)
_EVIDENCE = _written(Evidence((_INSTALLATION,)))
_EVIDENCE_BY_RULES = _written(Evidence((_INSTALLATION,), rules=_json("to_json(%(rules)s::text)")))
_CONTENT = _written(
    CanonicalContent(
        utility=_json("to_json(%(utility)s::text)"),
        service_point=_json("to_json(point)"),
        obis=_text("obis"),
        period=_text("%(period)s::text"),
        starts_at=_text("%(starts_text)s::text"),
        ends_at=_text("%(ends_text)s::text"),
        start_value=_text("start_value_text"),
        end_value=_text("end_value_text"),
        consumption=_text("used_text"),
        unit=_json("to_json(unit)"),
        quality=int(Quality.VALID),
        start_method=_text("start_method"),
        end_method=_text("end_method"),
        evidence=_json("evidence"),
    )
)


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
               case when s.measured_at = %(starts)s and s.status & {int(Status.HISTORICAL)} <> 0
                    then '{Method.SET_DAY}' else '{Method.READING}' end as start_method,
               case when e.measured_at = %(ends)s and e.status & {int(Status.HISTORICAL)} <> 0
                    then '{Method.SET_DAY}' else '{Method.READING}' end as end_method,
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
        select bounded.*, instant_text(start_at) as start_at_text, instant_text(end_at) as end_at_text,
               decimal_text(start_value) as start_value_text, decimal_text(end_value) as end_value_text,
               decimal_text(used::bigint) as used_text
        from bounded
    ), evident as materialized (
        select written.*, case when %(rules)s::text is null then {_EVIDENCE} else {_EVIDENCE_BY_RULES} end
               as evidence
        from written
    ), drafted as materialized (
        select z.*, sha256(convert_to({_CONTENT}, 'UTF8')) as content_hash
        from evident z
        left join lateral (
            select evidence #> {path(Evidence, "installations", -1)} as part from billing_readings
            where %(has_previous)s and service_point_id = z.point_id and obis = z.obis
              and period = %(previous)s
            order by version desc limit 1) last on true
        where last.part is null
           or ((last.part #>> {path(InstallationEvidence, "register")})::int = register_id
               and last.part #>> {path(InstallationEvidence, "end", "instant")} = %(starts_text)s
               and last.part #>> {path(InstallationEvidence, "end", "value")} = start_value_text
               and last.part #>> {path(InstallationEvidence, "end", "settled_at")} = start_at_text)
    ), known as (
        select d.*, before.version as known_version, before.content_hash as known_hash,
               next.part #>> {path(InstallationEvidence, "start", "instant")} = %(ends_text)s
               and (next.part #>> {path(InstallationEvidence, "register")})::int = register_id
               and next.start_value <> d.end_value as moved
        from drafted d
        left join lateral (
            select version, content_hash from billing_readings
            where %(again)s and service_point_id = d.point_id and obis = d.obis and period = %(period)s
            order by version desc limit 1) before on true
        left join lateral (
            select start_value, evidence #> {path(Evidence, "installations", 0)} as part from billing_readings
            where %(has_next)s and service_point_id = d.point_id and obis = d.obis and period = %(next)s
            order by version desc limit 1) next on true
    ), added as (
        insert into draft_readings
            (utility_id, draft_id, service_point_id, obis, version, start_value, end_value, consumption, unit,
             quality, start_method, end_method, evidence, content_hash)
        select %(utility_id)s, %(draft)s, point_id, obis, coalesce(known_version, 0) + 1, start_value,
               end_value, used, unit, {int(Quality.VALID)}, start_method, end_method, evidence::jsonb,
               content_hash
        from known where known_hash is distinct from content_hash
        returning version
    ), rest as (
        select point_id, obis from installed except select point_id, obis from drafted
    )
    select (select count(*) from drafted), (select count(*) from added where version = 1),
           (select count(*) from added where version > 1), (select count(*) from known where moved),
           (select count(*) from drafted where end_method = '{Method.SET_DAY}'),
           array(select point_id from rest order by point_id, obis),
           array(select obis from rest order by point_id, obis)
"""  # noqa: S608 - fragments of this module


def draft_ordinary(
    connection: Connection, draft: DraftRow, points: Points, setting: BulkSetting
) -> BulkDrafted:
    """Draft what is ordinary of these points."""
    month, period, rules = setting.month, setting.month.period, setting.month.rules
    labels = {str(status): canonical(labels) for status, labels in STATUS_LABELS.items()}
    parameters: dict[str, Any] = {
        **asdict(points),
        "utility": month.utility.code,
        "period": period.name,
        "starts": period.starts_at,
        "ends": period.ends_at,
        "starts_text": instant(period.starts_at),
        "ends_text": instant(period.ends_at),
        "previous": neighbour(period.name, -1),
        "next": neighbour(period.name, 1),
        "has_previous": setting.has_previous,
        "has_next": setting.has_next,
        "again": draft.base_run > 0,
        "finding": setting.finding,
        "statuses": Jsonb(labels if setting.ordinary else {}),
        "rules": rules.label,
        "verified": last_day(period.ends_at, month.zone) if rules.verification.required else None,
        "sums": rules.sums is not None,
        "draft": draft.id,
    }
    # compiling takes longer than a block does
    connection.execute("set local jit = off")
    row = connection.execute(_ORDINARY.encode(), parameters).fetchone()
    assert row is not None
    billed, new, corrected, following, set_day, points_left, registers = row
    rest = list(zip(points_left, registers, strict=True))
    return BulkDrafted(billed, new, corrected, following, set_day, rest)
