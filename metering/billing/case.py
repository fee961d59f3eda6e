"""Cases of a close: one register of a service point in a period, and what is known of it.

A case has a part for each meter that measured in the period; a part has a value, or none, at both ends.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

from metering.billing.boundary import Boundary, Limits, Missing
from metering.billing.consumption import BilledStretch
from metering.billing.evidence import CarriedEvidence, FindingEvidence, InstallationEvidence, RegisterEvent
from metering.billing.rule_set import RuleSet, last_day
from metering.periods.calendar import Period, UtilityCalendar
from telemetry.micro import from_micro

EVENT_RULES = frozenset({"rollover", "reset", "swap_suspect"})
"""Marks after which the register's count is another."""


@dataclass(frozen=True, slots=True)
class BillingMonth:
    """Period of a utility, and the rules by which it is closed."""

    utility: UtilityCalendar
    period: Period
    rules: RuleSet

    @property
    def zone(self) -> ZoneInfo:
        """Time zone of the utility."""
        return self.utility.zone

    @property
    def first_day(self) -> date:
        """Local day on which the period begins: rules, norms and coefficients of that day hold."""
        return self.period.starts_at.astimezone(self.zone).date()


@dataclass(frozen=True, slots=True)
class StoredReading:
    """Reading beside a boundary; `rules` of the marks on it that forbid its use."""

    at: datetime
    value: int
    status: int
    rules: tuple[str, ...] = ()


Beside = tuple[StoredReading | None, StoredReading | None]
"""Last reading at or before an instant, and first at or after it."""


@dataclass(frozen=True, slots=True)
class RegisterMark:
    """Mark on a register's reading."""

    register_id: int
    measured_at: datetime
    rule: str
    usable: bool


@dataclass(frozen=True, slots=True)
class BoundaryPlace:
    """Instant of a register, and how far around it (both included) readings matter."""

    register_id: int
    instant: datetime
    earliest: datetime
    latest: datetime


@dataclass(frozen=True, slots=True)
class InstalledRegister:
    """Billed register of a meter at a service point. Values in micro-units of `unit`."""

    installation_id: int
    service_point_id: int
    service_point: str
    meter: str
    register_id: int
    obis: str
    unit: str
    capacity: int | None
    multiplier: Decimal
    valid_from: datetime
    valid_to: datetime | None
    start_value: int | None
    end_value: int | None
    tolerance: timedelta
    validated_until: datetime | None

    def within(self, period: Period) -> tuple[datetime, datetime]:
        """From when to when the meter measured within the period."""
        start = max(period.starts_at, self.valid_from)
        return start, period.ends_at if self.valid_to is None else min(period.ends_at, self.valid_to)

    def limits(self, month: BillingMonth) -> Limits:
        """Reach of its ladder."""
        return Limits(self.tolerance, month.utility.interpolation_limit, month.rules.ladder)

    def place(self, instant: datetime, reach: timedelta) -> BoundaryPlace:
        """Where to look for readings beside a boundary: never outside the time of the installation."""
        latest = instant + reach
        return BoundaryPlace(
            self.register_id,
            instant,
            max(instant - reach, self.valid_from),
            latest if self.valid_to is None else min(latest, self.valid_to),
        )

    def noted(self, instant: datetime) -> int | None:
        """Value that a person wrote down when the meter was put in or taken out at this instant."""
        if instant == self.valid_from:
            return self.start_value
        return self.end_value if instant == self.valid_to else None


@dataclass(frozen=True, slots=True)
class Carried:
    """The last period's end, taken as this one's start although `found` would be the value today."""

    period: str
    found: Boundary | Missing


@dataclass(frozen=True, slots=True)
class InstallationPart:
    """One meter's part of a period at a service point, with the marks and findings in it.

    `lapse`: the value when the meter's verification ran out within the part, after which nothing counts.
    """

    row: InstalledRegister
    start: Boundary | Missing
    end: Boundary | Missing
    events: tuple[RegisterEvent, ...]
    marks: Mapping[str, int]  # rule -> how many readings, within the period
    findings: tuple[FindingEvidence, ...]
    carried: Carried | None = None
    lapse: Boundary | None = None

    @property
    def stretch(self) -> BilledStretch:
        """What is billed of it, where both ends have a value."""
        assert isinstance(self.start, Boundary)
        assert isinstance(self.end, Boundary)
        return self.stretch_between(self.start, self.end)

    def stretch_between(self, start: Boundary, end: Boundary) -> BilledStretch:
        """Stretch of the same meter between other values."""
        return BilledStretch(start, end, self.row.multiplier, self.row.capacity, self.events)

    def evidence(self) -> InstallationEvidence:
        """What is known of it, without what comes of it."""
        row, carried = self.row, self.carried
        both = isinstance(self.start, Boundary) and isinstance(self.end, Boundary)
        return InstallationEvidence(
            installation=row.installation_id,
            meter=row.meter,
            register=row.register_id,
            multiplier=f"{row.multiplier.normalize():f}",
            capacity=None if row.capacity is None else from_micro(row.capacity),
            start=self.start.evidence(),
            end=self.end.evidence(),
            marks=dict(self.marks),
            findings=self.findings,
            events=self.stretch.inside if both else None,
            carried=None if carried is None else CarriedEvidence(carried.period, carried.found.evidence()),
        )


@dataclass(frozen=True, slots=True)
class BillingCase:
    """What there is to bill: one register of a service point, measured by one meter after the other."""

    service_point_id: int
    service_point: str
    obis: str
    parts: tuple[InstallationPart, ...]

    @property
    def key(self) -> tuple[int, str]:
        """Service point and register."""
        return self.service_point_id, self.obis


def verified_still(
    found: Boundary | Missing, verified: date | None, month: BillingMonth
) -> Boundary | Missing:
    """The boundary, unless the meter's verification had run out by then."""
    day = last_day(found.instant, month.zone)
    if verified is None or not month.rules.verification.lapsed(verified, day):
        return found
    why = f"verification: it ran out after {verified}, so nothing that the meter shows on {day} counts"
    return Missing(found.instant, "verification_expired", (why,))


def lapse_within(row: InstalledRegister, verified: date, month: BillingMonth) -> datetime | None:
    """Instant within the period at which a meter's verification runs out; None: it does not."""
    day = month.rules.verification.lapses_on(verified)
    instant = datetime.combine(day, time(), month.zone).astimezone(UTC)
    start, end = row.within(month.period)
    return instant if start < instant < end else None


def events_of(marks: Sequence[RegisterMark]) -> tuple[RegisterEvent, ...]:
    """Events among the marks of a register."""
    return tuple(
        RegisterEvent(mark.measured_at.astimezone(UTC), mark.rule)
        for mark in marks
        if mark.rule in EVENT_RULES
    )


def counted(marks: Sequence[RegisterMark], since: datetime, until: datetime) -> dict[str, int]:
    """How many readings from `since` to `until` (both included) have which mark."""
    return dict(Counter(mark.rule for mark in marks if since <= mark.measured_at <= until))


def carried_on(part: InstallationPart, before: Boundary | None, period: str) -> InstallationPart:
    """The part beginning at the end `before` of the period `period`, so that nothing is lost or billed twice.

    That is what was found anyway, unless late readings came or readings were judged anew since.
    """
    start = part.start
    if before is None:
        return part
    if isinstance(start, Boundary) and (start.value, start.settled_at) == (before.value, before.settled_at):
        return part
    return replace(part, start=before, carried=Carried(period, start))
