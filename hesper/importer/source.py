"""Rows as the numbered batches of a publisher, and what became of each.

A batch is a fixed number of rows in the order of the file, so an import that is repeated or restarted sends
the same batches with the same numbers in the same epoch.
"""

import threading
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice

from gateway.buffer.source import SourceError
from hesper.importer.table import FileError, RowError
from telemetry.wire import Batch, Outcome, WireReadout

MAX_ROW_ERRORS_KEPT = 1_000


@dataclass(slots=True)
class ImportTally:
    """Counts of the rows so far. `readings` counts values, `quarantined` readouts by reason."""

    rows: int = 0  # read from the file
    readouts: int = 0  # sent
    readings: int = 0  # values in them
    acknowledged: int = 0  # readouts
    stored: int = 0
    known: int = 0  # stored before with the same value
    conflicts: int = 0
    quarantined: Counter[str] = field(default_factory=Counter)
    unreadable: int = 0  # rows
    row_errors: list[RowError] = field(default_factory=list)  # the first of them

    @property
    def complete(self) -> bool:
        """True when every row of the file is in the store."""
        return not (self.unreadable or self.conflicts or self.quarantined)


class RowSource:
    """A `BatchSource` over rows, so many in a batch. `finished` is set when every batch is acknowledged, or
    `failure` is."""

    def __init__(self, rows: Iterable[WireReadout | RowError], epoch: str, size: int) -> None:
        self.epoch = epoch
        self.tally = ImportTally()
        self.failure: FileError | None = None
        self.finished = threading.Event()
        self._size = size
        self._batches = self._number(rows)
        self._waiting: dict[int, int] = {}  # batch -> readouts, sent and not acknowledged
        self._exhausted = False

    def next_batches(self, limit: int) -> Sequence[Batch]:
        """Up to `limit` batches more. Raises SourceError when the file turns out to be damaged."""
        try:
            batches = list(islice(self._batches, limit))
        except (FileError, OSError) as error:
            self.failure = error if isinstance(error, FileError) else FileError(str(error))
            self.finished.set()
            raise SourceError(str(error)) from error
        self._waiting |= {each.batch: len(each.readouts) for each in batches}
        self._exhausted |= len(batches) < limit
        self._look_whether_finished()
        return batches

    def acknowledge(self, epoch: str, outcomes: Mapping[int, Outcome | None]) -> None:
        """Add up what became of batches; each counts once, however often it was sent."""
        if epoch != self.epoch:
            return
        for number, outcome in outcomes.items():
            readouts = self._waiting.pop(number, None)
            if readouts is None:
                continue
            self.tally.acknowledged += readouts
            if outcome is not None:
                self._count(outcome)
        self._look_whether_finished()

    def _count(self, outcome: Outcome) -> None:
        tally = self.tally
        tally.stored += outcome.stored
        tally.known += outcome.known
        tally.conflicts += outcome.conflicts
        tally.quarantined.update(outcome.quarantined)

    def _look_whether_finished(self) -> None:
        if self._exhausted and not self._waiting:
            self.finished.set()

    def _number(self, rows: Iterable[WireReadout | RowError]) -> Iterator[Batch]:
        number, readouts = 1, list[WireReadout]()
        for row in rows:
            self.tally.rows += 1
            if isinstance(row, RowError):
                self.tally.unreadable += 1
                if len(self.tally.row_errors) < MAX_ROW_ERRORS_KEPT:
                    self.tally.row_errors.append(row)
                continue
            self.tally.readouts += 1
            self.tally.readings += len(row.values)
            readouts.append(row)
            if len(readouts) == self._size:
                yield Batch(self.epoch, number, 0, readouts)
                number, readouts = number + 1, []
        if readouts:
            yield Batch(self.epoch, number, 0, readouts)
