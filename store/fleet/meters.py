"""Meters, their registers and where they were installed."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any

from psycopg import Connection
from psycopg.rows import class_row

_METER = """
    select m.id, m.code, m.model, m.medium, m.verified_until, m.created_at,
           s.code as site_code, s.name as site_name, g.code as gateway, l.code as line,
           m.qmax, m.imax, m.phases,
           p.code as point_code, p.name as point_name
    from meters m
    left join sites s on s.id = m.site_id
    left join gateways g on g.id = m.gateway_id
    left join lines l on l.id = m.line_id
    left join lateral (
        select sp.code, sp.name from installations i join service_points sp on sp.id = i.service_point_id
        where i.meter_id = m.id and i.valid_to is null and sp.utility_id = m.utility_id
        order by i.valid_from desc limit 1
    ) p on true
"""


@dataclass(frozen=True, slots=True)
class MeterRow:
    """A meter with its site, gateway and the service point where it is installed now (None: nowhere)."""

    id: int
    code: str
    model: str
    medium: int
    verified_until: date | None
    created_at: datetime
    site_code: str | None
    site_name: str | None
    gateway: str | None
    line: str | None
    qmax: int | None  # micro-m3/h
    imax: int | None  # micro-A
    phases: int | None
    point_code: str | None
    point_name: str | None


@dataclass(frozen=True, slots=True)
class VerificationRow:
    """A verification of a meter, which holds from its day until the day `valid_until`, not included."""

    verified_on: date
    valid_until: date
    certificate: str


@dataclass(frozen=True, slots=True)
class RegisterRow:
    """A register with its last reading; `value` in micro-units of `unit`, None before the first reading."""

    id: int
    obis: str
    unit: str
    kind: str
    capacity: int | None
    expected_interval: timedelta | None
    billed: bool
    validated_until: datetime | None
    measured_at: datetime | None
    value: int | None
    status: int | None


@dataclass(frozen=True, slots=True)
class InstallationRow:
    """A meter's time at a service point; `valid_to` None: it is there now.

    `start_values` and `end_values` are what its registers showed then, by OBIS in micro-units, where known.
    """

    meter: str
    point_code: str
    point_name: str
    account: str
    valid_from: datetime
    valid_to: datetime | None
    multiplier: Decimal
    start_values: dict[str, int]
    end_values: dict[str, int]


@dataclass(frozen=True, slots=True)
class UnbilledRow:
    """A month that was closed without a billing reading; `detail` says what can be done."""

    period: str
    reason: str
    detail: str


def meters_page(
    connection: Connection[Any],
    utility_id: int,
    *,
    after: str | None,
    limit: int,
    medium: int | None = None,
    site: str | None = None,
    gateway: str | None = None,
    service_point: str | None = None,
    account: str | None = None,
    verification_due_before: date | None = None,
    search: str | None = None,
) -> list[MeterRow]:
    """At most `limit` meters in order of their id, those behind `after` (a meter id).

    `service_point` and `account` are of where they are installed now. `search` is a part of the meter id,
    model, site, service point or account, whatever its case.
    """
    with connection.cursor(row_factory=class_row(MeterRow)) as cursor:
        cursor.execute(
            _METER  # noqa: S608 - a constant
            + """
            where m.utility_id = %(utility)s
              and (%(after)s::text is null or m.code > %(after)s)
              and (%(medium)s::int is null or m.medium = %(medium)s)
              and (%(site)s::text is null or s.code = %(site)s)
              and (%(gateway)s::text is null or g.code = %(gateway)s)
              and (%(due)s::date is null or m.verified_until < %(due)s)
              and (coalesce(%(point)s, %(account)s::text) is null or m.id in (
                   select i.meter_id from service_points sp
                   join installations i on i.service_point_id = sp.id and i.valid_to is null
                   where sp.utility_id = m.utility_id
                     and (%(point)s::text is null or sp.code = %(point)s)
                     and (%(account)s::text is null or sp.account = %(account)s)))
              and (%(search)s::text is null
                   or position(lower(%(search)s)
                               in lower(concat_ws(' ', m.code, m.model, s.name, s.code))) > 0
                   or exists (select from installations i join service_points sp on sp.id = i.service_point_id
                              where i.meter_id = m.id and sp.utility_id = m.utility_id
                                and position(lower(%(search)s)
                                             in lower(concat_ws(' ', sp.code, sp.name, sp.account))) > 0))
            order by m.code limit %(limit)s
            """,
            {
                "utility": utility_id,
                "after": after,
                "limit": limit,
                "medium": medium,
                "site": site,
                "gateway": gateway,
                "due": verification_due_before,
                "point": service_point,
                "account": account,
                "search": search,
            },
        )
        return cursor.fetchall()


def meter(connection: Connection[Any], utility_id: int, code: str) -> MeterRow | None:
    """The utility's meter with this meter id."""
    with connection.cursor(row_factory=class_row(MeterRow)) as cursor:
        cursor.execute(_METER + " where m.utility_id = %s and m.code = %s", (utility_id, code))
        return cursor.fetchone()


def registers(connection: Connection[Any], meter_id: int) -> list[RegisterRow]:
    """A meter's registers with their last readings, the billed ones first."""
    with connection.cursor(row_factory=class_row(RegisterRow)) as cursor:
        cursor.execute(
            """
            select r.id, r.obis, r.unit, r.kind, r.capacity, r.expected_interval, r.billed,
                   r.validated_until,
                   last.measured_at, last.value, last.status
            from registers r
            left join lateral (
                select measured_at, value, status from utility_latest_readings
                where register_id = r.id offset 0
            ) last on true
            where r.meter_id = %s
            order by r.billed desc, r.kind, r.obis
            """,
            (meter_id,),
        )
        return cursor.fetchall()


def installations(connection: Connection[Any], utility_id: int, meter_id: int) -> list[InstallationRow]:
    """Installations of a meter, the latest first."""
    with connection.cursor(row_factory=class_row(InstallationRow)) as cursor:
        cursor.execute(
            """
            select m.code as meter, p.code as point_code, p.name as point_name, p.account,
                   i.valid_from, i.valid_to, i.multiplier, i.start_values, i.end_values
            from installations i join service_points p on p.id = i.service_point_id
            join meters m on m.id = i.meter_id
            where i.meter_id = %s and p.utility_id = %s
            order by i.valid_from desc
            """,
            (meter_id, utility_id),
        )
        return cursor.fetchall()


def verifications(connection: Connection[Any], meter_id: int) -> list[VerificationRow]:
    """A meter's verifications, the first one first."""
    with connection.cursor(row_factory=class_row(VerificationRow)) as cursor:
        return cursor.execute(
            """
            select verified_on, valid_until, certificate from verifications
            where meter_id = %s order by verified_on
            """,
            (meter_id,),
        ).fetchall()


def exchanges(connection: Connection[Any], utility_id: int, meter_id: int) -> list[InstallationRow]:
    """The other meters that were or are at this meter's service points, the latest first."""
    with connection.cursor(row_factory=class_row(InstallationRow)) as cursor:
        cursor.execute(
            """
            select m.code as meter, p.code as point_code, p.name as point_name, p.account,
                   i.valid_from, i.valid_to, i.multiplier, i.start_values, i.end_values
            from service_points p
            join installations i on i.service_point_id = p.id
            join meters m on m.id = i.meter_id
            where p.utility_id = %(utility)s and i.meter_id <> %(meter)s
              and p.id in (select service_point_id from installations where meter_id = %(meter)s)
            order by i.valid_from desc, p.code
            """,
            {"utility": utility_id, "meter": meter_id},
        )
        return cursor.fetchall()


def unbilled_months(
    connection: Connection[Any], utility_id: int, meter_id: int, obis: str, limit: int
) -> list[UnbilledRow]:
    """The months whose last close has an exception for this register of the meter, the latest first."""
    with connection.cursor(row_factory=class_row(UnbilledRow)) as cursor:
        cursor.execute(
            """
            select distinct on (e.period) e.period, e.reason, e.detail
            from billing_exceptions e
            join closes c on c.id = e.close_id
            join installations i on i.service_point_id = e.service_point_id
            where e.utility_id = %(utility)s and e.obis = %(obis)s and i.meter_id = %(meter)s
              and i.valid_from < c.ends_at and (i.valid_to is null or i.valid_to > c.starts_at)
              and not exists (select from closes later where later.utility_id = c.utility_id
                              and later.period = c.period and later.run > c.run)
            order by e.period desc limit %(limit)s
            """,
            {"utility": utility_id, "meter": meter_id, "obis": obis, "limit": limit},
        )
        return cursor.fetchall()


def meters_at(connection: Connection[Any], utility_id: int, points: Sequence[str]) -> dict[str, str]:
    """The meter that is at each of these service points, or was there last, by the point's code."""
    rows = connection.execute(
        """
        select distinct on (p.code) p.code, m.code
        from service_points p
        join installations i on i.service_point_id = p.id
        join meters m on m.id = i.meter_id
        where p.utility_id = %s and p.code = any(%s)
        order by p.code, i.valid_to desc nulls first, i.valid_from desc
        """,
        (utility_id, list(points)),
    )
    return dict(rows.fetchall())
