"""Marks on single readings, by rules and by people: written for the validator, listed for the API."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from psycopg import Connection
from psycopg.rows import args_row, class_row
from psycopg.types.json import Jsonb

AUTHOR = "validation"


@dataclass(frozen=True, slots=True)
class MarkRow:
    """Mark of one rule on one reading."""

    register_id: int
    measured_at: datetime
    rule: str
    quality: int
    usable: bool
    evidence: dict[str, Any]

    @property
    def key(self) -> tuple[int, datetime, str]:
        """The row's identity."""
        return self.register_id, self.measured_at, self.rule


@dataclass(frozen=True, slots=True)
class ListedMark:
    """Mark on a reading, of a rule or of a person (`rule` is `edit`), as lists show it."""

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
    """Filter of marks, of readings from `start` (included) to `end` (not); None: all."""

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
        return cursor.execute(
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
        ).fetchall()


def sync_marks(
    connection: Connection,
    register_ids: Sequence[int],
    marks: Sequence[MarkRow],
    since: Mapping[int, datetime] | None = None,
) -> int:
    """Make validation's marks on these registers exactly `marks`; how many rows were written or removed.

    A row that is right already is left alone, and so are other authors' marks, and of registers in `since`
    those on readings before then. Long columns go in binary form: the text of an array is escaped in Python.
    """
    since = since or {}
    with connection.cursor(row_factory=args_row(MarkRow)) as cursor:
        cursor.execute(
            """
            select register_id, measured_at, rule, quality, usable, evidence
            from marks join unnest(%s::int[], %s::timestamptz[]) as asked (register, since)
                 on register_id = register and (since is null or measured_at >= since)
            where author = %s
            """,
            (list(register_ids), [since.get(each) for each in register_ids], AUTHOR),
        )
        stored = {mark.key: mark for mark in cursor}
    wanted = {mark.key: mark for mark in marks}
    gone = [mark for key, mark in stored.items() if wanted.get(key) != mark]
    new = [mark for key, mark in wanted.items() if stored.get(key) != mark]
    with connection.cursor() as cursor:
        if gone:
            cursor.execute(
                """
                delete from marks m
                using unnest(%b::int[], %b::timestamptz[], %s::text[]) as gone (id, at, rule)
                where m.register_id = gone.id and m.measured_at = gone.at and m.rule = gone.rule
                  and m.author = %s
                """,
                (
                    [m.register_id for m in gone],
                    [m.measured_at for m in gone],
                    [m.rule for m in gone],
                    AUTHOR,
                ),
            )
        if new:
            cursor.execute(
                """
                insert into marks (register_id, measured_at, rule, quality, usable, evidence, author)
                select new.*, %s from unnest(%b::int[], %b::timestamptz[], %s::text[], %s::smallint[],
                                             %s::boolean[], %b::jsonb[]) as new
                on conflict do nothing
                """,
                (
                    AUTHOR,
                    [m.register_id for m in new],
                    [m.measured_at for m in new],
                    [m.rule for m in new],
                    [m.quality for m in new],
                    [m.usable for m in new],
                    [Jsonb(m.evidence) for m in new],
                ),
            )
    return len(gone) + len(new)
