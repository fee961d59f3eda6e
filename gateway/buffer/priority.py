"""Priority of the buffer's rows: which wait to be numbered, and in which order they go.

Rows have ids in the order of appending, counted in two queues: what bills are made from, and the rest. A
batch is a run of consecutive ids of one queue, so it is written as one short row, however many readouts it
has.

The newest goes first. What has come since a queue's last batch is *fresh* and is sent when it is enough for a
batch or has waited long enough; what an outage has left behind it is the *backlog*. They take turns, so that
neither starves the other, and in both the billing queue is served before the ordinary one.
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


class Priority(IntEnum):
    """Priority of a row, the most urgent first; the value is the id before the first of its queue."""

    BILLING = 1 << 48
    ORDINARY = 0

    @classmethod
    def of(cls, row: int) -> "Priority":
        return cls.BILLING if row > cls.BILLING else cls.ORDINARY


@dataclass(frozen=True, slots=True)
class Run:
    """Consecutive ids, both ends included."""

    first: int
    last: int

    def __len__(self) -> int:
        return self.last - self.first + 1

    def seal(self, key: str, number: int) -> int:
        """The number that says in the file that this batch is acknowledged; never 0.

        A worn card may turn a bit of any row. Then the seal is wrong, and the batch is sent once more.
        """
        return 1 << 32 | zlib.crc32(f"{key} {number} {self.first} {self.last}".encode())


@dataclass(slots=True)
class PriorityQueue:
    """Ids of one priority's rows that no batch has. `since`: monotonic seconds when the fresh ones began."""

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


class PriorityQueues:
    """Both queues, and the turn between them. A batch is enough with `rows` rows or `size` encoded bytes."""

    def __init__(self, *, rows: int, size: int, max_age: float) -> None:
        self.by_name = {name: PriorityQueue(int(name)) for name in Priority}
        self._rows = rows
        self._size = size
        self._max_age = max_age
        self._backlog_next = False

    def found(self, numbered: Iterable[Run], waiting: Iterable[Run]) -> None:
        """Take over what an earlier process has left, in ascending order."""
        for run in numbered:
            queue = self.by_name[Priority.of(run.first)]
            queue.last = max(queue.last, run.last)
        for run in waiting:
            queue = self.by_name[Priority.of(run.first)]
            queue.last = max(queue.last, run.last)
            queue.backlog.append(run)

    def put_back(self, runs: Iterable[Run]) -> None:
        """Rows that had a number wait once more, as a backlog."""
        for run in runs:
            self.by_name[Priority.of(run.first)].backlog.append(run)
        for queue in self.by_name.values():
            queue.backlog.sort(key=lambda run: run.first)

    def choose(self, now: float) -> Run | None:
        """The run whose end is to be the next batch; follow with `take`. None: all may wait."""
        queues = list(self.by_name.values())
        fresh = next((queue.fresh for queue in queues if queue.fresh and self._due(queue, now)), None)
        backlog = next((queue.backlog[-1] for queue in queues if queue.backlog), None)
        self._backlog_next = bool(fresh) and not (self._backlog_next and backlog)
        return (fresh if self._backlog_next else backlog) if fresh and backlog else fresh or backlog

    def take(self, taken: Run) -> None:
        self.by_name[Priority.of(taken.last)].take(taken)

    def _due(self, queue: PriorityQueue, now: float) -> bool:
        enough = queue.fresh is not None and (
            len(queue.fresh) >= self._rows or queue.fresh_bytes >= self._size
        )
        return enough or now - queue.since >= self._max_age


def unnumbered(connection: sqlite3.Connection, numbered: Iterable[Run]) -> Iterator[Run]:
    """Runs of rows that are in no batch; `numbered` in ascending order. Forgotten batches leave holes."""
    before = 0
    for run in chain(numbered, [Run(_END, _END)]):
        if before + 1 < run.first:
            for first, last in connection.execute(_ISLANDS, (before, run.first)):
                yield Run(first, last)
        before = max(before, run.last)
