"""Readings that people hand in: what they are judged by, and all of them, accepted or not.

An accepted one becomes a reading (Status.MANUAL) by a trigger in the same transaction (core/0007), so that
the API needs no right to add readings.
"""

from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from psycopg import Connection
from psycopg.errors import UniqueViolation
from psycopg.rows import class_row

from store.submissions.windows import Window


@dataclass(frozen=True, slots=True)
class RegisterRow:
    """A billed register of the meter that is installed at a service point at an instant."""

    id: int
    meter: str
    obis: str
    unit: str
    capacity: int | None


@dataclass(frozen=True, slots=True)
class KnownReading:
    """A stored reading that nothing forbids to use. Value in micro-units."""

    at: datetime
    value: int


@dataclass(frozen=True, slots=True)
class Submission:
    """A reading as it was handed in, and what became of it. `counts_in`: the period, None where refused."""

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
    """The same with its number and the instant at which it came."""

    id: int
    at: datetime


class ConflictError(Exception):
    """Another value is stored for the register and instant."""


def service_point(connection: Connection[Any], utility_id: int, code: str) -> tuple[int, int] | None:
    """(id, medium) of the utility's service point with this code."""
    return connection.execute(
        "select id, medium from service_points where utility_id = %s and code = %s", (utility_id, code)
    ).fetchone()


def registers_at(connection: Connection[Any], service_point_id: int, at: datetime) -> list[RegisterRow]:
    """The billed registers that were installed there at that instant."""
    with connection.cursor(row_factory=class_row(RegisterRow)) as cursor:
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


def history(
    connection: Connection[Any], register_id: int, since: datetime, at: datetime
) -> tuple[KnownReading | None, KnownReading | None, KnownReading | None]:
    """Usable readings of a register: the first from `since` on, the last up to `at`, the first after `at`."""
    row = connection.execute(
        """
        with usable as (
            select r.measured_at, r.value from utility_readings r
            where r.register_id = %(register)s and r.measured_at >= %(since)s
              and not exists (select from marks m where m.register_id = r.register_id
                              and m.measured_at = r.measured_at and not m.usable)
        )
        select e.measured_at, e.value, b.measured_at, b.value, a.measured_at, a.value
        from (select) one
        left join lateral (
            select * from usable where measured_at <= %(at)s order by measured_at limit 1) e on true
        left join lateral (
            select * from usable where measured_at <= %(at)s order by measured_at desc limit 1) b on true
        left join lateral (
            select * from usable where measured_at > %(at)s order by measured_at limit 1) a on true
        """,
        {"register": register_id, "since": since, "at": at},
    ).fetchone()
    assert row is not None
    first, last, after = (
        None if at is None else KnownReading(at, value) for at, value in zip(row[::2], row[1::2], strict=True)
    )
    return first, last, after


def windows(connection: Connection[Any], utility_id: int, medium: int) -> list[Window]:
    """When readings of a medium are taken, all that ever was said; none: always."""
    rows = connection.execute(
        """
        select valid_from, opens_day, closes_day, month_offset, late = 'refuse' from submission_windows
        where utility_id = %s and medium = %s order by valid_from
        """,
        (utility_id, medium),
    )
    return [Window(*row) for row in rows]


def set_window(
    connection: Connection[Any], utility_id: int, medium: int, window: Window, author: str
) -> None:
    """From a day on readings are taken then. Raises LookupError where that is said for the day already."""
    try:
        with connection.transaction():
            connection.execute(
                """
                insert into submission_windows
                    (utility_id, medium, valid_from, opens_day, closes_day, month_offset, late, author)
                values (%s, %s, %s, %s, %s, %s, %s, %s)
                """,
                (
                    utility_id,
                    medium,
                    window.valid_from,
                    window.opens_day,
                    window.closes_day,
                    window.month_offset,
                    "refuse" if window.refuses_late else "next",
                    author,
                ),
            )
    except UniqueViolation:
        raise LookupError(f"a window from {window.valid_from} on is set already; begin a day later") from None


def known(connection: Connection[Any], utility_id: int, idempotency_key: str) -> StoredSubmission | None:
    """What was handed in under this key."""
    with connection.cursor(row_factory=class_row(StoredSubmission)) as cursor:
        cursor.execute(
            f"select {_COLUMNS}, id, at from submissions where utility_id = %s and idempotency_key = %s",  # noqa: S608
            (utility_id, idempotency_key),
        )
        return cursor.fetchone()


def add(
    connection: Connection[Any], utility_id: int, key_id: int, handed_in: Submission, at: datetime
) -> StoredSubmission | None:
    """Keep it, and where it is accepted make it a reading; None where its idempotency key was used meanwhile.

    Raises ConflictError.
    """
    with connection.cursor(row_factory=class_row(StoredSubmission)) as cursor:
        try:
            with connection.transaction():
                cursor.execute(
                    f"""
                    insert into submissions (utility_id, api_key_id, at, {_COLUMNS})
                    values (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)
                    on conflict (utility_id, idempotency_key) do nothing
                    returning {_COLUMNS}, id, at
                    """,  # noqa: S608 - constants
                    (utility_id, key_id, at, *(getattr(handed_in, name) for name in _FIELDS)),
                )
                return cursor.fetchone()
        except UniqueViolation as error:
            raise ConflictError from error


_FIELDS = (
    "service_point_id",
    "register_id",
    "read_at",
    "value",
    "role",
    "author",
    "photo",
    "verdict",
    "detail",
    "counts_in",
    "idempotency_key",
    "request_hash",
)
_COLUMNS = ", ".join(_FIELDS)


def listing(connection: Connection[Any], utility_id: int, limit: int) -> list[tuple[str, StoredSubmission]]:
    """(service point, submission), the latest first."""
    rows = connection.execute(
        """
        select p.code, s.service_point_id, s.register_id, s.read_at, s.value, s.role, s.author, s.photo,
               s.verdict, s.detail, s.counts_in, s.idempotency_key, s.request_hash, s.id, s.at
        from submissions s join service_points p on p.id = s.service_point_id
        where s.utility_id = %s order by s.id desc limit %s
        """,
        (utility_id, limit),
    )
    return [(code, StoredSubmission(*rest)) for code, *rest in rows]


def window_days(connection: Connection[Any], utility_id: int) -> list[tuple[int, date, int, int, int, str]]:
    """(medium, valid from, opens, closes, month offset, late) of all windows of a utility."""
    return connection.execute(
        """
        select medium, valid_from, opens_day, closes_day, month_offset, late from submission_windows
        where utility_id = %s order by medium, valid_from
        """,
        (utility_id,),
    ).fetchall()
