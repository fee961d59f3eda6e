"""What the meter, its clock and the way of a reading say about it: status bits, instants, verification."""

from dataclasses import dataclass, replace

import numpy as np

from anomaly.input.block import UNKNOWN
from anomaly.input.series import DAY, BoolArray, Evidence, iso
from anomaly.parameters import RuleParameters
from anomaly.rule import Duration, Rule
from anomaly.workspace import Hit, Study, groups
from telemetry.findings import VERIFICATION_EXPIRED, Severity, Verdict
from telemetry.status import Status

FUTURE, TOO_OLD, CLOCK_DRIFT = "future", "too_old", "clock_drift"


def _bit(kind: str, says: str, verdict: Verdict, severity: Severity) -> Rule:
    return Rule(kind, says, (severity,), "bit readings since until", verdict)


_BITS = {
    Status.UNSYNCHRONISED: _bit(
        "unsynchronised",
        "the gateway's clock had no reference, and nobody corrected the instant",
        Verdict.QUESTIONABLE,
        Severity.INFO,
    ),
    Status.PERMANENT_ERROR: _bit(
        "status.permanent_error", "the meter reports a lasting fault", Verdict.QUESTIONABLE, Severity.ALARM
    ),
    Status.TEMPORARY_ERROR: _bit(
        "status.temporary_error", "the meter reports a passing fault", Verdict.QUESTIONABLE, Severity.WARNING
    ),
    Status.APPLICATION_ERROR: _bit(
        "status.application_error",
        "the meter reports an application error",
        Verdict.QUESTIONABLE,
        Severity.WARNING,
    ),
    Status.ABNORMAL: _bit(
        "status.abnormal", "the meter reports an abnormal condition", Verdict.INFO, Severity.WARNING
    ),
    Status.POWER_LOW: _bit("status.power_low", "battery or supply low", Verdict.INFO, Severity.WARNING),
    Status.TAMPER: _bit(
        "tamper", "the meter reports a cover, a magnet or its neutral", Verdict.QUESTIONABLE, Severity.ALARM
    ),
}
_KEPT_ELSEWHERE = Status.HISTORICAL | Status.MANUAL | Status.IMPORTED


@dataclass(frozen=True, slots=True)
class ClockParameters(RuleParameters):
    """Limits of instants. `drift` between the meter's clock and the reading's instant; `future`: ahead of its
    arrival; `age`: of a reading that arrives, unless it was kept by the meter, typed in or imported."""

    name = "clock"
    required = True
    drift: int = 120_000_000
    future: int = 300_000_000
    age: int = 460 * DAY  # a gateway that comes back with what meters keep, thirteen months, is not late


def status(study: Study) -> list[Hit]:
    """One finding for each stretch of readings with a device bit; gaps of less than a day do not end it."""
    given = study.block.status
    if not given.any():
        return []
    hits = []
    for bit, rule in _BITS.items():
        wrong = (given & int(bit)) != 0
        if bit is Status.UNSYNCHRONISED:
            wrong &= (given & int(Status.CLOCK_CORRECTED)) == 0
        hits += _stretches(study, rule.kind, rule.severities[0], wrong, {"bit": bit.labels()[0]})
    return hits


def instants(study: Study) -> list[Hit]:
    """Readings from after their own arrival, or from too long before it."""
    block = study.block
    known = block.received != UNKNOWN
    if not known.any():
        return []
    ahead = np.where(known, block.times - np.where(known, block.received, block.times), 0)
    limit = block.per_reading([each.parameters.always(ClockParameters).future for each in block.registers])
    age = block.per_reading([each.parameters.always(ClockParameters).age for each in block.registers])
    direct = (block.status & int(_KEPT_ELSEWHERE)) == 0
    hits = _stretches(study, FUTURE, Severity.WARNING, ahead > limit)
    hits += _stretches(study, TOO_OLD, Severity.INFO, (-ahead > age) & direct)
    return [_with_distance(study, hit, ahead) for hit in hits]


def clock_drift(study: Study) -> list[Hit]:
    """Stretches in which the meter's clock was further from the gateway's than allowed."""
    block = study.block
    known = block.clocks != UNKNOWN
    if not known.any():
        return []
    drift = np.where(known, np.where(known, block.clocks, block.times) - block.times, 0)
    limit = block.per_reading([each.parameters.always(ClockParameters).drift for each in block.registers])
    hits = _stretches(study, CLOCK_DRIFT, Severity.WARNING, np.abs(drift) > limit)
    return [_with_distance(study, hit, drift) for hit in hits]


def verification_expired(study: Study) -> list[Hit]:
    """Readings taken after a meter's verification had ended: one finding, open until it is verified anew.

    It is said of the meter's billed register, or of its first where none is, among those read since then.
    """
    hits: dict[str, tuple[bool, Hit]] = {}
    for row, register in enumerate(study.block.registers):
        until = register.verified_until
        first, last = (int(bound) for bound in study.block.bounds[row : row + 2])
        if until is None or first == last or study.block.times[last - 1] < until:
            continue
        begin = int(np.searchsorted(study.block.times[first:last], until))
        evidence: dict[str, str | int] = {"verified_until": iso(until)}
        readings = begin, last - first - 1
        span = until, None
        hit = study.hit(row, VERIFICATION_EXPIRED, Severity.WARNING, readings, span, evidence)
        said = hits.get(register.meter)
        if said is None or (register.billed and not said[0]):
            hits[register.meter] = register.billed, hit
    return [hit for _, hit in hits.values()]


def _stretches(
    study: Study, kind: str, severity: Severity, wrong: BoolArray, evidence: Evidence | None = None
) -> list[Hit]:
    block, rows = study.block, study.block.rows
    hits = []
    for run in groups(np.flatnonzero(wrong), rows, block.times, block.times, DAY):
        row = int(rows[run[0]])
        start, after = int(block.bounds[row]), int(run[-1]) + 1
        ended = int(block.times[after]) if after < block.bounds[row + 1] else None
        told = {
            **(evidence or {}),
            "readings": len(run),
            "since": iso(int(block.times[run[0]])),
            "until": iso(int(block.times[run[-1]])),
        }
        readings = int(run[0]) - start, int(run[-1]) - start
        hits.append(study.hit(row, kind, severity, readings, (int(block.times[run[0]]), ended), told))
    return hits


def _with_distance(study: Study, hit: Hit, distance: np.ndarray) -> Hit:
    """Adds the largest distance in seconds, and what is allowed, to the evidence."""
    start = int(study.block.bounds[hit.row])
    part = distance[start + hit.finding.first : start + hit.finding.last + 1]
    clock = study.block.registers[hit.row].parameters.always(ClockParameters)
    allowed = {FUTURE: clock.future, TOO_OLD: clock.age, CLOCK_DRIFT: clock.drift}[hit.finding.kind]
    told = {
        **hit.finding.evidence,
        "seconds": int(part[np.argmax(np.abs(part))]) // 1_000_000,
        "limit_seconds": allowed // 1_000_000,
    }
    return replace(hit, finding=replace(hit.finding, evidence=told))


def _instant(kind: str, says: str, verdict: Verdict, severity: Severity, uses: str) -> Rule:
    evidence = "readings since until seconds limit_seconds"
    return Rule(kind, says, (severity,), evidence, verdict, parameters=ClockParameters, uses=uses)


_LATE = "arrived long after it was taken, and nobody kept it"
RULES = (
    _instant(FUTURE, "taken after it arrived", Verdict.REJECT, Severity.WARNING, "future"),
    _instant(TOO_OLD, _LATE, Verdict.QUESTIONABLE, Severity.INFO, "age"),
    _instant(CLOCK_DRIFT, "the meter's clock is off", Verdict.INFO, Severity.WARNING, "drift"),
    *_BITS.values(),
    Rule(
        VERIFICATION_EXPIRED,
        "read after the verification ended, once a meter; the close reads the date itself",
        (Severity.WARNING,),
        "verified_until",
        lasts=Duration.DATE,
    ),
)
DETECTORS = (status, instants, clock_drift, verification_expired)
