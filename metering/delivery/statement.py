"""Reconciliation statement of an account: figures as issued beside figures as acknowledged, by month.

Billing has what it acknowledged, by pulling with control totals or message by message. A difference is never
left without a reason: a version that was not acknowledged yet, an estimate, a register left out.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby
from typing import Any

from metering.billing.canonical_hash import decimal, instant
from metering.periods.calendar import PeriodError, neighbour
from telemetry.quality import Quality

_MEASURED = {Quality.VALID, Quality.VALIDATED, Quality.VERIFIED}
_MOST_YEARS = 10
_USUAL_MONTHS = 12


@dataclass(frozen=True, slots=True)
class StatementVersion:
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

    @property
    def billed(self) -> int:
        """Consumption and true-up, in micro-units."""
        return self.consumption + (self.true_up or 0)

    @property
    def measured(self) -> bool:
        """True for a figure that is neither estimated nor in doubt."""
        return Quality(self.quality) in _MEASURED


@dataclass(frozen=True, slots=True)
class Exclusion:
    """Register that the last close of a period left out, with the reason."""

    period: str
    service_point: str
    obis: str
    reason: str
    detail: str


@dataclass(frozen=True, slots=True)
class StatementLine:
    """Register in a month: the last version issued, and the last one acknowledged.

    `unit` is empty where nothing was ever issued; `remarks` explain the line in English.
    """

    period: str
    service_point: str
    obis: str
    unit: str
    issued: StatementVersion | None
    acknowledged: StatementVersion | None
    excluded: Exclusion | None
    remarks: tuple[str, ...]

    @property
    def difference(self) -> int:
        """Issued minus acknowledged, true-ups included, in micro-units: what billing has yet to take over."""
        return _billed(self.issued) - _billed(self.acknowledged)

    def document(self) -> dict[str, Any]:
        """The line as the API and `hesper deliver statement --json` give it."""
        sides = {
            name: side and {"version": side.version, "consumption": decimal(side.consumption)}
            for name, side in (("issued", self.issued), ("acknowledged", self.acknowledged))
        }
        return {
            "period": self.period,
            "service_point": self.service_point,
            "obis": self.obis,
            "unit": self.unit,
            **sides,
            "difference": decimal(self.difference),
            "remarks": list(self.remarks),
        }


@dataclass(frozen=True, slots=True)
class StatementTotal:
    """All registers of one unit and kind in a month, true-ups included, in micro-units."""

    period: str
    register: str  # '8-0:1.0.0 m3'
    issued: int
    acknowledged: int

    @property
    def difference(self) -> int:
        """Issued minus acknowledged."""
        return self.issued - self.acknowledged


@dataclass(frozen=True, slots=True)
class Statement:
    """Lines of an account in order, from the month `first` to `last`, both included."""

    account: str
    first: str
    last: str
    lines: list[StatementLine]

    @property
    def agreed(self) -> bool:
        """True where nothing differs."""
        return not any(line.difference for line in self.lines)

    @property
    def totals(self) -> list[StatementTotal]:
        """The sums by month, register and unit, in order; what was never issued has none."""
        sums: dict[tuple[str, str], tuple[int, int]] = {}
        for line in self.lines:
            if line.issued is not None:
                key = line.period, f"{line.obis} {line.unit}"
                issued, acknowledged = sums.get(key, (0, 0))
                sums[key] = issued + line.issued.billed, acknowledged + _billed(line.acknowledged)
        return [StatementTotal(*key, *both) for key, both in sorted(sums.items())]

    @property
    def months(self) -> list[tuple[str, list[StatementLine], list[StatementTotal]]]:
        """(period, its lines, its sums), the latest first."""
        totals = self.totals
        return [
            (period, list(lines), [total for total in totals if total.period == period])
            for period, lines in groupby(self.lines, lambda line: line.period)
        ][::-1]


def _billed(side: StatementVersion | None) -> int:
    return side.billed if side else 0


def statement_months(first: str | None, last: str | None, present: str) -> tuple[str, str]:
    """The months of a statement as asked for; by default the twelve up to `present`. Raises PeriodError."""
    last = last or present
    first = first or neighbour(last, 1 - _USUAL_MONTHS)
    if last < first:
        raise PeriodError("Name the earlier month first: `from` is after `to`.")
    if int(last[:4]) - int(first[:4]) > _MOST_YEARS:
        raise PeriodError("Ask for at most ten years at once.")
    return first, last


def reconcile(issued: Iterable[StatementVersion], excluded: Iterable[Exclusion]) -> list[StatementLine]:
    """Both sides of every register and month, in order, with a reason for every difference."""
    by_place: dict[tuple[str, str, str], list[StatementVersion]] = {}
    for row in issued:
        by_place.setdefault((row.period, row.service_point, row.obis), []).append(row)
    why = {(row.period, row.service_point, row.obis): row for row in excluded}
    return [
        _line(place, sorted(by_place.get(place, []), key=lambda row: row.version), why.get(place))
        for place in sorted(by_place.keys() | why.keys())
    ]


def _line(
    place: tuple[str, str, str], issued: Sequence[StatementVersion], excluded: Exclusion | None
) -> StatementLine:
    ours = issued[-1] if issued else None
    theirs = next((row for row in reversed(issued) if row.acknowledged_at is not None), None)
    remarks = []
    if excluded is not None:
        standing = "; what was issued before stands until then" if issued else ""
        remarks.append(f"left out of accounting ({excluded.reason}): {excluded.detail}{standing}")
    if ours is not None:
        if not ours.measured:
            remarks.append(f"version {ours.version} is {Quality(ours.quality).label}, not measured")
        if ours.true_up is not None:
            remarks.append(f"and {decimal(ours.true_up)} {ours.unit} to settle earlier estimates")
        remarks += _pending(ours, theirs)
    return StatementLine(*place, ours.unit if ours else "", ours, theirs, excluded, tuple(remarks))


def _pending(ours: StatementVersion, theirs: StatementVersion | None) -> list[str]:
    if theirs is ours:
        return []
    sent = f"delivered {instant(ours.delivered_at)}" if ours.delivered_at else "not delivered"
    if theirs is None:
        return [f"version {ours.version} of {instant(ours.created_at)} is not acknowledged ({sent})"]
    changed = f"changes version {theirs.version} by {decimal(ours.billed - theirs.billed)} {ours.unit}"
    return [f"version {ours.version} of {instant(ours.created_at)} {changed}, not acknowledged ({sent})"]
