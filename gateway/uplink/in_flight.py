"""The batches that are on their way: sent, and kept until our own acknowledgement. No I/O, no clock.

The broker's PUBACK says that the broker has a batch, not that it is stored, so it only stops the immediate
repetition. Brokers lose sessions and queues when they die, and shared subscriptions lose messages when a
consumer drops; therefore every batch is sent again until the ingester acknowledges it: at growing distances,
and at once when an ingester says that it has begun to listen.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from math import inf

from telemetry.wire import Batch, Outcome


@dataclass(slots=True)
class _Flight:
    batch: Batch
    sends: int = 0
    message: int | None = None  # the MQTT packet that carries it, until the broker has confirmed that
    due: float = -inf  # monotonic seconds at which it is to be sent (again)


class BatchesInFlight:
    """Batches that are on their way, at most `size`. Instants are monotonic seconds.

    A batch is due again `resend_after` seconds after the broker took it, doubling up to `longest`.
    """

    def __init__(self, size: int, *, resend_after: float, longest: float) -> None:
        self.size = size
        self._resend_after = resend_after
        self._longest = longest
        self._flights: dict[tuple[str, int], _Flight] = {}  # a damaged buffer goes on in a new epoch

    def __len__(self) -> int:
        return len(self._flights)

    @property
    def free(self) -> int:
        return self.size - len(self._flights)

    @property
    def unconfirmed(self) -> bool:
        """True while the broker owes a PUBACK."""
        return any(flight.message is not None for flight in self._flights.values())

    def add(self, batches: Iterable[Batch]) -> None:
        for batch in batches:
            self._flights[batch.epoch, batch.batch] = _Flight(batch)

    def due(self, now: float) -> list[Batch]:
        """The batches to be sent now, in the order of `add`. Follow with `sent` for each."""
        return [flight.batch for flight in self._flights.values() if flight.due <= now]

    def next_due(self) -> float:
        """The instant at which the next batch is due; infinity if none is."""
        return min((flight.due for flight in self._flights.values()), default=inf)

    def sent(self, batch: Batch, message: int) -> int:
        """A batch was handed to MQTT as packet `message`. Returns how often it has been sent by now."""
        flight = self._flights[batch.epoch, batch.batch]
        flight.sends += 1
        flight.message = message
        flight.due = inf
        return flight.sends

    def confirmed(self, message: int, now: float) -> None:
        """The broker has taken a packet, or refused it: from now on the acknowledgement is waited for."""
        for flight in self._flights.values():
            if flight.message == message:
                flight.message = None
                flight.due = now + min(self._resend_after * 2.0 ** (flight.sends - 1), self._longest)

    def reconnected(self, *, session_kept: bool) -> None:
        """A new connection: due at once is what the broker does not have, or has forgotten."""
        for flight in self._flights.values():
            if flight.message is not None or not session_kept:
                flight.message = None
                flight.due = -inf

    def asked_again(self) -> None:
        """An ingester has begun to listen: due at once is what only those before it may have heard."""
        for flight in self._flights.values():
            if flight.message is None:
                flight.due = -inf

    def is_of(self, epoch: str, outcome: Outcome) -> bool:
        """False where the outcome is of another content than the batch of its number that is on its way."""
        flight = self._flights.get((epoch, outcome.batch))
        return flight is None or not outcome.digest or outcome.digest == flight.batch.digest

    def acknowledged(self, epoch: str, numbers: Iterable[int], now: float) -> None:
        """These are committed. An ingester that lives makes the others due at the shortest distance again."""
        for number in numbers:
            self._flights.pop((epoch, number), None)
        for flight in self._flights.values():
            if flight.due < inf:
                flight.due = min(flight.due, now + self._resend_after)
