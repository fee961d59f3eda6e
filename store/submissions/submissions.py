"""Readings that people hand in, accepted or not, and what they are judged by.

An accepted one becomes a reading (Status.MANUAL) by a trigger in the same transaction (core/0007), so that
the API needs no right to add readings.
"""

from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any

from psycopg import Connection
from psycopg.errors import UniqueViolation
from psycopg.rows import class_row

from metering.submissions.plausibility import BilledRegister, KnownReading, ReadingHistory


@dataclass(frozen=True, slots=True)
class Submission:
    """Reading as it was handed in, and what became of it. `counts_in`: the period, None where refused."""

    service_point_id: int
    register_id: int | None
    read_at: datetime
    value: int
    role: str
    author: str
    photo: str
    verdict: str
    detail: str
    counts_in: str | None
    idempotency_key: str
    request_hash: bytes


@dataclass(frozen=True, slots=True)
class StoredSubmission(Submission):
    """Submission with its number and the instant at which it came."""

    id: int
    at: datetime


_FIELDS = tuple(field.name for field in fields(Submission))
_COLUMNS = ", ".join(_FIELDS)


class ConflictError(Exception):
    """Another value that is stored for the register and instant."""


def service_point(connection: Connection[Any], utility_id: int, code: str) -> tuple[int, int] | None:
    """(id, medium) of the utility's service point with this code."""
    return connection.execute(
        "select id, medium from service_points where utility_id = %s and code = %s", (utility_id, code)
    ).fetchone()


def registers_at(connection: Connection[Any], service_point_id: int, at: datetime) -> list[BilledRegister]:
    """The billed registers that were installed there at that instant."""
    with connection.cursor(row_factory=class_row(BilledRegister)) as cursor:
        cursor.execute(
            """
            select r.id, m.code as meter, r.obis, r.unit, r.capacity
            from installations i
            join meters m on m.id = i.meter_id
            join registers r on r.meter_id = m.id and r.billed and r.kind = 'counter'
            where i.service_point_id = %(point)s and i.valid_from <= %(at)s
              and (i.valid_to is null or i.valid_to > %(at)s)
            order by m.code, r.obis
            """,
            {"point": service_point_id, "at": at},
        )
        return cursor.fetchall()


_USABLE = """
    from utility_readings r where r.register_id = %(register)s
    and not exists (select from marks m where m.register_id = r.register_id
                    and m.measured_at = r.measured_at and not m.usable)
"""


_LATEST = 1000  # readings: weeks of those each hour


def history(connection: Connection[Any], register_id: int, at: datetime) -> ReadingHistory:
    """Usable readings of a register in the year up to an instant, and the first after it."""
    of_register = {"register": register_id, "at": at}
    weekly = connection.execute(
        f"""
        select last.measured_at, last.value
        from generate_series(51, 0, -1) week
        cross join lateral (
            select r.measured_at, r.value {_USABLE}
            and r.measured_at <= %(at)s - week * interval '7 days'
            and r.measured_at > %(at)s - (week + 1) * interval '7 days'
            order by r.measured_at desc limit 1) last
        order by 1
        """,  # noqa: S608 - a fragment of this module
        of_register,
    )
    latest = connection.execute(
        f"""
        select r.measured_at, r.value {_USABLE}
        and r.measured_at <= %(at)s and r.measured_at > %(at)s - 52 * interval '7 days'
        order by r.measured_at desc limit {_LATEST}
        """,
        of_register,
    ).fetchall()
    after = connection.execute(
        f"select r.measured_at, r.value {_USABLE} and r.measured_at > %(at)s order by r.measured_at limit 1",
        of_register,
    ).fetchone()
    return ReadingHistory(
        tuple(KnownReading(*row) for row in weekly),
        tuple(KnownReading(*row) for row in reversed(latest)),
        None if after is None else KnownReading(*after),
    )


def billed_periods(connection: Connection[Any], service_point_id: int, obis: str, since: str) -> set[str]:
    """Periods from `since` on for which a register of a service point has a figure, issued or drafted."""
    rows = connection.execute(
        """
        select b.period from billing_readings b
        where b.service_point_id = %(point)s and b.obis = %(obis)s and b.period >= %(since)s
        union
        select d.period from close_drafts d
        join draft_blocks k on k.draft_id = d.id and k.counts is not null
         and k.first_point <= %(point)s and k.last_point >= %(point)s
        where d.period >= %(since)s
          and not exists (select from draft_exceptions e where e.draft_id = d.id
                          and e.service_point_id = %(point)s and e.obis = %(obis)s)
        """,
        {"point": service_point_id, "obis": obis, "since": since},
    )
    return {period for (period,) in rows}


def known(connection: Connection[Any], utility_id: int, idempotency_key: str) -> StoredSubmission | None:
    """Submission that was handed in under this key."""
    with connection.cursor(row_factory=class_row(StoredSubmission)) as cursor:
        cursor.execute(
            f"select {_COLUMNS}, id, at from submissions where utility_id = %s and idempotency_key = %s",  # noqa: S608
            (utility_id, idempotency_key),
        )
        return cursor.fetchone()


def add(
    connection: Connection[Any], utility_id: int, key_id: int, handed_in: Submission, at: datetime
) -> StoredSubmission | None:
    """Submission as it is kept, and where it is accepted a reading; None where its idempotency key was used
    meanwhile. Raises ConflictError."""
    with connection.cursor(row_factory=class_row(StoredSubmission)) as cursor:
        try:
            with connection.transaction():
                cursor.execute(
                    f"""
                    insert into submissions (utility_id, api_key_id, at, {_COLUMNS})
                    values (%s, %s, %s{", %s" * len(_FIELDS)})
                    on conflict (utility_id, idempotency_key) do nothing
                    returning {_COLUMNS}, id, at
                    """,  # noqa: S608 - constants
                    (utility_id, key_id, at, *(getattr(handed_in, name) for name in _FIELDS)),
                )
                return cursor.fetchone()
        except UniqueViolation as error:
            raise ConflictError from error


def listing(connection: Connection[Any], utility_id: int, limit: int) -> list[tuple[str, StoredSubmission]]:
    """(service point, submission), the latest first."""
    rows = connection.execute(
        f"""
        select p.code, {", ".join(f"s.{name}" for name in (*_FIELDS, "id", "at"))}
        from submissions s join service_points p on p.id = s.service_point_id
        where s.utility_id = %s order by s.id desc limit %s
        """,  # noqa: S608 - constants
        (utility_id, limit),
    )
    return [(code, StoredSubmission(*rest)) for code, *rest in rows]
