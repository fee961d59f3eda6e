"""What is settled of a register: all that its past can still mean for what is yet to come.

New readings are judged by what they add: instead of a register's whole series a block may hold its tail and
a `RegisterPast`, made of the judgement of the whole at a `cut`, a local Monday's midnight. A judgement from
there on says the same, to the last figure of evidence, as one from the beginning; a test holds the two
together for any series. It rests on what rules remember:

- the learned rate of a week, the days of use and the hours of past weeks are figures that are carried on;
- an event of days (a leak, another level) is looked for anew from the day `since`, which lies within none;
- a standstill is carried on with its beginning and the longest one before it (`Standing`);
- everything else remembers no more than a day, and `_is_calm` refuses a cut near which anything was said.

Where a register had been reset or exchanged before, a new step like that may be explained by both, however
long ago the first was: such a register is doubtful, and its meter is judged from the beginning (`judge.py`).
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from anomaly.boundary import stuck
from anomaly.boundary.steps import COLUMNS
from anomaly.catalogue import RULES
from anomaly.detectors import usage
from anomaly.input.block import UNKNOWN, Block
from anomaly.input.local_time import local, midnight
from anomaly.input.past import EVENTS, RegisterPast, Standing
from anomaly.input.series import DAY, BoolArray, Finding, Judgement
from anomaly.rule import Duration
from anomaly.workspace import Study
from metering.readings.rate import FIRST_WEEKS, WEEKS, WeeklyRates
from telemetry.obis import RegisterKind

_READINGS = 10  # before the cut that say nothing: more than a glitch, and more than costs less than a break


@dataclass(frozen=True, slots=True)
class _Cut:
    """At the beginning of `day`: events of days are looked for from `since` on, for which the `columns` of
    days are needed. `off_schedule` as of `schedule.off`."""

    day: int
    since: int
    columns: slice
    off_schedule: BoolArray


def open_from(past: RegisterPast, kind: str) -> int:
    """The instant from which on what is said of a kind is not final."""
    match RULES[kind].lasts:
        case Duration.DAYS:
            return past.events_from
        case Duration.STANDSTILL if past.standing is not None:
            return past.standing.begin
        case Duration.DATE:
            return UNKNOWN
        case _:
            return past.final


def settle(
    study: Study,
    weeks: WeeklyRates,
    judged: Sequence[Judgement],
    rows: Sequence[int],
    *,
    day: int,
    off_schedule: BoolArray,
    since: int | None = None,
) -> list[RegisterPast]:
    """What is settled of all registers of a meter at the beginning of the local day `day`, a Monday.

    None where too much is in the air, or too little known. `off_schedule` as of `schedule.off`. Events of
    days are looked for anew from `since` at the latest.
    """
    if any(_is_too_new(study.block, weeks, row, day) for row in rows):
        return []
    latest = day - 2 - EVENTS
    said = [finding for row in rows for finding in judged[row].findings]
    begin = _since(said, latest if since is None else min(latest, since), study.block)
    needed = begin - 7 - max(study.block.registers[row].parameters.days_learned for row in rows)
    columns = slice(max(0, needed - study.days.first), max(0, day - 2 - study.days.first))
    cut = _Cut(day, begin, columns, off_schedule)
    found = list[RegisterPast]()
    for row in rows:
        one = _of_register(study, weeks, judged[row], row, cut)
        if one is None:
            return []
        found.append(one)
    return found


def _of_register(
    study: Study, weeks: WeeklyRates, judged: Judgement, row: int, at: _Cut
) -> RegisterPast | None:
    block, day = study.block, at.day
    zone, before = block.zone, block.past[row]
    cut, final = midnight(day, zone), midnight(day - 2, zone)
    if block.until[row] < cut:
        return None
    days = np.stack([getattr(study.days, name)[row, at.columns] for name in COLUMNS])
    nothing = RegisterPast(
        day=day,
        cut=cut,
        tail=UNKNOWN,
        final=UNKNOWN,
        since=at.since,
        events_from=midnight(at.since, zone),
        weeks=weeks.part(slice(0, 0)),
        first_day=study.days.first + at.columns.start,
        days=days,
        first_hour=0,
        hours=np.zeros(0),
        standing=None,
        broken=False,
    )
    times, counter = block.series(row).times, block.registers[row].kind is RegisterKind.COUNTER
    if not len(times):
        return nothing
    first = int(np.searchsorted(times, midnight(day - 4, zone))) - 1
    first = min(first, int(np.searchsorted(times, final)) - _READINGS)
    if first < 0 or not _is_calm(study, judged, row, first, (final, cut)):
        return None
    start, last = int(block.bounds[row]), int(np.searchsorted(times, cut))
    off = at.off_schedule[start + first : start + last - 1]
    if (off & (times[first + 1 : last] >= final - DAY)).any():
        return None
    known = _known(weeks, row, day)
    first_hour, hours = usage.past_hours(study, row, day - 2)
    broken = any(
        RULES[each.kind].lasts is Duration.BREAK and each.started_at < cut for each in judged.findings
    )
    return replace(
        nothing,
        tail=int(times[first]),
        final=final,
        weeks=weeks.part(slice(max(known.start, known.stop - WEEKS - _READINGS - 2), known.stop)),
        first_hour=first_hour,
        hours=hours,
        standing=_standing(study, judged, row, first) if counter else None,
        broken=broken or (before is not None and before.broken),
    )


def _known(weeks: WeeklyRates, row: int, day: int) -> slice:
    """The weeks of a register before the one of a day."""
    begin, end = np.searchsorted(weeks.row, [row, row + 1]).tolist()
    return slice(begin, begin + int(np.searchsorted(weeks.week[begin:end], (day + 3) // 7)))


def _is_too_new(block: Block, weeks: WeeklyRates, row: int, day: int) -> bool:
    """Whether a counter that is read has too few weeks before the day."""
    past = block.past[row]
    is_new = past is None or past.standing is None
    if not is_new or block.registers[row].kind is not RegisterKind.COUNTER:
        return False
    known = _known(weeks, row, day)
    return known.stop - known.start < FIRST_WEEKS and len(block.series(row).times) > 0


def _standing(study: Study, judged: Judgement, row: int, reading: int) -> Standing:
    past = study.block.past[row]
    before = None if past is None else past.standing
    return stuck.standing(study.block.series(row), judged.usable, reading, before)


def _is_calm(study: Study, judged: Judgement, row: int, first: int, span: tuple[int, int]) -> bool:
    """Whether nothing that was said, and nothing that could still be said, reaches across the cut."""
    final, cut = span
    series, register = study.block.series(row), study.block.registers[row]
    last = int(np.searchsorted(series.times, cut))
    values = series.values[first:last]
    if register.kind is not RegisterKind.COUNTER:
        if (register.obis.c, register.obis.d) == (16, 7) and (values < 0).any():
            return False
    elif (np.diff(values) < 0).any() or not judged.usable[first:last].all():
        return False
    broken = [
        finding.started_at for finding in judged.findings if RULES[finding.kind].lasts is Duration.BREAK
    ]
    past = study.block.past[row]
    was_broken = (past is not None and past.broken) or any(each < cut for each in broken)
    if was_broken and any(each >= cut for each in broken):
        return False
    return not any(_reaches(finding, final, cut) for finding in judged.findings)


def _reaches(finding: Finding, final: int, cut: int) -> bool:
    rule = RULES[finding.kind]
    if finding.started_at >= cut or rule.lasts not in (Duration.READINGS, Duration.BREAK):
        return False
    return finding.ended_at is None or finding.ended_at >= final - rule.joins


def _since(findings: Sequence[Finding], day: int, block: Block) -> int:
    """The last day up to `day` that lies within no event of days."""
    while True:
        instant = midnight(day, block.zone)
        across = [
            finding.started_at
            for finding in findings
            if RULES[finding.kind].lasts is Duration.DAYS
            and finding.started_at < instant
            and (finding.ended_at is None or finding.ended_at > instant)
        ]
        if not across:
            return day
        day = int(local(np.array([min(across)], dtype=np.int64), block.zone)[0]) // DAY
