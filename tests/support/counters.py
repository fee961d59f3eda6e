"""Judgement of one counter's steps and standstills, whatever else rules say of it."""

from anomaly.boundary import negative_step, stuck
from anomaly.boundary.stuck import StuckParameters
from anomaly.input.series import Judgement, Series
from metering.readings import rate
from metering.readings.rate import LearnedRates


def learn(series: Series, max_rate: int | None = None) -> LearnedRates:
    """The rates of a series of any length, by weeks of UTC."""
    return rate.learn(series.times, series.values, max_rate)


def judge(series: Series, parameters: StuckParameters | None = None) -> Judgement:
    """Glitches, resets, exchanges and standstills of a series."""
    steps = negative_step.detect(series, learn(series))
    standing = stuck.detect(series, steps.usable, parameters or StuckParameters())
    findings = sorted(steps.findings + standing, key=lambda finding: (finding.started_at, finding.kind))
    return Judgement(tuple(findings), steps.marks, steps.usable)
