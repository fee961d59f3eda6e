"""Findings: events that people look at. One row per event, which keeps its id and state while it goes on."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from psycopg import Connection
from psycopg.rows import class_row
from psycopg.types.json import Jsonb

Subject = tuple[int | None, int | None, str]
"""(register, gateway, line) that a finding is about."""


@dataclass(frozen=True, slots=True)
class FindingRow:
    """Event of a register, of a gateway, or of the one of its lines that `line` names.

    `ended_at` is None while it still goes on.
    """

    register_id: int | None
    utility_id: int
    kind: str
    severity: str
    started_at: datetime
    ended_at: datetime | None
    evidence: dict[str, Any]
    gateway_id: int | None = None
    line: str = ""

    @property
    def subject(self) -> Subject:
        """What it is about."""
        return self.register_id, self.gateway_id, self.line

    @property
    def key(self) -> tuple[Subject, str, datetime]:
        """The row's identity."""
        return self.subject, self.kind, self.started_at

    def overlaps(self, other: "FindingRow") -> bool:
        """Whether both tell of one event: same subject and kind, and at the same time."""
        return (
            (self.subject, self.kind) == (other.subject, other.kind)
            and (other.ended_at is None or self.started_at <= other.ended_at)
            and (self.ended_at is None or other.started_at <= self.ended_at)
        )


@dataclass(frozen=True, slots=True)
class _Stored:
    id: int
    state: str
    finding: FindingRow


@dataclass(frozen=True, slots=True)
class Concerned:
    """Which stored findings may change: of subjects that `since` names not what had ended by then, and of the
    rest what is `open`. With `looked_back_to`, what began before it and is not seen any more ended then: it
    is not known whether it had been right."""

    since: Mapping[int, datetime] = field(default_factory=dict)
    open: Callable[[FindingRow], bool] = lambda _: True
    looked_back_to: datetime | None = None


_ALL = Concerned()


def sync_findings(
    connection: Connection,
    register_ids: Sequence[int],
    kinds: Sequence[str],
    findings: Sequence[FindingRow],
    concerned: Concerned = _ALL,
) -> int:
    """Make the findings of these `kinds` on these registers `findings`; how many rows were touched.

    An event that continues, or whose beginning moved because of late data, keeps its row. One that is not
    seen any more is removed, unless a person has dealt with it: then it stays as a thing of the past.
    """
    rows = connection.execute(
        """
        select id, state, register_id, utility_id, kind, severity, started_at, ended_at, evidence
        from findings join unnest(%s::int[], %s::timestamptz[]) as asked (register, since)
             on register_id = register and (ended_at is null or since is null or ended_at > since)
        where kind = any(%s) order by register_id, kind, started_at
        """,
        (list(register_ids), [concerned.since.get(each) for each in register_ids], list(kinds)),
    )
    stored = [(identity, state, FindingRow(*rest)) for identity, state, *rest in rows]
    may_change = [_Stored(*each) for each in stored if concerned.open(each[2])]
    return _sync(connection, may_change, findings, concerned.looked_back_to)


def sync_gateway_findings(
    connection: Connection,
    gateway_id: int,
    kinds: Sequence[str],
    findings: Sequence[FindingRow],
    looked_back_to: datetime,
) -> int:
    """The same for a gateway and its lines."""
    rows = connection.execute(
        """
        select id, state, register_id, utility_id, kind, severity, started_at, ended_at, evidence,
               gateway_id, line
        from findings where gateway_id = %s and kind = any(%s) and (ended_at is null or ended_at > %s)
        order by line, kind, started_at
        """,
        (gateway_id, list(kinds), looked_back_to),
    )
    stored = [_Stored(identity, state, FindingRow(*rest)) for identity, state, *rest in rows]
    return _sync(connection, stored, findings, looked_back_to)


def open_since(
    connection: Connection, register_ids: Sequence[int], gateway_id: int, kinds: Sequence[str]
) -> dict[tuple[Subject, str], datetime]:
    """When those began that still go on, by subject and kind: for who looks back over a while only."""
    rows = connection.execute(
        """
        select register_id, gateway_id, line, kind, min(started_at) from findings
        where (register_id = any(%s) or gateway_id = %s) and kind = any(%s) and ended_at is null
        group by 1, 2, 3, 4
        """,
        (list(register_ids), gateway_id, list(kinds)),
    )
    return {((register, gateway, line), kind): at for register, gateway, line, kind, at in rows}


def _sync(
    connection: Connection,
    rows: Sequence[_Stored],
    findings: Sequence[FindingRow],
    looked_back_to: datetime | None,
) -> int:
    stored = {row.finding.key: row for row in rows}
    wanted = {finding.key: finding for finding in findings}
    fresh = [finding for key, finding in wanted.items() if key not in stored]
    touched, changed = 0, []
    for key, row in stored.items():
        finding = wanted.get(key) or next((each for each in fresh if each.overlaps(row.finding)), None)
        if finding is None and looked_back_to is not None and row.finding.started_at < looked_back_to:
            touched += _end(connection, row, looked_back_to)
        elif finding is None:
            touched += _withdraw(connection, row)
        elif finding != row.finding:
            changed.append((row.id, finding))
        if finding in fresh:
            fresh.remove(finding)
    _update(connection, changed)
    _insert(connection, fresh)
    return touched + len(changed) + len(fresh)


def _withdraw(connection: Connection, row: _Stored) -> int:
    removed = connection.execute(
        """
        delete from findings f where id = %s and state = 'open'
          and not exists (select from finding_changes c where c.finding_id = f.id)
        """,
        (row.id,),
    ).rowcount
    return removed or _end(connection, row, row.finding.started_at)


def _end(connection: Connection, row: _Stored, at: datetime) -> int:
    return connection.execute(
        "update findings set ended_at = %s where id = %s and ended_at is null", (at, row.id)
    ).rowcount


def _update(connection: Connection, changed: Sequence[tuple[int, FindingRow]]) -> None:
    """Write what is said now of findings, by id."""
    if not changed:
        return
    connection.execute(
        """
        update findings set severity = new.severity, started_at = new.started_at, ended_at = new.ended_at,
                            evidence = new.evidence
        from unnest(%s::bigint[], %s::text[], %s::timestamptz[], %s::timestamptz[], %b::jsonb[])
             as new (id, severity, started_at, ended_at, evidence)
        where findings.id = new.id
        """,
        (
            [identity for identity, _ in changed],
            [each.severity for _, each in changed],
            [each.started_at for _, each in changed],
            [each.ended_at for _, each in changed],
            [Jsonb(each.evidence) for _, each in changed],
        ),
    )


def _insert(connection: Connection, findings: Sequence[FindingRow]) -> None:
    with connection.cursor() as cursor:
        cursor.executemany(
            """
            insert into findings
                (register_id, gateway_id, line, utility_id, kind, severity, started_at, ended_at, evidence)
            values (%s, %s, %s, %s, %s, %s, %s, %s, %s)
            """,
            [
                (*f.subject, f.utility_id, f.kind, f.severity, f.started_at, f.ended_at, Jsonb(f.evidence))
                for f in findings
            ],
        )


def counts(connection: Connection, utility: str) -> dict[str, int]:
    """How many findings a utility has, by kind."""
    rows = connection.execute(
        """
        select f.kind, count(*) from findings f join utilities u on u.id = f.utility_id
        where u.code = %s group by 1 order by 1
        """,
        (utility,),
    )
    return dict(rows.fetchall())


@dataclass(frozen=True, slots=True)
class OpenFinding:
    """A finding that nobody has set aside, as the month close needs it."""

    register_id: int
    kind: str
    started_at: datetime
    ended_at: datetime | None


def unresolved(
    connection: Connection, register_ids: Sequence[int], kind: str, since: datetime, until: datetime
) -> list[OpenFinding]:
    """Findings of a kind that touch `since` to `until`, but for false alarms and resolved ones."""
    with connection.cursor(row_factory=class_row(OpenFinding)) as cursor:
        return cursor.execute(
            """
            select register_id, kind, started_at, ended_at from findings
            where register_id = any(%s) and kind = %s and started_at < %s
              and (ended_at is null or ended_at > %s) and state in ('open', 'acknowledged')
            order by register_id, started_at
            """,
            (list(register_ids), kind, until, since),
        ).fetchall()
