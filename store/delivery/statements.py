"""The reconciliation statement of an account: what was issued, and what billing says it has, by month.

What billing has is what it acknowledged, by pulling with control totals or message by message. A difference
is never left without a reason: a version that was not acknowledged yet, an estimate, a register left out.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from psycopg import Connection
from psycopg.rows import class_row

from metering.billing.canonical_hash import decimal, instant
from telemetry.quality import Quality

_MEASURED = {Quality.VALID, Quality.VALIDATED, Quality.VERIFIED}


@dataclass(frozen=True, slots=True)
class VersionRow:
    """One version of a billing reading of the account. Consumption and true-up in micro-units of `unit`.

    `delivered_at`: first taken by a destination; `acknowledged_at`: first counted by a billing system.
    """

    period: str
    service_point: str
    obis: str
    unit: str
    version: int
    consumption: int
    quality: int
    created_at: datetime
    delivered_at: datetime | None
    acknowledged_at: datetime | None
    id: int
    true_up: int | None = None


@dataclass(frozen=True, slots=True)
class ExclusionRow:
    """A register that the last close of a period left out, and why."""

    period: str
    service_point: str
    obis: str
    reason: str
    detail: str


@dataclass(frozen=True, slots=True)
class Side:
    """A version as one side holds it. Consumption, and what settles earlier estimates, in micro-units."""

    version: int
    consumption: int
    true_up: int = 0


@dataclass(frozen=True, slots=True)
class Line:
    """A register in a month. `unit` is empty where nothing was ever issued.

    `remarks` say in English what `issued` (our last version), `acknowledged` (theirs) and `excluded` say too.
    """

    period: str
    service_point: str
    obis: str
    unit: str
    ours: Side | None
    theirs: Side | None
    remarks: tuple[str, ...]
    issued: VersionRow | None
    acknowledged: VersionRow | None
    excluded: ExclusionRow | None

    @property
    def estimated(self) -> bool:
        """Whether our figure was not measured."""
        return self.issued is not None and Quality(self.issued.quality) not in _MEASURED

    @property
    def difference(self) -> int:
        """Ours minus theirs, true-ups included, in micro-units: what billing has yet to take over."""
        return _billed(self.ours) - _billed(self.theirs)


@dataclass(frozen=True, slots=True)
class Total:
    """All registers of one unit and kind in a month, true-ups included, in micro-units."""

    period: str
    register: str  # '8-0:1.0.0 m3'
    ours: int
    theirs: int


def versions(
    connection: Connection[Any], utility_id: int, account: str, first: str, last: str
) -> list[VersionRow]:
    """All versions of an account's billing readings of the periods from `first` to `last`, in order."""
    with connection.cursor(row_factory=class_row(VersionRow)) as cursor:
        cursor.execute(
            """
            with issued as (
                select * from billing_readings
                where utility_id = %(utility)s and account = %(account)s and account <> ''
                  and period between %(first)s and %(last)s
                union all  -- where nobody noted the account with the reading, the present one
                select b.* from service_points p join billing_readings b on b.service_point_id = p.id
                where p.utility_id = %(utility)s and p.account = %(account)s and p.account <> ''
                  and b.account is null and b.period between %(first)s and %(last)s
            )
            select b.period, p.code as service_point, b.obis, b.unit, b.version, b.consumption, b.quality,
                   b.created_at, b.true_up, sent.delivered_at,
                   least(sent.acknowledged_at,
                         (select min(a.at) from billing_acknowledgements a
                          where a.utility_id = b.utility_id and a.period = b.period and a.cursor >= b.id)
                   ) as acknowledged_at, b.id
            from issued b
            join service_points p on p.id = b.service_point_id
            cross join lateral (
                select min(o.delivered_at) as delivered_at, min(o.acknowledged_at) as acknowledged_at
                from outbox o
                where o.close_id = b.close_id and b.id between o.first_reading and o.last_reading
            ) sent
            order by b.period, p.code, b.obis, b.version
            """,
            {"utility": utility_id, "account": account, "first": first, "last": last},
        )
        return cursor.fetchall()


def exclusions(
    connection: Connection[Any], utility_id: int, account: str, first: str, last: str
) -> list[ExclusionRow]:
    """What the last close of each of these periods left out for the account's service points."""
    with connection.cursor(row_factory=class_row(ExclusionRow)) as cursor:
        cursor.execute(
            """
            select e.period, p.code as service_point, e.obis, e.reason, e.detail
            from (
                select distinct on (period) id from closes
                where utility_id = %(utility)s and period between %(first)s and %(last)s
                order by period, run desc
            ) c
            join billing_exceptions e on e.close_id = c.id
            join service_points p on p.id = e.service_point_id
            where p.utility_id = %(utility)s and p.account = %(account)s and p.account <> ''
            order by e.period, p.code, e.obis
            """,
            {"utility": utility_id, "account": account, "first": first, "last": last},
        )
        return cursor.fetchall()


def reconcile(issued: Sequence[VersionRow], excluded: Sequence[ExclusionRow]) -> list[Line]:
    """Both sides of every register and month, in order, with a reason for every difference."""
    by_place: dict[tuple[str, str, str], list[VersionRow]] = {}
    for row in issued:
        by_place.setdefault((row.period, row.service_point, row.obis), []).append(row)
    why = {(row.period, row.service_point, row.obis): row for row in excluded}
    return [
        _line(place, sorted(by_place.get(place, []), key=lambda row: row.version), why.get(place))
        for place in sorted(by_place.keys() | why.keys())
    ]


def _line(place: tuple[str, str, str], issued: Sequence[VersionRow], exclusion: ExclusionRow | None) -> Line:
    ours = issued[-1] if issued else None
    theirs = next((row for row in reversed(issued) if row.acknowledged_at is not None), None)
    remarks = []
    if exclusion is not None:
        standing = "; what was issued before stands until then" if issued else ""
        remarks.append(f"left out of accounting ({exclusion.reason}): {exclusion.detail}{standing}")
    if ours is not None:
        if Quality(ours.quality) not in _MEASURED:
            remarks.append(f"version {ours.version} is {Quality(ours.quality).label}, not measured")
        if ours.true_up is not None:
            remarks.append(f"and {decimal(ours.true_up)} {ours.unit} to settle earlier estimates")
        remarks += _pending(ours, theirs)
    sides = _side(ours), _side(theirs)
    return Line(*place, ours.unit if ours else "", *sides, tuple(remarks), ours, theirs, exclusion)


def _pending(ours: VersionRow, theirs: VersionRow | None) -> list[str]:
    if theirs is ours:
        return []
    sent = f"delivered {instant(ours.delivered_at)}" if ours.delivered_at else "not delivered"
    if theirs is None:
        return [f"version {ours.version} of {instant(ours.created_at)} is not acknowledged ({sent})"]
    change = decimal(_billed(_side(ours)) - _billed(_side(theirs)))
    changed = f"changes version {theirs.version} by {change} {ours.unit}"
    return [f"version {ours.version} of {instant(ours.created_at)} {changed}, not acknowledged ({sent})"]


def _side(row: VersionRow | None) -> Side | None:
    return None if row is None else Side(row.version, row.consumption, row.true_up or 0)


def _billed(side: Side | None) -> int:
    return side.consumption + side.true_up if side else 0


def totals(lines: Iterable[Line]) -> list[Total]:
    """The sums of both sides by month, register and unit, in order; what was never issued has none."""
    sums: dict[tuple[str, str], tuple[int, int]] = {}
    for line in lines:
        if line.ours is not None:
            key = (line.period, f"{line.obis} {line.unit}")
            ours, theirs = sums.get(key, (0, 0))
            sums[key] = (ours + _billed(line.ours), theirs + _billed(line.theirs))
    return [Total(*key, *both) for key, both in sorted(sums.items())]
