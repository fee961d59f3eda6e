"""What a validator remembers between claims, so that new readings cost what they are and not what was before.

Of a meter that is settled (`anomaly/checkpoint.py`) that and the readings since its cut's tail are
remembered, of others the whole series. It is good only for the claim that directly follows the one it was
remembered at: the generation tells. Whatever else happened to the block (another validator, a restart) it is
read anew, and so it is when the registry or the utility's parameters say something else now. Of meters for
which a reading or what its clock showed came for a day before their cut, or whose fuses, contracts, places or
currents are others now, that they are settled is forgotten."""

from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

import numpy as np
import numpy.typing as npt
from psycopg import Connection

from anomaly.input.past import RegisterPast
from ingest.validation.register_facts import Circumstances, Lasting
from store.postgres.arrays import microseconds
from store.validation.judgement import Claim, JudgedRegister, stored_readings
from store.validation.rule_parameters import ParameterRow

DEFAULT_BYTES = 512_000_000
_Span = tuple[datetime, datetime]
_EVER: _Span = (datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC))


@dataclass(frozen=True, slots=True)
class StoredSeries:
    """Arrays of shape (n,), in the order of time.

    `times` and `received`: int64, microseconds since 1970. `values`: int64, micro-units. `status`: int16.
    """

    times: npt.NDArray[np.int64]
    values: npt.NDArray[np.int64]
    status: npt.NDArray[np.int16]
    received: npt.NDArray[np.int64]

    @property
    def nbytes(self) -> int:
        """Memory that the arrays take."""
        return sum(column.nbytes for column in self.columns())

    def columns(self) -> list[npt.NDArray[Any]]:
        """All arrays, in the order of the fields."""
        return [getattr(self, field.name) for field in fields(self)]

    def part(self, at: slice | npt.NDArray[np.bool_]) -> "StoredSeries":
        """Some of the readings."""
        return StoredSeries(*(column[at] for column in self.columns()))


@dataclass(frozen=True, slots=True)
class BlockFacts:
    """What a judgement rests on besides readings and edits."""

    rows: tuple[JudgedRegister, ...] = ()
    parameters: tuple[ParameterRow, ...] = ()


def _facts(rows: Sequence[JudgedRegister], parameters: Sequence[ParameterRow]) -> BlockFacts:
    """Those of one block. When a meter was removed matters to the present only."""
    utilities = {row.utility_id for row in rows}
    return BlockFacts(
        tuple(replace(row, removed_at=None) for row in rows),
        tuple(each for each in parameters if each.utility_id in utilities),
    )


@dataclass(frozen=True, slots=True)
class Known:
    """Of some registers, by id: their series, of which those `settled` have the tail only, and what held for
    them when that was said."""

    facts: BlockFacts = BlockFacts()
    held: Mapping[int, Lasting] = field(default_factory=dict)
    series: Mapping[int, StoredSeries] = field(default_factory=dict)
    settled: Mapping[int, RegisterPast] = field(default_factory=dict)

    @property
    def nbytes(self) -> int:
        """Memory that it takes."""
        series = sum(each.nbytes for each in self.series.values())
        return series + sum(each.nbytes for each in self.settled.values())

    def but(self, anew: Mapping[int, RegisterPast | None], whole: Mapping[int, StoredSeries]) -> "Known":
        """With something else settled, and series of which more is known."""
        series, settled = dict(self.series), dict(self.settled)
        series |= {id_: whole[id_] for id_ in whole.keys() & series.keys()}
        for register in anew.keys() & series.keys():
            cut = anew[register]
            settled.pop(register, None)
            if cut is not None:
                settled[register] = cut
                tail = int(np.searchsorted(series[register].times, cut.tail))
                series[register] = StoredSeries(*(each[tail:].copy() for each in series[register].columns()))
        return replace(self, series=series, settled=settled)


class SeriesMemory:
    """Least recently used blocks are forgotten when all together exceed `limit` bytes."""

    def __init__(self, limit: int = DEFAULT_BYTES) -> None:
        self._limit = limit
        self._blocks: OrderedDict[int, tuple[int, Known]] = OrderedDict()
        self._size = 0

    def fetch(
        self,
        connection: Connection,
        claims: Sequence[Claim],
        rows: Sequence[JudgedRegister],
        parameters: Sequence[ParameterRow],
        circumstances: Circumstances,
    ) -> dict[int, Known]:
        """The stored series of the registers and what is settled of them, by home block.

        Where that is enough, only the touched days are read. Call `keep` when the transaction is committed.
        """
        of_home: dict[int, list[JudgedRegister]] = {each.block: [] for each in claims}
        for row in rows:
            of_home[row.home].append(row)
        known: dict[int, Known] = {}
        spans: dict[_Span, list[int]] = {}
        for claim in claims:
            facts = _facts(of_home[claim.block], parameters)
            held = {row.id: circumstances.lasting(row.id) for row in facts.rows}
            known[claim.block], asked = self._recalled(claim, facts, held)
            for row in facts.rows:
                spans.setdefault(asked.get(row.id, _EVER), []).append(row.id)
        fresh = {
            id_: (series, span)
            for span, ids in spans.items()
            for id_, series in _load(connection, sorted(ids), *span).items()
        }
        return {
            block: replace(
                each,
                series={row.id: _spliced(each.series.get(row.id), *fresh[row.id]) for row in of_home[block]},
            )
            for block, each in known.items()
        }

    def _recalled(
        self, claim: Claim, facts: BlockFacts, held: Mapping[int, Lasting]
    ) -> tuple[Known, dict[int, _Span]]:
        """What is still good of what is remembered of a block, and the span to be read of each register in
        it."""
        generation, known = self._blocks.pop(claim.block, (None, Known()))
        self._size -= known.nbytes
        if generation != claim.generation - 1 or facts != known.facts:
            return Known(facts, held), {}
        since, until = _midnight(claim.days[0]), _midnight(claim.days[-1] + timedelta(days=1))
        anew = {
            id_
            for id_, each in known.settled.items()
            if each.cut > microseconds(since) or held[id_] != known.held[id_]
        }
        series = {id_: each for id_, each in known.series.items() if id_ not in anew}
        settled = {id_: each for id_, each in known.settled.items() if id_ not in anew}
        return Known(facts, held, series, settled), dict.fromkeys(series, (since, until))

    def keep(self, claim: Claim, known: Known) -> None:
        """Remember what was judged for `claim`."""
        self._blocks[claim.block] = (claim.generation, known)
        self._size += known.nbytes
        while len(self._blocks) > 1 and self._size > self._limit:
            _, (_, forgotten) = self._blocks.popitem(last=False)
            self._size -= forgotten.nbytes


def _midnight(day: date) -> datetime:
    return datetime.combine(day, time(), UTC)


def whole_series(connection: Connection, register_ids: Sequence[int]) -> dict[int, StoredSeries]:
    """Everything stored of the registers, by id."""
    return _load(connection, register_ids, *_EVER)


def _load(
    connection: Connection, register_ids: Sequence[int], since: datetime, until: datetime
) -> dict[int, StoredSeries]:
    """One series for each of the registers, empty for one without readings."""
    ids, *columns = stored_readings(connection, register_ids, since, until)
    bounds = np.searchsorted(ids, [register_ids, [each + 1 for each in register_ids]])
    return {
        register: StoredSeries(*(column[first:last].copy() for column in columns))
        for register, first, last in zip(register_ids, *bounds, strict=True)
    }


def _spliced(old: StoredSeries | None, new: StoredSeries, span: _Span) -> StoredSeries:
    """`old` with everything in the span replaced by `new`."""
    if old is None:
        return new
    since, until = span
    first, last = np.searchsorted(old.times, [microseconds(since), microseconds(until)])
    return StoredSeries(
        *(
            np.concatenate((before[:first], between, before[last:]))
            for before, between in zip(old.columns(), new.columns(), strict=True)
        )
    )
