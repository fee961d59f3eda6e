"""The rows that a month close adds, and those of earlier closes that it compares with.

Nothing here updates or deletes: a close adds billing readings, exceptions, and a row about itself.
What billing systems and pages read back is in `store/queries/billing.py`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from psycopg import Connection
from psycopg.rows import class_row
from psycopg.types.json import Jsonb


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


def lock_period(connection: Connection, utility_id: int, period: str) -> None:
    """Let nobody else close this period until the transaction ends, so that cursors only grow."""
    connection.execute(
        "select pg_advisory_xact_lock(%s::int, %s::int)", (utility_id, int(period.replace("-", "")))
    )


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
) -> int:
    """Add run number `run` of a close with its new billing readings and all its exceptions; its id."""
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
                 evidence, content_hash, account)
            values (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s,
                    (select account from service_points where id = %s))
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
                    reading.service_point_id,
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
    close_id: int = row[0]
    return close_id
