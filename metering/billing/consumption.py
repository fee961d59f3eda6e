"""Consumption of a period: the sum over the meters that were installed in it.

For each, end minus start, plus the register's capacity for every roll-over in between, times the multiplier
of its transformers. Multiplied values are rounded (half-even) before they are subtracted, so that consecutive
periods add up exactly to the difference of their outer boundaries whatever the multiplier is.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction

from metering.billing.boundary import Boundary
from metering.billing.evidence import RegisterEvent
from telemetry.quality import Quality


@dataclass(frozen=True, slots=True)
class BilledStretch:
    """One meter's part of a period. `capacity` in micro-units; `events` in any order, from any time."""

    start: Boundary
    end: Boundary
    multiplier: Decimal = Decimal(1)
    capacity: int | None = None
    events: tuple[RegisterEvent, ...] = ()

    @property
    def inside(self) -> tuple[RegisterEvent, ...]:
        """Events after the start's value and up to the end's: each event is inside of exactly one period."""
        return tuple(e for e in self.events if self.start.settled_at < e.at <= self.end.settled_at)


@dataclass(frozen=True, slots=True)
class Unbillable:
    """Reason why a stretch has no consumption: `reason` is a short name, `event` what lies in the way."""

    reason: str
    event: RegisterEvent | None = None


def consumption(stretch: BilledStretch) -> int | Unbillable:
    """Micro-units used in the stretch, or why that cannot be said."""
    rollovers = 0
    for event in stretch.inside:
        if not event.is_rollover or stretch.capacity is None:
            return Unbillable(event.rule, event)
        rollovers += 1
    used = (
        multiplied(stretch.end.value, stretch.multiplier)
        - multiplied(stretch.start.value, stretch.multiplier)
        + rollovers * multiplied(stretch.capacity or 0, stretch.multiplier)
    )
    return used if used >= 0 else Unbillable("negative_consumption")


def multiplied(value: int, multiplier: Decimal) -> int:
    """Micro-units times a transformer ratio, exact but for one rounding half-even."""
    return round(Fraction(value) * Fraction(multiplier))


def quality_of(boundaries: Sequence[Boundary]) -> Quality:
    """ESPI quality of what was computed from these: theirs if they have one in common, else mixed."""
    qualities = {boundary.method.quality for boundary in boundaries}
    return qualities.pop() if len(qualities) == 1 else Quality.MIXED
