"""Close of a period: drafted, looked at, approved.

A person starts each close. It drafts a billing reading or an exception for every billed register of every
service point (`draft.py`), and says what that comes to. Whoever approves it issues it, in one transaction:
new billing readings, new versions of those whose content changed, all exceptions, and a row about the close
itself. What was issued is never altered, and closing again without new facts adds nothing. Changes to what
was issued are approved by another person than the one who drafted them.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from enum import Enum, StrEnum
from typing import Any

from psycopg import Connection

from ingest.billing.draft import BLOCK_SIZE, Told, draft_blocks, left_alone, note_changes
from metering.billing.canonical_hash import instant
from metering.billing.case import BillingMonth
from metering.billing.rule_set import RuleSet, parse_rules
from metering.periods.calendar import PeriodError
from store.billing.approval import ApprovalError, approve_news
from store.billing.approval import withdraw as withdraw_draft
from store.billing.closes import exceptions_of, last_run, note
from store.billing.drafted import counted, drafted_exceptions
from store.billing.drafts import DraftRow, begin, complete, cut, draft_of, is_cut, progress, remove
from store.billing.locks import Doing, lock_period
from store.billing.measured import utility as load_utility
from store.billing.rule_sets import RulesRow, rules_on


class DraftScope(Enum):
    """Scope of a draft where the period was closed before."""

    CHANGED = "changed"  # the service points that something happened to since
    ALL = "all"


class CloseState(StrEnum):
    """Stage of a close."""

    DRAFTED = "drafted"
    APPROVED = "approved"


@dataclass(frozen=True, slots=True)
class CloseSummary:
    """Summary of a close. `run` counts the closes of the period that added something."""

    utility: str
    period: str
    starts_at: str
    ends_at: str
    run: int
    state: CloseState
    registers: int  # cases of this period: billed + excepted
    ordinary: int  # of the billed: those about which nothing had to be considered
    billed: int
    new: int  # of the billed: first versions
    corrected: int  # of the billed: further versions
    unchanged: int  # of the billed: as issued before
    qualities: dict[str, int]  # of the billed
    methods: dict[str, int]  # of the billed: how the values at their ends were found
    exceptions: dict[str, int]  # by reason
    standing: int  # exceptions for which an earlier version was issued, which stands until it is corrected
    following: int  # billing readings of the next period that do not begin where these end: close that again

    @property
    def changed(self) -> bool:
        """Whether this close adds billing readings."""
        return bool(self.new or self.corrected)


def close(
    connection: Connection,
    utility: str,
    period: str,
    author: str,
    now: datetime,
    *,
    approver: str | None = None,
) -> CloseSummary:
    """Draft `period` and approve it at once: by the author, or by `approver` where something is corrected.

    Commits, unless the caller is in a transaction. Raises what `draft` and `approve` raise; the draft is
    there then.
    """
    summary = draft([connection], utility, period, author, now)
    if summary.state is CloseState.APPROVED:
        return summary
    return approve(connection, utility, period, approver or author)


def draft(
    sessions: Sequence[Connection],
    utility: str,
    period: str,
    author: str,
    now: datetime,
    *,
    scope: DraftScope = DraftScope.CHANGED,
    block_size: int = BLOCK_SIZE,
    told: Told | None = None,
) -> CloseSummary:
    """Draft `period` in these sessions at once; a draft that was interrupted is completed.

    A period that was closed before is drafted where something happened since, unless `scope` says that all
    of it is; both come to the same. Where nothing differs from what was issued nothing is left to approve,
    and the summary says so. Raises LookupError for an unknown utility, PeriodError for a period that has not
    ended at `now`, and RulesError.
    """
    connection = sessions[0]
    with connection.transaction():
        month, rules = _month(connection, utility, period)
        if month.period.ends_at > now:
            raise PeriodError(f"{period} ends at {instant(month.period.ends_at)}; close it after that")
        lock_period(connection, month.utility.id, period, Doing.DRAFTS, author)
        begun = _begun(connection, month, author, None if rules is None else rules.id, scope)
        if not is_cut(connection, begun):
            if scope is DraftScope.CHANGED:
                begun = note_changes(connection, begun, month)
            cut(connection, begun, block_size)
    draft_blocks(sessions, begun, month, told)
    with connection.transaction():
        lock_period(connection, month.utility.id, period, Doing.DRAFTS, author)
        _refuse_others(connection, begun)
        blocks = counted(connection, begun)
        if not begun.whole:
            blocks.append(left_alone(connection, begun))
        summary = _summary(month, begun, blocks)
        if not _news(connection, begun, summary):
            remove(connection, begun)
            return replace(summary, run=begun.base_run, state=CloseState.APPROVED)
        counts = _told(summary)
        complete(connection, begun, counts)
        note(
            *(connection, begun.utility_id, period),
            run=summary.run,
            state=summary.state,
            author=begun.author,
            summary=counts,
        )
    return summary


def approve(connection: Connection, utility: str, period: str, author: str) -> CloseSummary:
    """Issue what was drafted, as `author`, who may have drafted it where nothing is corrected.

    Commits, unless the caller is in a transaction. Raises LookupError for an unknown utility, and
    ApprovalError.
    """
    with connection.transaction():
        known = load_utility(connection, utility)
        issued = approve_news(connection, known.id, period, author)
    assert issued.summary is not None
    return CloseSummary(
        utility=known.code,
        period=period,
        starts_at=instant(issued.starts_at),
        ends_at=instant(issued.ends_at),
        run=issued.base_run + 1,
        state=CloseState.APPROVED,
        **issued.summary,
    )


def withdraw(connection: Connection, utility: str, period: str, author: str) -> None:
    """Leave nothing of a draft but the fact. Raises LookupError and ApprovalError."""
    with connection.transaction():
        withdraw_draft(connection, load_utility(connection, utility).id, period, author)


def _month(connection: Connection, utility: str, period: str) -> tuple[BillingMonth, RulesRow | None]:
    calendar = load_utility(connection, utility)
    month = BillingMonth(calendar, calendar.period(period), RuleSet())
    row = rules_on(connection, calendar.id, month.first_day)
    return (month if row is None else replace(month, rules=parse_rules(row.content))), row


def _begun(
    connection: Connection, month: BillingMonth, author: str, rules: int | None, scope: DraftScope
) -> DraftRow:
    """The draft to complete: one of all points that was interrupted and still fits, or a new one."""
    utility_id, period = month.utility.id, month.period.name
    run = last_run(connection, utility_id, period)
    known = draft_of(connection, utility_id, period)
    if (
        known is not None
        and known.drafted_at is None
        and (known.base_run, known.rules) == (run, rules)
        and known.whole
        and (run == 0 or scope is DraftScope.ALL)
    ):
        return known
    return begin(connection, utility_id, month.period, base_run=run, author=author, rules=rules)


def _refuse_others(connection: Connection, begun: DraftRow) -> None:
    """Raises ApprovalError where somebody else drafts the period, or did it meanwhile."""
    now_there = draft_of(connection, begun.utility_id, begun.period)
    done, blocks = progress(connection, begun)
    if now_there != begun or done < blocks:
        raise ApprovalError(
            f"{begun.period} was drafted by somebody else at the same time: look at that, or draft it again"
        )


def _news(connection: Connection, draft: DraftRow, summary: CloseSummary) -> bool:
    """Whether a draft differs from what was issued."""
    if draft.base_run == 0 or summary.changed:
        return True
    known = exceptions_of(connection, draft.utility_id, draft.period, draft.base_run)
    return drafted_exceptions(connection, draft) != known


def _summary(month: BillingMonth, draft: DraftRow, blocks: Sequence[dict[str, Any]]) -> CloseSummary:
    def total(name: str) -> int:
        return sum(counts[name] for counts in blocks)

    def tally(name: str) -> dict[str, int]:
        return dict(sorted(sum((Counter(counts[name]) for counts in blocks), Counter[str]()).items()))

    exceptions = tally("exceptions")
    billed, new, corrected = total("billed"), total("new"), total("corrected")
    return CloseSummary(
        utility=month.utility.code,
        period=month.period.name,
        starts_at=instant(month.period.starts_at),
        ends_at=instant(month.period.ends_at),
        run=draft.base_run + 1,
        state=CloseState.DRAFTED,
        registers=billed + sum(exceptions.values()),
        ordinary=total("ordinary"),
        billed=billed,
        new=new,
        corrected=corrected,
        unchanged=billed - new - corrected,
        qualities=tally("qualities"),
        methods=tally("methods"),
        exceptions=exceptions,
        standing=total("standing"),
        following=total("following"),
    )


def _told(summary: CloseSummary) -> dict[str, Any]:
    """The counts, without what is a column of its own."""
    told = asdict(summary)
    for known in ("utility", "period", "starts_at", "ends_at", "run", "state"):
        del told[known]
    return told
