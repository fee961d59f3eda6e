"""Estimates, the last steps of the ladder: what was used, presumably, while nothing was measured.

6. `average`: its daily consumption over the last months that were measured (Decree 354, p. 59: six months,
   for at most three periods running);
7. `normative`: the norms of its register, times its persons or square metres (p. 60).

An estimate continues from the last value that counts, and remembers the last one that was measured; of a
meter that was taken out, from its last reading, since no other comes. When the meter is read again, `settle`
shares what was used since then evenly over the time: what falls to the period is its consumption, and the
rest is the true-up, by which the estimates fell short (negative: a credit). So consumption and true-ups add
up to the difference of the two measured values.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, timedelta
from decimal import Decimal
from fractions import Fraction

import msgspec

from metering.billing.boundary import Boundary, Missing, ReadingAt, share
from metering.billing.case import BillingCase, BillingMonth, InstallationPart
from metering.billing.consumption import Unbillable, consumption, multiplied
from metering.billing.evidence import EstimateBasis, MeasuredValue, SettlementEvidence
from metering.billing.method import Method
from metering.billing.rule_set import normative
from metering.periods.calendar import neighbour
from telemetry.micro import from_micro, to_micro

ESTIMABLE = {"no_reading_after", "gap_too_long", "unusable_readings", "verification_expired"}
"""Reasons for which an estimate may stand in. A reset or another meter's answers are for an engineer."""

_TICK = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True)
class BilledBefore:
    """Current version of an earlier period. `consumption` in micro-units, without any true-up.

    `time` is how long its meters were there: less than the period where the first was installed within it.
    """

    service_point_id: int
    obis: str
    period: str
    time: timedelta
    consumption: int
    start_method: str
    end_method: str


@dataclass(frozen=True, slots=True)
class BillingPast:
    """Past of a month: what its estimates rest on, by service point and register."""

    billed: Mapping[tuple[int, str], Sequence[BilledBefore]]
    amounts: Mapping[int, Mapping[str, Decimal]]  # by service point, and what norms are per


def estimated(
    case: BillingCase, part: InstallationPart, month: BillingMonth, known: BillingPast, last: ReadingAt | None
) -> InstallationPart:
    """The part with an estimated end, or as it is, with the reasons why each estimate was not made.

    `last`: the reading from which on a meter that was taken out is estimated; None: from the part's start.
    """
    if not isinstance(part.start, Boundary) or not isinstance(part.end, Missing):
        return part
    start = part.lapse or part.start
    if last is not None and part.lapse is None:
        start = Boundary(last.at, last.value, Method.READING, last.at, (last,))
    begun = EstimateBasis(start.instant.astimezone(UTC), _measured(start))
    passed_over = list(part.end.passed_over)
    for method in month.rules.ladder:
        if not method.is_estimate:
            continue
        found = _STEPS[method](case, month, known, begun)
        if isinstance(found, str):
            passed_over.append(f"{method}: {found}")
            continue
        daily, basis = found
        days = Fraction((part.end.instant - start.instant) // _TICK, timedelta(days=1) // _TICK)
        rise = round(daily * days / Fraction(part.row.multiplier))
        end = Boundary(
            part.end.instant,
            start.value + rise,
            method,
            start.settled_at,  # what happens from there on is found when the meter is read again
            start.readings if part.lapse or last else (),
            tuple(passed_over),
            basis,
        )
        return replace(part, end=end)
    return replace(part, end=replace(part.end, passed_over=tuple(passed_over)))


def _measured(start: Boundary) -> MeasuredValue:
    """The last measured value before an estimate that begins at `start`."""
    if start.basis is not None:
        return start.basis.measured
    return MeasuredValue(start.instant.astimezone(UTC), from_micro(start.value))


_Daily = tuple[Fraction, EstimateBasis]  # micro-units a day after the multiplier, and where that comes from


def _average(
    case: BillingCase, month: BillingMonth, known: BillingPast, begun: EstimateBasis
) -> _Daily | str:
    rule = month.rules.average
    rows = {row.period: row for row in known.billed.get(case.key, ())}
    running = 0
    while running < rule.at_most_periods and _by_average(rows, neighbour(month.period.name, -running - 1)):
        running += 1
    if running == rule.at_most_periods:
        return f"it stood in for {running} periods running already"
    names = [neighbour(month.period.name, -n) for n in range(1, rule.months + 1)]
    measured = [rows[name] for name in names if name in rows and not _is_estimate(rows[name])]
    if len(measured) < rule.least:
        return (
            f"of the {rule.months} months before, {len(measured)} were measured, and {rule.least} are needed"
        )
    used = sum(row.consumption for row in measured)
    time = sum((row.time for row in measured), timedelta())
    basis = msgspec.structs.replace(
        begun,
        periods=tuple(sorted(row.period for row in measured)),
        consumption=from_micro(used),
        hours=f"{Fraction(time // _TICK, timedelta(hours=1) // _TICK)}",
    )
    return Fraction(used * (timedelta(days=1) // _TICK), time // _TICK), basis


def _by_average(rows: Mapping[str, BilledBefore], period: str) -> bool:
    return period in rows and rows[period].end_method == Method.AVERAGE


def _is_estimate(row: BilledBefore) -> bool:
    """What was settled is shared evenly and counts as measured; what ends in an estimate does not."""
    return Method(row.end_method).is_estimate


def _normative(
    case: BillingCase, month: BillingMonth, known: BillingPast, begun: EstimateBasis
) -> _Daily | str:
    day = month.first_day
    amounts = {"service_point": Decimal(1), **known.amounts.get(case.service_point_id, {})}
    found = normative(month.rules, case.obis, day, amounts)
    if found is None:
        return f"no norm of {case.obis} holds on {day}, or what it is per is not known of the point"
    monthly, terms = found
    period = month.period.ends_at - month.period.starts_at
    daily = Fraction(monthly * (timedelta(days=1) // _TICK), period // _TICK)
    return daily, msgspec.structs.replace(begun, norms=tuple(terms), monthly=from_micro(monthly))


_STEPS = {Method.AVERAGE: _average, Method.NORMATIVE: _normative}


@dataclass(frozen=True, slots=True)
class Settlement:
    """Consumption of a part after estimates, and the true-up beside it (micro-units); how it was shared."""

    used: int
    true_up: int
    evidence: SettlementEvidence


def settle(part: InstallationPart) -> Settlement | Unbillable | None:
    """Settles the estimates that a part begins after, where its end was measured; None: nothing to settle."""
    start, end = part.start, part.end
    if not isinstance(start, Boundary) or not isinstance(end, Boundary):
        return None
    if not start.method.is_estimate or end.method.is_estimate or start.basis is None:
        return None
    last = start.basis.measured
    measured = Boundary(last.instant, to_micro(last.value), Method.READING, start.settled_at)
    total = consumption(part.stretch_between(measured, end))
    if isinstance(total, Unbillable):
        return total
    multiplier = part.row.multiplier
    estimates = multiplied(start.value, multiplier) - multiplied(measured.value, multiplier)
    used = _known_since(part, end)
    if used is None or not 0 <= used <= total:
        used = share(total, end.instant - start.instant, end.instant - measured.instant)
    true_up = total - estimates - used
    evidence = SettlementEvidence(
        last.instant, last.value, from_micro(total), from_micro(estimates), from_micro(true_up)
    )
    return Settlement(used, true_up, evidence)


def _known_since(part: InstallationPart, end: Boundary) -> int | None:
    """What was used from a value at the start that came to be known after all."""
    if part.carried is None or not isinstance(part.carried.found, Boundary):
        return None
    used = consumption(part.stretch_between(part.carried.found, end))
    return used if isinstance(used, int) else None
