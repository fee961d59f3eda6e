"""What is said of a register whose utility changed its parameters: a reading is judged by those of its day.

The whole is judged by each set of parameters, and of each what lies in its time counts. An event that goes on
at the change keeps its beginning and goes on where the new parameters see it too, with their evidence; where
they do not it ends there. One that only they see begins there, however long it had been going on.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from anomaly.input.block import UNKNOWN
from anomaly.input.series import Finding, Int64Array, Judgement


@dataclass(frozen=True, slots=True)
class Era:
    """The judgement by the parameters that are in force from `since` to before `until`, instants in
    microseconds since 1970; `UNKNOWN` is ever, None is still."""

    since: int
    until: int | None
    judged: Judgement

    def holds(self, instant: int) -> bool:
        """Whether its parameters are those of an instant."""
        return self.since <= instant and (self.until is None or instant < self.until)


def over_time(eras: Sequence[Era], times: Int64Array) -> Judgement:
    """All that is said of a register with readings at `times`, by eras in the order of time."""
    if len(eras) == 1:
        return eras[0].judged
    findings: list[Finding] = []
    marks = []
    for era in eras:
        going_on = {each.kind: each for each in findings if _spans(each, era.since)}
        findings = [each for each in findings if not _spans(each, era.since)]
        for each in era.judged.findings:
            if era.holds(each.started_at):
                findings.append(each)
            elif _spans(each, era.since):
                before = going_on.pop(each.kind, None)
                began = era.since if before is None else before.started_at
                findings.append(replace(each, started_at=began))
        findings += [replace(each, ended_at=era.since) for each in going_on.values()]
        marks += [mark for mark in era.judged.marks if era.holds(int(times[mark.index]))]
    return Judgement(tuple(findings), tuple(marks), eras[-1].judged.usable)


def _spans(finding: Finding, instant: int) -> bool:
    return (
        instant != UNKNOWN
        and finding.started_at < instant
        and (finding.ended_at is None or finding.ended_at > instant)
    )
