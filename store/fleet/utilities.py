"""The utility that a caller belongs to."""

from dataclasses import dataclass
from typing import Any
from zoneinfo import ZoneInfo

from psycopg import Connection
from psycopg.rows import class_row


@dataclass(frozen=True, slots=True)
class UtilityRow:
    """`time_zone` is an IANA name; `reading_day` the local day on which periods begin."""

    id: int
    code: str
    name: str
    time_zone: str
    reading_day: int

    @property
    def zone(self) -> ZoneInfo:
        """The utility's local time."""
        return ZoneInfo(self.time_zone)


def utility(connection: Connection[Any], utility_id: int) -> UtilityRow:
    """The utility with this id, which a key has named, so that it exists."""
    with connection.cursor(row_factory=class_row(UtilityRow)) as cursor:
        cursor.execute(
            "select id, code, name, time_zone, reading_day from utilities where id = %s", (utility_id,)
        )
        row = cursor.fetchone()
    assert row is not None
    return row
