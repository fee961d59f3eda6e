"""What validation and people say of single readings, for the API."""

from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from psycopg import Connection
from psycopg.rows import class_row


@dataclass(frozen=True, slots=True)
class ListedMark:
    """What a rule, or a person (`rule` is `edit`), says of a reading."""

    register_id: int
    meter: str
    obis: str
    measured_at: datetime
    rule: str
    quality: int
    usable: bool
    evidence: dict[str, Any]
    author: str
    created_at: datetime


@dataclass(frozen=True, slots=True)
class MarkFilter:
    """Which marks are wanted, of readings from `start` (included) to `end` (not); None: all."""

    start: datetime
    end: datetime
    meter: str | None = None
    obis: str | None = None
    rule: str | None = None


def marks_page(
    connection: Connection[Any],
    utility_id: int,
    wanted: MarkFilter,
    *,
    limit: int,
    after: tuple[int, datetime, str] | None = None,
) -> list[ListedMark]:
    """At most `limit` marks by register, instant and rule; `after` names the last one seen by these."""
    after_register, after_at, after_rule = after or (None, None, None)
    with connection.cursor(row_factory=class_row(ListedMark)) as cursor:
        cursor.execute(
            """
            select k.register_id, m.code as meter, r.obis, k.measured_at, k.rule, k.quality, k.usable,
                   k.evidence, k.author, k.created_at
            from marks k join registers r on r.id = k.register_id join meters m on m.id = r.meter_id
            where r.utility_id = %(utility)s and k.measured_at >= %(start)s and k.measured_at < %(end)s
              and (%(meter)s::text is null or m.code = %(meter)s)
              and (%(obis)s::text is null or r.obis = %(obis)s)
              and (%(rule)s::text is null or k.rule = %(rule)s)
              and (%(register)s::int is null
                   or (k.register_id, k.measured_at, k.rule) > (%(register)s, %(at)s, %(after_rule)s))
            order by k.register_id, k.measured_at, k.rule limit %(limit)s
            """,
            asdict(wanted)
            | {
                "utility": utility_id,
                "register": after_register,
                "at": after_at,
                "after_rule": after_rule,
                "limit": limit,
            },
        )
        return cursor.fetchall()
