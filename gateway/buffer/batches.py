"""Batches of the buffer's rows: placed in their queues, numbered durably, handed out once.

A batch once numbered keeps its rows for ever, also across a restart. Everything here is called with the
buffer's lock held and raises sqlite3.Error.
"""

import copy
import logging
from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta, tzinfo

from drivers.driver import Clock
from gateway.buffer.disk import BufferDisk
from gateway.buffer.entry import DamagedEntryError, Entry, PackedEntry, encoded_size, status_of, unpack
from gateway.buffer.priority import Priority, PriorityQueues, Run, unnumbered
from gateway.buffer.source import MAX_BATCH_BYTES, MAX_BATCH_READOUTS
from telemetry.status import Status
from telemetry.wire import (
    Batch,
    Miss,
    Outcome,
    WireReadout,
    digest_of,
    from_milliseconds,
    to_milliseconds,
)

log = logging.getLogger(__name__)

BILLING_WINDOW = timedelta(minutes=15)  # after local midnight: read then is what months are closed with
_BATCH_FIELDS = 200  # bytes


class Batches:
    """The state in memory of one epoch, taken from the file as after a restart."""

    def __init__(
        self,
        disk: BufferDisk,
        *,
        zone: tzinfo,
        max_age: float,
        clock: Clock,
        monotonic: Callable[[], float],
    ) -> None:
        self._disk = disk
        self._zone = zone
        self._clock = clock
        self._monotonic = monotonic
        self._digests: dict[int, str] = {}  # of open batches that were handed out
        self.epoch: str
        self._sealed_by: str
        self.epoch, self._sealed_by, self._stored_at, self._next_batch = disk.connection.execute(
            "select epoch, seal_key, stored_at, "
            "max(next_batch, (select coalesce(max(number), 0) + 1 from batches)) from life"
        ).fetchone()
        rows = disk.connection.execute("select number, first, last, acknowledged from batches order by first")
        batches = [(number, Run(first, last), seal) for number, first, last, seal in rows]
        self._open = {
            number: run for number, run, seal in batches if seal != run.seal(self._sealed_by, number)
        }
        self._left_over = sorted(self._open)
        numbered = [run for _, run, _ in batches]
        self.queues = PriorityQueues(rows=MAX_BATCH_READOUTS, size=MAX_BATCH_BYTES, max_age=max_age)
        self.queues.found(numbered, unnumbered(disk.connection, numbered))

    @property
    def runs(self) -> list[Run]:
        """All rows that nobody has acknowledged."""
        return [*self._open.values(), *(run for queue in self.queues.by_name.values() for run in queue.runs)]

    def insert(
        self, entries: Sequence[PackedEntry], statement: str, rows: Sequence[tuple[object, ...]]
    ) -> None:
        """Entries at the ends of their queues, and `statement` for each of `rows`, in one commit.

        Raises NoRoomError.
        """
        last = {name: queue.last for name, queue in self.queues.by_name.items()}
        sizes = dict.fromkeys(Priority, 0)
        placed: list[tuple[int, int, bytes]] = []
        for entry, body in entries:
            priority = self._priority_of(entry)
            last[priority] += 1
            sizes[priority] += encoded_size(entry)
            placed.append((last[priority], self._since(entry), body))

        def write() -> None:
            with self._disk.transaction() as connection:
                connection.executemany("insert into entries values (?, ?, ?)", placed)
                connection.executemany(statement, rows)

        coming = sum(len(value) for row in (*placed, *rows) for value in row if isinstance(value, bytes))
        self._disk.write(coming, write)
        for name, queue in self.queues.by_name.items():
            if last[name] > queue.last:
                queue.appended(last[name] - queue.last, sizes[name], self._monotonic())

    def next(self, limit: int) -> list[Batch]:
        """Up to `limit` that were not handed out yet: those of an earlier process first, as they were."""
        batches: list[Batch] = []
        while self._left_over and len(batches) < limit:
            number = self._left_over[0]
            if number in self._open:
                batches.append(self._batch(number, self._entries(self._open[number])))
            self._left_over.pop(0)
        return [*batches, *self._number(limit - len(batches))]

    def acknowledge(self, outcomes: Mapping[int, Outcome | None]) -> None:
        """These are committed at the other end; numbers that are not open are passed over."""
        seals: dict[int, tuple[int, int]] = {}
        for number, outcome in outcomes.items():
            if number not in self._open:
                continue
            if outcome is not None and outcome.digest not in ("", self._digest(number)):
                log.warning(
                    "acknowledgement of another content, passed over: another gateway uses this one's name",
                    extra={"epoch": self.epoch, "batch": number},
                )
                continue
            stored_at = outcome.stored_at if outcome is not None else 0
            seals[number] = self._open.pop(number).seal(self._sealed_by, number), stored_at
            self._stored_at = max(self._stored_at, stored_at)
            self._digests.pop(number, None)
        self._disk.acknowledged(seals)

    def send_again(self, since: int) -> int:
        """Let what was read or stored since then (milliseconds) wait once more; how many entries."""
        self._disk.settle()
        rows = self._disk.connection.execute(
            "select number, first, last, acknowledged from batches b where acknowledged and (stored_at >= ?1 "
            "or exists (select 1 from entries where id between b.first and b.last and since >= ?1))",
            (since,),
        ).fetchall()
        runs = {
            number: run
            for number, first, last, seal in rows
            if seal == (run := Run(first, last)).seal(self._sealed_by, number)
        }
        with self._disk.transaction() as connection:
            connection.execute("update life set next_batch = max(next_batch, ?)", (self._next_batch,))
            connection.executemany("delete from batches where number = ?", [(number,) for number in runs])
        self.queues.put_back(runs.values())
        return sum(map(len, runs.values()))

    def read(self, row: int, body: object) -> Entry | None:
        """The entry of a row; None, with a log record, where the disk has changed it."""
        try:
            return unpack(body)
        except DamagedEntryError as error:
            log.error(
                "readout lost: the disk gave back other bytes than were written",
                extra={"row": row, "reason": str(error), "advice": "replace the card"},
            )
            return None

    def _number(self, limit: int) -> list[Batch]:
        """Give what is most urgent its numbers, durably."""
        before = copy.deepcopy(self.queues)
        taken: list[tuple[Run, list[Entry]]] = []
        try:
            while len(taken) < limit and (run := self.queues.choose(self._monotonic())):
                taken.append(self._newest(run))
                self.queues.take(taken[-1][0])
            if not taken:
                return []
            numbered = {number: run for number, (run, _) in enumerate(taken, start=self._next_batch)}
            with self._disk.transaction() as connection:
                connection.executemany(
                    "insert into batches (number, first, last) values (?, ?, ?)",
                    [(number, run.first, run.last) for number, run in numbered.items()],
                )
        except BaseException:
            self.queues = before
            raise
        self._open |= numbered
        self._next_batch += len(numbered)
        return [self._batch(number, entries) for number, (_, entries) in zip(numbered, taken, strict=True)]

    def _newest(self, run: Run) -> tuple[Run, list[Entry]]:
        """The end of a run, as much of it as one batch takes, but at least one row."""
        size, first, entries = _BATCH_FIELDS, run.first, list[Entry]()
        rows = self._disk.connection.execute(
            "select id, body from entries where id between ? and ? order by id desc limit ?",
            (run.first, run.last, MAX_BATCH_READOUTS),
        ).fetchall()
        for row, body in rows:
            entry = self.read(row, body)
            size += encoded_size(entry) if entry else 0
            if size > MAX_BATCH_BYTES and entries:
                break
            first = row
            entries += [entry] if entry else []
        return Run(first, run.last), entries[::-1]

    def _entries(self, run: Run) -> list[Entry]:
        rows = self._disk.connection.execute(
            "select id, body from entries where id between ? and ? order by id", (run.first, run.last)
        )
        return [entry for row, body in rows.fetchall() if (entry := self.read(row, body))]

    def _batch(self, number: int, entries: Sequence[Entry]) -> Batch:
        readouts = [entry for entry in entries if isinstance(entry, WireReadout)]
        missed = [entry for entry in entries if isinstance(entry, Miss)]
        digest = self._digests[number] = digest_of(readouts, missed)
        return Batch(self.epoch, number, 0, readouts, missed, digest, self._stored_at)

    def _digest(self, number: int) -> str:
        """That of an open batch, as it was handed out or will be."""
        return self._digests.get(number) or self._batch(number, self._entries(self._open[number])).digest

    def _priority_of(self, entry: Entry) -> Priority:
        if isinstance(entry, Miss):
            return Priority.ORDINARY
        try:
            local = from_milliseconds(entry.at).astimezone(self._zone)
        except OverflowError:  # a meter whose date is the last that there is
            return Priority.ORDINARY
        of_day = timedelta(hours=local.hour, minutes=local.minute, seconds=local.second)
        historical = Status.HISTORICAL in status_of(entry)
        return Priority.BILLING if historical or of_day < BILLING_WINDOW else Priority.ORDINARY

    def _since(self, entry: Entry) -> int:
        """What the meter kept from long ago has not waited since then."""
        historical = Status.HISTORICAL in status_of(entry)
        return max(0, to_milliseconds(self._clock())) if historical else entry.at
