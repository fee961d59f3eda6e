"""What a close needs to know of cases that are not ordinary, read set by set: a dozen queries a block."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time, timedelta
from functools import partial
from zoneinfo import ZoneInfo

from psycopg import Connection

from anomaly.boundary.stuck import KIND as STUCK
from metering.billing.boundary import Boundary, Event, Limits, Missing, ReadingAt, Surroundings, boundary
from metering.billing.evidence import boundary_from
from metering.billing.method import Method
from metering.billing.rule_set import Rules, last_day
from metering.periods.calendar import Period, neighbour, period_of
from metering.periods.submission_window import SubmissionCalendar
from store.billing.closes import issued
from store.billing.measured import (
    InstalledRow,
    Place,
    RegisterMark,
    StoredReading,
    UtilityRow,
    installed,
    marks_between,
    usable_beside,
)
from store.billing.rule_sets import verified_until
from store.submissions.handed_in import HandedInFor, last_handed_in
from store.validation.findings import OpenFinding, unresolved
from telemetry.obis import Obis
from telemetry.status import Status

_EVENT_RULES = {"rollover", "reset", "swap_suspect"}  # marks after which the register's count is another
_FAR = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Month:
    """A period of a utility, and by which rules it is closed."""

    utility: UtilityRow
    period: Period
    rules: Rules

    @property
    def zone(self) -> ZoneInfo:
        """The utility's time zone."""
        return ZoneInfo(self.utility.time_zone)


@dataclass(frozen=True, slots=True)
class Carried:
    """The last period's end, taken as this one's start although `found` would be the value today."""

    period: str
    found: Boundary | Missing


@dataclass(frozen=True, slots=True)
class Part:
    """One meter's part of a period at a service point, with the marks and findings in it.

    `lapse`: the value when the meter's verification ran out within the part, after which nothing counts.
    """

    row: InstalledRow
    start: Boundary | Missing
    end: Boundary | Missing
    events: tuple[Event, ...]
    marks: Mapping[str, int]  # rule -> how many readings, within the period
    findings: tuple[OpenFinding, ...]
    carried: Carried | None = None
    lapse: Boundary | None = None


@dataclass(frozen=True, slots=True)
class Case:
    """What there is to bill: one register of a service point, measured by one meter after the other."""

    service_point_id: int
    service_point: str
    obis: str
    parts: tuple[Part, ...]

    @property
    def key(self) -> tuple[int, str]:
        """What a billing reading is for, beside the period."""
        return self.service_point_id, self.obis


def gather(connection: Connection, month: Month, keys: Sequence[tuple[int, str]]) -> list[Case]:
    """The cases of these (service point id, register), in order of service point and register."""
    utility, period = month.utility, month.period
    rows = installed(connection, utility.id, period.starts_at, period.ends_at, keys) if keys else []
    if not rows:
        return []
    registers = sorted({row.register_id for row in rows})
    span = [_span(row, period) for row in rows]
    last_ends = _last_ends(connection, month, sorted({row.service_point_id for row in rows}))
    reach = max(_limits(row, month).reach for row in rows) + _FAR
    since = min([period.starts_at - reach, *(end.settled_at for end in last_ends.values())])
    marks = _by_register(marks_between(connection, registers, since, period.ends_at + reach))
    lapses = _lapses(connection, month, rows)
    starts = _boundaries(connection, rows, [start for start, _ in span], month, marks)
    ends = _boundaries(connection, rows, [end for _, end in span], month, marks)
    expired = _expired(connection, rows, lapses, month, marks)
    findings: dict[int, list[OpenFinding]] = defaultdict(list)
    for finding in unresolved(connection, registers, STUCK, period.starts_at, period.ends_at):
        findings[finding.register_id].append(finding)
    cases: dict[tuple[int, str], list[Part]] = defaultdict(list)
    for row, start, end in zip(rows, starts, ends, strict=True):
        lapse = lapses.get(row.meter)
        before = last_ends.get((row.service_point_id, row.obis, row.register_id, start.instant))
        part = Part(
            row,
            _counting(start, lapse, month),
            _counting(end, lapse, month),
            _events(marks[row.register_id]),
            _counted(marks[row.register_id], start.instant, end.instant),
            tuple(findings[row.register_id]),
            lapse=expired.get(row.installation_id),
        )
        cases[row.service_point_id, row.obis].append(_carried(part, before, period))
    return [
        Case(point, parts[0].row.service_point, obis, tuple(parts)) for (point, obis), parts in cases.items()
    ]


def _lapses(connection: Connection, month: Month, rows: Sequence[InstalledRow]) -> dict[str, date]:
    """Until when meters are verified, where the rules ask for it."""
    if not month.rules.verification.required:
        return {}
    day = last_day(month.period.ends_at, month.zone)
    return verified_until(connection, sorted({row.meter for row in rows}), month.utility.id, day)


def _counting(found: Boundary | Missing, verified: date | None, month: Month) -> Boundary | Missing:
    """The boundary, unless the meter's verification had run out by then."""
    day = last_day(found.instant, month.zone)
    if verified is None or not month.rules.verification.lapsed(verified, day):
        return found
    why = f"verification: it ran out after {verified}, so nothing that the meter shows on {day} counts"
    return Missing(found.instant, "verification_expired", (why,))


def _expired(
    connection: Connection,
    rows: Sequence[InstalledRow],
    lapses: Mapping[str, date],
    month: Month,
    marks: Mapping[int, Sequence[RegisterMark]],
) -> dict[int, Boundary]:
    """The values at which verifications ran out within the period, by installation."""
    found = {}
    for row in rows:
        if row.meter in lapses:
            start, end = _span(row, month.period)
            day = month.rules.verification.lapses_on(lapses[row.meter])
            instant = datetime.combine(day, time(), month.zone).astimezone(UTC)
            if start < instant < end:
                (value,) = _boundaries(connection, [row], [instant], month, marks)
                if isinstance(value, Boundary):
                    found[row.installation_id] = value
    return found


def _span(row: InstalledRow, period: Period) -> tuple[datetime, datetime]:
    """From when to when the meter measured within the period."""
    start = max(period.starts_at, row.valid_from)
    return start, period.ends_at if row.valid_to is None else min(period.ends_at, row.valid_to)


def _limits(row: InstalledRow, month: Month) -> Limits:
    return Limits(row.tolerance, month.utility.interpolation_limit, month.rules.ladder)


def place_of(row: InstalledRow, instant: datetime, reach: timedelta) -> Place:
    """Where to look for readings beside a boundary: never outside the time of the installation."""
    latest = instant + reach
    return Place(
        row.register_id,
        instant,
        max(instant - reach, row.valid_from),
        latest if row.valid_to is None else min(latest, row.valid_to),
    )


def _boundaries(
    connection: Connection,
    rows: Sequence[InstalledRow],
    instants: Sequence[datetime],
    month: Month,
    marks: Mapping[int, Sequence[RegisterMark]],
) -> list[Boundary | Missing]:
    """The boundary of each row at its instant."""
    limits = [_limits(row, month) for row in rows]
    places = [
        place_of(row, instant, limit.reach)
        for row, instant, limit in zip(rows, instants, limits, strict=True)
    ]
    apart = int(Status.MANUAL) if Method.HANDED_IN in month.rules.ladder else 0
    found = usable_beside(connection, places, without=apart)
    submitted = _handed_in(connection, rows, instants, month) if apart else [None] * len(rows)
    return [
        boundary(
            Surroundings(
                instant,
                _reading(before),
                _reading(after),
                _noted(row, instant),
                row.capacity,
                _events(marks[row.register_id]),
                _reading(handed_in),
            ),
            limit,
        )
        for row, instant, limit, (before, after), handed_in in zip(
            rows, instants, limits, found, submitted, strict=True
        )
    ]


def _handed_in(
    connection: Connection, rows: Sequence[InstalledRow], instants: Sequence[datetime], month: Month
) -> list[StoredReading | None]:
    """The last reading that was handed in for each boundary: by its receipt, or where it has none by the
    submission window of the period that ends there. For an exchange within a period only what came before."""
    asked = []
    for row, instant in zip(rows, instants, strict=True):
        medium = Obis.parse(row.obis).a
        days = SubmissionCalendar(
            month.zone, month.utility.reading_day, partial(month.rules.window_on, medium)
        )
        period = days.period_of_day(last_day(instant, month.zone))
        whole = period_of(period, month.zone, month.utility.reading_day)
        since, until = days.span(period)
        latest = row.valid_to if instant == whole.ends_at else instant
        asked.append(
            HandedInFor(
                row.register_id,
                row.service_point_id,
                period,
                begins=whole.starts_at,
                instant=instant,
                earliest=row.valid_from,
                latest=latest,
                since=since,
                until=until,
            )
        )
    return last_handed_in(connection, asked)


def _reading(stored: StoredReading | None) -> ReadingAt | None:
    return None if stored is None else ReadingAt(stored.at, stored.value, Status(stored.status))


def _noted(row: InstalledRow, instant: datetime) -> int | None:
    if instant == row.valid_from:
        return row.start_value
    return row.end_value if instant == row.valid_to else None


def _by_register(marks: Sequence[RegisterMark]) -> Mapping[int, Sequence[RegisterMark]]:
    grouped: dict[int, list[RegisterMark]] = defaultdict(list)
    for mark in marks:
        grouped[mark.register_id].append(mark)
    return grouped


def _events(marks: Sequence[RegisterMark]) -> tuple[Event, ...]:
    return tuple(Event(mark.measured_at, mark.rule) for mark in marks if mark.rule in _EVENT_RULES)


def _counted(marks: Sequence[RegisterMark], since: datetime, until: datetime) -> dict[str, int]:
    counts: dict[str, int] = defaultdict(int)
    for mark in marks:
        if since <= mark.measured_at <= until:
            counts[mark.rule] += 1
    return dict(sorted(counts.items()))


_EndKey = tuple[int, str, int, datetime]


def _last_ends(connection: Connection, month: Month, points: Sequence[int]) -> dict[_EndKey, Boundary]:
    """The ends of what was billed for the period before, by service point, register and instant."""
    ends: dict[_EndKey, Boundary] = {}
    for row in issued(connection, month.utility.id, neighbour(month.period.name, -1), points):
        for part in row.evidence["installations"]:
            end = boundary_from(part["end"])
            ends[row.service_point_id, row.obis, part["register"], end.instant] = end
    return ends


def _carried(part: Part, before: Boundary | None, period: Period) -> Part:
    """The part beginning where the last billed period ended, so that nothing used is lost or billed twice.

    That is what was found anyway, unless late readings came or readings were judged anew since.
    """
    start = part.start
    if before is None:
        return part
    same = isinstance(start, Boundary) and (start.value, start.settled_at) == (
        before.value,
        before.settled_at,
    )
    if same:
        return part
    carried = Carried(neighbour(period.name, -1), start)
    return replace(part, start=before, carried=carried)
