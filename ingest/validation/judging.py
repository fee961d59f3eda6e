"""From what is stored to what is said of it: a pure function of registry, series, edits and parameters.

Registers are judged together with all others of their meter. Where a utility changed its parameters, what
begins before that day is judged by the old ones and what begins after it by the new ones.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import numpy as np

from anomaly.block import UNKNOWN, Block, Register
from anomaly.catalogue import VERDICTS, Verdict
from anomaly.judge import judge_block
from anomaly.rules import Rules
from anomaly.series import Finding, Judgement
from ingest.validation.circumstances import Circumstances
from ingest.validation.memory import StoredSeries
from ingest.validation.parameters import Parameters
from store.arrays import from_microseconds, microseconds
from store.edits import Decision
from store.findings import FindingRow
from store.validation import MarkRow, RegisterRow
from telemetry.obis import Obis, RegisterKind
from telemetry.units import UnitError, ratio

_EVER = UNKNOWN


@dataclass(frozen=True, slots=True)
class Judged:
    """Everything that is to be stored of some registers."""

    marks: list[MarkRow]
    findings: list[FindingRow]


@dataclass(frozen=True, slots=True)
class _Group:
    """Registers that share the place and the instant up to which their readings can be expected."""

    zone: ZoneInfo
    until: int
    rows: list[RegisterRow]


def judge_registers(
    rows: Sequence[RegisterRow],
    series: Mapping[int, StoredSeries],
    edits: Iterable[Decision],
    parameters: Parameters,
    known: Circumstances | None = None,
) -> Judged:
    """What is said of the registers `rows`, each with its series; all registers of a meter are among them."""
    excluded: dict[int, list[int]] = {}
    accepted: set[tuple[int, int]] = set()
    for edit in edits:
        if edit.excluded:
            excluded.setdefault(edit.register_id, []).append(microseconds(edit.measured_at))
        if edit.accepted:
            accepted.add((edit.register_id, microseconds(edit.measured_at)))
    left = {
        id_: each.part(~np.isin(each.times, excluded[id_])) if id_ in excluded else each
        for id_, each in series.items()
    }
    known = known or Circumstances()
    judged = Judged([], [])
    for group in _groups(rows, left):
        for since, until, block in _blocks(group, left, parameters, known):
            for row, judgement in zip(group.rows, judge_block(block), strict=True):
                _tell(judged, row, left[row.id], _within(judgement, left[row.id], since, until), accepted)
    return Judged(judged.marks, list(_single(judged.findings)))


def _groups(rows: Sequence[RegisterRow], series: Mapping[int, StoredSeries]) -> list[_Group]:
    """A silent meter is noticed while others of its utility and block are heard; one that was removed is
    expected no longer than it was installed."""
    latest: dict[int, int] = {}
    for row in rows:
        heard = _heard(series[row.id])
        latest[row.utility_id] = max(latest.get(row.utility_id, heard), heard)
    groups: dict[tuple[str, int], _Group] = {}
    for row in rows:
        until = latest[row.utility_id]
        if row.removed_at is not None:
            until = min(until, microseconds(row.removed_at))
        group = groups.setdefault((row.zone, until), _Group(ZoneInfo(row.zone), until, []))
        group.rows.append(row)
    return list(groups.values())


def _heard(series: StoredSeries) -> int:
    """The last reading's instant, or its arrival where its clock was ahead; 0 without any."""
    return min(int(series.times[-1]), int(series.received[-1])) if len(series.times) else 0


def _blocks(
    group: _Group, series: Mapping[int, StoredSeries], parameters: Parameters, known: Circumstances
) -> Iterator[tuple[int, int | None, Block]]:
    """The block under each set of parameters, and the instants from and before which that one counts."""
    columns = [series[row.id].columns() for row in group.rows]
    times, values, status, received = (np.concatenate(column) for column in zip(*columns, strict=True))
    bounds = np.cumsum([0, *(len(each[0]) for each in columns)], dtype=np.int64)
    clocks = [known.clocks(row.id, series[row.id].times, series[row.id].status) for row in group.rows]
    days = sorted(
        {day for row in group.rows for day in parameters.changes(row.utility_id, _obis(row))}
        | {day for row in group.rows for day in known.changes(row.id, group.zone)}
    )
    first = datetime.fromtimestamp(int(times.min(initial=group.until)) / 1e6, group.zone).date()
    days = [day for day in days if day > first]
    starts = [_EVER, *(_midnight(day, group.zone) for day in days)]
    for start, end, day in zip(starts, [*starts[1:], None], [first, *days], strict=True):
        registers = tuple(_register(row, parameters, known, day, group.zone) for row in group.rows)
        block = Block(
            registers,
            bounds,
            times,
            values,
            status,
            received,
            np.concatenate(clocks),
            group.until,
            group.zone,
        )
        yield start, end, block


def _register(
    row: RegisterRow, parameters: Parameters, known: Circumstances, day: date, zone: ZoneInfo
) -> Register:
    obis = _obis(row)
    rules = parameters.of(row.utility_id, obis, day, house=row.house)
    try:
        if rules.unit:
            ratio(rules.unit, row.unit)
    except UnitError:  # a register in a unit that its kind does not have: what holds in any unit
        rules = Rules(high_low=None, spike=None, reverse=None)
    verified = row.verified_until
    return Register(
        f"{row.utility_id} {row.meter}",
        obis,
        RegisterKind(row.kind),
        row.unit,
        row.capacity,
        None if row.interval is None else row.interval // timedelta(microseconds=1),
        _max_rate(row, known.max_rate(row.id, obis, row.unit, day, zone)),
        None if verified is None else _midnight(verified + timedelta(days=1), zone),
        known.paid_for(row.id),
        rules=rules,
    )


def _max_rate(row: RegisterRow, by_fuse: int | None) -> int | None:
    """The meter's Qmax for a register that counts volume, in its own micro-units an hour; else by fuses."""
    if row.kind != RegisterKind.COUNTER.value:
        return None
    if row.qmax is None:
        return by_fuse
    try:
        return round(row.qmax * ratio("m3", row.unit))
    except UnitError:
        return by_fuse


def _obis(row: RegisterRow) -> Obis:
    return Obis.parse(row.obis)


def _midnight(day: date, zone: ZoneInfo) -> int:
    return microseconds(datetime.combine(day, time(), zone).astimezone(UTC))


def _within(judgement: Judgement, series: StoredSeries, since: int, until: int | None) -> Judgement:
    """What begins from `since` to before `until`."""
    if since == _EVER and until is None:
        return judgement

    def inside(instant: int) -> bool:
        return since <= instant and (until is None or instant < until)

    return Judgement(
        tuple(finding for finding in judgement.findings if inside(finding.started_at)),
        tuple(mark for mark in judgement.marks if inside(int(series.times[mark.index]))),
        judgement.usable,
    )


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


def _single(findings: Iterable[FindingRow]) -> Iterator[FindingRow]:
    """One finding for an event that goes on across a change of parameters: the one that began first."""
    last: dict[tuple[int, str], FindingRow] = {}
    for finding in sorted(findings, key=lambda each: each.started_at):
        before = last.get((finding.register_id, finding.kind))
        if before is None or not before.overlaps(finding):
            last[finding.register_id, finding.kind] = finding
            yield finding
