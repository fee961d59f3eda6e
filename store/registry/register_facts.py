"""Facts of registers besides their readings.

Where they measured, behind which fuse, for whom, and how far their meter's clock was off.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal

from psycopg import Connection
from psycopg.rows import class_row


@dataclass(frozen=True, slots=True)
class Placement:
    """A register's time at a service point. `multiplier` is that of the transformers there."""

    register_id: int
    service_point_id: int
    billed: bool
    valid_from: datetime
    valid_to: datetime | None
    multiplier: Decimal


@dataclass(frozen=True, slots=True)
class Fuse:
    """The main circuit breaker of a service point from a local day on: micro-A of each phase."""

    service_point_id: int
    since: date
    amperes: int
    phases: int


@dataclass(frozen=True, slots=True)
class Contract:
    """Contract of who pays for what a service point uses, from when to when."""

    service_point_id: int
    valid_from: datetime
    valid_to: datetime | None


@dataclass(frozen=True, slots=True)
class Current:
    """The largest current of a register's meter, micro-A of each phase."""

    register_id: int
    imax: int
    phases: int


@dataclass(frozen=True, slots=True)
class Clock:
    """By how many seconds a register's meter was ahead of its gateway at the most on a day (UTC)."""

    register_id: int
    day: date
    ahead: int


def places_of(connection: Connection, register_ids: Sequence[int]) -> list[Placement]:
    """Placements of the registers' meters, now and before, by instant."""
    with connection.cursor(row_factory=class_row(Placement)) as cursor:
        cursor.execute(
            """
            select r.id as register_id, i.service_point_id, r.billed, i.valid_from, i.valid_to, i.multiplier
            from registers r join installations i on i.meter_id = r.meter_id
            where r.id = any(%s) order by i.valid_from, i.service_point_id, r.id
            """,
            (list(register_ids),),
        )
        return cursor.fetchall()


def fuses_of(connection: Connection, points: Sequence[int]) -> list[Fuse]:
    """All that are known of these service points, by day."""
    with connection.cursor(row_factory=class_row(Fuse)) as cursor:
        cursor.execute(
            """
            select service_point_id, since, amperes, phases from fuses
            where service_point_id = any(%s) order by since
            """,
            (list(points),),
        )
        return cursor.fetchall()


def contracts_of(connection: Connection, points: Sequence[int]) -> list[Contract]:
    """All that are known of these service points, by instant."""
    with connection.cursor(row_factory=class_row(Contract)) as cursor:
        cursor.execute(
            """
            select service_point_id, valid_from, valid_to from contracts
            where service_point_id = any(%s) order by valid_from
            """,
            (list(points),),
        )
        return cursor.fetchall()


def currents_of(connection: Connection, register_ids: Sequence[int]) -> list[Current]:
    """Largest currents of the registers' meters, where they are known."""
    with connection.cursor(row_factory=class_row(Current)) as cursor:
        cursor.execute(
            """
            select r.id as register_id, m.imax, m.phases from registers r join meters m on m.id = r.meter_id
            where r.id = any(%s) and m.imax is not null and m.phases is not null
            """,
            (list(register_ids),),
        )
        return cursor.fetchall()


def clocks_of(connection: Connection, register_ids: Sequence[int]) -> list[Clock]:
    """By register and day, for days on which the meter told its clock."""
    with connection.cursor(row_factory=class_row(Clock)) as cursor:
        cursor.execute(
            """
            select r.id as register_id, c.day, c.ahead
            from registers r join meter_clocks c on c.meter_id = r.meter_id
            where r.id = any(%s) order by r.id, c.day
            """,
            (list(register_ids),),
        )
        return cursor.fetchall()
