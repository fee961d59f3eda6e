"""What goes wrong with water and gas: a leak, a burst pipe, and use that comes at once after a silence."""

from dataclasses import dataclass, replace
from typing import Self

import numpy as np

from anomaly.boundary.steps import SILENCE
from anomaly.episodes import Episode, Hysteresis, departures, episodes
from anomaly.input.local_time import midnight
from anomaly.input.series import DAY, HOUR, FloatArray, iso
from anomaly.parameters import LITRE, Counted, CountedRegister, LearningParameters
from anomaly.rule import Duration, Rule
from anomaly.workspace import Hit, Study, exact, groups, said, scale
from telemetry.findings import Severity

LEAK, BURST, CATCH_UP = "leak", "burst", "catch_up"
_LOOK_BACK = 28  # days before a silence ends, for what was usual before it
_BUSY_DAYS = 0.95  # share of the past days that were less busy


@dataclass(frozen=True, slots=True)
class LeakParameters(LearningParameters):
    """Limits of flow that never rests. `rests`: whether such a register stands still for some hour of a usual
    day (a flat's does, a house's main meter does not and is only compared with its own past nights). More
    than `flow` an hour in every interval of `days` days, or above `times` the usual least flow of its nights
    plus `above` in `nights` nights, is a leak; `dry` nights in a row end it, and one day of more than `alarm`
    is enough to begin it. `alarm`: micro-units an hour from which somebody should go there now."""

    name = "leak"
    rests: bool = True
    flow: int = LITRE // 2
    days: int = 3
    nights: int = 4
    times: float = 1.5
    above: int = 3 * LITRE
    dry: int = 2
    history: int = 28
    alarm: int = 20 * LITRE

    @classmethod
    def usual(cls, of: CountedRegister) -> Self | None:
        """Water and gas, but not where flats are metered behind it."""
        if of.counts is not Counted.VOLUME or of.submetered:
            return None
        return cls(rests=not of.house)


@dataclass(frozen=True, slots=True)
class BurstParameters(LearningParameters):
    """Limits of two hours: more than `times` what the busiest twentieth of the past `history` days had in
    such a time, and more than `least` an hour."""

    name = "burst"
    times: float = 2.0
    least: int = 400 * LITRE

    @classmethod
    def usual(cls, of: CountedRegister) -> Self | None:
        """Water and gas."""
        return cls() if of.counts is Counted.VOLUME else None


@dataclass(frozen=True, slots=True)
class CatchUpParameters(LearningParameters):
    """Limits of a silence: one of `silence`, after which the register had gone on; out of line when its days
    are more than `times` or less than 1/`times` of the usual."""

    name = "catch_up"
    silence: int = 2 * DAY
    times: float = 3.0


def leak(study: Study) -> list[Hit]:
    """Flow that never rests: no interval of whole days without it, or nights above their own past weeks.

    Where an event is seen in both ways it is one finding, from the first beginning to the last end.
    """
    days = study.days
    on = study.rows_with(LeakParameters)
    if not on:
        return []
    flow = study.amounts(LeakParameters, lambda rule: rule.flow)[:, None]
    above = study.amounts(LeakParameters, lambda rule: rule.above)
    alarm = study.amounts(LeakParameters, lambda rule: rule.alarm)[:, None]
    times = study.parameters(LeakParameters, lambda rule: rule.times)
    rests = study.parameters(LeakParameters, lambda rule: float(rule.rests))[:, None] == 1
    history = study.parameters(LeakParameters, lambda rule: rule.history)
    usual = study.usual(days.night_least, history, 0.5)
    with np.errstate(invalid="ignore"):
        dry, nights = days.least <= flow, (days.night_least <= flow, days.night_least > flow)
        wet, much = rests & (days.least > flow), rests & (days.least > alarm)
    since = days.opens
    never_dry = episodes((wet, dry), nights, lambda row: Hysteresis(on[row].days, on[row].dry), since=since)
    never_dry += episodes((much, dry), nights, lambda row: Hysteresis(1, on[row].dry), since=since)
    wet_nights = departures(
        days.night_least,
        usual,
        (times, above),
        (times, above / 2),
        lambda row: Hysteresis(on[row].nights, on[row].dry),
        since=since,
    )
    return [_leak(study, on[event.row], event) for event in _together(never_dry + wet_nights)]


def _together(found: list[Episode]) -> list[Episode]:
    """Events of one register that overlap or touch, as one; normal is what was before the first."""
    merged: list[Episode] = []
    for each in sorted(found, key=lambda episode: (episode.row, episode.first, episode.reference)):
        before = merged[-1] if merged and merged[-1].row == each.row else None
        if before is None or (before.end is not None and each.first > before.end):
            merged.append(each)
            continue
        end = None if before.end is None or each.end is None else max(before.end, each.end)
        merged[-1] = replace(before, last=max(before.last, each.last), end=end)
    return merged


def _leak(study: Study, rule: LeakParameters, episode: Episode) -> Hit:
    """Begins after the interval before its first day in which least flowed, ends with its first dry night."""
    row, days = episode.row, study.days
    unit = scale(study.block.registers[row])
    nights = days.night_least[row, episode.days]
    nights = nights[~np.isnan(nights)]
    rate = max(0.0, float(np.median(nights)) - episode.reference) if len(nights) else 0.0
    start = midnight(days.first + episode.first, study.block.zone)
    end = None if episode.end is None else midnight(days.first + episode.end, study.block.zone)
    day_before = max(0, episode.first - 1)
    if days.least[row, day_before] <= episode.reference + rule.flow * unit:  # NaN compares as False
        start = min(start, int(days.rested[row, day_before]))
    hours = ((int(study.block.until[row]) if end is None else end) - start) // HOUR
    evidence: dict[str, str | int] = {
        "night_flow_per_hour": said(rate),
        "usual_night_flow_per_hour": said(episode.reference),
        "highest_night_flow_per_hour": said(nights.max(initial=0.0)),
        "hours": hours,
        "lost": said(rate * hours),
    }
    severity = Severity.ALARM if rate >= rule.alarm * unit else Severity.WARNING
    return study.hit(row, LEAK, severity, study.readings(row, start, end), (start, end), evidence)


def burst(study: Study) -> list[Hit]:
    """Two hours with far more than two hours of usual days; one finding until half a day is quiet."""
    steps, days = study.steps, study.days
    times = study.parameters(BurstParameters, lambda rule: rule.times)
    least = study.amounts(BurstParameters, lambda rule: rule.least)
    history = study.parameters(BurstParameters, lambda rule: rule.history)
    flow, begin = study.over_two
    at = np.flatnonzero(~np.isnan(flow))
    day = study.step_hours[at] // 24 - days.first
    usual = study.usual(days.busiest, history, _BUSY_DAYS)[steps.row[at], day]
    with np.errstate(invalid="ignore"):
        limit = np.fmax(times[steps.row[at]] * usual, least[steps.row[at]])
        over = np.flatnonzero((flow[at] > limit) & ~np.isnan(usual))
    hits = []
    for run in groups(over, steps.row[at], begin[at], steps.end[at], DAY // 2):
        of, top = at[run], int(run[np.argmax(flow[at][run])])
        row = int(steps.row[of[0]])
        inside = slice(int(of[0]) - 1, int(of[-1]) + 1)
        span = int(begin[of[0]]), int(steps.end[of[-1]])
        evidence: dict[str, str | int] = {
            "per_hour": said(flow[at[top]]),
            "limit_per_hour": said(limit[top]),
            "busy_days_per_hour": said(usual[top]),
            "learned_from_days": int(history[row]),
            "ran": exact(steps.moved[inside].sum()),
            "since": iso(span[0]),
            "until": iso(span[1]),
        }
        ended = span[1] if of[-1] + 1 < len(steps) and steps.row[of[-1] + 1] == row else None
        readings = int(steps.first[inside.start]), int(steps.last[of[-1]])
        hits.append(study.hit(row, BURST, Severity.ALARM, readings, (span[0], ended), evidence))
    return hits


def catch_up(study: Study) -> list[Hit]:
    """The register had gone on during a silence: what was used then, and whether that is like other days.

    A silence is one where readings were due: by the register's schedule, or because the one before had come
    in a third of the time. Values of the first of each month that a meter kept are none.
    """
    steps, days = study.steps, study.days
    silence = study.parameters(CatchUpParameters, lambda rule: rule.silence)
    history = study.parameters(CatchUpParameters, lambda rule: rule.history)
    elapsed = steps.end - steps.begin
    scheduled = np.array([each.interval is not None for each in study.block.registers], dtype=np.bool_)
    due = np.zeros(len(steps), dtype=np.bool_)
    due[1:] = (np.diff(steps.row) == 0) & (elapsed[1:] > SILENCE * elapsed[:-1])
    with np.errstate(invalid="ignore"):
        silent = np.flatnonzero(
            steps.whole
            & (elapsed >= silence[steps.row])
            & (steps.moved > 0)
            & ~steps.known
            & (due | scheduled[steps.row])
        )
    if not len(silent):
        return []
    usual = study.usual(days.total, history, 0.5)
    hits = []
    for i in silent:
        row = int(steps.row[i])
        rule = study.block.registers[row].parameters.get(CatchUpParameters)
        assert rule is not None
        a_day = float(steps.moved[i]) / elapsed[i] * DAY
        column = int(study.step_hours[i] // 24 - days.first)
        before = _last_known(usual[row, max(0, column - _LOOK_BACK) : column + 1])
        odd = before is not None and not before / rule.times <= a_day <= before * rule.times
        evidence: dict[str, str | int] = {
            "used": exact(steps.moved[i]),
            "silent_hours": int(elapsed[i] // HOUR),
            "used_a_day": said(a_day),
            "usual_day": "unknown" if before is None else said(before),
            "since": iso(int(steps.begin[i])),
            "until": iso(int(steps.end[i])),
        }
        severity = Severity.WARNING if odd else Severity.INFO
        span = int(steps.begin[i]), int(steps.end[i])
        readings = int(steps.first[i]), int(steps.last[i])
        hits.append(study.hit(row, CATCH_UP, severity, readings, span, evidence))
    return hits


def _last_known(x: FloatArray) -> float | None:
    known = x[~np.isnan(x)]
    return float(known[-1]) if len(known) else None


RULES = (
    Rule(
        LEAK,
        "no interval without flow for days (not a house), or nights above their own past weeks; ended by "
        "dry nights; off where flats are metered behind it",
        (Severity.WARNING, Severity.ALARM),
        "night_flow_per_hour usual_night_flow_per_hour highest_night_flow_per_hour hours lost",
        lasts=Duration.DAYS,
        parameters=LeakParameters,
    ),
    Rule(
        BURST,
        "two hours far above those of busy days",
        (Severity.ALARM,),
        "per_hour limit_per_hour busy_days_per_hour learned_from_days ran since until",
        parameters=BurstParameters,
    ),
    Rule(
        CATCH_UP,
        "went on during a silence in which readings were due (by schedule, or the distance before was "
        "less than a third); a warning where its days are not like others",
        (Severity.INFO, Severity.WARNING),
        "used silent_hours used_a_day usual_day since until",
        parameters=CatchUpParameters,
    ),
)
DETECTORS = (leak, burst, catch_up)
