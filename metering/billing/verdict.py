"""Verdict on a case: a billing reading, or an exception that says what is wrong and what can be done."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

import msgspec

from metering.billing.boundary import Boundary, Missing, ReadingAt
from metering.billing.canonical_hash import BillingDraft, BillingException, decimal, instant
from metering.billing.case import Beside, BillingCase, BillingMonth, InstallationPart, StoredReading
from metering.billing.consumption import Unbillable, consumption, quality_of
from metering.billing.estimate import ESTIMABLE, BillingPast, Settlement, estimated, settle
from metering.billing.evidence import Evidence, InstallationEvidence
from metering.billing.method import Method
from telemetry.micro import from_micro
from telemetry.quality import Quality
from telemetry.status import Status

Explanations = Mapping[tuple[int, datetime], Beside]
"""(register id, boundary) -> the nearest readings of any kind."""

_REMEDIES = {
    "no_reading_before": "import or enter an earlier reading, or note the value at the installation",
    "no_reading_after": "wait for or enter a later reading, or note the value at the removal",
    "gap_too_long": "enter a reading taken near the boundary, or lengthen the utility's interpolation limit",
    "unusable_readings": "look at the findings of this register, and enter a reading that was checked",
    "not_validated": "let the validator finish, then close again",
    "reset": "write the last and the first value down as the end and the start of two installations",
    "swap_suspect": "find out which meter answered; write an exchange down as two installations",
    "rollover": "enter how many digits the register has, then close again",
    "negative_consumption": "compare both boundary readings with the meter; it may have run backwards",
    "verification_expired": "have the meter verified or exchanged, and enter the new verification",
    "unit_changed": "convert the values noted at the exchange, so that both registers have one unit",
}


@dataclass(frozen=True, slots=True)
class VerdictContext:
    """Month, past and readings that all cases of a block share."""

    month: BillingMonth
    past: BillingPast
    explanations: Explanations


def verdict(case: BillingCase, context: VerdictContext) -> BillingDraft | BillingException:
    """The billing reading (version 1; the close numbers it), or the first thing that stands in its way."""
    case = _with_estimate(case, context)
    for part in case.parts:
        for found in (part.start, part.end):
            if isinstance(found, Missing):
                return _missing(case, part, found, context)
    if len({part.row.unit for part in case.parts}) > 1:
        units = " and ".join(sorted({part.row.unit for part in case.parts}))
        return _exception(case, "unit_changed", f"the meters of this period count in {units}")
    total, true_up = 0, None
    evidence = []
    for part in case.parts:
        used = settle(part) or consumption(part.stretch)
        shown = part.evidence()
        if isinstance(used, Unbillable):
            return _unbillable(case, part, used)
        if isinstance(used, Settlement):
            true_up = used.true_up
            shown = msgspec.structs.replace(shown, settled=used.evidence)
            used = used.used
        total += used
        evidence.append(msgspec.structs.replace(shown, consumption=from_micro(used)))
    return _billing_reading(case, context, evidence, total, true_up)


def _with_estimate(case: BillingCase, context: VerdictContext) -> BillingCase:
    """The case with estimates for ends, where rules have one and nothing but data is missing."""
    if not any(method.is_estimate for method in context.month.rules.ladder):
        return case
    return replace(case, parts=tuple(_end_estimated(case, part, context) for part in case.parts))


def _end_estimated(case: BillingCase, part: InstallationPart, context: VerdictContext) -> InstallationPart:
    if not isinstance(part.end, Missing) or _reason(part, part.end, context) not in ESTIMABLE:
        return part
    return estimated(case, part, context.month, context.past, _last_of_removed(part, part.end, context))


def _last_of_removed(part: InstallationPart, end: Missing, context: VerdictContext) -> ReadingAt | None:
    """The last usable reading of a meter that was taken out: what it measured until then is never settled."""
    if end.instant != part.row.valid_to or not isinstance(part.start, Boundary):
        return None
    before, _ = context.explanations[part.row.register_id, end.instant]
    validated = part.row.validated_until
    if before is None or before.rules or validated is None or before.at >= validated:
        return None
    status = Status(before.status)
    if Method.HANDED_IN in context.month.rules.ladder and Status.MANUAL in status:
        return None
    return ReadingAt(before.at, before.value, status) if before.at > part.start.instant else None


def missing_places(case: BillingCase) -> list[tuple[InstallationPart, datetime]]:
    """Boundaries of the case that have no value, to be explained."""
    return [
        (part, found.instant)
        for part in case.parts
        for found in (part.start, part.end)
        if isinstance(found, Missing)
    ]


def _billing_reading(
    case: BillingCase,
    context: VerdictContext,
    evidence: Sequence[InstallationEvidence],
    consumption: int,
    true_up: int | None,
) -> BillingDraft:
    stretches = [part.stretch for part in case.parts]
    first, last = stretches[0].start, stretches[-1].end
    standing = any(part.findings for part in case.parts)
    ends = [found for stretch in stretches for found in (stretch.start, stretch.end)]
    period, rules = context.month.period, context.month.rules
    return BillingDraft(
        service_point_id=case.service_point_id,
        utility=context.month.utility.code,
        service_point=case.service_point,
        obis=case.obis,
        period=period.name,
        starts_at=period.starts_at,
        ends_at=period.ends_at,
        start_value=first.value,
        end_value=last.value,
        consumption=consumption,
        true_up=true_up,
        unit=case.parts[0].row.unit,
        quality=int(Quality.QUESTIONABLE if standing else quality_of(ends)),
        start_method=first.method.value,
        end_method=last.method.value,
        evidence=Evidence(tuple(evidence), rules.label),
    )


def _exception(case: BillingCase, reason: str, detail: str) -> BillingException:
    evidence = Evidence(tuple(part.evidence() for part in case.parts))
    return BillingException(*case.key, reason, f"{detail}: {_REMEDIES[reason]}", evidence)


def _unbillable(case: BillingCase, part: InstallationPart, why: Unbillable) -> BillingException:
    if why.event is None:
        stretch = part.stretch
        detail = (
            f"{part.row.meter} stood at {decimal(stretch.start.value)} at the start and at "
            f"{decimal(stretch.end.value)} at the end"
        )
    else:
        detail = f"{part.row.meter} has a {why.event.rule.replace('_', ' ')} at {instant(why.event.at)}"
        if why.event.is_rollover:
            detail += " and its capacity is not known"
    if part.carried is not None:
        detail += (
            f"; the start is what was billed for {part.carried.period}, which should be closed again first"
        )
    return _exception(case, why.reason, detail)


def _reason(part: InstallationPart, missing: Missing, context: VerdictContext) -> str:
    """Why there is no value, by the nearest stored readings of any kind."""
    before, after = context.explanations[part.row.register_id, missing.instant]
    reason = missing.reason
    if reason == "verification_expired":
        return reason
    if reason.startswith("no_reading"):  # within reach, that is; here: at all
        reason = "gap_too_long" if before and after else "no_reading_after" if before else "no_reading_before"
    near = [each for each in (before, after) if each is not None and _is_near(part, each, missing.instant)]
    if any(each.rules for each in near):
        return "unusable_readings"
    validated = part.row.validated_until
    if any(validated is None or each.at >= validated for each in near):
        return "not_validated"
    return reason


def _missing(
    case: BillingCase, part: InstallationPart, missing: Missing, context: VerdictContext
) -> BillingException:
    """Says of the nearest stored readings why they are of no use, or that there are none."""
    before, after = context.explanations[part.row.register_id, missing.instant]
    reason = _reason(part, missing, context)
    detail = (
        f"{part.row.meter} has no usable reading for {instant(missing.instant)}; "
        f"the last before is {_in_words(before)}, the first after {_in_words(after)}"
    )
    if reason == "verification_expired":
        detail = f"{part.row.meter}: {missing.passed_over[0]}"
    return _exception(case, reason, detail)


def _is_near(part: InstallationPart, reading: StoredReading, boundary: datetime) -> bool:
    return abs(reading.at - boundary) <= part.row.tolerance


def _in_words(reading: StoredReading | None) -> str:
    if reading is None:
        return "missing"
    judged = f", marked {' and '.join(reading.rules)}" if reading.rules else ""
    return f"{decimal(reading.value)} at {instant(reading.at)}{judged}"
