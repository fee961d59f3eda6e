"""Drafting a period, block by block: what is ordinary by one statement, the rest case by case.

Every block is a transaction of its own and says that it is done within it. So any number of sessions may
draft side by side, and a draft that was interrupted goes on where it stopped; what it comes to is the same.
"""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from itertools import groupby
from operator import attrgetter
from typing import Any

from psycopg import Connection

from ingest.billing.gather import explanations, gather, past
from metering.billing.canonical_hash import BillingDraft, BillingException
from metering.billing.case import BillingCase, BillingMonth
from metering.billing.method import Method
from metering.billing.ordinary import knows_ordinary
from metering.billing.sums import compared
from metering.billing.unmeasured import never_read, no_meter
from metering.billing.verdict import VerdictContext, verdict
from metering.periods.calendar import neighbour
from store.billing.bulk_draft import BulkDrafted, BulkSetting, draft_ordinary
from store.billing.changed_points import forget, is_comparable, note_touched, untouched
from store.billing.closes import LatestVersion, issued, last_run
from store.billing.drafted import add_drafted, count_block
from store.billing.drafts import DraftBlock, DraftRow, claim, narrow, progress
from store.billing.measured import Points, unmetered, unread
from store.validation.judgement import await_validators
from telemetry.findings import STUCK
from telemetry.quality import Quality

BLOCK_SIZE = 5_000  # service points: a statement that fits in memory, and some tenths of a second of work

Told = Callable[[int, int], None]
"""Is told (blocks drafted, blocks in all) after each block; called from any thread."""


def draft_blocks(
    sessions: Sequence[Connection], draft: DraftRow, month: BillingMonth, told: Told | None
) -> None:
    """Draft what is missing, in each of these sessions at once."""
    with sessions[0].transaction():  # else blocks would be parts of the one that this begins
        setting = _setting(sessions[0], draft, month)
    if len(sessions) == 1:
        _work(sessions[0], draft, setting, told)
        return
    with ThreadPoolExecutor(len(sessions)) as threads:
        work = [threads.submit(_work, session, draft, setting, told) for session in sessions]
    for each in work:
        each.result()


def _setting(session: Connection, draft: DraftRow, month: BillingMonth) -> BulkSetting:
    return BulkSetting(
        month,
        has_previous=last_run(session, draft.utility_id, neighbour(draft.period, -1)) > 0,
        has_next=last_run(session, draft.utility_id, neighbour(draft.period, 1)) > 0,
        finding=STUCK,
        ordinary=knows_ordinary(month.rules),
    )


def _work(session: Connection, draft: DraftRow, setting: BulkSetting, told: Told | None) -> None:
    while True:
        with session.transaction():
            block = claim(session, draft)
            if block is None:
                return
            count_block(session, draft, block, _draft_block(session, draft, block, setting))
            done = progress(session, draft)
        if told is not None:
            told(*done)


def _draft_block(
    session: Connection, draft: DraftRow, block: DraftBlock, setting: BulkSetting
) -> dict[str, Any]:
    month = setting.month
    points = Points(draft.utility_id, block.first, block.last, None if draft.whole else draft.id)
    await_validators(session, points)
    ordinary = draft_ordinary(session, draft, points, setting)
    cases = gather(session, month, ordinary.rest)
    unmeasured = _unmeasured(session, points, month, cases)
    context = VerdictContext(month, past(session, month, cases), explanations(session, cases))
    said = {each.key for each in unmeasured}
    verdicts = compared([verdict(case, context) for case in cases if case.key not in said], cases, month)
    billed = [each for each in verdicts if isinstance(each, BillingDraft)]
    excepted = [each for each in verdicts if isinstance(each, BillingException)] + unmeasured
    touched = sorted({each.service_point_id for each in (*verdicts, *unmeasured)})
    before = {row.key: row for row in issued(session, draft.utility_id, draft.period, touched)}
    fresh = _versions(billed, before)
    add_drafted(session, draft, fresh, excepted)
    return _counts(ordinary, billed, fresh, excepted, before) | {
        "following": ordinary.following + _following(session, draft, touched, billed)
    }


def note_changes(session: Connection, draft: DraftRow, month: BillingMonth) -> DraftRow:
    """Narrow a draft down to what was touched since the last close, where that can be told."""
    if draft.base_run == 0 or not knows_ordinary(month.rules) or not is_comparable(session, draft):
        return draft
    forget(session)
    note_touched(session, draft, STUCK)
    return narrow(session, draft)


def left_alone(session: Connection, draft: DraftRow) -> dict[str, Any]:
    """The counts, as of a block, of what such a draft was not about."""
    found = untouched(session, draft)
    return {
        "ordinary": found.billed,
        "billed": found.billed,
        "new": 0,
        "corrected": 0,
        "qualities": {Quality(quality).label: count for quality, count in found.qualities.items()},
        "methods": found.methods,
        "exceptions": {},
        "standing": 0,
        "following": found.following,
    }


def _unmeasured(
    session: Connection, points: Points, month: BillingMonth, cases: Sequence[BillingCase]
) -> list[BillingException]:
    """Exceptions where no meter was, or one of which nothing is known; the latter in place of the cases."""
    span = (month.period.starts_at, month.period.ends_at)
    found = [no_meter(row) for row in unmetered(session, points, *span)]
    missed = [exception for exception in found if exception is not None]
    for point, rows in groupby(unread(session, points, *span), attrgetter("service_point_id")):
        registers = [case.obis for case in cases if case.service_point_id == point]
        missed += never_read(list(rows), registers)
    return missed


def _versions(
    billed: Sequence[BillingDraft], before: Mapping[tuple[int, str], LatestVersion]
) -> list[BillingDraft]:
    """What has to be added, numbered."""
    fresh = []
    for reading in billed:
        known = before.get(reading.key)
        if known is None:
            fresh.append(reading)
        elif known.content_hash != reading.digest():
            fresh.append(replace(reading, version=known.version + 1))
    return fresh


def _following(
    session: Connection, draft: DraftRow, points: Sequence[int], billed: Sequence[BillingDraft]
) -> int:
    """How many billing readings of the next period do not begin where these end."""
    ends = {reading.key: reading for reading in billed}
    count = 0
    for row in issued(session, draft.utility_id, neighbour(draft.period, 1), points):
        reading = ends.get(row.key)
        if reading is None:
            continue
        mine, next_one = reading.evidence.installations[-1], row.evidence.installations[0]
        if mine.register == next_one.register and mine.end.instant == next_one.start.instant:
            count += reading.end_value != row.start_value
    return count


def _counts(
    ordinary: BulkDrafted,
    billed: Sequence[BillingDraft],
    fresh: Sequence[BillingDraft],
    excepted: Sequence[BillingException],
    before: Mapping[tuple[int, str], LatestVersion],
) -> dict[str, Any]:
    corrected = sum(reading.version > 1 for reading in fresh)
    qualities = Counter(Quality(reading.quality).label for reading in billed)
    qualities[Quality.VALID.label] += ordinary.billed
    methods = Counter(reading.end_method for reading in billed)
    methods[Method.READING] += ordinary.billed - ordinary.set_day
    methods[Method.SET_DAY] += ordinary.set_day
    return {
        "ordinary": ordinary.billed,
        "billed": ordinary.billed + len(billed),
        "new": ordinary.new + len(fresh) - corrected,
        "corrected": ordinary.corrected + corrected,
        "qualities": {label: count for label, count in qualities.items() if count},
        "methods": {str(method): count for method, count in methods.items() if count},
        "exceptions": dict(Counter(exception.reason for exception in excepted)),
        "standing": sum(each.key in before for each in excepted),
    }
