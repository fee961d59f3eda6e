"""Readings of a meter with what is known of each, their telegrams, and series for charts."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from psycopg import Connection
from psycopg.rows import class_row, scalar_row

from metering.billing.differences import ROUND


@dataclass(frozen=True, slots=True)
class ReadingRow:
    """`value` in micro-units of `unit`; `rules` name the marks behind `quality` (none: valid or raw)."""

    register_id: int
    obis: str
    unit: str
    measured_at: datetime
    value: int
    status: int
    received_at: datetime
    quality: int
    rules: list[str]


@dataclass(frozen=True, slots=True)
class TelegramRow:
    """The bytes behind a meter's readings at an instant, and the message that brought them."""

    measured_at: datetime
    received_at: datetime
    gateway: str
    epoch: str
    batch: int
    raw: bytes


class Bucket(StrEnum):
    """Resolution in which a series is shown."""

    READING = "reading"
    HOUR = "hour"
    DAY = "day"
    MONTH = "month"
    YEAR = "year"


class View(StrEnum):
    """View of a register's readings: raw, or as they are judged."""

    RAW = "raw"  # all that was stored
    EFFECTIVE = "effective"  # what no mark of a rule or a person found unusable


def readings_page(
    connection: Connection[Any],
    meter_id: int,
    *,
    obis: str | None,
    view: View,
    start: datetime,
    end: datetime,
    after: tuple[datetime, int] | None,
    limit: int,
) -> list[ReadingRow]:
    """At most `limit` readings from `start` (included) to `end` (not), by instant and register.

    `after` is (measured_at, register id) of the last row seen. The quality is that of the gravest mark
    (unusable before usable, then the newest); without one it is valid (0) once validated, else raw (14).
    """
    with connection.cursor(row_factory=class_row(ReadingRow)) as cursor:
        cursor.execute(
            """
            select x.register_id, r.obis, r.unit, x.measured_at, x.value, x.status, x.received_at,
                   coalesce(m.quality,
                            case when x.measured_at < r.validated_until then 0 else 14 end) as quality,
                   coalesce(m.rules, '{}') as rules
            from registers r
            cross join lateral (
                select * from utility_readings where register_id = r.id
                  and measured_at >= %(start)s and measured_at < %(end)s
                offset 0
            ) x
            left join lateral (
                select (array_agg(quality order by usable, created_at desc))[1] as quality,
                       array_agg(rule order by usable, created_at desc) as rules, bool_and(usable) as usable
                from marks where register_id = x.register_id and measured_at = x.measured_at
            ) m on true
            where r.meter_id = %(meter)s
              and (%(obis)s::text is null or r.obis = %(obis)s)
              and (%(view)s = 'raw' or m.usable is not false)
              and (%(after_at)s::timestamptz is null
                   or (x.measured_at, x.register_id) > (%(after_at)s, %(after_register)s::int))
            order by x.measured_at, x.register_id limit %(limit)s
            """,
            {
                "meter": meter_id,
                "obis": obis,
                "view": view.value,
                "start": start,
                "end": end,
                "after_at": after[0] if after else None,
                "after_register": after[1] if after else None,
                "limit": limit,
            },
        )
        return cursor.fetchall()


def telegram(
    connection: Connection[Any], utility_id: int, meter_id: int, measured_at: datetime | None
) -> TelegramRow | None:
    """The telegram read at that instant, or the newest for None."""
    with connection.cursor(row_factory=class_row(TelegramRow)) as cursor:
        cursor.execute(
            """
            select t.measured_at, t.received_at, g.code as gateway, t.epoch, t.batch, t.raw
            from telegrams t
            join meters m on m.id = t.meter_id and m.utility_id = %(utility)s
            join gateways g on g.id = t.gateway_id
            where t.meter_id = %(meter)s and (%(at)s::timestamptz is null or t.measured_at = %(at)s)
            order by t.measured_at desc limit 1
            """,
            {"utility": utility_id, "meter": meter_id, "at": measured_at},
        )
        return cursor.fetchone()


def telegrams(
    connection: Connection[Any],
    utility_id: int,
    meter_id: int,
    *,
    before: datetime | None = None,
    limit: int,
) -> list[TelegramRow]:
    """At most `limit` telegrams that were read before that instant, the last one first."""
    with connection.cursor(row_factory=class_row(TelegramRow)) as cursor:
        cursor.execute(
            """
            select t.measured_at, t.received_at, g.code as gateway, t.epoch, t.batch, t.raw
            from telegrams t
            join meters m on m.id = t.meter_id and m.utility_id = %(utility)s
            join gateways g on g.id = t.gateway_id
            where t.meter_id = %(meter)s
              and (%(before)s::timestamptz is null or t.measured_at < %(before)s)
            order by t.measured_at desc limit %(limit)s
            """,
            {"utility": utility_id, "meter": meter_id, "before": before, "limit": limit},
        )
        return cursor.fetchall()


def first_reading_at(connection: Connection[Any], register_id: int) -> datetime | None:
    """The instant of a register's oldest reading."""
    with connection.cursor(row_factory=scalar_row) as cursor:
        cursor.execute("select min(measured_at) from utility_readings where register_id = %s", (register_id,))
        instant: datetime | None = cursor.fetchone()
    return instant


def series(
    connection: Connection[Any],
    register_id: int,
    *,
    start: datetime,
    end: datetime,
    bucket: Bucket,
    time_zone: str,
) -> list[tuple[datetime, datetime, int]]:
    """The last usable reading of each bucket after `start` up to `end`: (bucket start, read at, micro-units).

    A bucket's end includes what is read up to `ROUND` after it, so that the reading at midnight closes the
    day before it. Buckets follow the utility's local time, whatever the length of the day.
    """
    with connection.cursor() as cursor:
        cursor.execute(
            """
            select distinct on (bucket) bucket, measured_at, value
            from (
                select case %(bucket)s when 'reading' then measured_at
                       else date_trunc(%(bucket)s, measured_at - %(round)s - interval '1 microsecond',
                                       %(zone)s) end as bucket, measured_at, value
                from utility_readings x
                where register_id = %(register)s and measured_at > %(start)s and measured_at <= %(end)s
                  and not exists (select from marks m where m.register_id = x.register_id
                                  and m.measured_at = x.measured_at and not m.usable)
            ) usable
            order by bucket, measured_at desc
            """,
            {
                "register": register_id,
                "start": start,
                "end": end,
                "bucket": bucket.value,
                "round": ROUND,
                "zone": time_zone,
            },
        )
        return cursor.fetchall()
