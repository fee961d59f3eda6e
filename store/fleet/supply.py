"""Supply of a service point over time: main fuses, and contracts of who pays."""

from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from psycopg import Connection
from psycopg.rows import class_row


@dataclass(frozen=True, slots=True)
class FuseRow:
    """The rating of the main circuit breaker from a local day on, in micro-amperes of each phase."""

    since: date
    amperes: int
    phases: int


@dataclass(frozen=True, slots=True)
class ContractRow:
    """A contract; `valid_to` None: it goes on. `account` is the billing system's reference, or empty."""

    valid_from: datetime
    valid_to: datetime | None
    account: str


def fuses(connection: Connection[Any], service_point_id: int) -> list[FuseRow]:
    """In order of time."""
    with connection.cursor(row_factory=class_row(FuseRow)) as cursor:
        return cursor.execute(
            "select since, amperes, phases from fuses where service_point_id = %s order by since",
            (service_point_id,),
        ).fetchall()


def contracts(connection: Connection[Any], service_point_id: int) -> list[ContractRow]:
    """In order of time."""
    with connection.cursor(row_factory=class_row(ContractRow)) as cursor:
        return cursor.execute(
            """
            select valid_from, valid_to, account from contracts where service_point_id = %s
            order by valid_from
            """,
            (service_point_id,),
        ).fetchall()
