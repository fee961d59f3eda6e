"""The audit log: rows that a trigger chains by their hashes (migration core/0012), and their verification.

The hash is computed a second time here, without the database's function, so that whoever alters that one is
found out. A chain shows what was altered, removed or put in between; that its newest rows were cut off shows
only beside an earlier `Head`, which is why `hesper audit verify` prints it.
"""

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from psycopg import Connection
from psycopg.rows import class_row

_PAGE = 5000
_LAST = 2**63 - 1


@dataclass(frozen=True, slots=True)
class AuditRow:
    """Entry of the log. `detail` is JSON as it was hashed; `utility_id` None: it belongs to no utility."""

    id: int
    utility_id: int | None
    position: int
    at: datetime
    actor: str
    address: str
    action: str
    subject: str
    detail: str
    previous: bytes
    hash: bytes

    def expected_hash(self) -> bytes:
        """Value of `hash` if nothing was altered: SHA-256 over `previous` and the fields as netstrings."""
        fields = (
            "" if self.utility_id is None else str(self.utility_id),
            str(self.position),
            self.at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%f"),
            self.actor,
            self.address,
            self.action,
            self.subject,
            self.detail,
        )
        encoded = (field.encode() for field in fields)
        return hashlib.sha256(
            bytes(self.previous) + b"".join(b"%d:%b," % (len(field), field) for field in encoded)
        ).digest()


@dataclass(frozen=True, slots=True)
class Head:
    """The newest row of a whole chain."""

    utility: str  # its code; "-" for what belongs to none
    position: int
    hash: bytes


@dataclass(frozen=True, slots=True)
class Break:
    """The first row of a chain that is not what was written."""

    utility: str
    position: int
    reason: str


def sign_as(connection: Connection[Any], actor: str, address: str = "") -> None:
    """Say who acts to the end of this transaction, and from where: its changes are noted as theirs."""
    connection.execute(
        "select set_config('hesper.author', %s, true), set_config('hesper.address', %s, true)",
        (actor, address),
    )


def note(
    connection: Connection[Any], action: str, subject: str, *, utility_id: int | None, **detail: Any
) -> None:
    """Add a row by whom `sign_as` named. To the end of the transaction, others wait to add to its chain."""
    connection.execute(
        """
        insert into audit_log (utility_id, actor, address, action, subject, detail)
        values (%s, coalesce(nullif(current_setting('hesper.author', true), ''), session_user),
                coalesce(current_setting('hesper.address', true), ''), %s, %s, %s)
        """,
        (utility_id, action, subject, json.dumps(detail, sort_keys=True, ensure_ascii=False)),
    )


def entries(
    connection: Connection[Any], utility_id: int, *, before: int | None, limit: int
) -> list[AuditRow]:
    """A utility's rows, the newest first; on from the row at position `before`."""
    with connection.cursor(row_factory=class_row(AuditRow)) as cursor:
        return cursor.execute(
            f"{_ROWS} where coalesce(utility_id, 0) = %s and position < %s order by position desc limit %s",
            (utility_id, _LAST if before is None else before, limit),
        ).fetchall()


def verify(connection: Connection[Any]) -> list[Head | Break]:
    """Every chain, from its first row to the last or to the first that is wrong."""
    chains = connection.execute(
        """
        select utility_id, coalesce(u.code, '-') from (select distinct utility_id from audit_log) as chain
        left join utilities u on u.id = utility_id order by 2
        """
    ).fetchall()
    return [_verify_chain(_chain(connection, utility_id), code) for utility_id, code in chains]


def _verify_chain(rows: Iterator[AuditRow], code: str) -> Head | Break:
    head = Head(code, 0, b"")
    for row in rows:
        if row.position != head.position + 1:
            return Break(code, head.position + 1, "the row is missing")
        if bytes(row.previous) != head.hash:
            return Break(code, row.position, "it does not follow the row before it")
        if bytes(row.hash) != row.expected_hash():
            return Break(code, row.position, "its content is not what was hashed")
        head = Head(code, row.position, bytes(row.hash))
    return head


def _chain(connection: Connection[Any], utility_id: int | None) -> Iterator[AuditRow]:
    after = 0
    with connection.cursor(row_factory=class_row(AuditRow)) as cursor:
        while page := cursor.execute(
            f"{_ROWS} where coalesce(utility_id, 0) = %s and position > %s order by position limit %s",
            (utility_id or 0, after, _PAGE),
        ).fetchall():
            yield from page
            after = page[-1].position


_ROWS = """
    select id, utility_id, position, at, actor, address, action, subject, detail, previous, hash
    from audit_log
"""
