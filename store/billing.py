"""The month close's side of the store: what it reads, set by set, and the rows it adds.

Nothing here updates or deletes: a close adds billing readings, exceptions, and a row about itself.
What billing systems and pages read back is in `store/queries/billing.py`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from psycopg import Connection
from psycopg.rows import class_row
from psycopg.types.json import Jsonb


@dataclass(frozen=True, slots=True)
class UtilityRow:
    """A utility's calendar and limits."""

    id: int
    code: str
    time_zone: str
    reading_day: int
    interpolation_limit: timedelta


@dataclass(frozen=True, slots=True)
class InstalledRow:
    """A billed register of a meter at a service point. Values in micro-units of `unit`."""

    installation_id: int
    service_point_id: int
    service_point: str
    meter: str
    register_id: int
    obis: str
    unit: str
    capacity: int | None
    multiplier: Decimal
    valid_from: datetime
    valid_to: datetime | None
    start_value: int | None
    end_value: int | None
    tolerance: timedelta
    validated_until: datetime | None


@dataclass(frozen=True, slots=True)
class StoredReading:
    """A reading beside a boundary; `rules` of the marks on it that forbid its use."""

    at: datetime
    value: int
    status: int
    rules: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Place:
    """An instant of a register, and how far around it (both included) readings matter."""

    register_id: int
    instant: datetime
    earliest: datetime
    latest: datetime


@dataclass(frozen=True, slots=True)
class RegisterMark:
    """A mark on a register's reading."""

    register_id: int
    measured_at: datetime
    rule: str
    usable: bool


@dataclass(frozen=True, slots=True)
class BillingRow:
    """One version of a billing reading, as it is inserted. Values in micro-units."""

    service_point_id: int
    obis: str
    version: int
    start_value: int
    end_value: int
    consumption: int
    unit: str
    quality: int
    start_method: str
    end_method: str
    evidence: dict[str, Any]
    content_hash: bytes


@dataclass(frozen=True, slots=True)
class IssuedRow:
    """The highest version of a billing reading that is there already."""

    service_point_id: int
    obis: str
    version: int
    start_value: int
    end_value: int
    evidence: dict[str, Any]
    content_hash: bytes


@dataclass(frozen=True, slots=True, order=True)
class ExceptionRow:
    """Why there is no billing reading, and what can be done."""

    service_point_id: int
    obis: str
    reason: str
    detail: str
    evidence: dict[str, Any]


@dataclass(frozen=True, slots=True)
class CloseRow:
    """A period's close, as it is inserted."""

    utility_id: int
    period: str
    starts_at: datetime
    ends_at: datetime
    start_offset: timedelta
    end_offset: timedelta
    author: str
    summary: dict[str, Any]


def utility_codes(connection: Connection) -> list[str]:
    """Codes of all utilities, sorted."""
    return [code for (code,) in connection.execute("select code from utilities order by code")]


def utility(connection: Connection, code: str) -> UtilityRow:
    """The utility. Raises LookupError where none has the code."""
    with connection.cursor(row_factory=class_row(UtilityRow)) as cursor:
        row = cursor.execute(
            "select id, code, time_zone, reading_day, interpolation_limit from utilities where code = %s",
            (code,),
        ).fetchone()
    if row is None:
        raise LookupError(f"no utility has the code {code!r}")
    return row


def lock_period(connection: Connection, utility_id: int, period: str) -> None:
    """Let nobody else close this period until the transaction ends, so that cursors only grow."""
    connection.execute(
        "select pg_advisory_xact_lock(%s::int, %s::int)", (utility_id, int(period.replace("-", "")))
    )


def installed(
    connection: Connection, utility_id: int, since: datetime, until: datetime
) -> list[InstalledRow]:
    """Billed registers of the installations that touch the time from `since` to `until`.

    In order of service point, register and time.
    """
    with connection.cursor(row_factory=class_row(InstalledRow)) as cursor:
        cursor.execute(
            """
            select i.id as installation_id, p.id as service_point_id, p.code as service_point,
                   m.code as meter, r.id as register_id, r.obis, r.unit, r.capacity,
                   i.multiplier, i.valid_from, i.valid_to,
                   (i.start_values ->> r.obis)::bigint as start_value,
                   (i.end_values ->> r.obis)::bigint as end_value,
                   coalesce(r.boundary_tolerance, u.boundary_tolerance) as tolerance, r.validated_until
            from service_points p
            join utilities u on u.id = p.utility_id
            join installations i on i.service_point_id = p.id
            join meters m on m.id = i.meter_id
            join registers r on r.meter_id = m.id and r.billed and r.kind = 'counter'
            where p.utility_id = %s and i.valid_from < %s and (i.valid_to is null or i.valid_to > %s)
            order by p.code, r.obis, i.valid_from, i.id
            """,
            (utility_id, until, since),
        )
        return cursor.fetchall()


_USABLE_BESIDE = """
    select b.measured_at, b.value, b.status, a.measured_at, a.value, a.status
    from unnest(%s::int[], %s::timestamptz[], %s::timestamptz[], %s::timestamptz[])
         with ordinality as place (register_id, instant, earliest, latest, position)
    join registers g on g.id = place.register_id
    left join lateral (
        select r.measured_at, r.value, r.status from readings r
        where r.register_id = place.register_id and r.measured_at <= place.instant
          and r.measured_at >= place.earliest and r.measured_at < g.validated_until
          and not exists (select from marks m where m.register_id = r.register_id
                          and m.measured_at = r.measured_at and not m.usable)
        order by r.measured_at desc limit 1) b on true
    left join lateral (
        select r.measured_at, r.value, r.status from readings r
        where r.register_id = place.register_id and r.measured_at >= place.instant
          and r.measured_at <= place.latest and r.measured_at < g.validated_until
          and not exists (select from marks m where m.register_id = r.register_id
                          and m.measured_at = r.measured_at and not m.usable)
        order by r.measured_at limit 1) a on true
    order by place.position
"""

_STORED_BESIDE = """
    select b.measured_at, b.value, b.status, b.rules, a.measured_at, a.value, a.status, a.rules
    from unnest(%s::int[], %s::timestamptz[], %s::timestamptz[], %s::timestamptz[])
         with ordinality as place (register_id, instant, earliest, latest, position)
    left join lateral (
        select r.measured_at, r.value, r.status,
               array(select m.rule from marks m where m.register_id = r.register_id
                     and m.measured_at = r.measured_at and not m.usable order by 1) as rules
        from readings r where r.register_id = place.register_id and r.measured_at <= place.instant
          and r.measured_at >= place.earliest
        order by r.measured_at desc limit 1) b on true
    left join lateral (
        select r.measured_at, r.value, r.status,
               array(select m.rule from marks m where m.register_id = r.register_id
                     and m.measured_at = r.measured_at and not m.usable order by 1) as rules
        from readings r where r.register_id = place.register_id and r.measured_at >= place.instant
          and r.measured_at <= place.latest
        order by r.measured_at limit 1) a on true
    order by place.position
"""

Beside = tuple[StoredReading | None, StoredReading | None]


def usable_beside(connection: Connection, places: Sequence[Place]) -> list[Beside]:
    """For each place the last usable reading at or before its instant and the first at or after it.

    Usable is what is validated and has no mark against it, of any author.
    """
    rows = connection.execute(_USABLE_BESIDE, _columns(places))
    return [
        (
            None if row[0] is None else StoredReading(row[0], row[1], row[2]),
            None if row[3] is None else StoredReading(row[3], row[4], row[5]),
        )
        for row in rows
    ]


def stored_beside(connection: Connection, places: Sequence[Place]) -> list[Beside]:
    """The same of all readings, whatever is said of them: to explain what is missing."""
    rows = connection.execute(_STORED_BESIDE, _columns(places))
    return [
        (
            None if row[0] is None else StoredReading(row[0], row[1], row[2], tuple(row[3])),
            None if row[4] is None else StoredReading(row[4], row[5], row[6], tuple(row[7])),
        )
        for row in rows
    ]


def _columns(places: Sequence[Place]) -> tuple[list[int], list[datetime], list[datetime], list[datetime]]:
    return (
        [place.register_id for place in places],
        [place.instant for place in places],
        [place.earliest for place in places],
        [place.latest for place in places],
    )


def marks_between(
    connection: Connection, register_ids: Sequence[int], since: datetime, until: datetime
) -> list[RegisterMark]:
    """Marks on readings of the registers from `since` to `until` (both included), by register and instant."""
    with connection.cursor(row_factory=class_row(RegisterMark)) as cursor:
        cursor.execute(
            """
            select register_id, measured_at, rule, usable from marks
            where register_id = any(%s) and measured_at between %s and %s
            order by register_id, measured_at, rule
            """,
            (list(register_ids), since, until),
        )
        return cursor.fetchall()


def issued(connection: Connection, utility_id: int, period: str) -> list[IssuedRow]:
    """The highest version of each billing reading of a period."""
    with connection.cursor(row_factory=class_row(IssuedRow)) as cursor:
        cursor.execute(
            """
            select distinct on (service_point_id, obis)
                   service_point_id, obis, version, start_value, end_value, evidence, content_hash
            from billing_readings where utility_id = %s and period = %s
            order by service_point_id, obis, version desc
            """,
            (utility_id, period),
        )
        return cursor.fetchall()


def last_run(connection: Connection, utility_id: int, period: str) -> tuple[int, list[ExceptionRow]]:
    """The number of a period's last close (0: never closed) and its exceptions."""
    found = connection.execute(
        "select id, run from closes where utility_id = %s and period = %s order by run desc limit 1",
        (utility_id, period),
    ).fetchone()
    if found is None:
        return 0, []
    with connection.cursor(row_factory=class_row(ExceptionRow)) as cursor:
        cursor.execute(
            """
            select service_point_id, obis, reason, detail, evidence from billing_exceptions
            where close_id = %s order by service_point_id, obis
            """,
            (found[0],),
        )
        return found[1], cursor.fetchall()


def add_close(
    connection: Connection,
    close: CloseRow,
    run: int,
    readings: Sequence[BillingRow],
    exceptions: Sequence[ExceptionRow],
) -> None:
    """Add run number `run` of a close with its new billing readings and all its exceptions."""
    row = connection.execute(
        """
        insert into closes (utility_id, period, starts_at, ends_at, run, author, summary)
        values (%s, %s, %s, %s, %s, %s, %s) returning id
        """,
        (
            close.utility_id,
            close.period,
            close.starts_at,
            close.ends_at,
            run,
            close.author,
            Jsonb(close.summary),
        ),
    ).fetchone()
    assert row is not None
    with connection.cursor() as cursor:
        cursor.executemany(
            """
            insert into billing_readings
                (utility_id, close_id, period, starts_at, ends_at, start_offset, end_offset, service_point_id,
                 obis, version, start_value, end_value, consumption, unit, quality, start_method, end_method,
                 evidence, content_hash)
            values (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)
            """,
            [
                (
                    close.utility_id,
                    row[0],
                    close.period,
                    close.starts_at,
                    close.ends_at,
                    close.start_offset,
                    close.end_offset,
                    reading.service_point_id,
                    reading.obis,
                    reading.version,
                    reading.start_value,
                    reading.end_value,
                    reading.consumption,
                    reading.unit,
                    reading.quality,
                    reading.start_method,
                    reading.end_method,
                    Jsonb(reading.evidence),
                    reading.content_hash,
                )
                for reading in readings
            ],
        )
        cursor.executemany(
            """
            insert into billing_exceptions
                (utility_id, close_id, period, service_point_id, obis, reason, detail, evidence)
            values (%s, %s, %s, %s, %s, %s, %s, %s)
            """,
            [
                (
                    close.utility_id,
                    row[0],
                    close.period,
                    exception.service_point_id,
                    exception.obis,
                    exception.reason,
                    exception.detail,
                    Jsonb(exception.evidence),
                )
                for exception in exceptions
            ],
        )
