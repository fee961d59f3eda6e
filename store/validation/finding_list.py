"""What validation and the detectors found, for the API and the pages: of meters, and of gateways."""

from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from psycopg import Connection
from psycopg.rows import class_row

from telemetry.findings import SEVERITIES

# Where the meter is now, or was last.
_PLACE = """
    select sp.code, sp.name, sp.account
    from installations i join service_points sp on sp.id = i.service_point_id
    where i.meter_id = m.id and sp.utility_id = m.utility_id
    order by i.valid_to desc nulls first, i.valid_from desc limit 1
"""
_OF_METERS = """
    findings f
    join registers r on r.id = f.register_id
    join meters m on m.id = r.meter_id
    left join sites s on s.id = m.site_id
"""
_FINDING = f"""
    select f.id, m.code as meter, m.medium, r.obis, r.unit, s.code as site, s.name as site_name,
           coalesce(nullif(p.name, ''), p.code) as point_name, f.kind, f.severity, f.state, f.assignee,
           f.started_at, f.ended_at, f.detected_at, f.evidence
    from {_OF_METERS} left join lateral ({_PLACE}) p on true
"""  # noqa: S608 - parts of this file only


@dataclass(frozen=True, slots=True)
class ListedFinding:
    """One finding; `ended_at` None: it still holds. `evidence` has the numbers that a person can check.

    `point_name` is the service point where the meter is now, or was last.
    """

    id: int
    meter: str
    medium: int
    obis: str
    unit: str
    site: str | None
    site_name: str | None
    point_name: str | None
    kind: str
    severity: str
    state: str
    assignee: str
    started_at: datetime
    ended_at: datetime | None
    detected_at: datetime
    evidence: dict[str, Any]


_RANK = "array_position(%(severities)s::text[], f.severity)"


@dataclass(frozen=True, slots=True)
class FindingFilter:
    """Which findings are wanted; None: all. `kind` stands for its parts too (`stuck` for `stuck.zero`).

    `site` is a site's code, `medium` the OBIS value group A, `assignee` a login, or empty for nobody's;
    `text` is part of a meter's id, or of the name, code or account of its service point.
    """

    state: str | None = None
    kind: str | None = None
    severity: str | None = None
    site: str | None = None
    medium: int | None = None
    assignee: str | None = None
    meter_id: int | None = None
    text: str | None = None


_WANTED = f"""
    f.utility_id = %(utility)s
      and (%(meter_id)s::int is null or m.id = %(meter_id)s)
      and (%(state)s::text is null or f.state = %(state)s)
      and (%(kind)s::text is null or f.kind = %(kind)s or starts_with(f.kind, %(kind)s || '.'))
      and (%(severity)s::text is null or f.severity = %(severity)s)
      and (%(site)s::text is null or s.code = %(site)s)
      and (%(medium)s::int is null or m.medium = %(medium)s)
      and (%(assignee)s::text is null or f.assignee = %(assignee)s)
      and (%(text)s::text is null
           or position(lower(%(text)s) in lower(concat_ws(' ', m.code, (
                  select concat_ws(' ', p.code, p.name, p.account) from ({_PLACE}) p)))) > 0)
"""  # noqa: S608 - parts of this file only


def findings_page(
    connection: Connection[Any],
    utility_id: int,
    wanted: FindingFilter,
    *,
    limit: int,
    before: int | None = None,
) -> list[ListedFinding]:
    """At most `limit` findings, the last detected first; `before` is the id of the last one seen."""
    with connection.cursor(row_factory=class_row(ListedFinding)) as cursor:
        return cursor.execute(
            _FINDING
            + """
            where (%(before)s::bigint is null or f.id < %(before)s) and
            """
            + _WANTED
            + """
            order by f.id desc limit %(limit)s
            """,
            asdict(wanted) | {"utility": utility_id, "before": before, "limit": limit},
        ).fetchall()


def finding(connection: Connection[Any], utility_id: int, finding_id: int) -> ListedFinding | None:
    """One finding."""
    with connection.cursor(row_factory=class_row(ListedFinding)) as cursor:
        return cursor.execute(
            _FINDING + " where f.utility_id = %s and f.id = %s", (utility_id, finding_id)
        ).fetchone()


def gravest_findings(
    connection: Connection[Any],
    utility_id: int,
    wanted: FindingFilter = FindingFilter(state="open"),
    *,
    limit: int,
    after: int | None = None,
) -> list[ListedFinding]:
    """At most `limit` findings: alarms before warnings before the rest, the last begun first.

    `after` is the id of the last one seen.
    """
    with connection.cursor(row_factory=class_row(ListedFinding)) as cursor:
        return cursor.execute(
            f"""
            {_FINDING} where f.id in (
                select f.id from {_OF_METERS}
                left join findings seen on seen.id = %(after)s and seen.utility_id = f.utility_id
                where (seen.id is null
                       or ({_RANK}, seen.started_at, seen.id)
                          > (array_position(%(severities)s::text[], seen.severity), f.started_at, f.id))
                  and {_WANTED}
                order by {_RANK}, f.started_at desc, f.id desc limit %(limit)s)
            order by {_RANK}, f.started_at desc, f.id desc
            """,  # noqa: S608 - parts of this file only; first which ones, then what there is to say of them
            asdict(wanted)
            | {
                "utility": utility_id,
                "after": after,
                "limit": limit,
                "severities": list(reversed(SEVERITIES)),
            },
        ).fetchall()


@dataclass(frozen=True, slots=True)
class FindingChoices:
    """What there is to choose from among a utility's findings, for the filters of a list."""

    states: dict[str, int]
    kinds: list[str]
    media: list[int]
    sites: list[tuple[str, str]]  # code, name


def finding_choices(connection: Connection[Any], utility_id: int) -> FindingChoices:
    """How many findings are in which state; and the kinds, media and sites (in order of name) they are of."""
    states = connection.execute(
        "select state, count(*) from findings where utility_id = %s group by 1", (utility_id,)
    ).fetchall()
    of = connection.execute(
        """
        select distinct f.kind, m.medium, s.code, s.name
        from findings f join registers r on r.id = f.register_id join meters m on m.id = r.meter_id
        left join sites s on s.id = m.site_id
        where f.utility_id = %s
        """,
        (utility_id,),
    ).fetchall()
    return FindingChoices(
        states=dict(states),
        kinds=sorted({kind for kind, *_ in of}),
        media=sorted({medium for _, medium, *_ in of}),
        sites=sorted({(code, name) for *_, code, name in of if code is not None}, key=lambda one: one[::-1]),
    )


def findings_of_register(
    connection: Connection[Any], register_id: int, start: datetime, end: datetime, limit: int
) -> list[ListedFinding]:
    """A register's findings that touch the time between two instants, the earliest first."""
    with connection.cursor(row_factory=class_row(ListedFinding)) as cursor:
        return cursor.execute(
            _FINDING
            + """
            where f.register_id = %s and f.started_at < %s and coalesce(f.ended_at, 'infinity') >= %s
            order by f.started_at limit %s
            """,
            (register_id, end, start, limit),
        ).fetchall()


@dataclass(frozen=True, slots=True)
class ListedGatewayFinding:
    """One finding of a gateway, or of the one of its lines that `line` names; else as `ListedFinding`."""

    id: int
    gateway: str
    line: str
    site_name: str | None
    kind: str
    severity: str
    state: str
    started_at: datetime
    ended_at: datetime | None
    detected_at: datetime
    evidence: dict[str, Any]


def gateway_findings(
    connection: Connection[Any],
    utility_id: int,
    *,
    limit: int,
    gateway: str | None = None,
    state: str | None = "open",
    before: int | None = None,
) -> list[ListedGatewayFinding]:
    """At most `limit` findings of gateways, the last detected first; `before` is the last id seen."""
    with connection.cursor(row_factory=class_row(ListedGatewayFinding)) as cursor:
        return cursor.execute(
            """
            select f.id, g.code as gateway, f.line, s.name as site_name, f.kind, f.severity, f.state,
                   f.started_at, f.ended_at, f.detected_at, f.evidence
            from findings f join gateways g on g.id = f.gateway_id left join sites s on s.id = g.site_id
            where f.utility_id = %(utility)s
              and (%(gateway)s::text is null or g.code = %(gateway)s)
              and (%(state)s::text is null or f.state = %(state)s)
              and (%(before)s::bigint is null or f.id < %(before)s)
            order by f.id desc limit %(limit)s
            """,
            {"utility": utility_id, "gateway": gateway, "state": state, "before": before, "limit": limit},
        ).fetchall()
