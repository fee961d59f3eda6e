"""Source of a publisher's batches: the gateway's buffer, or a file that is being imported."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from telemetry.wire import Batch, Outcome

MAX_BATCH_READOUTS = 500
MAX_BATCH_BYTES = 900_000  # encoded; the wire contract's limit is a little higher


class SourceError(Exception):
    """The source cannot be read or written for now; the publisher tries again."""


@dataclass(frozen=True, slots=True)
class Monotonic:
    """An instant that needs no set clock: `seconds` on the monotonic clock of the boot named `boot`."""

    boot: str
    seconds: float


@dataclass(frozen=True, slots=True)
class BufferLimits:
    """Limits of a buffer. Only acknowledged readouts are ever deleted to stay within.

    `days`: how long they stay as a local history. `bytes`: of the file; the write-ahead log adds up to 4 MB.
    """

    days: int = 35
    bytes: int = 1_000_000_000


class BatchSource(Protocol):
    """Hands out numbered batches and forgets them when they are acknowledged.

    Called from the publisher's thread only. A batch once numbered keeps its readouts for ever, also across a
    restart, so that sending it again means the same thing again. Both functions may raise SourceError.
    """

    def next_batches(self, limit: int) -> Sequence[Batch]:
        """Up to `limit` batches that this object has not handed out yet, most urgent first; empty if none is.

        The publisher keeps a handed-out batch and sends it until it is acknowledged. `sent_at` is set when
        it is sent.
        """
        ...

    def acknowledge(self, epoch: str, outcomes: Mapping[int, Outcome | None]) -> None:
        """These batches are committed at the other end and may be forgotten.

        `outcomes` maps batch numbers to what became of them, None where the receiver did not say. It may name
        batches that were acknowledged before, or handed out by an earlier process; another epoch than the
        source's own is to be ignored, and an outcome whose digest is not the batch's.
        """
        ...
