"""What people do with findings: acknowledge, assign, resolve, declare false alarms, and leave notes.

Every change is a row of history (migration core/0003), and a finding's state and assignee are what its last
change says. Validation re-opens and removes none of them: a finding that somebody dealt with keeps its row.
"""

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from enum import Enum, StrEnum
from typing import Any

from psycopg import Connection
from psycopg.rows import class_row

from store.access.users import colleagues
from store.postgres.errors import StoreError

MOST = 500  # findings that are changed at once
LONGEST_NOTE = 2000  # characters
NOBODY = ""


class FindingState(StrEnum):
    """What people made of a finding; the month close does not wait for the last two."""

    OPEN = "open"
    ACKNOWLEDGED = "acknowledged"
    RESOLVED = "resolved"
    FALSE_ALARM = "false alarm"


# These take a finding out of the month close's way: whoever reads the bill later wants to know why.
_NEED_A_NOTE = {FindingState.RESOLVED, FindingState.FALSE_ALARM}


class FindingChangeError(StoreError):
    """A change of findings that cannot be made."""


class ChangeOutcome(Enum):
    """What came of the change of one finding."""

    CHANGED = "changed"
    UNCHANGED = "unchanged"  # it is so already
    UNKNOWN = "unknown"  # this utility has no such finding


@dataclass(frozen=True, slots=True)
class FindingChange:
    """What a person wants to be so; None leaves it. `assignee` is a login, or NOBODY."""

    state: FindingState | None = None
    assignee: str | None = None
    note: str = ""


@dataclass(frozen=True, slots=True)
class FindingChangeRow:
    """A change as it was written down; None: the change left it as it was."""

    id: int
    finding_id: int
    state: str | None
    assignee: str | None
    note: str
    author: str
    created_at: datetime


def change(
    connection: Connection[Any],
    utility_id: int,
    finding_ids: Iterable[int],
    wanted: FindingChange,
    *,
    author: str,
) -> dict[int, ChangeOutcome]:
    """Change findings of the utility that the session was entered for; what came of each, by its id.

    A finding that is so already gets no row, unless there is a note. Raises FindingChangeError where the
    change itself cannot be made; then nothing is changed.
    """
    ids = sorted(set(finding_ids))
    _check(connection, ids, wanted)
    known = lock(connection, utility_id, ids)
    changed = connection.execute(
        """
        insert into finding_changes (utility_id, finding_id, state, assignee, note, author)
        select utility_id, id, nullif(%(state)s, state), nullif(%(assignee)s, assignee), %(note)s, %(author)s
        from findings
        where utility_id = %(utility)s and id = any(%(ids)s)
          and (%(state)s <> state or %(assignee)s <> assignee or %(note)s <> '')
        order by id
        returning finding_id
        """,
        asdict(wanted) | {"utility": utility_id, "ids": ids, "author": author},
    ).fetchall()
    return (
        dict.fromkeys(ids, ChangeOutcome.UNKNOWN)
        | dict.fromkeys(known, ChangeOutcome.UNCHANGED)
        | {identity: ChangeOutcome.CHANGED for (identity,) in changed}
    )


def lock(connection: Connection[Any], utility_id: int, finding_ids: Iterable[int]) -> list[int]:
    """Keep others from changing these findings until the transaction ends; those that the utility has."""
    rows = connection.execute(
        "select id from findings where utility_id = %s and id = any(%s) order by id for update",
        (utility_id, list(finding_ids)),
    )
    return [identity for (identity,) in rows]


def _check(connection: Connection[Any], ids: Sequence[int], wanted: FindingChange) -> None:
    if len(ids) > MOST:
        raise FindingChangeError(
            f"{len(ids)} findings are too many at once", advice=f"at most {MOST}: change them in parts"
        )
    if wanted == FindingChange():
        raise FindingChangeError("nothing to change", advice="give a state, an assignee or a note")
    if len(wanted.note) > LONGEST_NOTE:
        raise FindingChangeError(
            "the note is too long", advice=f"at most {LONGEST_NOTE} characters: say what matters"
        )
    if wanted.state in _NEED_A_NOTE and not wanted.note:
        raise FindingChangeError(
            f"a finding becomes {wanted.state} with a note",
            advice="say why: the month close does not wait for it any more",
        )
    if wanted.assignee and wanted.assignee not in {one.login for one in colleagues(connection)}:
        raise FindingChangeError(
            f"nobody here signs in as {wanted.assignee}",
            advice="assign to somebody who has a role at this utility (`hesper user role`)",
        )


def changes_of(connection: Connection[Any], utility_id: int, finding_id: int) -> list[FindingChangeRow]:
    """The history of a finding, the first change first."""
    with connection.cursor(row_factory=class_row(FindingChangeRow)) as cursor:
        return cursor.execute(
            """
            select id, finding_id, state, assignee, note, author, created_at from finding_changes
            where utility_id = %s and finding_id = %s order by id
            """,
            (utility_id, finding_id),
        ).fetchall()


def last_changes(
    connection: Connection[Any], utility_id: int, finding_ids: Iterable[int]
) -> dict[int, FindingChangeRow]:
    """What was done last with each of these findings, where anything was."""
    with connection.cursor(row_factory=class_row(FindingChangeRow)) as cursor:
        cursor.execute(
            """
            select distinct on (finding_id) id, finding_id, state, assignee, note, author, created_at
            from finding_changes where utility_id = %s and finding_id = any(%s)
            order by finding_id, id desc
            """,
            (utility_id, list(finding_ids)),
        )
        return {row.finding_id: row for row in cursor.fetchall()}
