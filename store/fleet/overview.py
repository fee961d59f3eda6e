"""The state of a utility at a glance: every meter with its last reading, and what needs attention."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from psycopg import Connection
from psycopg.rows import class_row, scalar_row

from metering.billing.differences import ROUND, step
from store.fleet.places import INSIDE


@dataclass(frozen=True, slots=True)
class MeterStateRow:
    """A meter with its leading register (billed first, then counters) and that one's last reading.

    The service point is where it is now, or was last until `removed_at`. `open_findings` counts alarms and
    warnings, of which `gravest_kind` is the gravest and latest; `notes` are the other open findings.
    """

    code: str
    model: str
    medium: int
    site_code: str | None
    site_name: str | None
    point_code: str | None
    point_name: str | None
    removed_at: datetime | None
    register_id: int | None
    obis: str | None
    unit: str | None
    kind: str | None
    capacity: int | None
    expected_interval: timedelta | None
    measured_at: datetime | None
    value: int | None
    open_findings: int
    notes: int
    gravest_kind: str | None
    gravest_severity: str | None


@dataclass(frozen=True, slots=True)
class GatewayOverview:
    """A gateway's state as it, or its last will, said; `health` is the last health message."""

    code: str
    site_name: str | None
    state: str
    state_at: datetime | None
    health_at: datetime | None
    health: dict[str, Any] | None


@dataclass(frozen=True, slots=True)
class SiteWithParent:
    """A site, and the one that it is part of."""

    code: str
    name: str
    address: str
    parent_code: str | None
    parent_name: str | None


@dataclass(frozen=True, slots=True)
class Totals:
    """Open findings by severity, and messages in quarantine.

    Alarms, warnings and notes are those of meters: `queries/findings.py` has those of gateways.
    """

    alarms: int
    warnings: int
    notes: int
    quarantined: int


def meter_states(
    connection: Connection[Any],
    utility_id: int,
    *,
    after: str | None,
    limit: int,
    site: str | None = None,
    search: str | None = None,
) -> list[MeterStateRow]:
    """At most `limit` meters by site and service point, removed ones last, behind the meter id `after`.

    `site` means that site with all that is below it.
    """
    with connection.cursor(row_factory=class_row(MeterStateRow)) as cursor:
        cursor.execute(
            f"""
            with {INSIDE}, placed as (
                select m.id, m.code, m.model, m.medium, s.code as site_code, s.name as site_name,
                       p.code as point_code, p.name as point_name, p.valid_to as removed_at,
                       row(coalesce(s.name, '~'), p.valid_to is not null, coalesce(p.code, '~'),
                           m.code) as place
                from meters m
                left join sites s on s.id = m.site_id
                left join lateral (
                    select sp.code, sp.name, i.valid_to from installations i
                    join service_points sp on sp.id = i.service_point_id
                    where i.meter_id = m.id and sp.utility_id = m.utility_id
                    order by i.valid_to desc nulls first, i.valid_from desc limit 1
                ) p on true
                where m.utility_id = %(utility)s
                  and (%(site)s::text is null or m.site_id in (select id from inside))
            ), page as (
                select * from placed
                where (%(after)s::text is null
                       or place > (select seen.place from placed seen where seen.code = %(after)s))
                  and (%(search)s::text is null
                       or position(lower(%(search)s)
                                   in lower(concat_ws(' ', code, model, site_name,
                                                  point_code, point_name))) > 0)
                order by place limit %(limit)s
            )
            select page.code, page.model, page.medium, page.site_code, page.site_name, page.point_code,
                   page.point_name, page.removed_at, r.id as register_id, r.obis, r.unit, r.kind, r.capacity,
                   r.expected_interval, last.measured_at, last.value, open.*
            from page
            left join lateral (
                select * from registers where meter_id = page.id
                order by billed desc, kind, obis limit 1
            ) r on true
            left join lateral (
                select measured_at, value from utility_latest_readings where register_id = r.id
                offset 0
            ) last on true
            cross join lateral (
                select count(*) filter (where severity <> 'info')::int as open_findings,
                       count(*) filter (where severity = 'info')::int as notes,
                       (array_agg(f.kind order by severity, started_at desc)
                            filter (where severity <> 'info'))[1] as gravest_kind,
                       min(severity) filter (where severity <> 'info') as gravest_severity
                from findings f join registers fr on fr.id = f.register_id
                where fr.meter_id = page.id and f.state = 'open'
            ) open
            order by page.place
            """,  # noqa: S608 - a constant
            {"utility": utility_id, "after": after, "limit": limit, "site": site, "search": search},
        )
        return cursor.fetchall()


def totals(connection: Connection[Any], utility_id: int) -> Totals:
    """Totals of what waits for people."""
    with connection.cursor(row_factory=class_row(Totals)) as cursor:
        cursor.execute(
            """
            select open.*, (select count(*) from quarantine
                            where utility_id = %(utility)s and state = 'waiting')::int as quarantined
            from (select count(*) filter (where severity = 'alarm')::int as alarms,
                         count(*) filter (where severity = 'warning')::int as warnings,
                         count(*) filter (where severity = 'info')::int as notes
                  from findings
                  where utility_id = %(utility)s and state = 'open' and register_id is not null) open
            """,
            {"utility": utility_id},
        )
        row = cursor.fetchone()
    assert row is not None
    return row


def exception_count(connection: Connection[Any], close_id: int) -> int:
    """Number of registers that a close left without a billing reading, for people to settle."""
    with connection.cursor(row_factory=scalar_row) as cursor:
        cursor.execute("select count(*)::int from billing_exceptions where close_id = %s", (close_id,))
        count: int | None = cursor.fetchone()
    return count or 0


def gateways(connection: Connection[Any], utility_id: int) -> list[GatewayOverview]:
    """The utility's field gateways (imports are not devices)."""
    with connection.cursor(row_factory=class_row(GatewayOverview)) as cursor:
        cursor.execute(
            """
            select g.code, s.name as site_name, g.state, g.state_at, g.health_at, g.health
            from gateways g left join sites s on s.id = g.site_id
            where g.utility_id = %s and g.kind = 'field' order by g.code
            """,
            (utility_id,),
        )
        return cursor.fetchall()


def site_of_code(connection: Connection[Any], utility_id: int, code: str) -> SiteWithParent | None:
    """The utility's site of this code."""
    with connection.cursor(row_factory=class_row(SiteWithParent)) as cursor:
        cursor.execute(
            """
            select s.code, s.name, s.address, p.code as parent_code, p.name as parent_name
            from sites s left join sites p on p.id = s.parent_id
            where s.utility_id = %s and s.code = %s
            """,
            (utility_id, code),
        )
        return cursor.fetchone()


def consumption_between(
    connection: Connection[Any], capacities: Mapping[int, int | None], boundaries: Sequence[datetime]
) -> dict[int, list[int | None]]:
    """Consumption that each register counted between consecutive boundaries, in micro-units.

    `capacities` maps register ids to where they roll over; the lists have one entry fewer than `boundaries`.
    None without a usable reading in the interval and one less than two days before it, or after a drop.
    A reading counts for the boundary when it was taken before it or up to `ROUND` after it.
    """
    readings: dict[int, list[tuple[datetime, int] | None]] = {register: [] for register in capacities}
    rows = connection.execute(
        """
        select register_id, v.measured_at, v.value
        from unnest(%(registers)s::int[]) register_id
        cross join unnest(%(boundaries)s::timestamptz[]) with ordinality b(boundary, place)
        left join lateral (
            select x.measured_at, x.value from utility_readings x
            where x.register_id = register_id.register_id
              and x.measured_at <= b.boundary + %(round)s and x.measured_at > b.boundary - interval '2 days'
              and not exists (select from marks m where m.register_id = x.register_id
                              and m.measured_at = x.measured_at and not m.usable)
            order by x.measured_at desc limit 1
        ) v on true
        order by register_id, place
        """,
        {"registers": list(capacities), "boundaries": list(boundaries), "round": ROUND},
    )
    for register, measured_at, value in rows:
        readings[register].append(None if measured_at is None else (measured_at, value))
    return {
        register: [
            step(earlier[1], later[1], capacities[register])
            if earlier and later and later[0] > boundary + ROUND
            else None
            for boundary, earlier, later in zip(boundaries, found, found[1:], strict=False)
        ]
        for register, found in readings.items()
    }
