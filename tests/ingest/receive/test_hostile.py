"""Messages that mean harm, or are broken, never stop the ingester: each is kept aside or refused by size."""

import json
from collections.abc import Iterator

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from paho.mqtt.client import Client
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion

from ingest.receive.decode import decode_readings
from ingest.receive.directory import Directory
from ingest.receive.writer import store_readings
from store import quarantine
from store.quarantine import Selection
from telemetry.wire import MAX_MESSAGE_BYTES, encode, to_milliseconds
from tests.ingest.test_ingester import SECONDS, eventually, ingesting, send, stored
from tests.support.aurora import COLD, NOW, TOPIC, WATER, batch_of
from tests.support.broker import Broker

GOOD = encode(batch_of(1, (WATER, 0, {COLD: 1.0}), (WATER, 1, {COLD: 2.0})))
DEEP = 50_000


def with_value(text: str) -> bytes:
    """The good message with another text in place of its first value."""
    return GOOD.replace(b":1.0}", f":{text}}}".encode(), 1)


HOSTILE = {
    "empty": b"",
    "binary": bytes(range(256)) * 4,
    "not UTF-8": GOOD.replace(b"KAM", b"K\xffM"),
    "deep list": b"[" * DEEP,
    "deep object": b'{"a":' * DEEP,
    "deep inside": with_value("[" * DEEP + "]" * DEEP),
    "deep beside": GOOD[:-1] + b',"more":' + b"[" * DEEP + b"]" * DEEP + b"}",
    "NaN": with_value("NaN"),
    "infinity": with_value("-Infinity"),
    "beyond a double": with_value("1e999"),
    "four hundred digits": with_value("9" * 400),
    "beyond a register": with_value("9e15"),
    "text for a number": with_value('"1"'),
    "null for a number": with_value("null"),
    "a list of messages": b"[" + GOOD + b"]",
    "a number": b"7",
    "readouts that are none": GOOD.replace(b'"readouts":[', b'"readouts":[null,[],7,"x",'),
    "an endless name": GOOD.replace(b"life", b"l" * 1_000),
    "a NUL in the epoch": GOOD.replace(b"life", b"li\\u0000fe"),
    "a NUL in the meter": GOOD.replace(b"KAM-00000001", b"KAM-\\u00001"),
    "half a surrogate": GOOD.replace(b"KAM-00000001", b"KAM-\\ud800"),
    "too many readouts": GOOD.replace(b'"readouts":[', b'"readouts":[' + b"{}," * 6_000),
    "a batch number of zero": GOOD.replace(b'"batch":1', b'"batch":0'),
    "an instant before all time": GOOD.replace(b'"at":', b'"at":-'),
    "cut off": GOOD[:-7],
    "too large by a little": GOOD + b" " * MAX_MESSAGE_BYTES,
}


@pytest.fixture
def broker() -> Iterator[Broker]:
    with Broker() as broker:
        yield broker


@pytest.fixture
def sender(broker: Broker) -> Iterator[Client]:
    """A client that publishes bytes of any kind, as a stolen gateway could."""
    client = Client(CallbackAPIVersion.VERSION2, protocol=MQTTProtocolVersion.MQTTv5)
    client.connect("127.0.0.1", broker.port)
    client.loop_start()
    yield client
    client.disconnect()
    client.loop_stop()


def kept(connection: psycopg.Connection) -> int:
    count = sum(quarantine.count(connection, Selection()).values())
    connection.rollback()
    return count


def test_each_hostile_message_is_kept_aside_and_the_good_ones_around_it_are_stored(
    registered: psycopg.Connection, database: str, broker: Broker, sender: Client
) -> None:
    with ingesting(database, broker) as ingester:
        send(broker, [batch_of(1, (WATER, 10, {COLD: 10.0}))])
        for payload in HOSTILE.values():
            before = kept(registered)
            sender.publish(TOPIC, payload, 1).wait_for_publish(SECONDS)
            eventually(lambda: kept(registered) > before, "it is kept aside")  # noqa: B023 - called at once
        send(broker, [batch_of(2, (WATER, 11, {COLD: 11.0}))])
        assert ingester.answers.ready() == ""
    values = registered.execute("select distinct value from readings order by 1").fetchall()
    # of the messages that were only partly broken the good half is stored, too
    assert values == [(1_000_000,), (2_000_000,), (10_000_000,), (11_000_000,)]


def test_a_message_of_ten_megabytes_is_refused_by_its_size_and_the_next_ones_are_stored(
    registered: psycopg.Connection, database: str, broker: Broker, sender: Client
) -> None:
    with ingesting(database, broker):
        send(broker, [batch_of(1, (WATER, 0, {COLD: 1.0}))])
        sender.publish(TOPIC, b"x" * 10_000_000, 1)
        send(broker, [batch_of(2, (WATER, 1, {COLD: 2.0}))])
    assert stored(registered) == 2


@pytest.mark.expects_log("unusable report of a gateway")
def test_hostile_reports_of_status_and_health_are_passed_over(
    registered: psycopg.Connection,
    database: str,
    broker: Broker,
    sender: Client,
    caplog: pytest.LogCaptureFixture,
) -> None:
    health = {"at": 1, "version": "a\x00b", "epoch": "e", "clock_synchronised": True, "buffered_readouts": 1}
    payloads = [*HOSTILE.values(), json.dumps(health).encode()]
    with ingesting(database, broker):
        for payload in payloads:
            for kind in ("status", "health"):
                sender.publish(f"hesper/v1/aurora/house/{kind}", payload, 1).wait_for_publish(SECONDS)
        send(broker, [batch_of(1, (WATER, 0, {COLD: 1.0}))])
    assert stored(registered) == 1
    assert registered.execute("select health from gateways where code = 'house'").fetchone() == (None,)


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(
        st.tuples(st.integers(0, len(GOOD) - 1), st.integers(0, 4), st.binary(max_size=4)),
        min_size=1,
        max_size=4,
    )
)
def test_a_message_with_any_bytes_changed_is_stored_or_kept_and_raises_nothing(
    registered: psycopg.Connection, changes: list[tuple[int, int, bytes]]
) -> None:
    payload = GOOD
    for place, length, instead in changes:
        payload = payload[:place] + instead + payload[place + length :]
    message = decode_readings(TOPIC, payload)
    with registered.transaction(force_rollback=True):
        (outcome,) = store_readings(registered, Directory(), [message], to_milliseconds(NOW))
        waiting = sum(quarantine.count(registered, Selection()).values())
    if outcome is None:
        assert waiting
    elif message.batch is not None and message.batch.readouts:
        assert outcome.stored or outcome.quarantined or not any(r.values for r in message.batch.readouts)
