"""Meters and readings as a month close reads them: a query each, whatever the number of registers."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from psycopg import Connection
from psycopg.rows import args_row, class_row

from metering.billing.case import Beside, BoundaryPlace, InstalledRegister, RegisterMark, StoredReading
from metering.billing.unmeasured import UnmeteredPoint, UnreadMeter
from metering.periods.calendar import UtilityCalendar


@dataclass(frozen=True, slots=True)
class Points:
    """Service points by id (both ends included): what one block of a close is about.

    `of_draft`: of these only the ones that are noted for the draft with this id (`draft_points`).
    """

    utility_id: int
    first: int
    last: int
    of_draft: int | None = None


def utility_codes(connection: Connection) -> list[str]:
    """Codes of all utilities, sorted."""
    return [code for (code,) in connection.execute("select code from utilities order by code")]


def utility(connection: Connection, code: str) -> UtilityCalendar:
    """Calendar of a utility. Raises LookupError where none has the code."""
    with connection.cursor(row_factory=class_row(UtilityCalendar)) as cursor:
        row = cursor.execute(
            "select id, code, time_zone, reading_day, interpolation_limit from utilities where code = %s",
            (code,),
        ).fetchone()
    if row is None:
        raise LookupError(f"no utility has the code {code!r}")
    return row


def installed(
    connection: Connection, utility_id: int, since: datetime, until: datetime, keys: Sequence[tuple[int, str]]
) -> list[InstalledRegister]:
    """Billed registers of the installations that touch the time from `since` to `until`.

    Only of these (service point id, register), in order of service point, register and time.
    """
    with connection.cursor(row_factory=class_row(InstalledRegister)) as cursor:
        return cursor.execute(
            """
            select i.id as installation_id, p.id as service_point_id, p.code as service_point,
                   m.code as meter, r.id as register_id, r.obis, r.unit, r.capacity,
                   i.multiplier, i.valid_from, i.valid_to,
                   (i.start_values ->> r.obis)::bigint as start_value,
                   (i.end_values ->> r.obis)::bigint as end_value,
                   coalesce(r.boundary_tolerance, u.boundary_tolerance) as tolerance, r.validated_until
            from unnest(%s::int[], %s::text[]) wanted (service_point_id, obis)
            join service_points p on p.id = wanted.service_point_id
            join utilities u on u.id = p.utility_id
            join installations i on i.service_point_id = p.id
            join meters m on m.id = i.meter_id
            join registers r on r.meter_id = m.id and r.obis = wanted.obis
                             and r.billed and r.kind = 'counter'
            where p.utility_id = %s and i.valid_from < %s and (i.valid_to is null or i.valid_to > %s)
            order by p.code, r.obis, i.valid_from, i.id
            """,
            ([point for point, _ in keys], [obis for _, obis in keys], utility_id, until, since),
        ).fetchall()


def unmetered(
    connection: Connection, points: Points, since: datetime, until: datetime
) -> list[UnmeteredPoint]:
    """Service points without any installation from `since` to `until`, once for each register missed there.

    Left out are those that had ended by then, and those whose nearest meter has registers, but none billed.
    """
    with connection.cursor(row_factory=class_row(UnmeteredPoint)) as cursor:
        return cursor.execute(
            """
            select p.id as service_point_id, p.medium, r.obis,
                   (select max(i.valid_to) from installations i
                    where i.service_point_id = p.id and i.valid_to <= %(since)s) as removed_at,
                   (select min(i.valid_from) from installations i
                    where i.service_point_id = p.id and i.valid_from >= %(until)s) as installed_at
            from service_points p
            left join lateral (
                select i.meter_id from installations i where i.service_point_id = p.id
                order by greatest(i.valid_from - %(until)s, %(since)s - i.valid_to), i.valid_from desc limit 1
            ) nearest on true
            left join registers r on r.meter_id = nearest.meter_id and r.billed and r.kind = 'counter'
            where p.utility_id = %(utility_id)s and p.id between %(first)s and %(last)s
              and (%(of_draft)s::bigint is null or exists (select from draft_points t
                   where t.draft_id = %(of_draft)s and t.service_point_id = p.id))
              and (p.ended_at is null or p.ended_at > %(since)s)
              and not exists (select from installations i where i.service_point_id = p.id
                              and i.valid_from < %(until)s
                              and (i.valid_to is null or i.valid_to > %(since)s))
              and (r.id is not null
                   or not exists (select from registers other where other.meter_id = nearest.meter_id))
            order by p.code, r.obis
            """,
            asdict(points) | {"since": since, "until": until},
        ).fetchall()


def unread(connection: Connection, points: Points, since: datetime, until: datetime) -> list[UnreadMeter]:
    """Meters installed at some time from `since` to `until` of which no register is known."""
    with connection.cursor(row_factory=class_row(UnreadMeter)) as cursor:
        return cursor.execute(
            """
            select p.id as service_point_id, p.medium, m.code as meter
            from service_points p
            join installations i on i.service_point_id = p.id
            join meters m on m.id = i.meter_id
            where p.utility_id = %(utility_id)s and p.id between %(first)s and %(last)s
              and (%(of_draft)s::bigint is null or exists (select from draft_points t
                   where t.draft_id = %(of_draft)s and t.service_point_id = p.id))
              and i.valid_from < %(until)s and (i.valid_to is null or i.valid_to > %(since)s)
              and not exists (select from registers r where r.meter_id = m.id)
            order by p.code, i.valid_from
            """,
            asdict(points) | {"since": since, "until": until},
        ).fetchall()


def _beside(rules: str, condition: str) -> bytes:
    """Statement of the last reading at or before each place's instant and the first at or after it.

    With the `rules` that forbid its use, and of the readings alone that meet a condition.
    """
    return f"""
        select b.*, a.*
        from unnest(%(registers)s::int[], %(instants)s::timestamptz[], %(earliest)s::timestamptz[],
                    %(latest)s::timestamptz[])
             with ordinality as place (register_id, instant, earliest, latest, position)
        join registers g on g.id = place.register_id
        left join lateral (
            select r.measured_at, r.value, r.status, {rules} as rules from readings r
            where r.register_id = place.register_id and r.measured_at <= place.instant
              and r.measured_at >= place.earliest and {condition}
            order by r.measured_at desc limit 1) b on true
        left join lateral (
            select r.measured_at, r.value, r.status, {rules} as rules from readings r
            where r.register_id = place.register_id and r.measured_at >= place.instant
              and r.measured_at <= place.latest and {condition}
            order by r.measured_at limit 1) a on true
        order by place.position
    """.encode()  # noqa: S608 - fragments of this module


_USABLE_BESIDE = _beside(
    "'{}'::text[]",
    """
    r.measured_at < g.validated_until and r.status & %(without)s = 0
    and not exists (select from marks m where m.register_id = r.register_id
                    and m.measured_at = r.measured_at and not m.usable)
    """,
)
_STORED_BESIDE = _beside(
    """
    array(select m.rule from marks m where m.register_id = r.register_id
          and m.measured_at = r.measured_at and not m.usable order by 1)
    """,
    "true",
)


def usable_beside(connection: Connection, places: Sequence[BoundaryPlace], without: int = 0) -> list[Beside]:
    """For each place the last usable reading at or before its instant and the first at or after it.

    Usable is what is validated and has no mark against it, of any author, and no status bit of `without`.
    """
    rows = connection.execute(_USABLE_BESIDE, _columns(places) | {"without": without})
    return [(_reading(*row[:4]), _reading(*row[4:])) for row in rows]


def stored_beside(connection: Connection, places: Sequence[BoundaryPlace]) -> list[Beside]:
    """The same of all readings, whatever is said of them: to explain what is missing."""
    rows = connection.execute(_STORED_BESIDE, _columns(places))
    return [(_reading(*row[:4]), _reading(*row[4:])) for row in rows]


def _reading(at: datetime | None, value: int, status: int, rules: Sequence[str]) -> StoredReading | None:
    return None if at is None else StoredReading(at, value, status, tuple(rules))


def _columns(places: Sequence[BoundaryPlace]) -> dict[str, Any]:
    return {
        "registers": [place.register_id for place in places],
        "instants": [place.instant for place in places],
        "earliest": [place.earliest for place in places],
        "latest": [place.latest for place in places],
    }


def marks_between(
    connection: Connection, register_ids: Sequence[int], since: datetime, until: datetime
) -> list[RegisterMark]:
    """Marks on readings of the registers from `since` to `until` (both included), by register and instant."""
    with connection.cursor(row_factory=args_row(RegisterMark)) as cursor:
        return cursor.execute(
            """
            select register_id, measured_at, rule, usable from marks
            where register_id = any(%s) and measured_at between %s and %s
            order by register_id, measured_at, rule
            """,
            (list(register_ids), since, until),
        ).fetchall()
