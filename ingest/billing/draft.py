"""Drafting a period, block by block: what is ordinary by one statement, the rest case by case.

Every block is a transaction of its own and says that it is done within it. So any number of sessions may
draft side by side, and a draft that was interrupted goes on where it stopped; what it comes to is the same.
"""

import json
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from itertools import groupby, product
from operator import attrgetter
from typing import Any

from psycopg import Connection

from anomaly.boundary.stuck import KIND as STUCK
from ingest.billing.gather import Case, Month, gather, place_of
from metering.billing.boundary import SET_DAY_MISSING
from metering.billing.estimate import past
from metering.billing.method import BUILT_IN, Method
from metering.billing.rule_set import last_day
from metering.billing.sums import compared
from metering.billing.unmeasured import never_read, no_meter
from metering.billing.verdict import Context, Explanations, missing_places, verdict
from metering.periods.calendar import neighbour
from store.billing.bulk_draft import Drafted, Setting, draft_ordinary
from store.billing.changed_points import forget, is_comparable, note_touched, untouched
from store.billing.closes import BillingRow, ExceptionRow, IssuedRow, issued, last_run
from store.billing.drafted import add_drafted, count_block
from store.billing.drafts import Block, DraftRow, claim, narrow, progress
from store.billing.measured import Points, stored_beside, unmetered, unread
from store.validation.judgement import await_validators
from telemetry.blocks import BLOCK
from telemetry.quality import Quality
from telemetry.status import Status

BLOCK_SIZE = 5_000  # service points: a statement that fits in memory, and some tenths of a second of work

_HOWEVER_FAR = timedelta(days=36_500)
_ORDINARY_STATUS = (Status.HISTORICAL, Status.IMPORTED, Status.POWER_LOW)  # with or without each of these

Told = Callable[[int, int], None]
"""Is told (blocks drafted, blocks in all) after each block; called from any thread."""


def draft_blocks(sessions: Sequence[Connection], draft: DraftRow, month: Month, told: Told | None) -> None:
    """Draft what is missing, in each of these sessions at once."""
    with sessions[0].transaction():  # else blocks would be parts of the one that this begins
        settings = _setting(sessions[0], draft, month)
    if len(sessions) == 1:
        _work(sessions[0], draft, month, settings, told)
        return
    with ThreadPoolExecutor(len(sessions)) as threads:
        work = [threads.submit(_work, session, draft, month, settings, told) for session in sessions]
    for each in work:
        each.result()


def _work(session: Connection, draft: DraftRow, month: Month, setting: Setting, told: Told | None) -> None:
    while True:
        with session.transaction():
            block = claim(session, draft)
            if block is None:
                return
            count_block(session, draft, block, _draft_block(session, draft, block, month, setting))
            done = progress(session, draft)
        if told is not None:
            told(*done)


def _draft_block(
    session: Connection, draft: DraftRow, block: Block, month: Month, setting: Setting
) -> dict[str, Any]:
    points = Points(draft.utility_id, block.first, block.last, None if draft.whole else draft.id)
    await_validators(session, points)
    ordinary = draft_ordinary(session, draft, points, setting)
    cases = gather(session, month, ordinary.rest)
    unmeasured = _unmeasured(session, points, month, cases)
    context = Context(month, past(session, month, cases), _explanations(session, cases))
    said = {(each.service_point_id, each.obis) for each in unmeasured}
    verdicts = compared([verdict(case, context) for case in cases if case.key not in said], cases, month)
    billed = [each for each in verdicts if isinstance(each, BillingRow)]
    excepted = [each for each in verdicts if isinstance(each, ExceptionRow)] + unmeasured
    touched = sorted({each.service_point_id for each in (*verdicts, *unmeasured)})
    before = {
        (row.service_point_id, row.obis): row
        for row in issued(session, draft.utility_id, draft.period, touched)
    }
    fresh = _versions(billed, before)
    add_drafted(session, draft, fresh, excepted)
    return _counts(ordinary, billed, fresh, excepted, before) | {
        "following": ordinary.following + _following(session, draft, touched, billed)
    }


def _setting(session: Connection, draft: DraftRow, month: Month) -> Setting:
    period, rules = month.period, month.rules
    previous, following = neighbour(period.name, -1), neighbour(period.name, 1)
    return Setting(
        utility=month.utility.code,
        starts_at=period.starts_at,
        ends_at=period.ends_at,
        previous=previous,
        next=following,
        has_previous=last_run(session, draft.utility_id, previous) > 0,
        has_next=last_run(session, draft.utility_id, following) > 0,
        finding=STUCK,
        ways={Method.SET_DAY: _way(Method.SET_DAY), Method.READING: _way(Method.READING, SET_DAY_MISSING)},
        statuses=_statuses() if _is_ordinary(month) else {},
        historical=int(Status.HISTORICAL),
        rules=None if rules.label is None else json.dumps(rules.label, ensure_ascii=False),
        verified_until=last_day(period.ends_at, month.zone) if rules.verification.required else None,
        sums=rules.sums is not None,
    )


def note_changes(session: Connection, draft: DraftRow, month: Month) -> DraftRow:
    """Narrow a draft down to what was touched since the last close, where that can be told."""
    if draft.base_run == 0 or not _is_ordinary(month) or not is_comparable(session, draft):
        return draft
    forget(session)
    note_touched(
        session,
        draft,
        previous=neighbour(draft.period, -1),
        plain=(Method.READING, Method.SET_DAY),
        finding=STUCK,
        block=BLOCK,
    )
    return narrow(session, draft)


def left_alone(session: Connection, draft: DraftRow) -> dict[str, Any]:
    """The counts, as of a block, of what such a draft was not about."""
    found = untouched(session, draft, neighbour(draft.period, 1))
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


def _is_ordinary(month: Month) -> bool:
    """Whether the ladder begins as the one that is built in; else every case goes down that of the rules."""
    return month.rules.ladder[:3] == BUILT_IN[:3]


def _way(method: Method, *passed_over: str) -> str:
    return f'"method":"{method}","passed_over":{json.dumps(passed_over, separators=(",", ":"))}'


def _statuses() -> dict[int, str]:
    """The labels of ordinary statuses, as canonical JSON."""
    every = (Status(sum(bits)) for bits in product(*((0, int(bit)) for bit in _ORDINARY_STATUS)))
    return {int(status): json.dumps(status.labels(), separators=(",", ":")) for status in every}


def _unmeasured(
    session: Connection, points: Points, month: Month, cases: Sequence[Case]
) -> list[ExceptionRow]:
    """Exceptions where no meter was, or one of which nothing is known; the latter in place of the cases."""
    span = (month.period.starts_at, month.period.ends_at)
    found = [no_meter(row) for row in unmetered(session, points, *span)]
    missed = [exception for exception in found if exception is not None]
    for point, rows in groupby(unread(session, points, *span), attrgetter("service_point_id")):
        registers = [case.obis for case in cases if case.service_point_id == point]
        missed += never_read(list(rows), registers)
    return missed


def _explanations(session: Connection, cases: Sequence[Case]) -> Explanations:
    missing = [place for case in cases for place in missing_places(case)]
    places = [place_of(part.row, at, _HOWEVER_FAR) for part, at in missing]
    found = stored_beside(session, places) if places else []
    return {(place.register_id, place.instant): beside for place, beside in zip(places, found, strict=True)}


def _versions(billed: Sequence[BillingRow], before: Mapping[tuple[int, str], IssuedRow]) -> list[BillingRow]:
    """What has to be added, numbered."""
    fresh = []
    for reading in billed:
        known = before.get((reading.service_point_id, reading.obis))
        if known is None:
            fresh.append(reading)
        elif known.content_hash != reading.content_hash:
            fresh.append(replace(reading, version=known.version + 1))
    return fresh


def _following(
    session: Connection, draft: DraftRow, points: Sequence[int], billed: Sequence[BillingRow]
) -> int:
    """How many billing readings of the next period do not begin where these end."""
    ends = {(reading.service_point_id, reading.obis): reading for reading in billed}
    count = 0
    for row in issued(session, draft.utility_id, neighbour(draft.period, 1), points):
        reading = ends.get((row.service_point_id, row.obis))
        if reading is None:
            continue
        mine, next_one = reading.evidence["installations"][-1], row.evidence["installations"][0]
        if (
            mine["register"] == next_one["register"]
            and mine["end"]["instant"] == next_one["start"]["instant"]
        ):
            count += reading.end_value != row.start_value
    return count


def _counts(
    ordinary: Drafted,
    billed: Sequence[BillingRow],
    fresh: Sequence[BillingRow],
    excepted: Sequence[ExceptionRow],
    before: Mapping[tuple[int, str], IssuedRow],
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
        "exceptions": _tally(exception.reason for exception in excepted),
        "standing": sum((each.service_point_id, each.obis) in before for each in excepted),
    }


def _tally(names: Iterable[str]) -> dict[str, int]:
    return dict(Counter(names))
