"""The ingester's side of MQTT: deliveries into a bounded inbox, acknowledgements out.

paho's thread does nothing but fill the inbox. A delivery is acknowledged to the broker only when the ingester
says so; the broker's Receive Maximum bounds how many can wait. Everything the broker may lose or repeat is
harmless: a gateway sends a batch again until our own `Ack`, and storing a reading twice changes nothing.
"""

from dataclasses import dataclass
from queue import Full, Queue
from typing import Any
from uuid import uuid4

import structlog
from paho.mqtt.client import Client, ConnectFlags, DisconnectFlags, MQTTMessage
from paho.mqtt.enums import CallbackAPIVersion, MQTTErrorCode, MQTTProtocolVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode
from paho.mqtt.subscribeoptions import SubscribeOptions

from telemetry.topics import Kind, subscription

GROUP = "ingest"  # of the shared subscription: each batch goes to one ingester
HEALTH_GROUP = "ingest-health"  # one of its own: rumqttd loses messages where two filters share a group
RECEIVE_MAXIMUM = 100  # deliveries that wait for our acknowledgement: at most 100 MB of payload
INBOX_SIZE = 4 * RECEIVE_MAXIMUM  # more than a broker may send; QoS 0, which has no such bound, fills it
_QOS = 1
_KEEPALIVE = 30  # seconds

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Delivery:
    """A message as it came. `message`, `qos` and `connection` are what acknowledging it needs.

    `retained`: it was published before we subscribed.
    """

    topic: str
    payload: bytes
    message: int = 0
    qos: int = 0
    connection: int = 0
    retained: bool = False


class Subscriber:
    """Connects, subscribes and reconnects by itself between `start` and `stop`."""

    def __init__(self, host: str, port: int, inbox: "Queue[Delivery]") -> None:
        self._address = (host, port)
        self._inbox = inbox
        self._connection = 0  # counts connections: a packet number means nothing on another one
        self._away = False
        self._overflowing = False
        self._client = client = Client(
            CallbackAPIVersion.VERSION2,
            client_id=f"hesper-ingest-{uuid4().hex[:12]}",
            protocol=MQTTProtocolVersion.MQTTv5,
            manual_ack=True,
        )
        client.max_queued_messages_set(10 * RECEIVE_MAXIMUM)
        client.max_inflight_messages_set(RECEIVE_MAXIMUM)
        client.reconnect_delay_set(min_delay=1, max_delay=5)
        client.on_connect = self._on_connect
        client.on_connect_fail = self._on_connect_fail
        client.on_disconnect = self._on_disconnect
        client.on_subscribe = self._on_subscribe
        client.on_message = self._on_message

    def start(self) -> None:
        """Begin to connect, and to try again until it succeeds."""
        host, port = self._address
        properties = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]  # paho's own
        properties.ReceiveMaximum = RECEIVE_MAXIMUM
        self._client.connect_async(host, port, _KEEPALIVE, clean_start=True, properties=properties)
        self._client.loop_start()

    def stop(self) -> None:
        """Disconnect. Deliveries that were not acknowledged go to another ingester, or come again."""
        self._client.disconnect()
        self._client.loop_stop()

    def acknowledge(self, delivery: Delivery) -> None:
        """Tell the broker that a delivery is dealt with; nothing to do where its connection is gone."""
        if delivery.qos and delivery.connection == self._connection:
            self._client.ack(delivery.message, delivery.qos)

    def publish(self, topic: str, payload: bytes) -> None:
        """Send a message with QoS 1. While offline it is dropped: its gateway will ask again."""
        if self._client.is_connected():
            self._client.publish(topic, payload, _QOS)

    def _on_connect(
        self, client: Client, _: Any, _flags: ConnectFlags, reason: ReasonCode, __: Properties | None
    ) -> None:
        if reason.is_failure:
            self._say_away(f"refused: {reason}")
            return
        self._connection += 1
        if self._away:
            log.info("broker is back", broker=self._broker)
        self._away = False
        options = SubscribeOptions(qos=_QOS)
        # a shared subscription gets no retained messages, so each ingester hears every status
        filters = [
            subscription(Kind.READINGS, share=GROUP),
            subscription(Kind.HEALTH, share=HEALTH_GROUP),
            subscription(Kind.STATUS),
        ]
        result, _mid = client.subscribe([(text, options) for text in filters])
        if result != MQTTErrorCode.MQTT_ERR_SUCCESS:
            self._say_away(f"could not subscribe: {result.name}")

    def _on_subscribe(
        self, _: Client, __: Any, _mid: int, reasons: list[ReasonCode], ___: Properties | None
    ) -> None:
        for reason in reasons:
            if reason.is_failure:
                log.error("broker refuses a subscription; check its ACL", reason=str(reason))
        log.info("listening", broker=self._broker)

    def _on_connect_fail(self, _: Client, __: Any) -> None:
        self._say_away("cannot be reached")

    def _on_disconnect(
        self, _: Client, __: Any, _flags: DisconnectFlags, reason: ReasonCode, ___: Properties | None
    ) -> None:
        if reason.is_failure:
            self._say_away(str(reason))

    def _on_message(self, _: Client, __: Any, message: MQTTMessage) -> None:
        try:
            topic = message.topic
        except UnicodeDecodeError:
            topic = "(a topic that is not UTF-8)"
        delivery = Delivery(
            topic, bytes(message.payload), message.mid, message.qos, self._connection, message.retain
        )
        try:
            self._inbox.put_nowait(delivery)
        except Full:
            # only senders without QoS, or a broker that ignores Receive Maximum, get here
            self.acknowledge(delivery)
            if not self._overflowing:
                log.warning("inbox full; dropping what its sender will repeat", topic=topic)
            self._overflowing = True
        else:
            self._overflowing = False

    def _say_away(self, reason: str) -> None:
        """In the log once, until the broker is back."""
        if not self._away:
            log.warning("no connection to the broker; trying again", broker=self._broker, reason=reason)
        self._away = True

    @property
    def _broker(self) -> str:
        return "{}:{}".format(*self._address)
