"""Edits: what people decide about single readings. Rows are only added; `edited_readings` says what holds.

A reading is left out (`exclude`), taken as it is although rules object (`accept`), or put in by hand
(`enter`: a reading of status MANUAL where there was none). `restore` undoes the last edit that holds. What
holds is written as a mark of rule `edit` in the author's name, which validation respects and leaves alone;
raw readings stay as they are. An edit of an instant within a closed period has to be approved by a second
person before it holds. The database sees to all of that (migration core/0004), so that a page can make edits
without a right to readings.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import datetime
from enum import Enum
from typing import Any, LiteralString

from psycopg import Connection
from psycopg.errors import CheckViolation
from psycopg.rows import class_row

from store.audit import has_account
from store.postgres.errors import StoreError
from telemetry.micro import from_micro


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
    undoes = _undone(connection, edit) if edit.action is Action.RESTORE else None
    with _refusals(connection):
        row = connection.execute(
            """
            insert into edits
                (utility_id, register_id, measured_at, action, value, undoes, author, reason, needs_approval)
            select r.utility_id, r.id, %(measured_at)s, %(action)s, %(value)s, %(undoes)s, %(author)s,
                   %(reason)s, false
            from registers r where r.id = %(register_id)s
            returning id
            """,
            asdict(edit) | {"action": edit.action.value, "undoes": undoes},
        ).fetchone()
    assert row is not None
    return _row(connection, row[0])


def approve(connection: Connection, utility_id: int, edit_id: int, author: str) -> EditRow:
    """Let an edit of a closed period hold. Raises EditError, also for its own author."""
    row = edit(connection, utility_id, edit_id)
    if row is None:
        raise EditError(f"no edit {edit_id}", advice="`hesper edit list` shows them")
    if not row.waits:
        raise EditError(f"edit {edit_id} does not wait for an approval")
    for person in (row.author, author):
        if not has_account(person):
            raise EditError(
                f"edit {edit_id}: of {person} no account is known",
                advice="edits are made and approved with an account: use `hesper login`, or undo this one",
            )
    if row.author == author:
        raise EditError(
            f"edit {edit_id} is by {author} too",
            advice="an edit of a closed period is approved by a second person",
        )
    _lock(connection, register_named(connection, utility_id, row.meter, row.obis))
    with _refusals(connection):  # what was possible then may not be now
        connection.execute(
            "insert into edit_approvals (edit_id, utility_id, author) values (%s, %s, %s)",
            (edit_id, utility_id, author),
        )
    return _row(connection, edit_id)


def edit(connection: Connection, utility_id: int, edit_id: int) -> EditRow | None:
    """One edit of a utility."""
    found = _rows(connection, "e.utility_id = %(utility)s and e.id = %(id)s", utility=utility_id, id=edit_id)
    return found[0] if found else None


def edits_page(
    connection: Connection,
    utility_id: int,
    *,
    limit: int | None = None,
    before: int | None = None,
    meter: str | None = None,
    waiting: bool | None = None,
) -> list[EditRow]:
    """At most `limit` edits (None: all), the last one first; `before` is the id of the last one seen.

    `waiting`: those that wait for an approval, or those that do not.
    """
    return _rows(
        connection,
        """
        e.utility_id = %(utility)s
        and (%(before)s::bigint is null or e.id < %(before)s)
        and (%(meter)s::text is null or m.code = %(meter)s)
        and (%(waiting)s::boolean is null or (e.needs_approval and a.edit_id is null) = %(waiting)s)
        """,
        utility=utility_id,
        before=before,
        meter=meter,
        waiting=waiting,
        limit=limit,
    )


def decisions(connection: Connection, register_ids: Sequence[int]) -> list[Decision]:
    """What holds of the edited readings of some registers."""
    with connection.cursor(row_factory=class_row(Decision)) as cursor:
        return cursor.execute(
            """
            select register_id, measured_at, coalesce(action = 'exclude', entered) as excluded,
                   coalesce(action = 'accept', false) as accepted
            from edited_readings where register_id = any(%s) order by 1, 2
            """,
            (list(register_ids),),
        ).fetchall()


def _undone(connection: Connection, edit: Edit) -> int:
    """The edit that a `restore` undoes. Raises EditError where there is none."""
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


@contextmanager
def _refusals(connection: Connection) -> Iterator[None]:
    """What the database says of an edit that is not possible (migration core/0004), as EditError."""
    try:
        with connection.transaction():
            yield
    except CheckViolation as error:
        raise EditError(
            error.diag.message_primary or str(error), advice=error.diag.message_hint or ""
        ) from None


def _lock(connection: Connection, register_id: int) -> None:
    """One edit of a register at a time."""
    connection.execute("select pg_advisory_xact_lock(hashtextextended('hesper edit', %s))", (register_id,))


def _row(connection: Connection, identity: int) -> EditRow:
    (row,) = _rows(connection, "e.id = %(id)s", id=identity)
    return row


def told(row: EditRow) -> str:
    """The value of an entry with its unit, empty for other edits."""
    return "" if row.value is None else f"{from_micro(row.value)} {row.unit}"


_EDITS = """
    select e.id, m.code as meter, r.obis, r.unit, e.measured_at, e.action, e.value, e.undoes,
           e.needs_approval, a.author as approved_by, e.author, e.reason, e.created_at
    from edits e join registers r on r.id = e.register_id join meters m on m.id = r.meter_id
    left join edit_approvals a on a.edit_id = e.id
    where """


def _rows(connection: Connection, condition: LiteralString, **values: Any) -> list[EditRow]:
    with connection.cursor(row_factory=class_row(EditRow)) as cursor:
        return cursor.execute(
            _EDITS + condition + " order by e.id desc limit %(limit)s", {"limit": None} | values
        ).fetchall()
