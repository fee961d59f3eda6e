"""Billing readings as those who bill see them: pages by cursor, control totals, and the state of a month."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from psycopg import Connection
from psycopg.rows import class_row, scalar_row
from psycopg.types.json import Jsonb

from metering.delivery.control_totals import control_sums
from metering.delivery.outgoing import OutgoingReading
from store.delivery.acknowledgements import note_delivered


@dataclass(frozen=True, slots=True, kw_only=True)
class IssuedReading(OutgoingReading):
    """Billing reading with what the registry says of its service point now."""

    service_point_name: str
    medium: int


@dataclass(frozen=True, slots=True)
class CloseRow:
    """Run of a period's close."""

    id: int
    period: str
    run: int
    starts_at: datetime
    ends_at: datetime
    author: str
    closed_at: datetime
    summary: dict[str, Any]


@dataclass(frozen=True, slots=True)
class AcknowledgementRow:
    """Acknowledgement of a billing system: what it said it has taken."""

    key_name: str
    cursor: int
    readings: int
    totals: dict[str, str]
    at: datetime


_BILLING = """
    select b.id, p.code as service_point, p.name as service_point_name, p.account, p.medium,
           array(select m.code from installations i join meters m on m.id = i.meter_id
                 where i.service_point_id = b.service_point_id and i.valid_from < b.ends_at
                   and (i.valid_to is null or i.valid_to > b.starts_at)
                   and exists (select from registers r where r.meter_id = m.id and r.obis = b.obis)
                 order by i.valid_from) as meters,
           b.obis, b.unit, b.period, b.version, b.starts_at, b.ends_at, b.start_offset, b.end_offset,
           b.start_value, b.end_value, b.consumption, b.quality, b.start_method, b.end_method,
           b.content_hash, b.created_at, b.true_up
    from billing_readings b join service_points p on p.id = b.service_point_id
"""
_CURRENT = f"""{_BILLING}
    where b.utility_id = %(utility)s
      and not exists (select from billing_readings newer
                      where newer.service_point_id = b.service_point_id and newer.obis = b.obis
                        and newer.period = b.period and newer.version > b.version)
"""


def billing_page(
    connection: Connection[Any], utility_id: int, period: str, *, after: int, limit: int
) -> list[IssuedReading]:
    """At most `limit` billing readings of a period behind the cursor `after` (0: from the first).

    In order of id, so that a correction (a higher version) comes after what it supersedes, and who has come
    to the end asks again from the same cursor.
    """
    with connection.cursor(row_factory=class_row(IssuedReading)) as cursor:
        return cursor.execute(
            _BILLING + " where b.utility_id = %s and b.period = %s and b.id > %s order by b.id limit %s",
            (utility_id, period, after, limit),
        ).fetchall()


def billing_versions(
    connection: Connection[Any],
    utility_id: int,
    *,
    after: int,
    limit: int,
    period: str | None = None,
    service_point: str | None = None,
    account: str | None = None,
    current: bool = False,
) -> list[IssuedReading]:
    """At most `limit` billing readings behind the cursor `after`; `current`: only versions that hold."""
    with connection.cursor(row_factory=class_row(IssuedReading)) as cursor:
        return cursor.execute(
            _BILLING
            + """
            where b.utility_id = %(utility)s and b.id > %(after)s
              and (%(period)s::text is null or b.period = %(period)s)
              and (%(point)s::text is null or p.code = %(point)s)
              and (%(account)s::text is null or p.account = %(account)s)
              and (not %(current)s or not exists (
                  select from billing_readings newer
                  where newer.service_point_id = b.service_point_id and newer.obis = b.obis
                    and newer.period = b.period and newer.version > b.version))
            order by b.id limit %(limit)s
            """,
            {
                "utility": utility_id,
                "after": after,
                "limit": limit,
                "period": period,
                "point": service_point,
                "account": account,
                "current": current,
            },
        ).fetchall()


def billing_reading(connection: Connection[Any], utility_id: int, reading_id: int) -> IssuedReading | None:
    """The utility's billing reading with this id, whatever its version."""
    with connection.cursor(row_factory=class_row(IssuedReading)) as cursor:
        return cursor.execute(
            _BILLING + " where b.utility_id = %s and b.id = %s", (utility_id, reading_id)
        ).fetchone()


def current_billing_readings(
    connection: Connection[Any],
    utility_id: int,
    period: str,
    *,
    after: str | None,
    limit: int,
    quality: int | None = None,
    methods: Sequence[str] = (),
) -> list[IssuedReading]:
    """The highest version of each billing reading of a period, by service point and register.

    `after` is `<service point> <obis>` of the last row seen. With a `quality` or `methods` only those of that
    quality, and of which an end was found by one of these.
    """
    with connection.cursor(row_factory=class_row(IssuedReading)) as cursor:
        return cursor.execute(
            _CURRENT
            + """
              and b.period = %(period)s
              and (%(after)s::text is null or p.code || ' ' || b.obis > %(after)s)
              and (%(quality)s::int is null or b.quality = %(quality)s)
              and (%(methods)s::text[] = '{}' or array[b.start_method, b.end_method] && %(methods)s)
            order by p.code || ' ' || b.obis limit %(limit)s
            """,
            {
                "utility": utility_id,
                "period": period,
                "after": after,
                "limit": limit,
                "quality": quality,
                "methods": list(methods),
            },
        ).fetchall()


def billing_history(
    connection: Connection[Any], utility_id: int, meter_id: int, limit: int
) -> list[IssuedReading]:
    """Current billing readings of where and while a meter was installed, latest first."""
    with connection.cursor(row_factory=class_row(IssuedReading)) as cursor:
        return cursor.execute(
            f"""
            {_CURRENT}
              and b.service_point_id = any(array(  -- by index, not through all months
                  select i.service_point_id from installations i where i.meter_id = %(meter)s))
              and exists (select from installations i
                          join registers r on r.meter_id = i.meter_id and r.obis = b.obis
                          where i.service_point_id = b.service_point_id and i.meter_id = %(meter)s
                            and i.valid_from < b.ends_at and (i.valid_to is null or i.valid_to > b.starts_at))
            order by b.period desc, b.obis limit %(limit)s
            """,  # noqa: S608 - a constant of this module
            {"utility": utility_id, "meter": meter_id, "limit": limit},
        ).fetchall()


def control_totals(
    connection: Connection[Any], utility_id: int, period: str, cursor: int
) -> tuple[int, dict[str, int]]:
    """What someone holds who took all of a period up to `cursor`, corrections in place of what they correct.

    (billing readings, `control_sums` of them).
    """
    rows = connection.execute(
        """
        select obis || ' ' || unit, count(*)::int, sum(consumption)::bigint, sum(true_up)::bigint
        from (select distinct on (service_point_id, obis) obis, unit, consumption, true_up
              from billing_readings where utility_id = %s and period = %s and id <= %s
              order by service_point_id, obis, version desc) taken
        group by obis, unit order by 1
        """,
        (utility_id, period, cursor),
    ).fetchall()
    return sum(row[1] for row in rows), control_sums((row[0], row[2], row[3]) for row in rows)


def highest_cursor(connection: Connection[Any], utility_id: int, period: str) -> int | None:
    """The cursor of a period's newest billing reading, or None where there is none."""
    with connection.cursor(row_factory=scalar_row) as cursor:
        cursor.execute(
            "select max(id) from billing_readings where utility_id = %s and period = %s", (utility_id, period)
        )
        highest: int | None = cursor.fetchone()
    return highest


def record_acknowledgement(
    connection: Connection[Any],
    utility_id: int,
    key_id: int,
    period: str,
    *,
    cursor: int,
    readings: int,
    totals: dict[str, str],
) -> datetime:
    """Keep what a billing system says it has taken (totals as decimal strings); the instant of it."""
    with connection.cursor(row_factory=scalar_row) as statement:
        statement.execute(
            """
            insert into billing_acknowledgements (utility_id, api_key_id, period, cursor, readings, totals)
            values (%s, %s, %s, %s, %s, %s) returning at
            """,
            (utility_id, key_id, period, cursor, readings, Jsonb(totals)),
        )
        at: datetime | None = statement.fetchone()
    assert at is not None
    note_delivered(connection, utility_id, period, f"key {key_id}")
    return at


def acknowledgements(connection: Connection[Any], utility_id: int, period: str) -> list[AcknowledgementRow]:
    """The last acknowledgement of each key for a period, the latest first."""
    with connection.cursor(row_factory=class_row(AcknowledgementRow)) as cursor:
        return cursor.execute(
            """
            select * from (
                select distinct on (a.api_key_id) k.name as key_name, a.cursor, a.readings, a.totals, a.at
                from billing_acknowledgements a join api_keys k on k.id = a.api_key_id
                where a.utility_id = %s and a.period = %s order by a.api_key_id, a.id desc
            ) latest order by at desc
            """,
            (utility_id, period),
        ).fetchall()


def closes(connection: Connection[Any], utility_id: int, limit: int) -> list[CloseRow]:
    """The last close of each period, the latest period first."""
    with connection.cursor(row_factory=class_row(CloseRow)) as cursor:
        return cursor.execute(
            """
            select distinct on (period) id, period, run, starts_at, ends_at, author, closed_at, summary
            from closes where utility_id = %s order by period desc, run desc limit %s
            """,
            (utility_id, limit),
        ).fetchall()
