"""Approval of a draft: what was drafted becomes billing readings, in one transaction, or is withdrawn."""

from dataclasses import asdict
from typing import Any

from psycopg import Connection

from store.audit import has_account
from store.billing.closes import last_run, note
from store.billing.drafts import DraftRow, draft_of, progress, remove
from store.billing.locks import Doing, lock_period
from store.billing.rule_sets import rules_on
from store.delivery.acknowledgements import note_delivered
from store.delivery.outbox import put
from store.postgres.errors import StoreError


class ApprovalError(StoreError):
    """Draft that cannot be approved; the message says what to do."""


class SecondPersonError(ApprovalError):
    """Draft that cannot be approved by this person, who drafted it or edited what it rests on."""


def approve(connection: Connection[Any], utility_id: int, period: str, approver: str) -> DraftRow:
    """Issue what was drafted of a period, as another person than the one who drafted it; what that was.

    Commits, unless the caller is in a transaction. Raises ApprovalError, SecondPersonError for whoever
    drafted it, or made an edit that it contains for the first time, and PeriodBusyError.
    """
    with connection.transaction():
        draft = _to_approve(connection, utility_id, period, approver)
        _hold_apart(draft, approver)
        return _approve(connection, draft, approver)


def approve_news(connection: Connection[Any], utility_id: int, period: str, approver: str) -> DraftRow:
    """The same, but whoever drafted it may do it where nothing changes that was issued before."""
    with connection.transaction():
        draft = _to_approve(connection, utility_id, period, approver)
        corrected = draft.summary["corrected"] if draft.summary else 0
        if corrected:
            _hold_apart(draft, approver, f"{corrected} billing readings change that were issued before; ")
        return _approve(connection, draft, approver)


def withdraw(connection: Connection[Any], utility_id: int, period: str, author: str) -> None:
    """Leave nothing of a draft but the fact. Commits, unless the caller is in one.

    Raises ApprovalError and PeriodBusyError.
    """
    with connection.transaction():
        lock_period(connection, utility_id, period, Doing.WITHDRAWS, author)
        found = draft_of(connection, utility_id, period)
        if found is None:
            raise ApprovalError(f"nothing of {period} is drafted")
        run = found.base_run + 1
        note(connection, utility_id, period, run=run, state="withdrawn", author=author, summary={})
        remove(connection, found)


def _hold_apart(draft: DraftRow, approver: str, because: str = "") -> None:
    """Raises SecondPersonError unless two people are known to have drafted and to approve."""
    if not has_account(approver):
        raise SecondPersonError(
            f"{draft.period}: {because}who approves has an account, and {approver} has none: use "
            "`hesper login`, or let `hesper user map` say whose account this user of the system is"
        )
    if not has_account(draft.author):
        raise SecondPersonError(
            f"{draft.period}: {because}it was drafted by {draft.author}, who may be anybody: withdraw the "
            "draft, and draft it again with an account (`hesper login`)"
        )
    if approver == draft.author:
        raise SecondPersonError(
            f"{draft.period} was drafted by {approver}: {because}another person approves it"
        )


def _to_approve(connection: Connection[Any], utility_id: int, period: str, approver: str) -> DraftRow:
    """The draft, where it is complete and still fits; nobody else closes the period meanwhile."""
    lock_period(connection, utility_id, period, Doing.APPROVES, approver)
    found = draft_of(connection, utility_id, period)
    if found is None:
        raise ApprovalError(
            f"nothing of {period} waits for approval: draft it first, with `hesper close {period}`"
        )
    done, blocks = progress(connection, found)
    if found.drafted_at is None or done < blocks:
        raise ApprovalError(f"the draft of {period} is not complete: `hesper close {period}` completes it")
    if blocks != found.blocks:
        raise ApprovalError(f"the draft of {period} was lost with the server: draft it again")
    if found.base_run != last_run(connection, utility_id, period):
        raise ApprovalError(f"{period} was closed since this was drafted: draft it again")
    rules = rules_on(connection, utility_id, (found.starts_at + found.start_offset).date())
    if found.rules != (None if rules is None else rules.id):
        raise ApprovalError(f"{period} has other rules since this was drafted: draft it again")
    return found


def _approve(connection: Connection[Any], draft: DraftRow, approver: str) -> DraftRow:
    edits = _own_edits(connection, draft, approver)
    if edits:
        raise SecondPersonError(
            f"{draft.period} contains {edits} edits by {approver}: another person approves it"
        )
    # Here, and nowhere else, billing readings come to be: what has to be told of them belongs beside it.
    close_id = _issue(connection, draft)
    connection.execute("select note_disputable_telegrams(%s)", (close_id,))
    put(connection, close_id)
    note(
        connection,
        draft.utility_id,
        draft.period,
        run=draft.base_run + 1,
        state="approved",
        author=approver,
        summary=draft.summary or {},
    )
    note_delivered(connection, draft.utility_id, draft.period, approver)
    remove(connection, draft)
    return draft


def _own_edits(connection: Connection[Any], draft: DraftRow, person: str) -> int:
    """How many edits by this person hold for what was drafted and were not part of the last close."""
    row = connection.execute(
        """
        with own as (
            select distinct e.id, i.service_point_id, r.obis
            from edits e
            left join edit_approvals a on a.edit_id = e.id
            join utilities u on u.id = e.utility_id
            join registers r on r.id = e.register_id
            join installations i on i.meter_id = r.meter_id and i.valid_from <= e.measured_at
                                 and (i.valid_to is null or i.valid_to >= e.measured_at)
            left join closes c on c.utility_id = e.utility_id and c.period = %(period)s
                              and c.run = %(base_run)s
            where e.utility_id = %(utility_id)s and e.author = %(person)s
              and (not e.needs_approval or a.edit_id is not null)
              and e.measured_at between %(starts_at)s - greatest(u.boundary_tolerance, u.interpolation_limit)
                                    and %(ends_at)s + greatest(u.boundary_tolerance, u.interpolation_limit)
              and (c.id is null or coalesce(a.created_at, e.created_at) > c.drafted_at)
        )
        select count(distinct own.id) from own join (
            select service_point_id, obis from draft_readings where draft_id = %(id)s
            union all select service_point_id, obis from draft_exceptions where draft_id = %(id)s
        ) drafted using (service_point_id, obis)
        """,
        asdict(draft) | {"person": person},
    ).fetchone()
    assert row is not None
    return int(row[0])


def _issue(connection: Connection[Any], draft: DraftRow) -> int:
    """Make what was drafted the next run of the period's close; the id of its row in `closes`."""
    parameters = asdict(draft)
    row = connection.execute(
        """
        insert into closes (utility_id, period, starts_at, ends_at, run, author, summary, drafted_at, rules,
                            seen, cluster)
        select utility_id, period, starts_at, ends_at, base_run + 1, author, summary, begun_at, rules, seen,
               cluster
        from close_drafts where id = %(id)s returning id
        """,
        parameters,
    ).fetchone()
    assert row is not None
    parameters["close"] = row[0]
    connection.execute("set local work_mem = '256MB'")  # or a join of a million goes by the disk
    connection.execute(
        """
        insert into billing_readings
            (utility_id, close_id, period, starts_at, ends_at, start_offset, end_offset, service_point_id,
             obis, version, start_value, end_value, consumption, unit, quality, start_method, end_method,
             evidence, content_hash, true_up, account)
        select %(utility_id)s, %(close)s, %(period)s, %(starts_at)s, %(ends_at)s, %(start_offset)s,
               %(end_offset)s, r.service_point_id, r.obis, r.version, r.start_value, r.end_value,
               r.consumption, r.unit, r.quality, r.start_method, r.end_method, r.evidence, r.content_hash,
               r.true_up, p.account
        from draft_readings r join service_points p on p.id = r.service_point_id
        where r.draft_id = %(id)s
        """,
        parameters,
    )
    connection.execute(
        """
        insert into billing_exceptions
            (utility_id, close_id, period, service_point_id, obis, reason, detail, evidence)
        select %(utility_id)s, %(close)s, %(period)s, service_point_id, obis, reason, detail, evidence
        from draft_exceptions where draft_id = %(id)s
        """,
        parameters,
    )
    return int(row[0])
