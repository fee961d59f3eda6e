"""The ingester: deliveries into micro-batches, each stored in one transaction, then acknowledged.

The order is the promise (docs/decisions/004): commit first, then the gateway's `ack`, then the broker's.
Dying in between repeats a delivery, and storing it again changes nothing. Any number of ingesters may run.

Two threads beside MQTT's: one gathers and decodes the next micro-batch while the other stores the last one.
A third sends what people ask of gateways (`downlink.py`).
"""

import queue
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from threading import Event

import structlog

from ingest.endpoint import Answers
from ingest.metrics import Metrics
from ingest.mqtt.downlink import Downlink
from ingest.mqtt.inbox import Delivery, Inbox
from ingest.mqtt.subscriber import Connection, Subscriber
from ingest.receive.decode import Decoded, decode_readings
from ingest.receive.storing import Storing
from store.postgres.database import answers
from telemetry.topics import Kind

_TICK = 0.2  # seconds between looks at `stop` while nothing arrives
_BUSY_TICK = 0.005  # the same, while the last micro-batch is not stored yet and this one may grow
_STUCK_SECONDS = 120.0  # without a turn of the gathering thread: it does not live
INBOX_BYTES = 64_000_000
ROWS = 20_000
PATIENCE = 0.02
_REPORTS = tuple(f"/{kind.value}" for kind in (Kind.STATUS, Kind.HEALTH, Kind.REPLY))

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Pace:
    """A micro-batch is written when it has `rows` values, or `patience` seconds after its first message.

    It grows beyond its patience while the one before it is not stored yet.
    """

    rows: int = ROWS
    patience: float = PATIENCE


@dataclass(slots=True)
class MicroBatch:
    """Deliveries and, for those of readings, what they hold."""

    readings: list[tuple[Delivery, Decoded]] = field(default_factory=list)
    others: list[Delivery] = field(default_factory=list)
    rows: int = 0

    def __len__(self) -> int:
        return len(self.readings) + len(self.others)

    def add(self, delivery: Delivery) -> None:
        """Decode it, if it is one of readings."""
        if delivery.topic.endswith(_REPORTS):
            self.others.append(delivery)
            return
        decoded = decode_readings(delivery.topic, delivery.payload)
        self.readings.append((delivery, decoded))
        self.rows += decoded.rows


class Ingester:
    """Loop of one ingesting process. `clock` gives the aware instant that decides what lies in the future."""

    def __init__(
        self,
        database_url: str,
        broker: Connection,
        *,
        pace: Pace = Pace(),
        inbox_bytes: int = INBOX_BYTES,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self.metrics = Metrics()
        self._database_url = database_url
        self._pace = pace
        self._together = broker.together
        # more than the broker may send: QoS 0, which Receive Maximum does not bound, fills the rest
        self._inbox = Inbox(2 * broker.receive_maximum, inbox_bytes)
        self.subscriber = Subscriber(broker, self._inbox)
        self._storing = Storing(database_url, self.subscriber, self.metrics, clock)
        self._downlink = Downlink(database_url, self.subscriber, clock)
        self._gathered: queue.Queue[MicroBatch | None] = queue.Queue(1)
        self._turn = time.monotonic()
        self._failure: BaseException | None = None
        self._observe()

    @property
    def answers(self) -> Answers:
        """Answers of the process's endpoint."""
        return Answers(self.metrics.text, self._not_live, self._not_ready)

    def run(self, stop: Event) -> None:
        """Take messages until `stop` is set; what is in the database by then is acknowledged.

        What a thread raises that no message can be blamed for is raised here.
        """
        storing = threading.Thread(target=self._store_gathered, args=(stop,), name="storing")
        asking = threading.Thread(target=self._downlink.run, args=(stop,), name="downlink")
        storing.start()
        asking.start()
        self.subscriber.start()
        try:
            while not stop.is_set():
                self.subscriber.tend()
                batch = self._gather(stop)
                if len(batch):
                    self._hand_over(batch, stop)
        finally:
            stop.set()
            storing.join()
            asking.join()
            self.subscriber.stop()
        if self._failure is not None:
            raise self._failure

    def _gather(self, stop: Event) -> MicroBatch:
        """The next micro-batch, empty when nothing came within a tick."""
        batch = MicroBatch()
        wait = _TICK
        end = 0.0
        while batch.rows < self._pace.rows and len(batch) < self._together and not stop.is_set():
            self._turn = time.monotonic()
            delivery = self._inbox.take(wait)
            if delivery is not None:
                end = end or time.monotonic() + self._pace.patience
                batch.add(delivery)
            elif not len(batch):
                break
            wait = end - time.monotonic()
            if wait <= 0:
                if self._gathered.empty():
                    break
                wait = _BUSY_TICK
        return batch

    def _hand_over(self, batch: MicroBatch, stop: Event) -> None:
        while not stop.is_set():
            try:
                self._gathered.put(batch, timeout=_TICK)
            except queue.Full:
                self._turn = time.monotonic()
            else:
                return

    def _store_gathered(self, stop: Event) -> None:
        try:
            while not stop.is_set():
                try:
                    batch = self._gathered.get(timeout=_TICK)
                except queue.Empty:
                    continue
                if batch is not None:
                    self._storing.take(batch.readings, batch.others, stop)
        except BaseException as error:
            self._failure = error
            stop.set()
        finally:
            self._storing.close()

    def _observe(self) -> None:
        self.metrics.inbox.set_function(lambda: len(self._inbox))
        self.metrics.inbox_bytes.set_function(lambda: self._inbox.size)
        self.metrics.broker.set_function(lambda: self.subscriber.listening)
        self.metrics.database.set_function(lambda: answers(self._database_url))

    def _not_live(self) -> str:
        silent = time.monotonic() - self._turn
        return f"no turn for {silent:.0f} s" if silent > _STUCK_SECONDS else ""

    def _not_ready(self) -> str:
        problems = []
        if not self.subscriber.listening:
            problems.append("not listening to the broker")
        if self._storing.failing:
            problems.append("the database does not store")
        elif not answers(self._database_url):  # where nothing comes, nothing has failed
            problems.append("the database does not answer")
        return "; ".join(problems)
