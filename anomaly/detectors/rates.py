"""Whether a counter can have moved like that: against what is physically possible, and against its own past.

The VEE standard of California (DASMMD) names the comparisons; what was learned is part of the evidence.
"""

from dataclasses import dataclass
from functools import partial
from typing import Self

import numpy as np

from anomaly.episodes import Hysteresis, departures
from anomaly.input.series import HOUR, iso
from anomaly.parameters import LITRE, WATT_HOUR, Counted, CountedRegister, LearningParameters, RuleParameters
from anomaly.rule import Duration, Rule
from anomaly.workspace import Hit, Study, exact, groups, said
from metering.readings.rate import IMPOSSIBLE
from telemetry.findings import Severity, Verdict

MAX_RATE, HIGH, LOW, SPIKE, UNIT = "max_rate", "high_low.high", "high_low.low", "spike", "unit_or_multiplier"
_A_DAY_OR_TWO = Hysteresis(opens=1, closes=2, settle=28)


@dataclass(frozen=True, slots=True)
class HighLowParameters(LearningParameters):
    """Limits of a day's use. A day is high above `high` times the 90th percentile of the past `history` days,
    and low below `low` times the 10th; `least` is an amount a day that nobody needs to look at."""

    name = "high_low"
    high: float = 4.0
    low: float = 0.1
    least: int = 500 * LITRE

    @classmethod
    def usual(cls, of: CountedRegister) -> Self | None:
        """Water, gas and electricity."""
        # the weather of a season moves heat more than anything that goes wrong
        return {Counted.VOLUME: cls(), Counted.ELECTRICITY: cls(least=5_000 * WATT_HOUR)}.get(of.counts)


@dataclass(frozen=True, slots=True)
class SpikeParameters(LearningParameters):
    """Limits of an interval's use: the highest interval of a day above `third` times the third highest and
    above `past` times the highest of the past `history` days, and at least `least` an hour."""

    name = "spike"
    third: float = 3.0
    past: float = 2.0
    least: int = 200 * LITRE

    @classmethod
    def usual(cls, of: CountedRegister) -> Self | None:
        """Water, gas, electricity and heat energy."""
        heat = cls(least=10_000 * WATT_HOUR)
        electricity = cls(least=3_000 * WATT_HOUR)
        by_counted = {Counted.VOLUME: cls(), Counted.HEAT: heat, Counted.COOLING: heat}
        return (by_counted | {Counted.ELECTRICITY: electricity}).get(of.counts)


@dataclass(frozen=True, slots=True)
class UnitParameters(RuleParameters):
    """Factors of a wrong unit: a step by one of the factors, exact to `tolerance` times what is usually used
    between two readings, from or to a value of at least `least`."""

    name = "units"
    factors: tuple[int, ...] = (10, 100, 1000)
    tolerance: float = 3.0
    least: int = 1_000_000


def max_rate(study: Study) -> list[Hit]:
    """More than the meter's Qmax or the fuse lets through, between any two usable readings."""
    steps = study.steps
    limit = np.array([each.max_rate or np.inf for each in study.block.registers], dtype=np.float64)
    hits = []
    over = np.flatnonzero((steps.moved > 0) & (steps.rate > limit[steps.row]))
    for run in groups(over, steps.row, steps.begin, steps.end, HOUR):
        row, top = int(steps.row[run[0]]), int(run[np.argmax(steps.rate[run])])
        span = int(steps.begin[run[0]]), int(steps.end[run[-1]])
        evidence: dict[str, str | int] = {
            "per_hour": said(steps.rate[top]),
            "possible_per_hour": said(limit[row]),
            "moved": exact(steps.moved[run].sum()),
            "since": iso(span[0]),
            "until": iso(span[1]),
        }
        readings = int(steps.last[run[0]]), int(steps.last[run[-1]])
        hits.append(study.hit(row, MAX_RATE, Severity.ALARM, readings, span, evidence))
    return hits


def high_low(study: Study) -> list[Hit]:
    """Days far above or below what this register used in a day before: one finding for days in a row."""
    history = study.parameters(HighLowParameters, lambda rule: rule.history)
    days = study.days
    high = study.parameters(HighLowParameters, lambda rule: rule.high)[:, None]
    low = study.parameters(HighLowParameters, lambda rule: rule.low)[:, None]
    least = study.amounts(HighLowParameters, lambda rule: rule.least)[:, None]
    usual_high = study.usual(days.total, history, 0.9)
    usual_low = study.usual(days.total, history, 0.1)
    hits = []
    bars = (
        (HIGH, np.fmax(usual_high * high, usual_high + least), usual_high, 1.0),
        (LOW, np.where(usual_low >= least, usual_low * low, np.nan), usual_low, -1.0),
    )
    for kind, bar, usual, sign in bars:
        back = 1.0, 0.0
        for episode in departures(sign * days.total, sign * bar, back, back, _A_DAY_OR_TWO, since=days.opens):
            part = days.total[episode.row, episode.days]
            most = np.nanargmax(sign * part)
            evidence: dict[str, str | int] = {
                "day_of_use": said(part[most]),
                "limit": said(sign * episode.reference),
                "learned_from_days": int(history[episode.row]),
                "usual_day": said(usual[episode.row, episode.first]),
                "days": int(np.count_nonzero(~np.isnan(part))),
            }
            hits.append(study.by_days(kind, Severity.INFO, episode, evidence))
    return hits


def spike(study: Study) -> list[Hit]:
    """The highest interval of a day far above its third highest, and above all of the past weeks."""
    days = study.days
    third = study.parameters(SpikeParameters, lambda rule: rule.third)[:, None]
    past = study.parameters(SpikeParameters, lambda rule: rule.past)[:, None]
    least = study.amounts(SpikeParameters, lambda rule: rule.least)[:, None]
    history = study.parameters(SpikeParameters, lambda rule: rule.history)
    learned = study.usual(days.highest, history, 1.0)
    with np.errstate(invalid="ignore"):
        over = (days.highest > third * days.third) & (days.highest > past * learned) & (days.highest >= least)
    over &= np.arange(over.shape[1]) >= days.fresh[:, None]
    steps, hours = study.steps, study.step_hours
    hits = []
    for row, day in zip(*np.nonzero(over), strict=True):
        begin, end = np.searchsorted(steps.row, [row, row + 1])
        of_day = begin + np.flatnonzero(hours[begin:end] // 24 == days.first + day)
        top = int(of_day[np.argmax(np.where(steps.known[of_day], steps.rate[of_day], -np.inf))])
        span = int(steps.begin[top]), int(steps.end[top])
        evidence: dict[str, str | int] = {
            "highest_per_hour": said(days.highest[row, day]),
            "third_highest_per_hour": said(days.third[row, day]),
            "highest_of_past_per_hour": said(learned[row, day]),
            "learned_from_days": int(history[row]),
        }
        readings = int(steps.first[top]), int(steps.last[top])
        hits.append(study.hit(int(row), SPIKE, Severity.INFO, readings, span, evidence))
    return hits


def unit_or_multiplier(study: Study) -> list[Hit]:
    """A reading that is 10, 100 or 1000 times (or a part of) the one before, until the level is back."""
    block, rows = study.block, study.block.rows
    hits = []
    values = block.values.astype(np.float64)
    before, after = values[:-1], values[1:]
    with np.errstate(divide="ignore", invalid="ignore"):
        factor = np.maximum(after / before, before / after)
        far = (before > 0) & (after > 0) & (factor > 5) & (rows[1:] == rows[:-1])
    back: dict[int, int] = {}  # register: reading up to which it was already told
    for i in np.flatnonzero(far):
        row = int(rows[i])
        rule, learned = block.registers[row].parameters.get(UnitParameters), study.rates.at(int(i) + 1)
        if (
            rule is None
            or learned.rate is None
            or i < back.get(row, 0)
            or min(before[i], after[i]) < rule.least
        ):
            continue
        usual = learned.usual(int(block.times[i + 1] - block.times[i])) or 0
        lower, upper = sorted((before[i], after[i]))
        near = (tens for tens in rule.factors if abs(upper - lower * tens) <= rule.tolerance * usual * tens)
        tens = next(near, None)
        if tens is None or upper - lower <= IMPOSSIBLE * usual:
            continue
        grew = after[i] > before[i]
        last = int(block.bounds[row + 1])
        level = values[i + 1 : last] / (tens if grew else 1 / tens)
        returned = np.flatnonzero(np.abs(values[i + 1 : last] - before[i]) < np.abs(level - before[i]) + 1e-9)
        if len(returned) and returned[0] == 0:
            continue  # with the factor the reading is further from the level than without
        end = int(i) + 1 + int(returned[0]) if len(returned) else last
        back[row] = end
        start = int(block.bounds[row])
        evidence: dict[str, str | int] = {
            "factor": tens if grew else f"1/{tens}",
            "before": exact(block.values[i]),
            "after": exact(block.values[i + 1]),
            "before_at": iso(int(block.times[i])),
            "after_at": iso(int(block.times[i + 1])),
            "readings": end - int(i) - 1,
        }
        span = int(block.times[i + 1]), int(block.times[end]) if end < last else None
        readings = int(i) + 1 - start, end - 1 - start
        hits.append(study.hit(row, UNIT, Severity.ALARM, readings, span, evidence))
    return hits


_day = partial(
    Rule,
    severities=(Severity.INFO,),
    evidence="day_of_use limit usual_day learned_from_days days",
    lasts=Duration.DAYS,
    parameters=HighLowParameters,
)
RULES = (
    Rule(
        MAX_RATE,
        "more than the meter's Qmax or the fuse lets through",
        (Severity.ALARM,),
        "per_hour possible_per_hour moved since until",
        verdict=Verdict.QUESTIONABLE,
    ),
    _day(HIGH, "a day far above past days", uses="high least history"),
    _day(LOW, "a day far below past days", uses="low least history"),
    Rule(
        SPIKE,
        "the highest interval of a day far above its third highest, and above the past",
        (Severity.INFO,),
        "highest_per_hour third_highest_per_hour highest_of_past_per_hour learned_from_days",
        parameters=SpikeParameters,
    ),
    Rule(
        UNIT,
        "ten, hundred or thousand times (or a part of) the level, until it is back",
        (Severity.ALARM,),
        "factor before after before_at after_at readings",
        parameters=UnitParameters,
        verdict=Verdict.REJECT,
    ),
)
DETECTORS = (max_rate, high_low, spike, unit_or_multiplier)
