"""Facts of cases that are not ordinary, read set by set: a dozen queries a block."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from functools import cache, partial
from itertools import groupby
from operator import attrgetter

from psycopg import Connection

from metering.billing.boundary import Boundary, Missing, ReadingAt, Surroundings, boundary, boundary_of
from metering.billing.case import (
    BillingCase,
    BillingMonth,
    InstallationPart,
    InstalledRegister,
    RegisterMark,
    StoredReading,
    carried_on,
    counted,
    events_of,
    lapse_within,
    verified_still,
)
from metering.billing.estimate import BilledBefore, BillingPast
from metering.billing.evidence import FindingEvidence
from metering.billing.method import Method
from metering.billing.rule_set import last_day
from metering.billing.verdict import Explanations, missing_places
from metering.periods.calendar import Period, neighbour
from metering.periods.submission_window import SubmissionCalendar
from store.billing.closes import issued
from store.billing.measured import installed, marks_between, stored_beside, usable_beside
from store.billing.rule_sets import billed_before, coefficients, verified_until
from store.submissions.handed_in import SubmissionBoundary, last_handed_in
from store.validation.findings import unresolved
from telemetry.findings import STUCK
from telemetry.obis import Obis
from telemetry.status import Status

_FAR = timedelta(days=1)
_HOWEVER_FAR = timedelta(days=36_500)

_Marks = Mapping[int, Sequence[RegisterMark]]  # by register
_EndKey = tuple[int, str, int, datetime]


def gather(connection: Connection, month: BillingMonth, keys: Sequence[tuple[int, str]]) -> list[BillingCase]:
    """The cases of these (service point id, register), in order of service point and register."""
    utility, period = month.utility, month.period
    rows = installed(connection, utility.id, period.starts_at, period.ends_at, keys) if keys else []
    if not rows:
        return []
    registers = sorted({row.register_id for row in rows})
    span = [row.within(period) for row in rows]
    last_ends = _last_ends(connection, month, sorted({row.service_point_id for row in rows}))
    reach = max(row.limits(month).reach for row in rows) + _FAR
    since = min([period.starts_at - reach, *(end.settled_at for end in last_ends.values())])
    marks: dict[int, list[RegisterMark]] = defaultdict(list)
    for mark in marks_between(connection, registers, since, period.ends_at + reach):
        marks[mark.register_id].append(mark)
    verified = _verified(connection, month, rows)
    starts = _boundaries(connection, rows, [start for start, _ in span], month, marks)
    ends = _boundaries(connection, rows, [end for _, end in span], month, marks)
    lapses = _lapses(connection, rows, verified, month, marks)
    findings: dict[int, list[FindingEvidence]] = defaultdict(list)
    for finding in unresolved(connection, registers, STUCK, period.starts_at, period.ends_at):
        shown = FindingEvidence(finding.kind, finding.started_at.astimezone(UTC))
        findings[finding.register_id].append(shown)
    parts = []
    for row, start, end in zip(rows, starts, ends, strict=True):
        part = InstallationPart(
            row,
            verified_still(start, verified.get(row.meter), month),
            verified_still(end, verified.get(row.meter), month),
            events_of(marks[row.register_id]),
            counted(marks[row.register_id], start.instant, end.instant),
            tuple(findings[row.register_id]),
            lapse=lapses.get(row.installation_id),
        )
        before = last_ends.get((row.service_point_id, row.obis, row.register_id, start.instant))
        parts.append(carried_on(part, before, neighbour(period.name, -1)))
    cases = groupby(parts, attrgetter("row.service_point_id", "row.service_point", "row.obis"))
    return [BillingCase(*key, tuple(of_case)) for key, of_case in cases]


def past(connection: Connection, month: BillingMonth, cases: Sequence[BillingCase]) -> BillingPast:
    """What estimates rest on, where the rules of the month estimate at all."""
    if not any(method.is_estimate for method in month.rules.ladder):
        return BillingPast({}, {})
    points = sorted({case.service_point_id for case in cases})
    far = max(month.rules.average.months, month.rules.average.at_most_periods)
    billed: dict[tuple[int, str], list[BilledBefore]] = defaultdict(list)
    names = [neighbour(month.period.name, -n) for n in range(1, far + 1)]
    for row in billed_before(connection, points, names):
        billed[row.service_point_id, row.obis].append(row)
    amounts: dict[int, dict[str, Decimal]] = defaultdict(dict)
    for (point, per), amount in coefficients(connection, points, month.first_day).items():
        amounts[point][per] = amount
    return BillingPast(billed, amounts)


def explanations(connection: Connection, cases: Sequence[BillingCase]) -> Explanations:
    """The nearest readings of any kind, where a boundary has no value."""
    missing = [place for case in cases for place in missing_places(case)]
    places = [part.row.place(at, _HOWEVER_FAR) for part, at in missing]
    found = stored_beside(connection, places) if places else []
    return {(place.register_id, place.instant): beside for place, beside in zip(places, found, strict=True)}


def _verified(
    connection: Connection, month: BillingMonth, rows: Sequence[InstalledRegister]
) -> Mapping[str, date]:
    """Until when meters are verified, where the rules ask for it."""
    if not month.rules.verification.required:
        return {}
    day = last_day(month.period.ends_at, month.zone)
    return verified_until(connection, sorted({row.meter for row in rows}), month.utility.id, day)


def _lapses(
    connection: Connection,
    rows: Sequence[InstalledRegister],
    verified: Mapping[str, date],
    month: BillingMonth,
    marks: _Marks,
) -> dict[int, Boundary]:
    """The values at which verifications ran out within the period, by installation."""
    found = {}
    for row in rows:
        instant = lapse_within(row, verified[row.meter], month) if row.meter in verified else None
        if instant is not None:
            (value,) = _boundaries(connection, [row], [instant], month, marks)
            if isinstance(value, Boundary):
                found[row.installation_id] = value
    return found


def _boundaries(
    connection: Connection,
    rows: Sequence[InstalledRegister],
    instants: Sequence[datetime],
    month: BillingMonth,
    marks: _Marks,
) -> list[Boundary | Missing]:
    """The boundary of each row at its instant."""
    limits = [row.limits(month) for row in rows]
    places = [row.place(at, limit.reach) for row, at, limit in zip(rows, instants, limits, strict=True)]
    apart = int(Status.MANUAL) if Method.HANDED_IN in month.rules.ladder else 0
    found = usable_beside(connection, places, without=apart)
    submitted = _handed_in(connection, rows, instants, month) if apart else [None] * len(rows)
    return [
        boundary(
            Surroundings(
                instant,
                _reading(before),
                _reading(after),
                row.noted(instant),
                row.capacity,
                events_of(marks[row.register_id]),
                _reading(handed_in),
            ),
            limit,
        )
        for row, instant, limit, (before, after), handed_in in zip(
            rows, instants, limits, found, submitted, strict=True
        )
    ]


def _handed_in(
    connection: Connection,
    rows: Sequence[InstalledRegister],
    instants: Sequence[datetime],
    month: BillingMonth,
) -> list[StoredReading | None]:
    """The last reading that was handed in for each boundary: by its receipt, or where it has none by the
    submission window of the period that ends there. For an exchange within a period only what came before."""

    @cache
    def taken_for(medium: int, instant: datetime) -> tuple[Period, tuple[datetime, datetime]]:
        days = SubmissionCalendar(
            month.zone, month.utility.reading_day, partial(month.rules.window_on, medium)
        )
        period = days.period_of_day(last_day(instant, month.zone))
        return month.utility.period(period), days.span(period)

    asked = []
    for row, instant in zip(rows, instants, strict=True):
        period, (since, until) = taken_for(Obis.parse(row.obis).a, instant)
        asked.append(
            SubmissionBoundary(
                row.register_id,
                row.service_point_id,
                period.name,
                begins=period.starts_at,
                instant=instant,
                earliest=row.valid_from,
                latest=row.valid_to if instant == period.ends_at else instant,
                since=since,
                until=until,
            )
        )
    return last_handed_in(connection, asked)


def _reading(stored: StoredReading | None) -> ReadingAt | None:
    return None if stored is None else ReadingAt(stored.at, stored.value, Status(stored.status))


def _last_ends(connection: Connection, month: BillingMonth, points: Sequence[int]) -> dict[_EndKey, Boundary]:
    """The ends of what was billed for the period before, by service point, register and instant."""
    ends: dict[_EndKey, Boundary] = {}
    for row in issued(connection, month.utility.id, neighbour(month.period.name, -1), points):
        for part in row.evidence.installations:
            end = boundary_of(part.end)
            ends[row.service_point_id, row.obis, part.register, end.instant] = end
    return ends
