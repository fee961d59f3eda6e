"""The close of a period: for every billed register of every service point a billing reading or an exception.

A person starts each close. What it finds is added in one transaction: new billing readings, new versions of
those whose content changed, all exceptions, and a row about the close itself. Nothing is ever updated, and
closing again without new facts adds nothing.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime, timedelta
from itertools import groupby
from operator import attrgetter
from zoneinfo import ZoneInfo

from psycopg import Connection

from ingest.billing.calendar import Period, PeriodError, neighbour, period_of
from ingest.billing.gather import Case, gather, place_of
from ingest.billing.unmeasured import never_read, no_meter
from ingest.billing.verdict import Context, Explanations, missing_places, verdict
from store.billing import UtilityRow, stored_beside, unmetered, unread
from store.billing import utility as load_utility
from store.closes import (
    BillingRow,
    CloseRow,
    ExceptionRow,
    IssuedRow,
    add_close,
    issued,
    last_run,
    lock_period,
)
from store.content import instant
from store.outbox import put
from telemetry.quality import Quality

_HOWEVER_FAR = timedelta(days=36_500)


@dataclass(frozen=True, slots=True)
class Summary:
    """What a close came to. `run` counts the closes of the period that added something."""

    utility: str
    period: str
    starts_at: str
    ends_at: str
    run: int
    registers: int  # cases of this period: billed + excepted
    billed: int
    new: int  # of the billed: first versions
    corrected: int  # of the billed: further versions
    unchanged: int  # of the billed: as issued before
    qualities: dict[str, int]  # of the billed
    exceptions: dict[str, int]  # by reason
    standing: int  # exceptions for which an earlier version was issued, which stands until it is corrected
    following: int  # billing readings of the next period that do not begin where these end: close that again

    @property
    def changed(self) -> bool:
        """Whether this close added billing readings."""
        return bool(self.new or self.corrected)


def close(connection: Connection, utility: str, period: str, author: str, now: datetime) -> Summary:
    """Close `period` of the utility with that code. Commits, unless the caller is in a transaction.

    Raises LookupError for an unknown utility, and PeriodError for a period that has not ended at `now`.
    """
    with connection.transaction():
        calendar = load_utility(connection, utility)
        span = period_of(period, ZoneInfo(calendar.time_zone), calendar.reading_day)
        if span.ends_at > now:
            raise PeriodError(f"{period} ends at {instant(span.ends_at)}; close it after that")
        lock_period(connection, calendar.id, period)
        cases = gather(connection, calendar, span)
        unmeasured = _unmeasured(connection, calendar, span, cases)
        context = Context(utility, span, _explanations(connection, cases))
        said = {(each.service_point_id, each.obis) for each in unmeasured}
        verdicts = [verdict(case, context) for case in cases if case.key not in said] + unmeasured
        billed = [each for each in verdicts if isinstance(each, BillingRow)]
        excepted = sorted(
            (each for each in verdicts if isinstance(each, ExceptionRow)),
            key=lambda each: (each.service_point_id, each.obis),
        )
        before = {(row.service_point_id, row.obis): row for row in issued(connection, calendar.id, period)}
        fresh = _versions(billed, before)
        run, known_exceptions = last_run(connection, calendar.id, period)
        following = _following(connection, calendar.id, span, billed)
        summary = _summary(
            utility,
            span,
            billed=billed,
            fresh=fresh,
            excepted=excepted,
            before=before,
            following=following,
        )
        if run == 0 or fresh or excepted != known_exceptions:
            run += 1
            row = _close_row(calendar.id, span, author, summary)
            put(connection, add_close(connection, row, run, fresh, excepted))
    return replace(summary, run=run)


def _unmeasured(
    connection: Connection, utility: UtilityRow, span: Period, cases: Sequence[Case]
) -> list[ExceptionRow]:
    """Exceptions where no meter was, or one of which nothing is known; the latter in place of the cases."""
    found = [no_meter(row) for row in unmetered(connection, utility.id, span.starts_at, span.ends_at)]
    missed = [exception for exception in found if exception is not None]
    silent = unread(connection, utility.id, span.starts_at, span.ends_at)
    for point, rows in groupby(silent, attrgetter("service_point_id")):
        registers = [case.obis for case in cases if case.service_point_id == point]
        missed += never_read(list(rows), registers)
    return missed


def _explanations(connection: Connection, cases: Sequence[Case]) -> Explanations:
    missing = [place for case in cases for place in missing_places(case)]
    places = [place_of(part.row, at, _HOWEVER_FAR) for part, at in missing]
    found = stored_beside(connection, places) if places else []
    return {(place.register_id, place.instant): beside for place, beside in zip(places, found, strict=True)}


def _versions(billed: Sequence[BillingRow], before: dict[tuple[int, str], IssuedRow]) -> list[BillingRow]:
    """What has to be added, numbered."""
    fresh = []
    for reading in billed:
        known = before.get((reading.service_point_id, reading.obis))
        if known is None:
            fresh.append(reading)
        elif known.content_hash != reading.content_hash:
            fresh.append(replace(reading, version=known.version + 1))
    return fresh


def _following(connection: Connection, utility_id: int, span: Period, billed: Sequence[BillingRow]) -> int:
    """How many billing readings of the next period do not begin where these end."""
    ends = {(reading.service_point_id, reading.obis): reading for reading in billed}
    count = 0
    for row in issued(connection, utility_id, neighbour(span.name, 1)):
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


def _summary(
    utility: str,
    span: Period,
    *,
    billed: Sequence[BillingRow],
    fresh: Sequence[BillingRow],
    excepted: Sequence[ExceptionRow],
    before: dict[tuple[int, str], IssuedRow],
    following: int,
) -> Summary:
    corrected = sum(reading.version > 1 for reading in fresh)
    return Summary(
        utility=utility,
        period=span.name,
        starts_at=instant(span.starts_at),
        ends_at=instant(span.ends_at),
        run=0,
        registers=len(billed) + len(excepted),
        billed=len(billed),
        new=len(fresh) - corrected,
        corrected=corrected,
        unchanged=len(billed) - len(fresh),
        qualities=_counts(Quality(reading.quality).label for reading in billed),
        exceptions=_counts(exception.reason for exception in excepted),
        standing=sum((each.service_point_id, each.obis) in before for each in excepted),
        following=following,
    )


def _counts(names: Iterable[str]) -> dict[str, int]:
    return dict(sorted(Counter(names).items()))


def _close_row(utility_id: int, span: Period, author: str, summary: Summary) -> CloseRow:
    told = asdict(summary)
    for known in ("utility", "period", "starts_at", "ends_at", "run"):  # columns of the row itself
        del told[known]
    return CloseRow(
        utility_id,
        span.name,
        span.starts_at,
        span.ends_at,
        span.start_offset,
        span.end_offset,
        author,
        told,
    )
