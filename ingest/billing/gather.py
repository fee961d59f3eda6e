"""What a close needs to know, read set by set: a handful of queries for a whole utility."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from psycopg import Connection

from anomaly.stuck import KIND as STUCK
from ingest.billing.boundary import Boundary, Event, Limits, Missing, ReadingAt, Surroundings, boundary
from ingest.billing.calendar import Period, neighbour
from ingest.billing.evidence import boundary_from
from store.billing import (
    InstalledRow,
    Place,
    RegisterMark,
    StoredReading,
    UtilityRow,
    installed,
    marks_between,
    usable_beside,
)
from store.closes import issued
from store.findings import OpenFinding, unresolved
from store.validation import await_validators
from telemetry.status import Status

_EVENT_RULES = {"rollover", "reset", "swap_suspect"}  # marks after which the register's count is another
_FAR = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Carried:
    """The last period's end, taken as this one's start although `found` would be the value today."""

    period: str
    found: Boundary | Missing


@dataclass(frozen=True, slots=True)
class Part:
    """One meter's part of a period at a service point, with the marks and findings in it."""

    row: InstalledRow
    start: Boundary | Missing
    end: Boundary | Missing
    events: tuple[Event, ...]
    marks: Mapping[str, int]  # rule -> how many readings, within the period
    findings: tuple[OpenFinding, ...]
    carried: Carried | None = None


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


def gather(connection: Connection, utility: UtilityRow, period: Period) -> list[Case]:
    """Every case of the period, in order of service point and register."""
    rows = installed(connection, utility.id, period.starts_at, period.ends_at)
    if not rows:
        return []
    registers = sorted({row.register_id for row in rows})
    await_validators(connection, registers)
    span = [_span(row, period) for row in rows]
    reach = max(_limits(row, utility).reach for row in rows) + _FAR
    marks = _by_register(
        marks_between(connection, registers, period.starts_at - reach, period.ends_at + reach)
    )
    starts = _boundaries(connection, rows, [start for start, _ in span], utility, marks)
    ends = _boundaries(connection, rows, [end for _, end in span], utility, marks)
    findings: dict[int, list[OpenFinding]] = defaultdict(list)
    for finding in unresolved(connection, registers, STUCK, period.starts_at, period.ends_at):
        findings[finding.register_id].append(finding)
    last_ends = _last_ends(connection, utility, period)
    cases: dict[tuple[int, str], list[Part]] = defaultdict(list)
    for row, start, end in zip(rows, starts, ends, strict=True):
        before = last_ends.get((row.service_point_id, row.obis, row.register_id, start.instant))
        part = Part(
            row,
            start,
            end,
            _events(marks[row.register_id]),
            _counted(marks[row.register_id], start.instant, end.instant),
            tuple(findings[row.register_id]),
        )
        cases[row.service_point_id, row.obis].append(_carried(part, before, period))
    return [
        Case(point, parts[0].row.service_point, obis, tuple(parts)) for (point, obis), parts in cases.items()
    ]


def _span(row: InstalledRow, period: Period) -> tuple[datetime, datetime]:
    """From when to when the meter measured within the period."""
    start = max(period.starts_at, row.valid_from)
    return start, period.ends_at if row.valid_to is None else min(period.ends_at, row.valid_to)


def _limits(row: InstalledRow, utility: UtilityRow) -> Limits:
    return Limits(row.tolerance, utility.interpolation_limit)


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
    utility: UtilityRow,
    marks: Mapping[int, Sequence[RegisterMark]],
) -> list[Boundary | Missing]:
    """The boundary of each row at its instant."""
    places = [
        place_of(row, instant, _limits(row, utility).reach)
        for row, instant in zip(rows, instants, strict=True)
    ]
    found = usable_beside(connection, places)
    return [
        boundary(
            Surroundings(
                instant,
                _reading(before),
                _reading(after),
                _noted(row, instant),
                row.capacity,
                _events(marks[row.register_id]),
            ),
            _limits(row, utility),
        )
        for row, instant, (before, after) in zip(rows, instants, found, strict=True)
    ]


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


def _last_ends(connection: Connection, utility: UtilityRow, period: Period) -> dict[_EndKey, Boundary]:
    """The ends of what was billed for the period before, by service point, register and instant."""
    ends: dict[_EndKey, Boundary] = {}
    for row in issued(connection, utility.id, neighbour(period.name, -1)):
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
    return Part(part.row, before, part.end, part.events, part.marks, part.findings, carried)
