"""The ingester: deliveries into micro-batches, each stored in one transaction, then acknowledged.

The order is the promise (docs/decisions/004): commit first, then the gateway's `ack`, then the broker's.
Dying in between repeats a delivery, and storing it again changes nothing. Any number of ingesters may run.
"""

import queue
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from threading import Event
from typing import TypeVar

import psycopg
import structlog

from ingest.decode import Decoded, decode_readings
from ingest.directory import Directory
from ingest.gateway_reports import note, waits_for_us
from ingest.subscriber import INBOX_SIZE, Delivery, Subscriber
from ingest.writer import store_readings, store_refused
from store.database import StoreError, connect
from store.roles import Role
from telemetry.topics import Kind, Topic
from telemetry.wire import Ack, Outcome, encode, to_milliseconds

_TICK = 0.2  # seconds between looks at `stop` while nothing arrives
_PAUSES = (0.1, 0.2, 0.5, 1.0, 2.0, 5.0)  # seconds before the database is tried again
T = TypeVar("T")
# the content's fault; every other error is the database's, and waited for
_REFUSES = (
    psycopg.DataError,
    psycopg.IntegrityError,
    psycopg.errors.CardinalityViolation,
    psycopg.errors.ProgramLimitExceeded,
)
_HEALTH = f"/{Kind.HEALTH.value}"
_STATUS = f"/{Kind.STATUS.value}"

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Pace:
    """A micro-batch is written when it has `rows` values, or `patience` seconds after its first message."""

    rows: int = 20_000
    patience: float = 0.02


@dataclass(slots=True)
class _MicroBatch:
    """Deliveries and, for those of readings, what they hold."""

    readings: list[tuple[Delivery, Decoded]]
    others: list[Delivery]
    rows: int = 0

    def add(self, delivery: Delivery) -> None:
        if delivery.topic.endswith((_HEALTH, _STATUS)):
            self.others.append(delivery)
            return
        decoded = decode_readings(delivery.topic, delivery.payload)
        self.readings.append((delivery, decoded))
        self.rows += decoded.rows


class Ingester:
    """One process's loop. `clock` gives the aware instant that decides what lies in the future."""

    def __init__(
        self,
        database_url: str,
        broker: tuple[str, int],
        *,
        pace: Pace = Pace(),
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._database_url = database_url
        self._pace = pace
        self._clock = clock
        self._inbox: queue.Queue[Delivery] = queue.Queue(INBOX_SIZE)
        self.subscriber = Subscriber(*broker, self._inbox)
        self._directory = Directory()
        self._session: psycopg.Connection | None = None

    def run(self, stop: Event) -> None:
        """Take messages until `stop` is set; what is in the database by then is acknowledged."""
        self.subscriber.start()
        try:
            while not stop.is_set():
                batch = self._gather()
                if batch is not None:
                    self._take(batch, stop)
        finally:
            self.subscriber.stop()
            self._close()

    def _gather(self) -> _MicroBatch | None:
        """The next micro-batch, or None when nothing came within a tick."""
        batch = _MicroBatch([], [])
        with suppress(queue.Empty):
            batch.add(self._inbox.get(timeout=_TICK))
            end = time.monotonic() + self._pace.patience
            while batch.rows < self._pace.rows:
                batch.add(self._inbox.get(timeout=max(0.0, end - time.monotonic())))
        return batch if batch.readings or batch.others else None

    def _take(self, batch: _MicroBatch, stop: Event) -> None:
        """Store and acknowledge, however long the database is away; when stopped before, neither."""
        for delivery in batch.others:
            kept = self._insist(partial(note, delivery=delivery), stop)
            if kept is not None:
                self.subscriber.acknowledge(delivery)
            if kept and (topic := waits_for_us(delivery)):
                self.subscriber.publish(str(topic), encode(Ack("", [])))
        if not batch.readings:
            return
        messages = [decoded for _, decoded in batch.readings]
        outcomes = self._insist(lambda session: self._store(session, messages), stop)
        if outcomes is not None:
            self._answer(messages, outcomes)
            for delivery, _ in batch.readings:
                self.subscriber.acknowledge(delivery)

    def _store(self, session: psycopg.Connection, messages: Sequence[Decoded]) -> list[Outcome | None]:
        """Commit the messages together; if the database refuses their content, each by itself."""
        now = self._clock()
        try:
            return store_readings(session, self._directory, messages, to_milliseconds(now))
        except _REFUSES as error:
            self._directory.forget()
            if len(messages) == 1:
                log.error("the database refuses a message", topic=messages[0].text, reason=str(error))
                return store_refused(session, self._directory, messages[0], str(error))
            return [outcome for message in messages for outcome in self._store(session, [message])]

    def _insist(self, work: Callable[[psycopg.Connection], T], stop: Event) -> T | None:
        """What `work` returns once the database lets it; None when stopped before that.

        The log says once that the database is away, and once that it is back.
        """
        failures = 0
        while True:
            try:
                if self._session is None:
                    self._session = connect(self._database_url, application="hesper ingest", role=Role.INGEST)
                result = work(self._session)
            except (StoreError, psycopg.Error) as error:
                if not failures:
                    log.warning("the database does not store; trying again", reason=_one_line(error))
                self._close()
                self._directory.forget()
                if stop.wait(_PAUSES[min(failures, len(_PAUSES) - 1)]):
                    return None
                failures += 1
            else:
                if failures:
                    log.info("the database stores again", attempts=failures)
                return result

    def _answer(self, messages: Sequence[Decoded], outcomes: Sequence[Outcome | None]) -> None:
        """One `Ack` for all batches of a gateway's epoch; none for what does not name its batch."""
        acks: dict[tuple[str, str], list[Outcome]] = {}
        for message, outcome in zip(messages, outcomes, strict=True):
            if message.topic is not None and message.batch is not None and outcome is not None:
                topic = str(Topic(message.topic.utility, message.topic.gateway, Kind.ACK))
                acks.setdefault((topic, message.batch.epoch), []).append(outcome)
        for (topic, epoch), group in acks.items():
            self.subscriber.publish(topic, encode(Ack(epoch, [outcome.batch for outcome in group], group)))

    def _close(self) -> None:
        if self._session is not None:
            with suppress(psycopg.Error):
                self._session.close()
        self._session = None


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())
