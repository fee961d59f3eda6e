"""The subscriber on the embedded broker: what one filter takes is not missing on another."""

from collections.abc import Iterator

import pytest
from paho.mqtt.client import Client
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion

from ingest.mqtt.inbox import Inbox
from ingest.mqtt.subscriber import Connection, Subscriber
from tests.support.broker import Broker


@pytest.fixture
def publisher() -> Iterator[tuple[Client, Inbox]]:
    """A client that publishes, and the inbox of a subscriber that hears it."""
    inbox = Inbox(100, 1_000_000)
    client = Client(CallbackAPIVersion.VERSION2, protocol=MQTTProtocolVersion.MQTTv5)
    with Broker() as broker:
        subscriber = Subscriber(Connection("127.0.0.1", broker.port, "one", session_expiry=0), inbox)
        subscriber.start()
        client.connect("127.0.0.1", broker.port)
        client.loop_start()
        while not len(inbox):  # until the subscription stands: status is not shared, and retained
            client.publish("hesper/v1/u/g/status", b"{}", 1, retain=True).wait_for_publish(5)
        yield client, inbox
        client.disconnect()
        client.loop_stop()
        subscriber.stop()


def test_a_health_message_does_not_cost_the_readings_after_it(
    publisher: tuple[Client, Inbox],
) -> None:
    client, inbox = publisher
    sent = []
    for number in range(6):
        kind = "health" if number % 2 == 0 else "readings"
        sent.append((f"hesper/v1/u/g/{kind}", str(number).encode()))
        client.publish(*sent[-1], qos=1).wait_for_publish(5)
    received: list[tuple[str, bytes]] = []
    while len(received) < len(sent):
        delivery = inbox.take(5)
        assert delivery is not None
        if not delivery.topic.endswith("status"):
            received.append((delivery.topic, delivery.payload))
    assert sorted(received) == sorted(sent)
