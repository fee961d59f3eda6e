"""The ingester's side of MQTT: deliveries into a bounded inbox; acknowledgements and requests out.

paho's thread does nothing but fill the inbox. A delivery is acknowledged to the broker only when the ingester
says so; Receive Maximum bounds how many the broker sends beyond that, so that a database that is away holds
the broker up and does not fill our memory. A broker that forgets this bound (Mosquitto 2.0.11 does, at the
first acknowledgement) is not read from for a while, and when that does not help its session is taken up anew
once there is room.

The session is kept while we are away for a moment: what was not acknowledged comes again. Everything that
the broker may lose or repeat is harmless: a gateway sends a batch again until our own `Ack`, and storing a
reading twice changes nothing.
"""

import socket
import time
from dataclasses import dataclass
from typing import Any

import structlog
from paho.mqtt.client import Client, ConnectFlags, DisconnectFlags, MQTTMessage
from paho.mqtt.enums import CallbackAPIVersion, MQTTErrorCode, MQTTProtocolVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode
from paho.mqtt.subscribeoptions import SubscribeOptions

from ingest.mqtt.inbox import Delivery, Inbox
from telemetry.topics import Kind, subscription
from telemetry.wire import MAX_MESSAGE_BYTES

GROUP = "ingest"  # of the shared subscription: each batch goes to one ingester
HEALTH_GROUP = "ingest-health"  # one of its own: rumqttd loses messages where two filters share a group
REPLY_GROUP = "ingest-reply"
RECEIVE_MAXIMUM = 500
SESSION_EXPIRY = 300
_LARGEST_PACKET = MAX_MESSAGE_BYTES + 1_000  # with topic and properties; the broker drops what is larger
_QOS = 1
_KEEPALIVE = 30  # seconds
_CONFIRMED_WITHIN = 5.0  # seconds
_PATIENCE = 10.0  # seconds in which nothing is read, so that the broker stops: less than it waits for a ping
_TAKEN_OVER = 0x8E

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Connection:
    """Address of the broker, and who we are there.

    `name` tells this ingester from all others, and stays the same when it starts again: its session waits for
    it for `session_expiry` seconds. With 0 there is none, which rumqttd needs: it dies of a shared
    subscription that is taken up again.

    `receive_maximum` deliveries may wait for our acknowledgement. Four micro-batches of the smallest messages
    must fit in, or acknowledgements starve the flow: one is stored, one waits for that, one is gathered, and
    one is on its way.
    """

    host: str
    port: int
    name: str
    receive_maximum: int = RECEIVE_MAXIMUM
    session_expiry: int = SESSION_EXPIRY

    @property
    def together(self) -> int:
        """Number of deliveries that make a micro-batch at the most."""
        return max(1, self.receive_maximum // 4)


def _at_once(connection: Any) -> None:
    """Acknowledgements are a few bytes each, and the broker's next deliveries wait for them."""
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)


class Subscriber:
    """Connects, subscribes and reconnects by itself between `start` and `stop`."""

    def __init__(self, broker: Connection, inbox: Inbox) -> None:
        self._broker = broker
        self._inbox = inbox
        self.connection = 0  # counts connections: a packet number means nothing on another one
        self._refusals: set[int] = set()  # packet numbers of what the broker did not take
        self._subscribed = False
        self._leaving = False
        self._away = False
        self._overflowing = False
        self._ignored = False  # something that the broker will send again only on a new connection
        self._client = self._new_client()

    @property
    def listening(self) -> bool:
        """True while the broker sends us what comes."""
        return self._subscribed and self._client.is_connected()

    def start(self) -> None:
        """Begin to connect, and to try again until it succeeds."""
        properties = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]  # paho's own
        properties.ReceiveMaximum = self._broker.receive_maximum
        properties.MaximumPacketSize = _LARGEST_PACKET
        properties.SessionExpiryInterval = self._broker.session_expiry
        self._client.connect_async(
            self._broker.host,
            self._broker.port,
            _KEEPALIVE,
            clean_start=not self._broker.session_expiry,
            properties=properties,
        )
        self._client.loop_start()

    def stop(self) -> None:
        """Disconnect for good. What was not acknowledged goes to another ingester, or comes again."""
        self._inbox.close()
        self._leave()

    def _new_client(self) -> Client:
        """One for each session that we take up: paho leaves the sockets of an earlier one open."""
        client = Client(
            CallbackAPIVersion.VERSION2,
            client_id=f"hesper-ingest-{self._broker.name}",
            protocol=MQTTProtocolVersion.MQTTv5,
            manual_ack=True,
        )
        client.max_queued_messages_set(10 * self._broker.receive_maximum)
        client.max_inflight_messages_set(self._broker.receive_maximum)
        client.reconnect_delay_set(min_delay=1, max_delay=5)
        client.on_connect = self._on_connect
        client.on_connect_fail = self._on_connect_fail
        client.on_disconnect = self._on_disconnect
        client.on_subscribe = self._on_subscribe
        client.on_message = self._on_message
        client.on_publish = self._on_publish
        client.on_socket_open = lambda _client, _, connection: _at_once(connection)
        return client

    def _leave(self) -> None:
        self._leaving = True
        self._client.disconnect()
        self._client.loop_stop()
        self._leaving = False

    def tend(self) -> None:
        """Ask again for what the inbox had no room for, once it has. To be called now and then."""
        if self._ignored and self._inbox.roomy:
            log.info("room again: taking up the session anew")
            self._ignored = False
            self._leave()
            self._client = self._new_client()
            self.start()

    def acknowledge(self, delivery: Delivery) -> None:
        """Tell the broker that a delivery is dealt with, unless its connection is gone; its room is free."""
        self._inbox.release(delivery)
        if delivery.qos and delivery.connection == self.connection:
            self._client.ack(delivery.message, delivery.qos)

    def publish(self, topic: str, payload: bytes) -> None:
        """Send a message with QoS 1. While offline it is dropped: its gateway will ask again."""
        if self._client.is_connected():
            self._client.publish(topic, payload, _QOS)

    def deliver(self, topic: str, payload: bytes, *, retain: bool = False, expiry: int | None = None) -> bool:
        """Send a message with QoS 1; whether the broker has confirmed it, after some seconds at the most.

        It forgets it after `expiry` seconds where that is given. Not for paho's own thread.
        """
        client = self._client
        if not client.is_connected():
            return False
        properties = Properties(PacketTypes.PUBLISH)  # type: ignore[no-untyped-call]  # paho's own
        if expiry is not None:
            properties.MessageExpiryInterval = expiry
        message = client.publish(topic, payload, _QOS, retain, properties)
        try:
            message.wait_for_publish(_CONFIRMED_WITHIN)
            confirmed = message.is_published()
        except (RuntimeError, ValueError):  # the connection ended; too many wait
            return False
        if message.mid in self._refusals:
            log.error("broker refuses a message; check its ACL", topic=topic)
            return False
        return confirmed

    def _on_publish(
        self, _: Client, __: Any, message: int, reason: ReasonCode, ___: Properties | None
    ) -> None:
        if reason.is_failure:
            self._refusals.add(message)

    def _on_connect(
        self, client: Client, _: Any, _flags: ConnectFlags, reason: ReasonCode, __: Properties | None
    ) -> None:
        if reason.is_failure:
            self._say_away(f"refused: {reason}")
            return
        self.connection += 1
        self._refusals.clear()
        self._subscribed = False
        if self._away:
            log.info("broker is back", broker=self._address)
        self._away = False
        # a shared subscription gets no retained messages, so each ingester hears every status; not again
        # where the session was kept, since what was sent meanwhile waits in it
        retained = SubscribeOptions.RETAIN_SEND_IF_NEW_SUB
        filters = [
            subscription(Kind.READINGS, share=GROUP),
            subscription(Kind.HEALTH, share=HEALTH_GROUP),
            subscription(Kind.REPLY, share=REPLY_GROUP),
            subscription(Kind.STATUS),
        ]
        options = SubscribeOptions(qos=_QOS, retainHandling=retained)
        result, _mid = client.subscribe([(text, options) for text in filters])
        if result != MQTTErrorCode.MQTT_ERR_SUCCESS:
            self._say_away(f"could not subscribe: {result.name}")

    def _on_subscribe(
        self, _: Client, __: Any, _mid: int, reasons: list[ReasonCode], ___: Properties | None
    ) -> None:
        for reason in reasons:
            if reason.is_failure:
                log.error("broker refuses a subscription; check its ACL", reason=str(reason))
        self._subscribed = not any(reason.is_failure for reason in reasons)
        log.info("listening", broker=self._address)

    def _on_connect_fail(self, _: Client, __: Any) -> None:
        self._say_away("cannot be reached")

    def _on_disconnect(
        self, _: Client, __: Any, _flags: DisconnectFlags, reason: ReasonCode, ___: Properties | None
    ) -> None:
        if reason.value == _TAKEN_OVER:
            log.error("another ingester has the same name; give each its own", name=self._broker.name)
        if reason.is_failure and not self._leaving:
            self._say_away(str(reason))

    def _on_message(self, _: Client, __: Any, message: MQTTMessage) -> None:
        try:
            topic = message.topic
        except UnicodeDecodeError:
            topic = "(a topic that is not UTF-8)"
        delivery = Delivery(
            topic,
            bytes(message.payload),
            message.mid,
            message.qos,
            self.connection,
            message.retain,
            time.monotonic(),
        )
        taken = self._inbox.offer(delivery, 0.0 if self._ignored else _PATIENCE)
        if not taken:
            self._ignored = self._ignored or delivery.qos > 0
            if not self._overflowing:
                log.warning("inbox full; leaving to the broker what comes now", topic=topic)
        self._overflowing = not taken

    def _say_away(self, reason: str) -> None:
        """In the log once, until the broker is back."""
        if not self._away:
            log.warning("no connection to the broker; trying again", broker=self._address, reason=reason)
        self._away = True

    @property
    def _address(self) -> str:
        return f"{self._broker.host}:{self._broker.port}"
