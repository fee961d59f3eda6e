"""One MQTT connection, from its attempt to its end, as events in a queue.

Every connection is a new paho client, so no batch waits in a queue that we do not see. paho's own thread
runs the network and does nothing but put events here; the publisher's thread does the work.
"""

import socket
import ssl
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

from telemetry.topics import Kind, Topic

CONNECT_SECONDS = 10.0
_QOS = 1


@dataclass(frozen=True, slots=True)
class Tls:
    """`ca` verifies the broker (None: the system's authorities); `cert` and `key` identify the gateway."""

    ca: Path | None = None
    cert: Path | None = None
    key: Path | None = None


@dataclass(frozen=True, slots=True)
class MqttSettings:
    """Where the broker is and who we are there: client id, certificate and topic all carry `gateway`.

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
        """This gateway's topic of a kind."""
        return str(Topic(self.utility, self.gateway, kind))


@dataclass(frozen=True, slots=True)
class Ready:
    """Connected, and subscribed to the acknowledgements."""

    link: "Link"
    session_kept: bool


@dataclass(frozen=True, slots=True)
class Ended:
    """The connection is over, or was refused; said once for each link that did not close itself."""

    link: "Link"
    reason: str


@dataclass(frozen=True, slots=True)
class Confirmed:
    """The broker answered a packet; `refusal` says why it did not take it, if it did not."""

    link: "Link"
    message: int
    refusal: str | None


@dataclass(frozen=True, slots=True)
class Received:
    """A message on the acknowledgement topic."""

    link: "Link"
    payload: bytes


Event = Ready | Ended | Confirmed | Received


class Link:
    """Open it once, close it once. Not thread-safe, but for the events."""

    def __init__(self, settings: MqttSettings, events: "SimpleQueue[Event | None]", will: bytes) -> None:
        """`will` is the payload of the status topic when this link dies unheard."""
        self._settings = settings
        self._events = events
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
            context = ssl.create_default_context(cafile=settings.tls.ca)
            if settings.tls.cert is not None:
                context.load_cert_chain(settings.tls.cert, settings.tls.key)
            self._client.tls_set_context(context)
        if settings.username is not None:
            secret = settings.password_file.read_text("utf-8").strip() if settings.password_file else None
            self._client.username_pw_set(settings.username, secret)
        properties = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]  # paho's own
        properties.SessionExpiryInterval = settings.session_expiry
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
        if reason.is_failure:
            self._events.put(Ended(self, f"refused: {reason}"))
            return
        self._session_kept = flags.session_present
        result, _mid = client.subscribe(self._settings.topic(Kind.ACK), _QOS)
        if result != MQTTErrorCode.MQTT_ERR_SUCCESS:
            self._events.put(Ended(self, f"could not subscribe: {result.name}"))

    def _on_subscribe(
        self, _: Client, __: Any, _mid: int, reasons: list[ReasonCode], ___: Properties | None
    ) -> None:
        refused = [str(reason) for reason in reasons if reason.is_failure]
        if refused:
            topic = self._settings.topic(Kind.ACK)
            self._events.put(
                Ended(self, f"may not subscribe to {topic}: {refused[0]}; check the broker's ACL")
            )
        else:
            self._events.put(Ready(self, self._session_kept))

    def _on_disconnect(
        self, _: Client, __: Any, _flags: DisconnectFlags, reason: ReasonCode, ___: Properties | None
    ) -> None:
        self._events.put(Ended(self, str(reason)))

    def _on_publish(
        self, _: Client, __: Any, message: int, reason: ReasonCode, ___: Properties | None
    ) -> None:
        self._events.put(Confirmed(self, message, str(reason) if reason.is_failure else None))

    def _on_message(self, _: Client, __: Any, message: MQTTMessage) -> None:
        self._events.put(Received(self, bytes(message.payload)))
