"""The building's balance: the house meter minus its flats, day by day, and whether the difference drifts.

What is left is common use, losses, a leak before the flats, or a meter that counts wrong.
"""

from dataclasses import dataclass
from zoneinfo import ZoneInfo

import numpy as np

from anomaly.boundary.steps import recent
from anomaly.episodes import Episode, Hysteresis, departures
from anomaly.input.local_time import midnight
from anomaly.input.series import BoolArray, Evidence, FloatArray
from anomaly.rule import Rule
from anomaly.workspace import mean, said, share
from telemetry.findings import Severity

DRIFT, NEGATIVE = "balance.drift", "balance.negative"


@dataclass(frozen=True, slots=True)
class BalanceParameters:
    """`above`: points of the house meter's use by which the difference of a day exceeds that of the past
    `history` days; `below`: part of it by which the flats may exceed the house; `days` in a row; `estimated`:
    share of estimated use above which a day says nothing."""

    above: float = 0.08
    below: float = 0.05
    days: int = 7
    history: int = 56
    estimated: float = 0.2


@dataclass(frozen=True, slots=True)
class Balance:
    """Of each local day from `first` on (days since 1970), float64, shape (days,): `house`, `flats` and
    `difference` in micro-units, NaN where not known; `estimated`: the share of the flats' use that was
    estimated because a flat had no readings that day, 0 to 1."""

    first: int
    house: FloatArray
    flats: FloatArray
    difference: FloatArray
    estimated: FloatArray


@dataclass(frozen=True, slots=True)
class BalanceFinding:
    """An event of a building and medium, which has no register of its own. Instants as in `Finding`."""

    kind: str
    severity: Severity
    started_at: int
    ended_at: int | None
    evidence: Evidence


def balance(first: int, house: FloatArray, flats: FloatArray, given: BoolArray | None = None) -> Balance:
    """The balance of days. `house`: shape (days,); `flats`: shape (flats, days), micro-units a day, NaN
    where not known; `given`: bool, shape (flats, days), days of flats whose figure is itself an estimate.

    A flat's unknown day counts with the median of its past eight weeks; before that is learned, the day of
    the whole building is unknown.
    """
    usual = recent(flats, first, np.full(len(flats), 56.0), 0.5)
    counted = np.where(np.isnan(flats), usual, flats)
    guessed = np.isnan(flats) if given is None else np.isnan(flats) | given
    total = counted.sum(axis=0)
    with np.errstate(divide="ignore", invalid="ignore"):
        estimated = np.where(total > 0, np.where(guessed, counted, 0.0).sum(axis=0) / total, 0.0)
    return Balance(first, house, total, house - total, estimated)


def drift(of: Balance, zone: ZoneInfo, rule: BalanceParameters | None = None) -> list[BalanceFinding]:
    """Days in a row in which more goes missing than in past weeks, or the flats used more than the house."""
    rule = rule or BalanceParameters()
    told = (of.house > 0) & (of.estimated <= rule.estimated)
    with np.errstate(divide="ignore", invalid="ignore"):
        part = np.where(told, of.difference / of.house, np.nan)[None]
    usual = recent(part, of.first, np.array([float(rule.history)]), 0.5, least=21)
    by = Hysteresis(rule.days, max(1, rule.days // 2))
    zero = np.zeros(part.shape)
    ways = (
        (DRIFT, Severity.WARNING, departures(part, usual, (1.0, rule.above), (1.0, rule.above / 2), by)),
        (NEGATIVE, Severity.ALARM, departures(-part, zero, (1.0, rule.below), (1.0, rule.below / 2), by)),
    )
    return [_told(of, zone, kind, severity, event) for kind, severity, found in ways for event in found]


def _told(of: Balance, zone: ZoneInfo, kind: str, severity: Severity, event: Episode) -> BalanceFinding:
    house, flats = of.house[event.days], of.flats[event.days]
    known = ~np.isnan(house + flats)
    used, missing = house[known].sum(), (house - flats)[known].sum()
    evidence: dict[str, str | int] = {
        "house": said(used),
        "flats": said(flats[known].sum()),
        "difference": said(missing),
        "difference_share": share(missing / used) if used else "unknown",
        "usual_share": share(event.reference) if kind == DRIFT else share(0.0),
        "lost": said(missing - used * event.reference),
        "estimated_share": share(mean(of.estimated[event.days])),
        "days": int(known.sum()),
    }
    end = None if event.end is None else midnight(of.first + event.end, zone)
    return BalanceFinding(kind, severity, midnight(of.first + event.first, zone), end, evidence)


def _rule(kind: str, says: str, severity: Severity, uses: str) -> Rule:
    evidence = "house flats difference difference_share usual_share lost estimated_share days"
    return Rule(kind, says, (severity,), evidence, None, parameters=BalanceParameters, uses=uses)


_MISSING = "more goes missing between the house and its flats than in past weeks"
RULES = (
    _rule(DRIFT, _MISSING, Severity.WARNING, "above days history estimated"),
    _rule(NEGATIVE, "the flats used more than the house", Severity.ALARM, "below"),
)
