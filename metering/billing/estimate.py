"""The last steps of the ladder: what a service point is taken to have used while nothing was measured.

6. `average`: its daily consumption over the last months that were measured (Decree 354, p. 59: six months,
for at
   most three periods running);
7. `normative`: the norms of its register, times its persons or square metres (p. 60).

An estimate continues from the last value that counts, and remembers the last one that was measured; of a
meter that was taken out, from its last reading, since no other comes. When the meter is read again, `settle`
shares what was used since then evenly over the time: what falls to the period is its consumption, and the
rest is the true-up, by which the estimates fell short (negative: a credit). So consumption and true-ups add
up to the difference of the two measured values.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from typing import Any

from psycopg import Connection

from ingest.billing.gather import Case, Month, Part
from metering.billing.boundary import Boundary, Missing, ReadingAt, share
from metering.billing.canonical_hash import decimal, instant
from metering.billing.consumption import Stretch, Unbillable, consumption, multiplied
from metering.billing.method import Method
from metering.billing.rule_set import normative
from metering.periods.calendar import neighbour
from store.billing.rule_sets import BilledBefore, billed_before, coefficients
from telemetry.micro import to_micro

ESTIMABLE = {"no_reading_after", "gap_too_long", "unusable_readings", "verification_expired"}
"""Reasons for which an estimate may stand in. A reset or another meter's answers are for an engineer."""

_TICK = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True)
class Past:
    """What estimates of a month rest on, by service point and register."""

    billed: Mapping[tuple[int, str], Sequence[BilledBefore]]  # the latest period first
    amounts: Mapping[int, Mapping[str, Decimal]]  # by service point, and what norms are per


def past(connection: Connection, month: Month, cases: Sequence[Case]) -> Past:
    """Read it, where the rules of the month estimate at all."""
    if not any(method.is_estimate for method in month.rules.ladder):
        return Past({}, {})
    points = sorted({case.service_point_id for case in cases})
    far = max(month.rules.average.months, month.rules.average.at_most_periods)
    billed: dict[tuple[int, str], list[BilledBefore]] = {}
    names = [neighbour(month.period.name, -n) for n in range(1, far + 1)]
    for row in billed_before(connection, points, names):
        billed.setdefault((row.service_point_id, row.obis), []).append(row)
    day = month.period.starts_at.astimezone(month.zone).date()
    amounts: dict[int, dict[str, Decimal]] = {}
    for (point, per), amount in coefficients(connection, points, day).items():
        amounts.setdefault(point, {})[per] = amount
    return Past(billed, amounts)


def estimated(case: Case, part: Part, month: Month, known: Past, last: ReadingAt | None) -> Part:
    """The part with an estimated end, or as it is, with the reasons why each estimate was not made.

    `last`: the reading from which on a meter that was taken out is estimated; None: from the part's start.
    """
    if not isinstance(part.start, Boundary) or not isinstance(part.end, Missing):
        return part
    start = part.lapse or part.start
    if last is not None and part.lapse is None:
        start = Boundary(last.at, last.value, Method.READING, last.at, (last,))
    passed_over = list(part.end.passed_over)
    for method in month.rules.ladder:
        if not method.is_estimate:
            continue
        found = _STEPS[method](case, month, known)
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
            basis | {"from": instant(start.instant), "measured": _measured(start)},
        )
        return replace(part, end=end)
    return replace(part, end=replace(part.end, passed_over=tuple(passed_over)))


def _measured(start: Boundary) -> dict[str, str]:
    """The last measured value before an estimate, as the next estimate and the settling need it."""
    if start.basis is not None:
        known: dict[str, str] = start.basis["measured"]
        return known
    return {"instant": instant(start.instant), "value": decimal(start.value)}


_Daily = tuple[Fraction, dict[str, Any]]  # micro-units a day after the multiplier, and where that comes from


def _average(case: Case, month: Month, known: Past) -> _Daily | str:
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
    basis = {
        "periods": sorted(row.period for row in measured),
        "consumption": decimal(used),
        "hours": f"{Fraction(time // _TICK, timedelta(hours=1) // _TICK)}",
    }
    return Fraction(used * (timedelta(days=1) // _TICK), time // _TICK), basis


def _by_average(rows: Mapping[str, BilledBefore], period: str) -> bool:
    return period in rows and rows[period].end_method == Method.AVERAGE


def _is_estimate(row: BilledBefore) -> bool:
    """What was settled is shared evenly and counts as measured; what ends in an estimate does not."""
    return Method(row.end_method).is_estimate


def _normative(case: Case, month: Month, known: Past) -> _Daily | str:
    day = month.period.starts_at.astimezone(month.zone).date()
    amounts = {"service_point": Decimal(1), **known.amounts.get(case.service_point_id, {})}
    found = normative(month.rules, case.obis, day, amounts)
    if found is None:
        return f"no norm of {case.obis} holds on {day}, or what it is per is not known of the point"
    monthly, terms = found
    period = month.period.ends_at - month.period.starts_at
    daily = Fraction(monthly * (timedelta(days=1) // _TICK), period // _TICK)
    return daily, {"norms": terms, "monthly": decimal(monthly)}


_STEPS = {Method.AVERAGE: _average, Method.NORMATIVE: _normative}


@dataclass(frozen=True, slots=True)
class Settled:
    """What a part used, and the true-up beside it (micro-units); `evidence` says how it was shared."""

    used: int
    true_up: int
    evidence: dict[str, str]


def settle(part: Part) -> Settled | Unbillable | None:
    """Settles the estimates that a part begins after, where its end was measured; None: nothing to settle."""
    start, end = part.start, part.end
    if not isinstance(start, Boundary) or not isinstance(end, Boundary):
        return None
    if not start.method.is_estimate or end.method.is_estimate or start.basis is None:
        return None
    last = start.basis["measured"]
    measured = Boundary(
        datetime.fromisoformat(last["instant"]), to_micro(last["value"]), Method.READING, start.settled_at
    )
    row = part.row
    total = consumption(Stretch(measured, end, row.multiplier, row.capacity, part.events))
    if isinstance(total, Unbillable):
        return total
    estimates = multiplied(start.value, row.multiplier) - multiplied(measured.value, row.multiplier)
    used = _known_since(part) if part.carried else None
    if used is None or not 0 <= used <= total:
        used = share(total, end.instant - start.instant, end.instant - measured.instant)
    true_up = total - estimates - used
    evidence = {
        "since": last["instant"],
        "measured": last["value"],
        "used_since": decimal(total),
        "estimated_since": decimal(estimates),
        "true_up": decimal(true_up),
    }
    return Settled(used, true_up, evidence)


def _known_since(part: Part) -> int | None:
    """What was used from a value at the start that came to be known after all."""
    assert part.carried is not None
    found = part.carried.found
    if not isinstance(found, Boundary) or not isinstance(part.end, Boundary):
        return None
    used = consumption(Stretch(found, part.end, part.row.multiplier, part.row.capacity, part.events))
    return used if isinstance(used, int) else None
