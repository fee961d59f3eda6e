"""Series that a validator remembers between claims, so that a poll costs the day it touched and not the year.

A remembered block is good only for the claim that directly follows the one it was remembered at: the
generation tells. Whatever else happened to the block (another validator, a restart), it is read anew.
"""

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, fields
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

import numpy as np
import numpy.typing as npt
from psycopg import Connection

from store.arrays import microseconds
from store.validation import Claim, stored_readings

DEFAULT_BYTES = 512_000_000
_EVER = (datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC))


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


class SeriesMemory:
    """Least recently used blocks are forgotten when all together exceed `limit` bytes."""

    def __init__(self, limit: int = DEFAULT_BYTES) -> None:
        self._limit = limit
        self._blocks: OrderedDict[int, tuple[int, dict[int, StoredSeries]]] = OrderedDict()

    def fetch(
        self, connection: Connection, claim: Claim, register_ids: Sequence[int]
    ) -> dict[int, StoredSeries]:
        """The whole stored series of the registers, by id.

        Where that is enough, only the touched days are read. Call `keep` when the transaction is committed.
        """
        generation, remembered = self._blocks.pop(claim.block, (None, {}))
        if generation != claim.generation - 1 or not set(register_ids) <= remembered.keys():
            return _load(connection, register_ids, *_EVER)
        since, until = _midnight(claim.days[0]), _midnight(claim.days[-1] + timedelta(days=1))
        fresh = _load(connection, register_ids, since, until)
        return {
            register: _spliced(remembered[register], fresh[register], since, until)
            for register in register_ids
        }

    def keep(self, claim: Claim, series: dict[int, StoredSeries]) -> None:
        """Remember what was judged for `claim`."""
        self._blocks[claim.block] = (claim.generation, series)
        while len(self._blocks) > 1 and self._size() > self._limit:
            self._blocks.popitem(last=False)

    def _size(self) -> int:
        return sum(series.nbytes for _, block in self._blocks.values() for series in block.values())


def _midnight(day: date) -> datetime:
    return datetime.combine(day, time(), UTC)


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


def _spliced(old: StoredSeries, new: StoredSeries, since: datetime, until: datetime) -> StoredSeries:
    """`old` with everything from `since` to `until` replaced by `new`."""
    first, last = np.searchsorted(old.times, [microseconds(since), microseconds(until)])
    return StoredSeries(
        *(
            np.concatenate((before[:first], between, before[last:]))
            for before, between in zip(old.columns(), new.columns(), strict=True)
        )
    )
