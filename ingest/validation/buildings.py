"""The balance of buildings: counted anew for days that readings touched, and what drifts as findings.

A day is the difference of two values at local midnight. One that no reading stands next to is interpolated
within the utility's limit and counts as estimated; beyond it the day of that point is not known. Findings are
events of the house meter's register.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np
from psycopg import Connection

from anomaly.detectors.balance import DRIFT, NEGATIVE, BalanceFinding, balance, drift
from metering.billing.differences import ROUND, step
from store.postgres.arrays import from_microseconds
from store.validation.balance_queue import take
from store.validation.balances import (
    BalanceDay,
    Edge,
    House,
    MeasuredStretch,
    days_of,
    edges,
    houses_at,
    keep_days,
    register_at,
    stretches,
)
from store.validation.findings import FindingRow, sync_findings
from telemetry.units import UnitError, ratio

GRACE = timedelta(minutes=30)  # after a day's end, for readings on their way
KINDS = (DRIFT, NEGATIVE)
_TOGETHER = 62  # days that are counted in one transaction
_NEAR = timedelta(hours=2)  # between the readings beside a midnight, where nothing else is promised
_EPOCH = date(1970, 1, 1)


@dataclass(frozen=True, slots=True)
class _Value:
    """A register's value at an instant, in micro-units; `measured`: readings stand next to it."""

    micro: int
    measured: bool


@dataclass(frozen=True, slots=True)
class _Use:
    """What a point used on a day, in micro-units of the house's register; None: not known."""

    micro: int | None
    measured: bool


def count(connection: Connection, now: datetime) -> int:
    """Count days of one building that are over and wait; how many. 0: nothing waits."""
    with connection.transaction():
        taken = take(connection, now - GRACE, _TOGETHER)
        if taken is None:
            return 0
        site_id, days = taken
        for house in houses_at(connection, site_id):
            keep_days(connection, house, days, _days(connection, house, days))
            found = _findings(connection, house)
            sync_findings(connection, house.registers, KINDS, found)
        return len(days)


def _days(connection: Connection, house: House, days: Sequence[date]) -> list[BalanceDay]:
    parts = stretches(connection, house.points + house.flats, house.obis, days, house.zone)
    wanted = {
        (part.register_id, at)
        for part in parts
        if part.register_id is not None
        for at, written in ((part.begins, part.first), (part.ends, part.last))
        if written is None
    }
    beside = edges(connection, sorted(wanted), house.limit)
    used: dict[tuple[int, date], list[_Use]] = {}
    for part in parts:
        used.setdefault((part.point, part.day), []).append(_use(part, beside, house))
    return [counted for day in days if (counted := _day(house, day, used)) is not None]


def _day(house: House, day: date, used: Mapping[tuple[int, date], Sequence[_Use]]) -> BalanceDay | None:
    """A day of a house; None where it had no meter of its own yet, or nothing is known."""
    own = [use for point in house.points for use in used.get((point, day), ())]
    there = {point: _sum(uses) for point in house.flats if (uses := used.get((point, day)))}
    if not own or all(use.micro is None for use in (_sum(own), *there.values())):
        return None
    return BalanceDay(
        day,
        house.obis,
        house.unit,
        _sum(own).micro,
        list(there),
        [use.micro for use in there.values()],
        [use.measured for use in there.values()],
    )


def _sum(uses: Sequence[_Use]) -> _Use:
    known = [use.micro for use in uses if use.micro is not None]
    whole = len(known) == len(uses)
    return _Use(sum(known) if whole else None, whole and all(use.measured for use in uses))


def _use(part: MeasuredStretch, beside: Mapping[tuple[int, datetime], Edge], house: House) -> _Use:
    start, end = (
        _value(part, at, written, beside)
        for at, written in ((part.begins, part.first), (part.ends, part.last))
    )
    if start is None or end is None or part.unit is None:
        return _Use(None, measured=False)
    try:
        scale = ratio(part.unit, house.unit)
    except UnitError:
        return _Use(None, measured=False)
    moved = step(start.micro, end.micro, part.capacity)
    if moved is None:
        return _Use(None, measured=False)
    return _Use(
        round(moved * part.multiplier * scale.numerator / scale.denominator), start.measured and end.measured
    )


def _value(
    part: MeasuredStretch, at: datetime, written: int | None, beside: Mapping[tuple[int, datetime], Edge]
) -> _Value | None:
    if written is not None:
        return _Value(written, measured=True)
    edge = None if part.register_id is None else beside.get((part.register_id, at))
    if edge is None or edge.before is None or edge.before_at is None:
        return None
    if abs(edge.before_at - at) <= ROUND:
        return _Value(edge.before, measured=True)
    if edge.after is None or edge.after_at is None:
        return None
    gap = edge.after_at - edge.before_at
    moved = step(edge.before, edge.after, part.capacity)
    if moved is None:
        return None
    value = edge.before + moved * ((at - edge.before_at) // timedelta(microseconds=1)) // (
        gap // timedelta(microseconds=1)
    )
    wrapped = value if part.capacity is None else value % part.capacity
    return _Value(wrapped, measured=gap <= max(_NEAR, 2 * (part.interval or timedelta())))


def _findings(connection: Connection, house: House) -> list[FindingRow]:
    """What is said of all days of a house that were counted."""
    days = days_of(connection, house)
    if not days:
        return []
    first = days[0].day
    length = (days[-1].day - first).days + 1
    points = sorted({point for day in days for point in day.points})
    row = {point: place for place, point in enumerate(points)}
    main = np.full(length, np.nan)
    flats = np.full((len(points), length), np.nan)
    given = np.zeros(flats.shape, dtype=np.bool_)
    for day in days:
        at = (day.day - first).days
        main[at] = np.nan if day.house is None else day.house
        flats[:, at] = 0.0  # where no meter was installed
        for point, used, measured in zip(day.points, day.used, day.measured, strict=True):
            given[row[point], at] = not measured
            flats[row[point], at] = np.nan if used is None else used
    # one that never told stays in the difference
    told = {
        row[point]
        for day in days
        for point, used in zip(day.points, day.used, strict=True)
        if used is not None
    }
    ever = sorted(told)
    begin = (first - _EPOCH).days
    made = balance(begin, main, flats[ever], given[ever])
    return list(_rows(connection, house, drift(made, ZoneInfo(house.zone))))


def _rows(connection: Connection, house: House, found: Iterable[BalanceFinding]) -> Iterable[FindingRow]:
    for each in found:
        started = from_microseconds(each.started_at).astimezone(UTC)
        yield FindingRow(
            register_at(connection, house, started),
            house.utility_id,
            each.kind,
            each.severity.value,
            started,
            None if each.ended_at is None else from_microseconds(each.ended_at),
            dict(each.evidence),
        )
