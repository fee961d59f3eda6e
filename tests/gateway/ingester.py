"""A receiver of readings whose way of acknowledging the test decides."""

import threading
from collections import Counter
from collections.abc import Callable, Iterator
from types import TracebackType
from typing import Any, Self

import msgspec
from paho.mqtt.client import Client, MQTTMessage
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion

from telemetry.topics import Kind, Topic, subscription
from telemetry.wire import Ack, Batch, Outcome, Reply, decode, encode
from tests.telemetry.read_back import read_back

Policy = Callable[
    [Batch, int], Iterator[Ack]
]  # a batch, and how often it has come before -> what is answered


def ack(batch: Batch, *, stored: int = 0) -> Ack:
    return Ack(epoch=batch.epoch, batches=[batch.batch], outcomes=[Outcome(batch.batch, stored=stored)])


def at_once(batch: Batch, before: int) -> Iterator[Ack]:
    yield ack(batch, stored=len(batch.readouts))


class Ingester:
    """Connects, subscribes, records every batch in order of arrival, and answers as `policy` says."""

    def __init__(self, port: int, policy: Policy = at_once) -> None:
        self._port = port
        self._policy = policy
        self._changed = threading.Condition()
        self.batches: list[Batch] = []
        self.messages: list[tuple[str, bytes, bool]] = []  # topic, payload, retained: all other kinds
        self._client = client = Client(
            CallbackAPIVersion.VERSION2, client_id="ingester", protocol=MQTTProtocolVersion.MQTTv5
        )
        client.reconnect_delay_set(1, 1)
        client.on_connect = self._on_connect
        client.on_message = self._on_message
        self._subscribed = threading.Event()
        client.on_subscribe = lambda *_: self._subscribed.set()

    def __enter__(self) -> Self:
        self._client.connect("127.0.0.1", self._port)
        self._client.loop_start()
        assert self._subscribed.wait(10)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._client.disconnect()
        self._client.loop_stop()

    @property
    def arrivals(self) -> Counter[int]:
        """How often each batch number came."""
        return Counter(batch.batch for batch in self.batches)

    @property
    def volumes(self) -> Counter[int]:
        """How often each cubic-metre value came."""
        return Counter(
            read_back(wire).values["8-0:1.0.0"].micro // 1_000_000
            for batch in self.batches
            for wire in batch.readouts
        )

    def wait_until(self, condition: Callable[[], bool], seconds: float = 20.0) -> None:
        """Wait for something that an arriving message makes true."""
        with self._changed:
            assert self._changed.wait_for(condition, seconds), f"got {self.arrivals} and {self.messages}"

    def acknowledge(self, *acks: Ack) -> None:
        """Send acknowledgements to the gateway of the tests."""
        for message in acks:
            self._client.publish(str(Topic("stadtwerke", "gw-7", Kind.ACK)), encode(message), 1)

    def publish_raw_ack(self, payload: bytes) -> None:
        self._client.publish(str(Topic("stadtwerke", "gw-7", Kind.ACK)), payload, 1)

    def ask(self, kind: Kind, message: msgspec.Struct, *, retain: bool = False) -> None:
        """Send a command, or a configuration, to the gateway of the tests."""
        self._client.publish(str(Topic("stadtwerke", "gw-7", kind)), encode(message), 1, retain)

    def publish(self, topic: str, payload: bytes) -> None:
        """Whatever it is."""
        self._client.publish(topic, payload, 1)

    def replies(self, id: str) -> list[Reply]:  # noqa: A002 - the contract's own word
        """What was answered to this id."""
        own = str(Topic("stadtwerke", "gw-7", Kind.REPLY))
        told = [decode(payload, Reply) for topic, payload, _ in self.messages if topic == own]
        return [reply for reply in told if reply.id == id]

    def _on_connect(self, client: Client, *_: Any) -> None:
        kinds = (Kind.READINGS, Kind.STATUS, Kind.HEALTH, Kind.REPLY)
        client.subscribe([(subscription(kind), 1) for kind in kinds])

    def _on_message(self, client: Client, _: Any, message: MQTTMessage) -> None:
        with self._changed:
            if Topic.parse(message.topic).kind is Kind.READINGS:
                batch = decode(message.payload, Batch)
                before = self.arrivals[batch.batch]
                self.batches.append(batch)
                self.acknowledge(*self._policy(batch, before))
            else:
                self.messages.append((message.topic, message.payload, message.retain))
            self._changed.notify_all()
