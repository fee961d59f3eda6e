"""Edits: what people decide about single readings. Rows are only added; `edited_readings` says what holds.

A reading is left out (`exclude`), taken as it is although rules object (`accept`), or put in by hand
(`enter`: a reading of status MANUAL where there was none). `restore` undoes the last edit that holds. What
holds is written as a mark of rule `edit` in the author's name, which validation respects and leaves alone;
raw readings stay as they are. An edit of an instant within a closed period has to be approved by a second
person before it holds.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import Enum

import numpy as np
from psycopg import Connection
from psycopg.rows import class_row

from store.arrays import microseconds
from store.errors import StoreError
from store.readings import insert, mark_for_validation
from telemetry.micro import from_micro
from telemetry.quality import Quality
from telemetry.status import Status

RULE = "edit"


class Action(Enum):
    """What a person decided."""

    EXCLUDE = "exclude"
    ENTER = "enter"
    ACCEPT = "accept"
    RESTORE = "restore"


class EditError(StoreError):
    """An edit that cannot be made."""


@dataclass(frozen=True, slots=True)
class Edit:
    """A decision about one reading. `value` in micro-units, for `enter` alone."""

    register_id: int
    measured_at: datetime
    action: Action
    author: str
    reason: str
    value: int | None = None


@dataclass(frozen=True, slots=True)
class EditRow:
    """An edit as it was written down. `approved_by` is None where nobody had to, or nobody has yet."""

    id: int
    meter: str
    obis: str
    unit: str
    measured_at: datetime
    action: str
    value: int | None
    undoes: int | None
    needs_approval: bool
    approved_by: str | None
    author: str
    reason: str
    created_at: datetime

    @property
    def waits(self) -> bool:
        """Whether a second person has to approve it still."""
        return self.needs_approval and self.approved_by is None


@dataclass(frozen=True, slots=True)
class Decision:
    """What holds of an edited reading: left out (`excluded`), or taken although rules object (`accepted`)."""

    register_id: int
    measured_at: datetime
    excluded: bool
    accepted: bool


def register_named(connection: Connection, utility_id: int, meter: str, obis: str) -> int:
    """The register's id. Raises EditError."""
    row = connection.execute(
        """
        select r.id from registers r join meters m on m.id = r.meter_id
        where m.utility_id = %s and m.code = %s and r.obis = %s
        """,
        (utility_id, meter, obis),
    ).fetchone()
    if row is None:
        raise EditError(
            f"no register {obis} of a meter {meter}", advice="`hesper registry export` lists both"
        )
    identity: int = row[0]
    return identity


def add(connection: Connection, edit: Edit) -> EditRow:
    """Write an edit down, and let it hold unless it has to be approved. Raises EditError."""
    _lock(connection, edit.register_id)
    undoes = _undone(connection, edit)
    row = connection.execute(
        """
        insert into edits
            (utility_id, register_id, measured_at, action, value, undoes, author, reason, needs_approval)
        select r.utility_id, r.id, %(at)s, %(action)s, %(value)s, %(undoes)s, %(author)s, %(reason)s,
               exists (select from closes c where c.utility_id = r.utility_id
                       and c.starts_at <= %(at)s and c.ends_at >= %(at)s)
        from registers r where r.id = %(register)s
        returning id, needs_approval
        """,
        {
            "register": edit.register_id,
            "at": edit.measured_at,
            "action": edit.action.value,
            "value": edit.value,
            "undoes": undoes,
            "author": edit.author,
            "reason": edit.reason,
        },
    ).fetchone()
    assert row is not None
    identity, needs_approval = row
    if not needs_approval:
        _take_effect(connection, edit)
    return _row(connection, identity)


def approve(connection: Connection, utility_id: int, edit_id: int, author: str) -> EditRow:
    """Let an edit of a closed period hold. Raises EditError, also for its own author."""
    found = [each for each in edits_of(connection, utility_id) if each.id == edit_id]
    if not found:
        raise EditError(f"no edit {edit_id}", advice="`hesper edit list` shows them")
    (row,) = found
    if not row.waits:
        raise EditError(f"edit {edit_id} does not wait for an approval")
    if row.author == author:
        raise EditError(
            f"edit {edit_id} is by {author} too",
            advice="an edit of a closed period is approved by a second person",
        )
    register_id = register_named(connection, utility_id, row.meter, row.obis)
    _lock(connection, register_id)
    edit = Edit(register_id, row.measured_at, Action(row.action), row.author, row.reason, row.value)
    if edit.action is not Action.RESTORE:
        _undone(connection, edit)  # what was possible then may not be now
    connection.execute(
        "insert into edit_approvals (edit_id, utility_id, author) values (%s, %s, %s)",
        (edit_id, utility_id, author),
    )
    _take_effect(connection, edit)
    return _row(connection, edit_id)


def edits_of(connection: Connection, utility_id: int) -> list[EditRow]:
    """All edits of a utility, the last one first."""
    return _rows(connection, utility_id=utility_id)


def decisions(connection: Connection, register_ids: Sequence[int]) -> list[Decision]:
    """What holds of the edited readings of some registers."""
    with connection.cursor(row_factory=class_row(Decision)) as cursor:
        cursor.execute(
            """
            select register_id, measured_at, coalesce(action = 'exclude', entered) as excluded,
                   coalesce(action = 'accept', false) as accepted
            from edited_readings where register_id = any(%s) order by 1, 2
            """,
            (list(register_ids),),
        )
        return cursor.fetchall()


def _undone(connection: Connection, edit: Edit) -> int | None:
    """The edit that a `restore` undoes. Raises EditError where the edit is not possible."""
    stored = connection.execute(
        "select from readings where register_id = %s and measured_at = %s",
        (edit.register_id, edit.measured_at),
    ).fetchone()
    if edit.action is Action.ENTER:
        if stored is not None:
            raise EditError(
                f"there is a reading of {edit.measured_at.isoformat()} already",
                advice="readings are never altered: exclude it, and enter the value for another instant",
            )
        return None
    if edit.action is not Action.RESTORE:
        if stored is None:
            raise EditError(
                f"no reading of {edit.measured_at.isoformat()}", advice="give the instant exactly, in UTC"
            )
        return None
    row = connection.execute(
        "select edit_id from edited_readings where register_id = %s and measured_at = %s",
        (edit.register_id, edit.measured_at),
    ).fetchone()
    if row is None or row[0] is None:
        raise EditError(f"no edit of {edit.measured_at.isoformat()} holds that could be undone")
    identity: int = row[0]
    if connection.execute("select 1 from edits where undoes = %s", (identity,)).fetchone():
        raise EditError(f"an undo of edit {identity} waits for its approval", advice="`hesper edit approve`")
    return identity


def _take_effect(connection: Connection, edit: Edit) -> None:
    """Have the reading of an entry stored, what holds written as a mark, and the register judged anew."""
    ids = np.array([edit.register_id], np.int32)
    times = np.array([microseconds(edit.measured_at)], np.int64)
    if edit.action is Action.ENTER:
        assert edit.value is not None
        values = np.array([edit.value], np.int64)
        insert(connection, ids, times, values, np.array([int(Status.MANUAL)], np.int16))
    connection.execute(
        "delete from marks where register_id = %s and measured_at = %s and rule = %s",
        (edit.register_id, edit.measured_at, RULE),
    )
    connection.execute(
        """
        insert into marks (register_id, measured_at, rule, quality, usable, evidence, author)
        select h.register_id, h.measured_at, %(rule)s,
               case when h.entered then %(edited)s when h.action = 'accept' then %(accepted)s
                    else %(questionable)s end,
               coalesce(h.action <> 'exclude', false),
               jsonb_build_object('action', coalesce(h.action, 'withdrawn'),
                                  'edit', coalesce(h.edit_id, u.id),
                                  'reason', coalesce(h.reason, u.reason)),
               coalesce(h.author, u.author)
        from edited_readings h cross join lateral (
            select id, author, reason from edits e
            where e.register_id = h.register_id and e.measured_at = h.measured_at order by id desc limit 1) u
        where h.register_id = %(register)s and h.measured_at = %(at)s
          and (h.action is not null or h.entered)
        """,
        {
            "rule": RULE,
            "register": edit.register_id,
            "at": edit.measured_at,
            "edited": int(Quality.EDITED),
            "accepted": int(Quality.VALIDATED),
            "questionable": int(Quality.QUESTIONABLE),
        },
    )
    mark_for_validation(connection, ids, times)


def _lock(connection: Connection, register_id: int) -> None:
    """One edit of a register at a time."""
    connection.execute("select pg_advisory_xact_lock(hashtextextended('hesper edit', %s))", (register_id,))


def _row(connection: Connection, identity: int) -> EditRow:
    (row,) = _rows(connection, identity=identity)
    return row


def told(row: EditRow) -> str:
    """The value of an entry with its unit, empty for other edits."""
    return "" if row.value is None else f"{from_micro(row.value)} {row.unit}"


def _rows(
    connection: Connection, *, utility_id: int | None = None, identity: int | None = None
) -> list[EditRow]:
    with connection.cursor(row_factory=class_row(EditRow)) as cursor:
        cursor.execute(
            """
            select e.id, m.code as meter, r.obis, r.unit, e.measured_at, e.action, e.value, e.undoes,
                   e.needs_approval, a.author as approved_by, e.author, e.reason, e.created_at
            from edits e join registers r on r.id = e.register_id join meters m on m.id = r.meter_id
            left join edit_approvals a on a.edit_id = e.id
            where e.utility_id = %s or e.id = %s order by e.id desc
            """,
            (utility_id, identity),
        )
        return cursor.fetchall()
