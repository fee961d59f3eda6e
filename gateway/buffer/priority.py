"""Which rows of the buffer wait to be numbered, and in which order they go.

Rows have ids in the order of appending, counted in two lanes: what bills are made from, and the rest. A batch
is a run of consecutive ids of one lane, so it is written as one short row, however many readouts it has.

The newest goes first. What has come since a lane's last batch is *fresh* and is sent when it is enough for a
batch or has waited long enough; what an outage has left behind it is the *backlog*. They take turns, so that
neither starves the other, and in both the billing lane is served before the ordinary one.
"""

import sqlite3
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from enum import IntEnum
from itertools import chain
from math import inf

_END = 1 << 62  # no row has an id as high
_ISLANDS = """
select min(id), max(id)
from (select id, id - row_number() over (order by id) as island from entries where id > ? and id < ?)
group by island order by 1
"""


class LaneName(IntEnum):
    """The value is the id before the lane's first. Most urgent first."""

    BILLING = 1 << 48
    ORDINARY = 0

    @classmethod
    def of(cls, row: int) -> "LaneName":
        """The lane in which a row of this id stands."""
        return cls.BILLING if row > cls.BILLING else cls.ORDINARY


@dataclass(frozen=True, slots=True)
class Run:
    """Consecutive ids, both ends included."""

    first: int
    last: int

    def __len__(self) -> int:
        return self.last - self.first + 1

    def seal(self, epoch: str, number: int) -> int:
        """What says in the file that this batch is acknowledged; never 0.

        A worn card may turn a bit of any row. Then the seal is wrong, and the batch is sent once more.
        """
        return 1 << 32 | zlib.crc32(f"{epoch} {number} {self.first} {self.last}".encode())


@dataclass(slots=True)
class Lane:
    """The ids of one lane that no batch has. `since`: monotonic seconds at which the fresh ones began."""

    last: int
    backlog: list[Run] = field(default_factory=list)  # ascending
    fresh: Run | None = None
    fresh_bytes: int = 0
    since: float = inf

    def appended(self, count: int, size: int, now: float) -> None:
        """`count` rows more, of `size` bytes together when encoded."""
        first = self.fresh.first if self.fresh else self.last + 1
        self.last += count
        self.fresh = Run(first, self.last)
        self.fresh_bytes += size
        self.since = min(self.since, now)

    def take(self, taken: Run) -> None:
        """`taken` is numbered: the last ids of the fresh, or of the newest run of the backlog."""
        if self.fresh and taken.last == self.fresh.last:
            whole, self.fresh, self.fresh_bytes, self.since = self.fresh, None, 0, inf
        else:
            whole = self.backlog.pop()
        if taken.first > whole.first:
            self.backlog.append(Run(whole.first, taken.first - 1))

    @property
    def runs(self) -> list[Run]:
        """All rows without a number, ascending."""
        return [*self.backlog, self.fresh] if self.fresh else self.backlog


class Lanes:
    """Both lanes, and whose turn it is. A batch is enough with `rows` rows or `size` encoded bytes."""

    def __init__(self, *, rows: int, size: int, max_age: float) -> None:
        self.by_name = {name: Lane(int(name)) for name in LaneName}
        self._rows = rows
        self._size = size
        self._max_age = max_age
        self._backlog_next = False

    def found(self, numbered: Iterable[Run], waiting: Iterable[Run]) -> None:
        """What an earlier process has left, in ascending order."""
        for run in numbered:
            lane = self.by_name[LaneName.of(run.first)]
            lane.last = max(lane.last, run.last)
        for run in waiting:
            lane = self.by_name[LaneName.of(run.first)]
            lane.last = max(lane.last, run.last)
            lane.backlog.append(run)

    def choose(self, now: float) -> Run | None:
        """The run whose end is to be the next batch; follow with `take`. None: all may wait."""
        lanes = list(self.by_name.values())
        fresh = next((lane.fresh for lane in lanes if lane.fresh and self._due(lane, now)), None)
        backlog = next((lane.backlog[-1] for lane in lanes if lane.backlog), None)
        self._backlog_next = bool(fresh) and not (self._backlog_next and backlog)
        return (fresh if self._backlog_next else backlog) if fresh and backlog else fresh or backlog

    def take(self, taken: Run) -> None:
        """See `Lane.take`."""
        self.by_name[LaneName.of(taken.last)].take(taken)

    def _due(self, lane: Lane, now: float) -> bool:
        enough = lane.fresh is not None and (len(lane.fresh) >= self._rows or lane.fresh_bytes >= self._size)
        return enough or now - lane.since >= self._max_age


def unnumbered(connection: sqlite3.Connection, numbered: Iterable[Run]) -> Iterator[Run]:
    """Runs of rows that are in no batch; `numbered` in ascending order. Forgotten batches leave holes."""
    before = 0
    for run in chain(numbered, [Run(_END, _END)]):
        if before + 1 < run.first:
            for first, last in connection.execute(_ISLANDS, (before, run.first)):
                yield Run(first, last)
        before = max(before, run.last)
