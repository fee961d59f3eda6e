"""All detectors on one counter's whole series: the one entry for those who store the result."""

from anomaly import negative_step, stuck
from anomaly.pace import learn
from anomaly.series import Judgement, Series
from anomaly.stuck import StuckRule

KINDS = (*negative_step.KINDS, stuck.KIND)


def judge(series: Series, stuck_rule: StuckRule | None = None) -> Judgement:
    """Everything said of the series: a pure function of it, so late data give the same result."""
    steps = negative_step.detect(series, learn(series))
    standing = stuck.detect(series, steps.usable, stuck_rule or StuckRule())
    findings = sorted(steps.findings + standing, key=lambda finding: (finding.started_at, finding.kind))
    return Judgement(tuple(findings), steps.marks, steps.usable)
