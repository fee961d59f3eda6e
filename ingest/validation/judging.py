"""From what is stored to what is said of it: a pure function of registry, series, edits and parameters.

Registers are judged together with all others of their meter, from the last Monday up to which all is settled
of them (`anomaly/checkpoint.py`), or from the beginning; both say the same. Where a utility changed its
parameters, or a point its fuse, each reading is judged by what held on its day (`parameter_periods.py`).
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

import numpy as np

from anomaly.catalogue import RULES
from anomaly.checkpoint import open_from
from anomaly.input.block import UNKNOWN
from anomaly.input.local_time import monday
from anomaly.input.past import RegisterPast
from anomaly.input.series import DAY, HOUR, Finding, Judgement
from anomaly.judge import Examination, examine
from ingest.validation.blocks import RegisterGroup, blocks, groups
from ingest.validation.parameter_periods import Era, over_time
from ingest.validation.parameters import Parameters
from ingest.validation.register_facts import Circumstances
from ingest.validation.series_cache import StoredSeries
from store.postgres.arrays import from_microseconds, microseconds
from store.validation.edits import Decision
from store.validation.findings import FindingRow
from store.validation.judgement import JudgedRegister
from store.validation.marks import MarkRow
from telemetry.findings import Verdict

_LATE = 2 * DAY  # what comes later than that after it was read has its meter judged from the beginning
_WEEKS_BACK = 12  # Mondays that are tried as a cut

Whole = Callable[[Sequence[int]], Mapping[int, StoredSeries]]  # whole series of registers, by id


@dataclass(frozen=True, slots=True)
class Judged:
    """Everything that is to be stored of some registers, but for what is final: `settled` tells which.

    `anew`: what is settled of registers now, where a later cut was found or an earlier one did not do.
    """

    marks: list[MarkRow]
    findings: list[FindingRow]
    settled: dict[int, RegisterPast] = field(default_factory=dict)
    anew: dict[int, RegisterPast | None] = field(default_factory=dict)

    @property
    def marks_from(self) -> dict[int, datetime]:
        """By register: the instant before which marks are final, where any are."""
        return {id_: from_microseconds(each.final) for id_, each in self._with_past}

    @property
    def findings_from(self) -> dict[int, datetime]:
        """By register: what ended by that instant is final, where anything is."""
        return {id_: from_microseconds(each.earliest_end - 1) for id_, each in self._with_past}

    def is_open(self, finding: FindingRow) -> bool:
        """Whether a stored finding is not final."""
        assert finding.register_id is not None
        past = self.settled.get(finding.register_id)
        return past is None or microseconds(finding.started_at) >= open_from(past, finding.kind)

    @property
    def _with_past(self) -> list[tuple[int, RegisterPast]]:
        return [(id_, each) for id_, each in self.settled.items() if each.final != UNKNOWN]


@dataclass(frozen=True, slots=True)
class _Given:
    """What all registers are judged by."""

    parameters: Parameters
    known: Circumstances
    accepted: set[tuple[int, int]]


def judge_registers(
    rows: Sequence[JudgedRegister],
    series: Mapping[int, StoredSeries],
    edits: Iterable[Decision],
    parameters: Parameters,
    known: Circumstances | None = None,
    *,
    settled: Mapping[int, RegisterPast] | None = None,
    whole: Whole | None = None,
) -> Judged:
    """What is said of the registers `rows`, each with its series; all registers of a meter are among them.

    `settled`: what is known of some meters, all registers of each, whose series begin with their tails.
    `whole` gives their whole series where that does not do.
    """
    excluded: dict[int, list[int]] = {}
    accepted: set[tuple[int, int]] = set()
    for edit in edits:
        if edit.excluded:
            excluded.setdefault(edit.register_id, []).append(microseconds(edit.measured_at))
        if edit.accepted:
            accepted.add((edit.register_id, microseconds(edit.measured_at)))

    def left(given: Mapping[int, StoredSeries]) -> dict[int, StoredSeries]:
        return {
            id_: each.part(~np.isin(each.times, excluded[id_])) if id_ in excluded else each
            for id_, each in given.items()
        }

    given = _Given(parameters, known or Circumstances(), accepted)
    judged = Judged([], [])
    until = _expected(rows, series)
    at_hand, past = left(series), settled or {}
    todo = [(group, at_hand, past) for group in groups(rows, until, at_hand, past, given.known)]
    while todo:
        group, of, past = todo.pop()
        doubtful = _judge(judged, group, of, past, given)
        if doubtful and whole is not None:
            again = left(whole([row.id for row in doubtful]))
            todo += [(each, again, {}) for each in groups(doubtful, until, again, {}, given.known)]
    return judged


def _expected(rows: Sequence[JudgedRegister], series: Mapping[int, StoredSeries]) -> dict[int, int]:
    """A silent meter is noticed while others of its utility and block are heard; one that was removed is
    expected no longer than it was installed."""
    latest: dict[tuple[int, int], int] = {}
    for row in rows:
        heard, place = _heard(series[row.id]), (row.home, row.utility_id)
        latest[place] = max(latest.get(place, heard), heard)
    return {
        row.id: latest[row.home, row.utility_id]
        if row.removed_at is None
        else min(latest[row.home, row.utility_id], microseconds(row.removed_at))
        for row in rows
    }


def _heard(series: StoredSeries) -> int:
    """The last reading's instant, or its arrival where its clock was ahead; 0 without any."""
    return min(int(series.times[-1]), int(series.received[-1])) if len(series.times) else 0


def _judge(
    judged: Judged,
    group: RegisterGroup,
    series: Mapping[int, StoredSeries],
    settled: Mapping[int, RegisterPast],
    given: _Given,
) -> list[JudgedRegister]:
    """Adds what is said of a group; the registers of meters of which that cannot be said from here."""
    eras = [
        (since, until, examine(block))
        for since, until, block in blocks(group, series, settled, given.parameters, given.known)
    ]
    doubtful = {
        (row.utility_id, row.meter)
        for _, _, found in eras
        for row, doubt in zip(group.rows, found.doubtful, strict=True)
        if doubt
    }
    for place, row in enumerate(group.rows):
        if (row.utility_id, row.meter) in doubtful:
            continue
        past = settled.get(row.id)
        if past is not None:
            judged.settled[row.id] = past
        by_era = [Era(since, until, found.judged[place]) for since, until, found in eras]
        said = over_time(by_era, series[row.id].times)
        _tell(judged, row, series[row.id], _open(said, series[row.id], past), given.accepted)
    rest = [row for row in group.rows if (row.utility_id, row.meter) in doubtful]
    _settle(judged, group, doubtful, settled, [found for _, _, found in eras])
    return rest


def _settle(
    judged: Judged,
    group: RegisterGroup,
    doubtful: set[tuple[int, str]],
    settled: Mapping[int, RegisterPast],
    eras: Sequence[Examination],
) -> None:
    """Finds a later cut for each meter, where there is one."""
    meters: dict[tuple[int, str], list[int]] = {}
    for place, row in enumerate(group.rows):
        if (row.utility_id, row.meter) not in doubtful:
            meters.setdefault((row.utility_id, row.meter), []).append(place)
    if not eras or not len(eras[0].study.block.times):
        return
    for places in meters.values():
        heard = max(group.until[place] for place in places)
        ids = [group.rows[place].id for place in places]
        past = settled.get(ids[0])
        if past is not None and heard - _LATE < past.cut + 7 * DAY - HOUR:  # a week of 167 hours is over
            continue
        latest = monday(heard - _LATE, group.zone)
        earliest = latest - 7 * _WEEKS_BACK if past is None else max(past.day, latest - 7 * _WEEKS_BACK)
        for day in range(latest, earliest, -7):
            if cut := _of_all_eras(places, day, eras):
                judged.anew.update(zip(ids, cut, strict=True))
                break
        else:
            if past is None:
                judged.anew.update(dict.fromkeys(ids))


def _of_all_eras(places: list[int], day: int, eras: Sequence[Examination]) -> list[RegisterPast]:
    """What is settled of a meter's registers at a Monday, by all parameters; none where it is not."""
    since: int | None = None
    while True:
        found = [era.settled(places, day, since) for era in eras]
        if not all(found) or not all(
            one.agrees(other) for of_era in found[1:] for one, other in zip(found[0], of_era, strict=True)
        ):
            return []
        earliest = min(of_era[0].since for of_era in found)
        if since == earliest or len(eras) == 1:
            return max(found, key=lambda of_era: of_era[0].days.shape[1])
        since = earliest


def _open(judgement: Judgement, series: StoredSeries, past: RegisterPast | None) -> Judgement:
    """What is not final."""
    if past is None:
        return judgement
    return Judgement(
        tuple(each for each in judgement.findings if each.started_at >= open_from(past, each.kind)),
        tuple(mark for mark in judgement.marks if series.times[mark.index] >= past.final),
        judgement.usable,
    )


def _tell(
    judged: Judged,
    row: JudgedRegister,
    series: StoredSeries,
    judgement: Judgement,
    accepted: set[tuple[int, int]],
) -> None:
    """Adds rows for what is said, but for objections to readings that a person has accepted."""
    for mark in judgement.marks:
        instant = int(series.times[mark.index])
        if (row.id, instant) not in accepted:
            judged.marks.append(
                MarkRow(
                    row.id,
                    from_microseconds(instant),
                    mark.rule,
                    int(mark.quality),
                    mark.usable,
                    dict(mark.evidence),
                )
            )
    for finding in judgement.findings:
        if accepted and _objects(finding):
            named = series.times[finding.first : finding.last + 1].tolist()
            if all((row.id, instant) in accepted for instant in named):
                continue
        judged.findings.append(
            FindingRow(
                row.id,
                row.utility_id,
                finding.kind,
                finding.severity.value,
                from_microseconds(finding.started_at),
                None if finding.ended_at is None else from_microseconds(finding.ended_at),
                dict(finding.evidence),
            )
        )


def _objects(finding: Finding) -> bool:
    """Whether the finding is about its readings, and not about what was used."""
    return RULES[finding.kind].verdict is not Verdict.INFO
