"""Registers, their series and what is known of them, put into blocks for the rules
(`anomaly/input/block.py`).

Registers that are judged together share a zone, how far back they reach, and the days on which another fuse
counted: so a block is no wider than most of it needs, and is judged no more often than its own fuses changed.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import numpy as np

from anomaly.catalogue import usual_parameters
from anomaly.input.block import UNKNOWN, Block, Register
from anomaly.input.past import RegisterPast
from anomaly.parameters import Counted, CountedRegister, ParameterSet
from ingest.validation.parameters import Parameters
from ingest.validation.register_facts import Circumstances
from ingest.validation.series_cache import StoredSeries
from store.postgres.arrays import microseconds
from store.validation.judgement import JudgedRegister
from telemetry.obis import Obis, RegisterKind
from telemetry.units import UnitError, ratio

_EVER = UNKNOWN
_WIDE = 28  # days that events may go back further than usual before their meter is judged apart


@dataclass(frozen=True, slots=True)
class RegisterGroup:
    """Registers that are judged together. `until`: when readings of each can be expected. `days`: the local
    days that matter still from which another fuse counts for them."""

    zone: ZoneInfo
    days: tuple[date, ...]
    rows: list[JudgedRegister] = field(default_factory=list)
    until: list[int] = field(default_factory=list)


def groups(
    rows: Sequence[JudgedRegister],
    until: Mapping[int, int],
    series: Mapping[int, StoredSeries],
    settled: Mapping[int, RegisterPast],
    known: Circumstances,
) -> list[RegisterGroup]:
    """All registers of a meter in one group, those apart that reach back further than most do."""
    cut = max((each.cut for each in settled.values()), default=0)
    wide: set[tuple[int, str]] = set()
    fuses: dict[tuple[int, str], set[date]] = {}
    for row in rows:
        meter, past = (row.utility_id, row.meter), settled.get(row.id)
        if past is None or past.cut < cut or past.reaches > _WIDE:
            wide.add(meter)
        if changes := known.changes(row.id, ZoneInfo(row.zone)):
            first = _begins(series[row.id], past, ZoneInfo(row.zone))
            fuses.setdefault(meter, set()).update(day for day in changes if first is None or day > first)
    found: dict[tuple[str, bool, tuple[date, ...]], RegisterGroup] = {}
    for row in rows:
        meter = row.utility_id, row.meter
        days = tuple(sorted(fuses.get(meter, ())))
        group = found.setdefault((row.zone, meter in wide, days), RegisterGroup(ZoneInfo(row.zone), days))
        group.rows.append(row)
        group.until.append(until[row.id])
    return list(found.values())


def _begins(series: StoredSeries, past: RegisterPast | None, zone: ZoneInfo) -> date | None:
    """The local day to which what is not final can reach back; None where nothing was ever read."""
    instants = [int(series.times[0])] if len(series.times) else []
    if past is not None and past.final != UNKNOWN:
        instants.append(past.earliest)
    return datetime.fromtimestamp(min(instants) / 1e6, zone).date() if instants else None


def blocks(
    group: RegisterGroup,
    series: Mapping[int, StoredSeries],
    settled: Mapping[int, RegisterPast],
    parameters: Parameters,
    known: Circumstances,
) -> Iterator[tuple[int, int | None, Block]]:
    """The block under each set of parameters and fuses, and the instants from and before which it counts."""
    columns = [series[row.id].columns() for row in group.rows]
    past = tuple(settled.get(row.id) for row in group.rows)
    times, values, status, received = (np.concatenate(column) for column in zip(*columns, strict=True))
    bounds = np.cumsum([0, *(len(each[0]) for each in columns)], dtype=np.int64)
    clocks = [known.clocks(row.id, series[row.id].times, series[row.id].status) for row in group.rows]
    alike = {_kind(row): row for row in group.rows}.values()
    changes = {day for row in alike for day in parameters.changes(row.utility_id, _obis(row))}
    begins = [
        _begins(series[row.id], of_row, group.zone) for row, of_row in zip(group.rows, past, strict=True)
    ]
    first = min(
        (day for day in begins if day is not None),
        default=datetime.fromtimestamp(max(group.until) / 1e6, group.zone).date(),
    )
    days = sorted(day for day in changes.union(group.days) if day > first)
    starts = [_EVER, *(_midnight(day, group.zone) for day in days)]
    for start, end, day in zip(starts, [*starts[1:], None], [first, *days], strict=True):
        given = {_kind(row): _parameters(row, parameters, day) for row in alike}
        registers = tuple(_register(row, given[_kind(row)], known, day, group.zone) for row in group.rows)
        block = Block(
            registers,
            bounds,
            times,
            values,
            status,
            received,
            np.concatenate(clocks),
            np.array(group.until, dtype=np.int64),
            group.zone,
            past,
        )
        yield start, end, block


def _kind(row: JudgedRegister) -> tuple[int, str, str, bool, bool]:
    """Registers of one kind have the same parameters."""
    return row.utility_id, row.obis, row.unit, row.house, row.submetered


def _parameters(row: JudgedRegister, of: Parameters, day: date) -> ParameterSet:
    given = of.of(row.utility_id, _obis(row), day, house=row.house, submetered=row.submetered)
    try:
        if given.unit:
            ratio(given.unit, row.unit)
    except UnitError:  # a register in a unit that its kind does not have: what holds in any unit
        return usual_parameters(CountedRegister(Counted.OTHER))
    return given


def _register(
    row: JudgedRegister, given: ParameterSet, known: Circumstances, day: date, zone: ZoneInfo
) -> Register:
    obis, verified = _obis(row), row.verified_until
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
        row.billed,
        parameters=given,
    )


def _max_rate(row: JudgedRegister, by_fuse: int | None) -> int | None:
    """The meter's Qmax for a register that counts volume, in its own micro-units an hour; else by fuses."""
    if row.kind != RegisterKind.COUNTER.value:
        return None
    if row.qmax is None:
        return by_fuse
    try:
        return round(row.qmax * ratio("m3", row.unit))
    except UnitError:
        return by_fuse


def _obis(row: JudgedRegister) -> Obis:
    return Obis.parse(row.obis)


def _midnight(day: date, zone: ZoneInfo) -> int:
    return microseconds(datetime.combine(day, time(), zone).astimezone(UTC))
