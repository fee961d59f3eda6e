"""Connection by MQTT, from its attempt to its end, as events in a queue.

Every connection is a new paho client, so no batch waits in a queue that we do not see. paho's own thread
runs the network and does nothing but put events here; the publisher's thread does the work.
"""

import socket
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from queue import SimpleQueue
from typing import Any

from paho.mqtt.client import Client, ConnectFlags, DisconnectFlags, MQTTMessage
from paho.mqtt.enums import CallbackAPIVersion, MQTTErrorCode, MQTTProtocolVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

from gateway.uplink.tls import Tls, context_of
from telemetry.topics import Kind, Topic, TopicError
from telemetry.wire import MAX_MESSAGE_BYTES

CONNECT_SECONDS = 10.0
_QOS = 1
_REFUSED = (
    "the broker's users and ACL must know this gateway: certificate's CN, client id and topic are the same"
)


@dataclass(frozen=True, slots=True)
class MqttSettings:
    """The broker, and who we are there: client id, certificate and topic all carry `gateway`.

    `session_expiry` in seconds: how long the broker keeps acknowledgements for us while we are away; 0 begins
    with a clean session each time. `keepalive` in seconds.
    """

    host: str
    port: int
    utility: str
    gateway: str
    tls: Tls | None = None
    username: str | None = None
    password_file: Path | None = None
    keepalive: int = 30
    session_expiry: int = 7 * 86_400

    def topic(self, kind: Kind) -> str:
        return str(Topic(self.utility, self.gateway, kind))


@dataclass(frozen=True, slots=True)
class Ready:
    """Connected and subscribed."""

    link: "MqttLink"
    session_kept: bool


@dataclass(frozen=True, slots=True)
class Ended:
    """The connection is over, or was refused; said once for each link that did not close itself.

    `answered`: the broker has spoken MQTT with us. `advice` says what to look at, where that is known.
    """

    link: "MqttLink"
    reason: str
    answered: bool = True
    advice: str = ""


@dataclass(frozen=True, slots=True)
class Confirmed:
    """The broker answered a packet; `refusal` says why it did not take it, if it did not."""

    link: "MqttLink"
    message: int
    refusal: str | None


@dataclass(frozen=True, slots=True)
class Received:
    """A message on one of our own topics."""

    link: "MqttLink"
    kind: Kind
    payload: bytes


Event = Ready | Ended | Confirmed | Received


class MqttLink:
    """Open it once, close it once. Not thread-safe, but for the events."""

    def __init__(
        self,
        settings: MqttSettings,
        events: "SimpleQueue[Event | None]",
        will: bytes,
        listen: Sequence[Kind] = (Kind.ACK,),
    ) -> None:
        """`will` is the payload of the status topic when this link dies unheard; `listen` names topics."""
        self._settings = settings
        self._events = events
        self._listen = listen
        self._answered = False
        self._session_kept = False
        self._client = client = Client(
            CallbackAPIVersion.VERSION2,
            client_id=settings.gateway,
            protocol=MQTTProtocolVersion.MQTTv5,
            reconnect_on_failure=False,
        )
        client.max_inflight_messages_set(100)  # the window is the bound, not paho
        client.will_set(settings.topic(Kind.STATUS), will, _QOS, retain=True)
        client.on_connect = self._on_connect
        client.on_subscribe = self._on_subscribe
        client.on_disconnect = self._on_disconnect
        client.on_publish = self._on_publish
        client.on_message = self._on_message

    def open(self) -> None:
        """Connect; `Ready` or `Ended` follows. Raises OSError (certificates and names included)."""
        settings = self._settings
        if settings.tls is not None:
            self._client.tls_set_context(context_of(settings.tls))
        if settings.username is not None:
            secret = settings.password_file.read_text("utf-8").strip() if settings.password_file else None
            self._client.username_pw_set(settings.username, secret)
        properties = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]  # paho's own
        properties.SessionExpiryInterval = settings.session_expiry
        properties.MaximumPacketSize = MAX_MESSAGE_BYTES + 1_000  # the broker drops what is larger
        self._client.connect_timeout = CONNECT_SECONDS / 2  # the other half is for the broker's answer
        self._client.connect(
            settings.host,
            settings.port,
            keepalive=settings.keepalive,
            clean_start=settings.session_expiry == 0,
            properties=properties,
        )
        self._client.loop_start()

    def publish(self, kind: Kind, payload: bytes, *, retain: bool = False) -> int:
        """Hand a message to MQTT with QoS 1; returns its packet number, which `Confirmed` will name."""
        return self._client.publish(self._settings.topic(kind), payload, _QOS, retain).mid

    def close(self) -> None:
        """Say goodbye, so that the will is not sent, and end paho's thread."""
        self._client.on_disconnect = None
        self._client.disconnect()
        self._client.loop_stop()

    def abandon(self) -> None:
        """End paho's thread after `Ended`, or drop a connection that answers no more."""
        self._client.on_disconnect = None
        connection = self._client.socket()
        if isinstance(connection, socket.socket):
            with suppress(OSError):  # ended already
                connection.shutdown(socket.SHUT_RDWR)
        self._client.loop_stop()

    def _on_connect(
        self, client: Client, _: Any, flags: ConnectFlags, reason: ReasonCode, __: Properties | None
    ) -> None:
        self._answered = True
        if reason.is_failure:
            self._events.put(Ended(self, f"refused: {reason}", advice=_REFUSED))
            return
        self._session_kept = flags.session_present
        topics = [(self._settings.topic(kind), _QOS) for kind in self._listen]
        result, _mid = client.subscribe(topics)
        if result != MQTTErrorCode.MQTT_ERR_SUCCESS:
            self._events.put(Ended(self, f"could not subscribe: {result.name}"))

    def _on_subscribe(
        self, _: Client, __: Any, _mid: int, reasons: list[ReasonCode], ___: Properties | None
    ) -> None:
        for kind, reason in zip(self._listen, reasons, strict=False):
            if reason.is_failure:
                topic = self._settings.topic(kind)
                self._events.put(Ended(self, f"may not subscribe to {topic}: {reason}", advice=_REFUSED))
                return
        self._events.put(Ready(self, self._session_kept))

    def _on_disconnect(
        self, _: Client, __: Any, _flags: DisconnectFlags, reason: ReasonCode, ___: Properties | None
    ) -> None:
        self._events.put(Ended(self, str(reason), self._answered))

    def _on_publish(
        self, _: Client, __: Any, message: int, reason: ReasonCode, ___: Properties | None
    ) -> None:
        self._events.put(Confirmed(self, message, str(reason) if reason.is_failure else None))

    def _on_message(self, _: Client, __: Any, message: MQTTMessage) -> None:
        """Whatever a broker sends: only our own topics are listened to."""
        try:
            topic = Topic.parse(message.topic)
        except (TopicError, UnicodeDecodeError):
            return
        ours = message.topic == self._settings.topic(topic.kind) and topic.kind in self._listen
        if ours and len(message.payload) <= MAX_MESSAGE_BYTES:
            self._events.put(Received(self, topic.kind, bytes(message.payload)))
