"""What a utility wants of validation's rules where it differs from what is built in: rows, only added to."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

from psycopg import Connection
from psycopg.rows import class_row

from telemetry.blocks import BLOCK


@dataclass(frozen=True, slots=True)
class ParameterRow:
    """From the local day `valid_from` on, the parameter `name` is `value` for registers of a medium (OBIS
    value group A), of one OBIS code, or for all (both None)."""

    id: int
    utility_id: int
    medium: int | None
    obis: str | None
    name: str
    value: str
    valid_from: date
    author: str
    reason: str


def parameters_of(connection: Connection, utility_ids: Sequence[int]) -> list[ParameterRow]:
    """All rows of the utilities, in the order in which they were set."""
    with connection.cursor(row_factory=class_row(ParameterRow)) as cursor:
        return cursor.execute(
            """
            select id, utility_id, medium, obis, name, value, valid_from, author, reason
            from rule_parameters where utility_id = any(%s) order by id
            """,
            (list(utility_ids),),
        ).fetchall()


def set_parameter(
    connection: Connection,
    utility_id: int,
    *,
    medium: int | None,
    obis: str | None,
    name: str,
    value: str,
    valid_from: date,
    author: str,
    reason: str,
) -> int:
    """Add a row, and have all registers of the utility judged anew; its id."""
    row = connection.execute(
        """
        insert into rule_parameters (utility_id, medium, obis, name, value, valid_from, author, reason)
        values (%s, %s, %s, %s, %s, %s, %s, %s) returning id
        """,
        (utility_id, medium, obis, name, value, valid_from, author, reason),
    ).fetchone()
    assert row is not None
    connection.execute(
        """
        insert into validation_queue (block, day)
        select distinct id / %s, current_date from registers where utility_id = %s order by 1
        on conflict (block, day) do nothing
        """,
        (BLOCK, utility_id),
    )
    identity: int = row[0]
    return identity
