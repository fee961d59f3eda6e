"""The audit log: rows that a trigger chains by their hashes (migration core/0012), and their verification.

The hash is computed a second time here, without the database's function, so that whoever alters that one is
found out. A chain shows what was altered, removed or put in between; that its end was cut off, that all of it
is gone or was made anew shows beside a `Head` that was kept elsewhere (hesper/audit/).
"""

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from psycopg import Connection
from psycopg.rows import class_row

_NO_ACCOUNT = " at the command line"
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
    """The newest row of a whole chain. `chain` is the utility's id, 0 for what belongs to none."""

    chain: int
    utility: str  # its code; "-" for what belongs to none
    position: int
    hash: bytes


@dataclass(frozen=True, slots=True)
class Break:
    """The first row of a chain that is not what was written."""

    utility: str
    position: int
    reason: str


@dataclass(slots=True)
class Witness:
    """What is known of a chain from outside of the database: hashes of some of its rows by position.

    Several of one position: the row was another one at one time.
    """

    utility: str
    hashes: dict[int, set[bytes]] = field(default_factory=dict)

    @property
    def last(self) -> int:
        """Position of the newest row that is known; 0: none is."""
        return max(self.hashes, default=0)


def sign_as(connection: Connection[Any], actor: str, address: str = "") -> None:
    """Say who acts to the end of this transaction, and from where: its changes are noted as theirs."""
    connection.execute(
        "select set_config('hesper.author', %s, true), set_config('hesper.address', %s, true)",
        (actor, address),
    )


def sign_session(connection: Connection[Any], actor: str, address: str) -> None:
    """The same for all transactions of this session. Commits."""
    connection.execute(
        "select set_config('hesper.author', %s, false), set_config('hesper.address', %s, false)",
        (actor, address),
    )
    connection.commit()


def system_user_actor(system_user: str) -> str:
    """Name of somebody at the command line of whom no account is known."""
    return f"{system_user}{_NO_ACCOUNT}"


def has_account(actor: str) -> bool:
    """False for whoever may be anybody: a user of the system who is nobody's account."""
    return not actor.endswith(_NO_ACCOUNT)


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


def heads(connection: Connection[Any]) -> list[Head]:
    """The newest row of each chain that has any, as it stands in the database: nothing is verified."""
    with connection.cursor(row_factory=class_row(Head)) as cursor:
        return cursor.execute(
            """
            select chain, code as utility, position, hash from (
                select id as chain, code from utilities union all select 0, '-'
            ) as known,
            lateral (select position, hash from audit_log where coalesce(utility_id, 0) = chain
                     order by position desc limit 1) as newest
            order by chain
            """
        ).fetchall()


def verify(
    connection: Connection[Any], witnesses: Mapping[int, Witness] | None = None, *, after: bool = False
) -> list[Head | Break]:
    """Every chain, from its first row to the last or to the first that is wrong, beside its witness.

    With `after` only from the last row that its witness knows on.
    """
    known = witnesses or {}
    chains: dict[int, str] = dict(
        connection.execute(
            """
            select coalesce(utility_id, 0), coalesce(u.code, '-')
            from (select distinct utility_id from audit_log) as chain
            left join utilities u on u.id = utility_id
            """
        ).fetchall()
    )
    codes = {chain: witness.utility for chain, witness in known.items()} | chains
    return [
        _verify_chain(connection, chain, codes[chain], known.get(chain, Witness("")), after=after)
        for chain in sorted(codes, key=codes.__getitem__)
    ]


def _verify_chain(
    connection: Connection[Any], chain: int, code: str, witness: Witness, *, after: bool
) -> Head | Break:
    head = Head(chain, code, 0, b"")
    if after and witness.last:  # the row that is known comes first, and what it follows is not asked
        head = Head(chain, code, witness.last - 1, b"")
    for row in _chain(connection, chain, head.position):
        if row.position != head.position + 1:
            return Break(code, head.position + 1, "the row is missing")
        if bytes(row.previous) != head.hash and (head.hash or row.position == 1):
            return Break(code, row.position, "it does not follow the row before it")
        if bytes(row.hash) != row.expected_hash():
            return Break(code, row.position, "its content is not what was hashed")
        if not witness.hashes.get(row.position, set()) <= {bytes(row.hash)}:
            return Break(code, row.position, "it is not the row that an anchor knows")
        head = Head(chain, code, row.position, bytes(row.hash))
    if head.position < witness.last:
        return Break(code, head.position + 1, "the row is missing: an anchor knows one at the end")
    return head


def _chain(connection: Connection[Any], chain: int, after: int) -> Iterator[AuditRow]:
    with connection.cursor(row_factory=class_row(AuditRow)) as cursor:
        while page := cursor.execute(
            f"{_ROWS} where coalesce(utility_id, 0) = %s and position > %s order by position limit %s",
            (chain, after, _PAGE),
        ).fetchall():
            yield from page
            after = page[-1].position


_ROWS = """
    select id, utility_id, position, at, actor, address, action, subject, detail, previous, hash
    from audit_log
"""
