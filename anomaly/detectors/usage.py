"""Use that is not as it was: another level, and hours that are not like the same hours of past weeks."""

from dataclasses import dataclass
from typing import Self

import numpy as np

from anomaly.episodes import Hysteresis, departures
from anomaly.input.series import HOUR, FloatArray
from anomaly.parameters import LITRE, WATT_HOUR, Counted, CountedRegister, LearningParameters, RuleParameters
from anomaly.rule import Duration, Rule
from anomaly.workspace import Hit, Study, mean, said, scale
from telemetry.findings import Severity
from telemetry.obis import RegisterKind

LEVEL_SHIFT, SEASONAL_OUTLIER = "level_shift", "seasonal_outlier"
_WEEK = 168
_MAD = 1.4826  # makes a median absolute deviation comparable to a standard deviation (normal distribution)


@dataclass(frozen=True, slots=True)
class ShiftParameters(LearningParameters):
    """Limits of a level: a week's usual figure above `up` or below `down` times that of the past `history`
    days, and different by `least`, for `days` days: another level. `settle`: days after which it is the new
    normal."""

    name = "shift"
    up: float = 2.5
    down: float = 0.3
    least: int = 0
    days: int = 7
    settle: int = 90

    @property
    def hysteresis(self) -> Hysteresis:
        """What opens and ends a departure from the level."""
        return Hysteresis(self.days, max(1, self.days // 2), self.settle)

    @classmethod
    def usual(cls, of: CountedRegister) -> Self | None:
        """Water, gas and electricity."""
        least = {Counted.VOLUME: 150 * LITRE, Counted.ELECTRICITY: 1_000 * WATT_HOUR}.get(of.counts)
        return None if least is None else cls(least=least, days=14)


@dataclass(frozen=True, slots=True)
class SeasonalParameters(RuleParameters):
    """Limits of odd hours: those whose robust z against the same hour of the past `weeks` weeks exceeds `z`
    for `hours` in a row."""

    name = "seasonal"
    weeks: int = 8
    z: float = 8.0
    hours: int = 3
    least: int = 300 * WATT_HOUR

    @classmethod
    def usual(cls, of: CountedRegister) -> Self | None:
        """Electricity, and the water and gas of a house."""
        if of.counts is Counted.VOLUME and of.house:
            return cls(least=300 * LITRE)
        return cls() if of.counts is Counted.ELECTRICITY else None


def level_shift(study: Study) -> list[Hit]:
    """Days in a row above or below what this register used in past weeks, until it is back or the new
    normal."""
    days = study.days
    on = study.rows_with(ShiftParameters)
    history = study.parameters(ShiftParameters, lambda rule: rule.history)
    least = study.amounts(ShiftParameters, lambda rule: rule.least)
    up = study.parameters(ShiftParameters, lambda rule: rule.up)
    down = study.parameters(ShiftParameters, lambda rule: rule.down)
    usual = study.usual(days.total, history, 0.5, least=28)

    worth_it = np.where(usual >= least[:, None], usual, np.nan)

    def by(row: int) -> Hysteresis:
        return on[row].hysteresis

    ways = (
        departures(days.total, usual, (up, least), ((1 + up) / 2, least / 2), by, since=days.opens),
        departures(-days.total, -worth_it, (down, 0.0), ((1 + down) / 2, 0.0), by, since=days.opens),
    )
    hits = []
    for episode in ways[0] + ways[1]:
        before, now = abs(episode.reference), mean(days.total[episode.row, episode.days])
        evidence: dict[str, str | int] = {
            "usual_day": said(before),
            "day_since": said(now),
            "difference_a_day": said(now - before),
            "learned_from_days": on[episode.row].history,
            "days": episode.last + 1 - episode.first,
        }
        hits.append(study.by_days(LEVEL_SHIFT, Severity.INFO, episode, evidence))
    return hits


def seasonal_outlier(study: Study) -> list[Hit]:
    """Hours in a row whose robust z (median and MAD of the same hour of past weeks) is too large."""
    if not len(study.steps):
        return []
    hits = []
    for row, rule in study.rows_with(SeasonalParameters).items():
        register = study.block.registers[row]
        begin, end = (int(bound) for bound in np.searchsorted(study.steps.row, [row, row + 1]))
        steps = np.arange(begin, end)[study.steps.known[begin:end]]
        if not len(steps):
            continue
        first, use = _hourly(study, row)
        where = study.step_hours[steps] - first
        usual, spread = _hours_of_week(use, rule.weeks)
        least = rule.least * scale(register)
        spread = np.maximum(spread, least / rule.z)  # hours without any use have none
        with np.errstate(invalid="ignore", divide="ignore"):
            z = ((use - usual) / spread).ravel()
            odd = (np.abs(z) > rule.z) & (np.abs(use - usual) > least).ravel()
        past = study.block.past[row]
        if past is not None:
            odd[: max(0, past.first_hour + len(past.hours) - first)] = False  # told already
        at = np.flatnonzero(odd)
        for run in np.split(at, np.flatnonzero(np.diff(at) > 2) + 1):
            if len(run) < rule.hours:
                continue
            inside = steps[(where >= run[0]) & (where <= run[-1])]
            worst = int(run[np.argmax(np.abs(z[run]))])
            ended = int(study.steps.end[inside[-1]])
            evidence: dict[str, str | int] = {
                "hours": len(run),
                "used": said(use.ravel()[run].sum()),
                "normal": said(usual.ravel()[run].sum()),
                "worst_hour": said(use.ravel()[worst]),
                "worst_hour_normal": said(usual.ravel()[worst]),
                "worst_z": round(float(z[worst])),
                "learned_from_weeks": rule.weeks,
            }
            readings = int(study.steps.first[inside[0]]), int(study.steps.last[inside[-1]])
            span = int(study.steps.begin[inside[0]]), ended if inside[-1] + 1 < end else None
            hits.append(study.hit(row, SEASONAL_OUTLIER, Severity.INFO, readings, span, evidence))
    return hits


def _hourly(study: Study, row: int) -> tuple[int, FloatArray]:
    """Use of each hour, behind the hours that are settled, NaN where it is not known: shape (weeks, 168). The
    first hour is a Monday's."""
    begin, end = (int(bound) for bound in np.searchsorted(study.steps.row, [row, row + 1]))
    steps = np.arange(begin, end)[study.steps.known[begin:end]]
    hours, past = study.step_hours[steps], study.block.past[row]
    kept = past.hours if past is not None else np.zeros(0)
    earliest = past.first_hour if past is not None and len(kept) else int(hours.min(initial=2**62))
    if earliest == 2**62:
        return 0, np.zeros((0, _WEEK))
    first = (earliest // 24 + 3) // 7 * _WEEK - 72
    last = max(int(hours.max(initial=earliest)), earliest + len(kept) - 1)
    weeks = (last - first) // _WEEK + 1
    inside = hours >= first
    where, steps = hours[inside] - first, steps[inside]
    took = (study.steps.end - study.steps.begin)[steps] / HOUR
    amount = np.bincount(where, study.steps.moved[steps].astype(np.float64), minlength=weeks * _WEEK)
    known = np.bincount(where, took, minlength=weeks * _WEEK)
    with np.errstate(invalid="ignore", divide="ignore"):
        use = np.where(known > 0, amount / known, np.nan)
    use[earliest - first : earliest - first + len(kept)] = kept
    return first, use.reshape(weeks, _WEEK)


def past_hours(study: Study, row: int, day: int) -> tuple[int, FloatArray]:
    """Use of the hours before local day `day` from which later weeks learn, and which hour is the first."""
    rule = study.block.registers[row].parameters.get(SeasonalParameters)
    if rule is None or study.block.registers[row].kind is not RegisterKind.COUNTER:
        return 0, np.zeros(0)
    first, use = _hourly(study, row)
    monday = (day - (day + 3) % 7 - 7 * rule.weeks) * 24
    begin = max(first, monday)
    hours = use.ravel()[begin - first : max(0, day * 24 - first)]
    return begin, np.pad(hours, (0, max(0, day * 24 - begin - len(hours))), constant_values=np.nan)


def _hours_of_week(use: FloatArray, weeks: int) -> tuple[FloatArray, FloatArray]:
    """Median and spread of each hour from the same hour of the `weeks` before: shape as `use` (weeks, 168).

    Known where three quarters of these weeks are: of four values the least deviations say next to nothing
    about the spread. It is at least a quarter of the usual spread of all hours, since some hours vary by
    nothing at all.
    """
    least = -(-3 * weeks // 4)
    padded = np.concatenate((np.full((weeks, _WEEK), np.nan), use))
    past = np.lib.stride_tricks.sliding_window_view(padded, weeks, axis=0)[: len(use)]
    usual = _median(past, least)
    spread = _MAD * _median(np.abs(past - usual[:, :, None]), least)
    with np.errstate(invalid="ignore"):
        floor = np.array(
            [0.25 * mean(week) + 0.1 * mean(level) for week, level in zip(spread, usual, strict=True)]
        )
    return usual, np.maximum(spread, floor[:, None])


def _median(x: FloatArray, least: int) -> FloatArray:
    """The lower median of the last axis, NaN left out; NaN where fewer than `least` are known."""
    ordered = np.sort(x, axis=-1)
    known = np.count_nonzero(~np.isnan(ordered), axis=-1)
    middle = np.take_along_axis(ordered, np.maximum(known - 1, 0)[..., None] // 2, axis=-1)[..., 0]
    return np.where(known >= max(least, 1), middle, np.nan)


RULES = (
    Rule(
        LEVEL_SHIFT,
        "days in a row at another level, until it is back or the new normal",
        (Severity.INFO,),
        "usual_day day_since difference_a_day learned_from_days days",
        lasts=Duration.DAYS,
        parameters=ShiftParameters,
    ),
    Rule(
        SEASONAL_OUTLIER,
        "hours unlike the same hours of past weeks (robust z on median and MAD), once three quarters of "
        "these are known",
        (Severity.INFO,),
        "hours used normal worst_hour worst_hour_normal worst_z learned_from_weeks",
        parameters=SeasonalParameters,
    ),
)
DETECTORS = (level_shift, seasonal_outlier)
