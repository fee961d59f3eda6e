"""Polls on their way to the buffer; held in memory only while the buffer takes nothing.

A poll whose readout neither disk nor memory had room for becomes a miss, so that also this is known.
"""

import logging
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import islice, takewhile
from typing import Protocol

from gateway.buffer.source import Monotonic, SourceError
from gateway.log_once import LogOnce
from telemetry.readout import Readout
from telemetry.wire import Miss, MissReason, to_milliseconds

log = logging.getLogger(__name__)

_HELD_READOUTS = 4_000  # in memory while the buffer fails: for most lines more than half a day, some 10 MB
_HELD_POLLS = 10_000  # with the missed ones, which are small
_TRY_AGAIN = 5.0  # seconds
_AT_ONCE = 500  # polls in one transaction


class Keep(Protocol):
    """`Buffer.append`: durable when it returns; raises SourceError."""

    def __call__(
        self,
        readouts: Sequence[Readout],
        misses: Sequence[Miss] = (),
        *,
        unsynchronised: Monotonic | None = None,
    ) -> None: ...


@dataclass(frozen=True, slots=True)
class PendingPoll:
    """Result of one poll. `slot` is None for a readout beside the schedule."""

    slot: datetime | None
    readouts: Sequence[Readout] = ()
    miss: Miss | None = None
    monotonic: Monotonic | None = None  # as long as the instant is not known

    def given_up(self) -> "PendingPoll":
        """Without its readouts, this poll is a missed one."""
        assert self.slot is not None
        miss = Miss(self.readouts[0].meter, to_milliseconds(self.slot), MissReason.NOT_KEPT)
        return PendingPoll(self.slot, miss=miss, monotonic=self.monotonic)


class PendingPolls:
    """Polls that wait for the buffer; belongs to the line's thread."""

    def __init__(self, line: str, keep: Keep, now: Callable[[], float]) -> None:
        self._line = line
        self._keep = keep
        self._now = now
        self._held: deque[PendingPoll] = deque()
        self._not_again_before = now()
        self._unkept = LogOnce(log, "readouts cannot be kept", "readouts are kept again", logging.ERROR)
        self._lost = LogOnce(log, "readouts are lost", "readouts are no longer lost", logging.ERROR)

    def put(self, kept: Sequence[PendingPoll]) -> None:
        """Keep these, after what is held already."""
        self._held.extend(kept)
        self.flush()
        if len(self._held) > _HELD_READOUTS:
            self._give_up()

    def take_over(self, earlier: "PendingPolls") -> None:
        """Go on with what another poller, which has ended, still holds."""
        self._held.extendleft(reversed(earlier._held))
        earlier._held.clear()

    def flush(self) -> None:
        """Give the buffer what is held, if it is time to try; after a failure one poll shows if it can."""
        if not self._held or self._now() < self._not_again_before:
            return
        at_once = 1 if self._unkept.active else _AT_ONCE
        while self._held:
            polls = self._together(at_once)
            readouts = [readout for kept in polls for readout in kept.readouts]
            misses = [kept.miss for kept in polls if kept.miss]
            try:
                self._keep(readouts, misses, unsynchronised=polls[0].monotonic)
            except SourceError as error:
                self._not_again_before = self._now() + _TRY_AGAIN
                self._unkept.begin(line=self._line, reason=str(error))
                return
            for _ in polls:
                self._held.popleft()
            at_once = _AT_ONCE
        self._unkept.end(line=self._line)
        self._lost.end(line=self._line)

    def oldest(self) -> datetime | None:
        """The earliest slot that is not on the disk, of those whose instants are known."""
        return min((kept.slot for kept in self._held if kept.slot and not kept.monotonic), default=None)

    def _together(self, at_once: int) -> list[PendingPoll]:
        """The first polls that go into one transaction: one alone, while its instant is not known."""
        first = self._held[0]
        if first.monotonic:
            return [first]
        return list(takewhile(lambda kept: kept.monotonic is None, islice(self._held, at_once)))

    def _give_up(self) -> None:
        """Forget the oldest readouts that are too many, but not that they were due, unless these are."""
        excess = sum(1 for kept in self._held if kept.readouts) - _HELD_READOUTS
        if excess <= 0 and len(self._held) <= _HELD_POLLS:
            return
        self._lost.begin(line=self._line, advice="the buffer has failed for so long that memory is full, too")
        remaining: deque[PendingPoll] = deque(maxlen=_HELD_POLLS)
        for kept in self._held:
            if not kept.readouts or excess <= 0:
                remaining.append(kept)
            elif kept.slot:
                remaining.append(kept.given_up())
            excess -= bool(kept.readouts)
        self._held = remaining
