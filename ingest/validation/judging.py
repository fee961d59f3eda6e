"""From what is stored to what is said of it: a pure function of registry, series, edits and parameters.

Registers are judged together with all others of their meter, from the last Monday up to which all is settled
of them (`anomaly/settled.py`), or from the beginning; both say the same. Where a utility changed its
parameters, each reading is judged by those of its day (`eras.py`).
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import numpy as np

from anomaly.block import UNKNOWN, Block, Register
from anomaly.catalogue import VERDICTS, Verdict
from anomaly.judge import Examination, examine
from anomaly.rules import Rules
from anomaly.series import DAY, HOUR, Finding, Judgement
from anomaly.settled import Settled, monday
from ingest.validation.eras import Era, over_time
from ingest.validation.memory import StoredSeries
from ingest.validation.parameters import Parameters
from store.arrays import from_microseconds, microseconds
from store.edits import Decision
from store.findings import FindingRow
from store.validation import MarkRow, RegisterRow
from telemetry.obis import Obis, RegisterKind
from telemetry.units import UnitError, ratio

_EVER = UNKNOWN
_LATE = 2 * DAY  # what comes later than that after it was read has its meter judged from the beginning
_WEEKS_BACK = 12  # Mondays that are tried as a cut
_WIDE = 28  # days that events may go back further than usual before their meter is judged apart

Whole = Callable[[Sequence[int]], Mapping[int, StoredSeries]]  # whole series of registers, by id


@dataclass(frozen=True, slots=True)
class Judged:
    """Everything that is to be stored of some registers, but for what is final: `settled` tells which.

    `anew`: what is settled of registers now, where a later cut was found or an earlier one did not do.
    """

    marks: list[MarkRow]
    findings: list[FindingRow]
    settled: dict[int, Settled] = field(default_factory=dict)
    anew: dict[int, Settled | None] = field(default_factory=dict)

    @property
    def marks_from(self) -> dict[int, datetime]:
        """By register: the instant before which marks are final, where any are."""
        return {id_: from_microseconds(each.final) for id_, each in self._with_past}

    @property
    def findings_from(self) -> dict[int, datetime]:
        """By register: what ended before that instant is final, where anything is."""
        return {id_: from_microseconds(each.earliest_end) for id_, each in self._with_past}

    def is_open(self, finding: FindingRow) -> bool:
        """Whether a stored finding is not final."""
        past = self.settled.get(finding.register_id)
        return past is None or microseconds(finding.started_at) >= past.open_from(finding.kind)

    @property
    def _with_past(self) -> list[tuple[int, Settled]]:
        return [(id_, each) for id_, each in self.settled.items() if each.final != UNKNOWN]


@dataclass(frozen=True, slots=True)
class _Group:
    """Registers of one zone that are judged together; `until` when readings of each can be expected."""

    zone: ZoneInfo
    rows: list[RegisterRow]
    until: list[int]


def judge_registers(
    rows: Sequence[RegisterRow],
    series: Mapping[int, StoredSeries],
    edits: Iterable[Decision],
    parameters: Parameters,
    *,
    settled: Mapping[int, Settled] | None = None,
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

    known = dict(settled or {})
    judged = Judged([], [])
    until = _expected(rows, series)
    todo = [(group, left(series), known) for group in _groups(rows, until, known)]
    while todo:
        group, of, past = todo.pop()
        doubtful = _judge(judged, group, of, past, parameters=parameters, accepted=accepted)
        if doubtful and whole is not None:
            again = left(whole([row.id for row in doubtful]))
            todo += [(each, again, {}) for each in _groups(doubtful, until, {})]
    return judged


def _expected(rows: Sequence[RegisterRow], series: Mapping[int, StoredSeries]) -> dict[int, int]:
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


def _groups(
    rows: Sequence[RegisterRow], until: Mapping[int, int], settled: Mapping[int, Settled]
) -> list[_Group]:
    """Registers of one zone, those apart that reach back further than most do: a block is as wide as the
    widest of it."""
    cut = max((each.cut for each in settled.values()), default=0)
    wide = {
        (row.utility_id, row.meter)
        for row in rows
        if (past := settled.get(row.id)) is None or past.cut < cut or past.reaches > _WIDE
    }
    groups: dict[tuple[str, bool], _Group] = {}
    for row in rows:
        apart = (row.utility_id, row.meter) in wide
        group = groups.setdefault((row.zone, apart), _Group(ZoneInfo(row.zone), [], []))
        group.rows.append(row)
        group.until.append(until[row.id])
    return list(groups.values())


def _judge(
    judged: Judged,
    group: _Group,
    series: Mapping[int, StoredSeries],
    settled: Mapping[int, Settled],
    *,
    parameters: Parameters,
    accepted: set[tuple[int, int]],
) -> list[RegisterRow]:
    """Adds what is said of a group; the registers of meters of which that cannot be said from here."""
    eras = [
        (since, until, examine(block)) for since, until, block in _blocks(group, series, settled, parameters)
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
        _tell(judged, row, series[row.id], _open(said, series[row.id], past), accepted)
    rest = [row for row in group.rows if (row.utility_id, row.meter) in doubtful]
    _settle(judged, group, doubtful, settled, [found for _, _, found in eras])
    return rest


def _settle(
    judged: Judged,
    group: _Group,
    doubtful: set[tuple[int, str]],
    settled: Mapping[int, Settled],
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


def _of_all_eras(places: list[int], day: int, eras: Sequence[Examination]) -> list[Settled]:
    """What is settled of a meter's registers at a Monday, by all parameters; none where it is not."""
    since: int | None = None
    while True:
        found = [era.settled(places, day, since) for era in eras]
        if not all(found):
            return []
        earliest = min(of_era[0].since for of_era in found)
        if since == earliest or len(eras) == 1:
            return max(found, key=lambda of_era: of_era[0].days.shape[1])
        since = earliest


def _open(judgement: Judgement, series: StoredSeries, past: Settled | None) -> Judgement:
    """What is not final."""
    if past is None:
        return judgement
    return Judgement(
        tuple(each for each in judgement.findings if each.started_at >= past.open_from(each.kind)),
        tuple(mark for mark in judgement.marks if series.times[mark.index] >= past.final),
        judgement.usable,
    )


def _blocks(
    group: _Group,
    series: Mapping[int, StoredSeries],
    settled: Mapping[int, Settled],
    parameters: Parameters,
) -> Iterator[tuple[int, int | None, Block]]:
    """The block under each set of parameters, and the instants from and before which that one counts."""
    columns = [series[row.id].columns() for row in group.rows]
    past = tuple(settled.get(row.id) for row in group.rows)
    times, values, status, received = (np.concatenate(column) for column in zip(*columns, strict=True))
    bounds = np.cumsum([0, *(len(each[0]) for each in columns)], dtype=np.int64)
    alike = {_kind(row): row for row in group.rows}.values()
    days = sorted({day for row in alike for day in parameters.changes(row.utility_id, _obis(row))})
    earliest = [each.earliest for each in past if each is not None and each.standing is not None]
    earliest.append(int(times.min(initial=max(group.until))))
    first = datetime.fromtimestamp(min(earliest) / 1e6, group.zone).date()
    days = [day for day in days if day > first]
    starts = [_EVER, *(_midnight(day, group.zone) for day in days)]
    for start, end, day in zip(starts, [*starts[1:], None], [first, *days], strict=True):
        rules = {_kind(row): _rules(row, parameters, day) for row in alike}
        registers = tuple(_register(row, rules[_kind(row)], group.zone) for row in group.rows)
        block = Block(
            registers,
            bounds,
            times,
            values,
            status,
            received,
            np.full(len(times), UNKNOWN, dtype=np.int64),  # what a meter's own clock showed is not stored
            np.array(group.until, dtype=np.int64),
            group.zone,
            past,
        )
        yield start, end, block


def _kind(row: RegisterRow) -> tuple[int, str, str, bool]:
    """Registers of one kind have the same rules."""
    return row.utility_id, row.obis, row.unit, row.house


def _register(row: RegisterRow, rules: Rules, zone: ZoneInfo) -> Register:
    verified = row.verified_until
    return Register(
        f"{row.utility_id} {row.meter}",
        _obis(row),
        RegisterKind(row.kind),
        row.unit,
        row.capacity,
        None if row.interval is None else row.interval // timedelta(microseconds=1),
        _max_rate(row),
        None if verified is None else _midnight(verified + timedelta(days=1), zone),
        rules=rules,
    )


def _rules(row: RegisterRow, parameters: Parameters, day: date) -> Rules:
    rules = parameters.of(row.utility_id, _obis(row), day, house=row.house)
    try:
        if rules.unit:
            ratio(rules.unit, row.unit)
    except UnitError:  # a register in a unit that its kind does not have: what holds in any unit
        return Rules(high_low=None, spike=None, reverse=None)
    return rules


def _max_rate(row: RegisterRow) -> int | None:
    """The meter's Qmax for a register that counts volume, in its own micro-units an hour."""
    if row.qmax is None or row.kind != RegisterKind.COUNTER.value:
        return None
    try:
        return round(row.qmax * ratio("m3", row.unit))
    except UnitError:
        return None


def _obis(row: RegisterRow) -> Obis:
    return Obis.parse(row.obis)


def _midnight(day: date, zone: ZoneInfo) -> int:
    return microseconds(datetime.combine(day, time(), zone).astimezone(UTC))


def _tell(
    judged: Judged,
    row: RegisterRow,
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
    return VERDICTS[finding.kind] is not Verdict.INFO
