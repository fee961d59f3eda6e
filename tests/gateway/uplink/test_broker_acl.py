"""deploy/mosquitto as it is: a gateway reaches its own topics only, nobody is anonymous, the revoked are out.

domain/security.md 1: what a stolen certificate or a hostile gateway tries.
"""

import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from paho.mqtt.client import Client, MQTTMessage
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

from gateway.uplink.link import MqttSettings
from gateway.uplink.publisher import Publisher
from gateway.uplink.tls import Tls, context_of
from telemetry.topics import Kind
from telemetry.wire import Ack, Batch, Reply, encode
from tests.support.aurora import ListSource
from tests.support.authority import Authority, Identity
from tests.support.broker import free_port
from tests.support.mosquitto import mosquitto

DEPLOY = Path(__file__).resolve().parents[3] / "deploy" / "mosquitto"
OWN, OTHER = "hesper/v1/stadtwerke/gw-7", "hesper/v1/stadtwerke/gw-8"
UP, DOWN = ("readings", "status", "health", "reply"), ("ack", "config", "command")


@dataclass
class Site:
    authority: Authority
    port: int
    configuration: Path

    def context(self, identity: Identity | None) -> ssl.SSLContext:
        tls = Tls(self.authority.ca, identity.cert, identity.key) if identity else Tls(self.authority.ca)
        return context_of(tls)


def deployed(folder: Path) -> Site:
    """The files of deploy/mosquitto with other paths and another port, and nothing else changed."""
    authority = Authority(folder)
    server = authority.issue("broker", host="127.0.0.1")
    port = free_port()
    text = (DEPLOY / "mosquitto.conf").read_text()
    for path, own in {
        "/etc/mosquitto/hesper/ca.pem": authority.ca,
        "/etc/mosquitto/hesper/broker.pem": server.cert,
        "/etc/mosquitto/hesper/broker.key": server.key,
        "/etc/mosquitto/hesper/crl.pem": authority.crl,
        "/etc/mosquitto/hesper/acl": DEPLOY / "acl",
        "/var/lib/mosquitto/": f"{folder}/",
        "listener 8883": f"listener {port} 127.0.0.1",
    }.items():
        assert path in text
        text = text.replace(path, str(own))
    configuration = folder / "mosquitto.conf"
    configuration.write_text(f"user root\n{text}")  # of the process: tests may run as root
    return Site(authority, port, configuration)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    folder = tmp_path_factory.mktemp("deploy")
    folder.chmod(0o755)
    deployed_site = deployed(folder)
    with mosquitto(deployed_site.port, deployed_site.configuration):
        yield deployed_site


class Visitor:
    """A client with a certificate, that records what it is told."""

    def __init__(self, site: Site, identity: Identity, client_id: str, topics: tuple[str, ...] = ()) -> None:
        self.received: list[str] = []
        self.confirmed: dict[int, ReasonCode] = {}
        self._changed = threading.Condition()
        self._ready = threading.Event()
        self._topics = topics
        self.client = Client(
            CallbackAPIVersion.VERSION2, client_id=client_id, protocol=MQTTProtocolVersion.MQTTv5
        )
        self.client.tls_set_context(site.context(identity))
        self.client.on_connect = self._on_connect
        self.client.on_subscribe = lambda *_: self._ready.set()
        self.client.on_message = self._on_message
        self.client.on_publish = self._on_publish
        self.client.connect("127.0.0.1", site.port)
        self.client.loop_start()
        assert self._ready.wait(10)

    def publish(self, topic: str, payload: str = "x") -> str:
        """What the broker says to it."""
        message = self.client.publish(topic, payload, qos=1).mid
        with self._changed:
            assert self._changed.wait_for(lambda: message in self.confirmed, 10)
        return str(self.confirmed[message])

    def wait_for(self, condition: Callable[[], bool]) -> None:
        with self._changed:
            assert self._changed.wait_for(condition, 10), self.received

    def _on_connect(self, client: Client, _: Any, __: Any, reason: ReasonCode, ___: Any) -> None:
        assert not reason.is_failure, reason
        if self._topics:
            client.subscribe([(topic, 1) for topic in self._topics])
        else:
            self._ready.set()

    def _on_message(self, _: Client, __: Any, message: MQTTMessage) -> None:
        with self._changed:
            self.received.append(message.topic)
            self._changed.notify_all()

    def _on_publish(
        self, _: Client, __: Any, message: int, reason: ReasonCode, ___: Properties | None
    ) -> None:
        with self._changed:
            self.confirmed[message] = reason
            self._changed.notify_all()


@contextmanager
def visiting(site: Site, name: str, *topics: str, client_id: str = "") -> Iterator[Visitor]:
    visitor = Visitor(site, site.authority.issue(name), client_id or name, topics)
    try:
        yield visitor
    finally:
        visitor.client.disconnect()
        visitor.client.loop_stop()


def test_a_gateway_writes_its_own_topics_and_no_others(site: Site) -> None:
    with visiting(site, "hesper-central", "hesper/v1/+/+/#") as central, visiting(site, "gw-7") as gateway:
        for kind in UP:
            assert gateway.publish(f"{OWN}/{kind}") == "Success"
        forbidden = [f"{OTHER}/{kind}" for kind in (*UP, *DOWN)] + [f"{OWN}/{kind}" for kind in DOWN]
        forbidden += [
            "hesper/v1/other/gw-7/readings",
            "hesper/v1/stadtwerke/gw-7/readings/x",
            "anything",
            "$SYS/x",
        ]
        for topic in forbidden:
            assert gateway.publish(topic) == "Not authorized", topic
        assert gateway.publish(f"{OWN}/reply") == "Success"
        central.wait_for(lambda: central.received.count(f"{OWN}/reply") == 2)
    assert set(central.received) == {f"{OWN}/{kind}" for kind in UP}


def test_a_gateway_reads_its_own_topics_and_no_others(site: Site) -> None:
    curious = ("#", "hesper/v1/+/+/ack", f"{OTHER}/command", f"{OTHER}/config", f"{OTHER}/readings")
    with (
        visiting(site, "gw-7", *curious, *(f"{OWN}/{kind}" for kind in DOWN)) as gateway,
        visiting(site, "gw-8") as neighbour,
        visiting(site, "hesper-central") as central,
    ):
        for kind in DOWN:
            assert central.publish(f"{OTHER}/{kind}") == "Success"
        for kind in UP:
            assert neighbour.publish(f"{OTHER}/{kind}") == "Success"
        for kind in DOWN:
            assert central.publish(f"{OWN}/{kind}") == "Success"
        gateway.wait_for(lambda: f"{OWN}/command" in gateway.received)
    assert set(gateway.received) == {f"{OWN}/{kind}" for kind in DOWN}


def test_readings_and_acknowledgements_commands_and_replies_find_their_ways(site: Site) -> None:
    heard: list[tuple[Kind, bytes]] = []
    source = ListSource([Batch("life", 1, 0, [])])
    identity = site.authority.issue("gw-7")
    tls = Tls(site.authority.ca, identity.cert, identity.key)
    publisher = Publisher(
        MqttSettings("127.0.0.1", site.port, "stadtwerke", "gw-7", tls),
        source,
        clock=lambda: datetime.now(UTC),
        version="0.1.0",
        inbox=lambda kind, payload: heard.append((kind, payload)),
    )
    with visiting(site, "hesper-central", "hesper/v1/+/+/readings", "hesper/v1/+/+/reply") as central:
        publisher.start()
        try:
            central.wait_for(lambda: f"{OWN}/readings" in central.received)
            assert central.publish(f"{OWN}/command", "scan it") == "Success"
            central.publish(f"{OWN}/ack", encode(Ack("life", [1])).decode())
            publisher.send(Kind.REPLY, Reply("c1", 0, "done"))
            central.wait_for(lambda: f"{OWN}/reply" in central.received)
        finally:
            publisher.stop()
    assert source.outcomes == {1: None}
    assert heard == [(Kind.COMMAND, b"scan it")]


def test_a_gateway_cannot_take_the_session_of_another_by_its_client_id(site: Site) -> None:
    with (
        visiting(site, "gw-8", f"{OTHER}/ack") as neighbour,
        visiting(site, "gw-7", client_id="gw-8") as thief,
        visiting(site, "hesper-central") as central,
    ):
        assert thief.publish(f"{OTHER}/readings") == "Not authorized"
        assert central.publish(f"{OTHER}/ack") == "Success"
        neighbour.wait_for(lambda: neighbour.received == [f"{OTHER}/ack"])


def test_the_central_side_cannot_pretend_to_be_a_gateway(site: Site) -> None:
    with visiting(site, "hesper-central") as central:
        for kind in UP:
            assert central.publish(f"{OWN}/{kind}") == "Not authorized"


def connects(site: Site, identity: Identity | None) -> bool:
    """Whether the broker speaks MQTT with whoever shows this certificate."""
    answered, over = threading.Event(), threading.Event()
    client = Client(
        CallbackAPIVersion.VERSION2,
        client_id="gw-7",
        protocol=MQTTProtocolVersion.MQTTv5,
        reconnect_on_failure=False,
    )
    client.tls_set_context(site.context(identity))

    def on_connect(_: Client, __: Any, ___: Any, reason: ReasonCode, ____: Any) -> None:
        if not reason.is_failure:
            answered.set()
        over.set()

    client.on_connect = on_connect
    client.on_disconnect = lambda *_: over.set()
    try:
        client.connect("127.0.0.1", site.port)
    except OSError:
        return False
    client.loop_start()
    assert over.wait(10)
    client.disconnect()
    client.loop_stop()
    return answered.is_set()


def test_nobody_is_anonymous(site: Site) -> None:
    assert not connects(site, None)


def test_a_revoked_gateway_is_out_after_the_restart_and_the_others_are_not(tmp_path: Path) -> None:
    site = deployed(tmp_path)
    lost, kept = site.authority.issue("gw-7"), site.authority.issue("gw-7")
    with mosquitto(site.port, site.configuration):
        assert connects(site, lost)
    site.authority.revoke(lost)
    with mosquitto(site.port, site.configuration):
        assert not connects(site, lost)
        assert connects(site, kept)
