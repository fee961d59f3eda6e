"""Readings of a register that somebody or some rule said something of, and why others are missing."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from psycopg import Connection
from psycopg.rows import class_row

from telemetry.status import Status


@dataclass(frozen=True, slots=True)
class Said:
    """One mark: its rule, the evidence or reason, and who says it (a person, or 'validation')."""

    rule: str
    evidence: dict[str, Any]
    author: str


@dataclass(frozen=True, slots=True)
class JudgedRow:
    """`value` in micro-units; `quality` and `usable` are those of the gravest mark (None: it has no mark)."""

    measured_at: datetime
    value: int
    status: int
    quality: int | None
    usable: bool
    said: list[Said]


_JUDGED = """
    select x.measured_at, x.value, x.status, m.quality, coalesce(m.usable, true), coalesce(m.said, '[]')
    from utility_readings x
    left join lateral (
        select (array_agg(quality order by usable, created_at desc))[1] as quality,
               bool_and(usable) as usable,
               jsonb_agg(jsonb_build_object('rule', rule, 'evidence', evidence, 'author', author)
                         order by usable, created_at desc) as said
        from marks where register_id = x.register_id and measured_at = x.measured_at
    ) m on true
    where x.register_id = %(register)s
"""


def judged(
    connection: Connection[Any], register_id: int, start: datetime, end: datetime, limit: int
) -> list[JudgedRow]:
    """The last `limit` readings after `start` up to `end` with marks or by hand, the earliest first."""
    rows = connection.execute(
        _JUDGED
        + """
        and x.measured_at > %(start)s and x.measured_at <= %(end)s
        and (m.said is not null or x.status & %(manual)s <> 0)
        order by x.measured_at desc limit %(limit)s
        """,
        {
            "register": register_id,
            "start": start,
            "end": end,
            "manual": int(Status.MANUAL),
            "limit": limit,
        },
    ).fetchall()
    return [_row(row) for row in reversed(rows)]


def reading_at(connection: Connection[Any], register_id: int, at: datetime) -> JudgedRow | None:
    """The reading of that instant with what is said of it, if anything is."""
    row = connection.execute(
        _JUDGED + "and x.measured_at = %(at)s", {"register": register_id, "at": at}
    ).fetchone()
    return None if row is None else _row(row)


def _row(row: tuple[Any, ...]) -> JudgedRow:
    at, value, status, quality, usable, said = row
    return JudgedRow(at, value, status, quality, usable, [Said(**one) for one in said])


def neighbours(
    connection: Connection[Any], register_id: int, at: datetime
) -> tuple[tuple[datetime, int] | None, tuple[datetime, int] | None]:
    """The last usable reading before an instant and the first after it: (read at, micro-units) each.

    None where there is none within 400 days.
    """
    known = {"register": register_id, "at": at}
    before = connection.execute(
        _USABLE
        + """
        and x.measured_at < %(at)s and x.measured_at > %(at)s - interval '400 days'
        order by x.measured_at desc limit 1
        """,
        known,
    ).fetchone()
    after = connection.execute(
        _USABLE
        + """
        and x.measured_at > %(at)s and x.measured_at < %(at)s + interval '400 days'
        order by x.measured_at limit 1
        """,
        known,
    ).fetchone()
    return before, after


_USABLE = """
    select x.measured_at, x.value from utility_readings x
    where x.register_id = %(register)s
      and not exists (select from marks m where m.register_id = x.register_id
                      and m.measured_at = x.measured_at and not m.usable)
"""


@dataclass(frozen=True, slots=True)
class MissedRow:
    """How many polls of a time gave nothing, for one reason; `place` counts the times that were asked for."""

    place: int
    reason: str
    count: int


def missed_between(
    connection: Connection[Any], meter_id: int, times: Sequence[tuple[datetime, datetime]]
) -> list[MissedRow]:
    """What was missed within each of these times (their ends not included), the commonest reason first."""
    if not times:
        return []
    with connection.cursor(row_factory=class_row(MissedRow)) as cursor:
        return cursor.execute(
            """
            select (t.place - 1)::int as place, p.reason, count(*)::int as count
            from unnest(%(starts)s::timestamptz[], %(ends)s::timestamptz[])
                 with ordinality as t (starts, ends, place)
            join missed_polls p on p.meter_id = %(meter)s and p.due_at > t.starts and p.due_at < t.ends
            group by t.place, p.reason order by t.place, count(*) desc, p.reason
            """,
            {
                "meter": meter_id,
                "starts": [start for start, _ in times],
                "ends": [end for _, end in times],
            },
        ).fetchall()
