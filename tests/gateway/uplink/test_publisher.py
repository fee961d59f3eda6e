"""Against the real broker: each readout arrives at least once, and is forgotten only after our own ack."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from queue import SimpleQueue

import pytest
from paho.mqtt.client import MQTTMessage

from gateway.buffer.buffer import Buffer
from gateway.uplink.link import Event, MqttLink, MqttSettings
from gateway.uplink.publisher import Publisher, PublisherLimits
from telemetry.readout import Readout
from telemetry.topics import Kind
from telemetry.wire import (
    MAX_MESSAGE_BYTES,
    Ack,
    Batch,
    Command,
    DesiredConfig,
    GatewayStatus,
    Health,
    Reply,
    decode,
    encode,
    to_milliseconds,
)
from tests.gateway.conftest import BEGIN
from tests.gateway.ingester import Ingester, ack, at_once
from tests.support.broker import Broker, free_port
from tests.telemetry.read_back import read_back

MakeReadout = Callable[..., Readout]
STATUS = "hesper/v1/stadtwerke/gw-7/status"
QUICK = PublisherLimits(
    tick=0.02, resend_after=0.3, resend_longest=0.6, reconnect_first=0.05, reconnect_longest=0.2, stall=5.0
)


@pytest.fixture
def broker() -> Iterator[Broker]:
    with Broker() as running:
        yield running


@pytest.fixture
def buffer(tmp_path: Path) -> Iterator[Buffer]:
    opened = Buffer(tmp_path / "buffer.sqlite", lambda: datetime.now(UTC), max_age=0.0)
    yield opened
    opened.close()


@contextmanager
def publishing(
    port: int, buffer: Buffer, pace: PublisherLimits = QUICK, flush: float = 10.0
) -> Iterator[Publisher]:
    settings = MqttSettings("127.0.0.1", port, "stadtwerke", "gw-7", keepalive=5)
    publisher = Publisher(settings, buffer, clock=lambda: datetime.now(UTC), version="0.1.0", pace=pace)
    publisher.start()
    try:
        yield publisher
    finally:
        publisher.stop(flush)


def wait_until(condition: Callable[[], bool], seconds: float = 20.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.01)


def test_readouts_arrive_and_are_forgotten_after_the_acknowledgement(
    broker: Broker, buffer: Buffer, readout: MakeReadout
) -> None:
    with Ingester(broker.port) as ingester, publishing(broker.port, buffer):
        for n in range(50):
            buffer.append([readout(n)])
        wait_until(lambda: buffer.backlog().readouts == 0)
    assert ingester.volumes == dict.fromkeys(range(50), 1)
    assert all(batch.epoch == buffer.epoch for batch in ingester.batches)


def test_without_an_acknowledgement_a_batch_comes_again_unchanged_and_stays(
    broker: Broker, buffer: Buffer, readout: MakeReadout
) -> None:
    with Ingester(broker.port, lambda batch, before: iter(())) as ingester:
        buffer.append([readout(1)])
        with publishing(broker.port, buffer, flush=0.0):
            ingester.wait_until(lambda: ingester.arrivals[1] == 3)
    assert len({tuple(wire.raw for wire in batch.readouts) for batch in ingester.batches}) == 1
    assert len({batch.epoch for batch in ingester.batches}) == 1
    assert buffer.backlog().readouts == 1


def test_an_ingester_that_begins_to_listen_is_sent_at_once_what_nobody_acknowledged(
    broker: Broker, buffer: Buffer, readout: MakeReadout
) -> None:
    def from_the_second_time_on(batch: Batch, before: int) -> Iterator[Ack]:
        yield ack(batch) if before else Ack("", [])

    patient = replace(QUICK, resend_after=300.0, resend_longest=300.0)
    with (
        Ingester(broker.port, from_the_second_time_on) as ingester,
        publishing(broker.port, buffer, patient),
    ):
        buffer.append([readout(1)])
        wait_until(lambda: buffer.backlog().readouts == 0)
    assert ingester.arrivals[1] == 2


def test_a_late_acknowledgement_and_one_that_comes_twice_forget_once(
    broker: Broker, buffer: Buffer, readout: MakeReadout
) -> None:
    def late_and_twice(batch: Batch, before: int) -> Iterator[Ack]:
        if before:
            yield from (ack(batch), ack(batch))

    with Ingester(broker.port, late_and_twice) as ingester, publishing(broker.port, buffer):
        for n in range(10):
            buffer.append([readout(n)])
            wait_until(lambda n=n: len(ingester.arrivals) >= n + 1)
        wait_until(lambda: buffer.backlog().readouts == 0)
    assert set(ingester.volumes) == set(range(10))
    assert min(ingester.arrivals.values()) >= 2


def test_an_acknowledgement_of_another_epoch_is_not_ours(
    broker: Broker, buffer: Buffer, readout: MakeReadout
) -> None:
    def of_another_life_first(batch: Batch, before: int) -> Iterator[Ack]:
        yield Ack("0123456789abcdef", [batch.batch]) if before == 0 else ack(batch)

    with Ingester(broker.port, of_another_life_first) as ingester, publishing(broker.port, buffer):
        buffer.append([readout(1)])
        wait_until(lambda: buffer.backlog().readouts == 0)
    assert ingester.arrivals[1] == 2


@pytest.mark.expects_log("no connection to the broker")
@pytest.mark.parametrize("acknowledging", ["at once", "only what comes again"])
def test_a_broker_killed_in_the_middle_loses_nothing(
    broker: Broker, buffer: Buffer, readout: MakeReadout, acknowledging: str, caplog: pytest.LogCaptureFixture
) -> None:
    def again_only(batch: Batch, before: int) -> Iterator[Ack]:
        if before:
            yield ack(batch)

    policy = at_once if acknowledging == "at once" else again_only
    with Ingester(broker.port, policy) as ingester, publishing(broker.port, buffer) as publisher:
        for n in range(100):
            buffer.append([readout(n)])
            if n in (30, 60):
                ingester.wait_until(lambda: len(ingester.batches) > 0)
                broker.kill()
            if n in (40, 80):
                broker.restart()
                assert publisher.online.wait(20)
        wait_until(lambda: buffer.backlog().readouts == 0, 30)
    assert set(ingester.volumes) == set(range(100))
    told = [
        record
        for record in caplog.records
        if "no connection" in record.message and record.levelname == "WARNING"
    ]
    assert len(told) == 2, "said once for each outage"


@pytest.mark.expects_log("no connection to the broker")
def test_what_the_broker_took_and_forgot_is_sent_again_at_once(
    broker: Broker, buffer: Buffer, readout: MakeReadout
) -> None:
    # reconnects after a second at the earliest, when the ingester has subscribed already
    patient = PublisherLimits(tick=0.02, resend_after=3600, resend_longest=3600, reconnect_first=2.0)
    with publishing(broker.port, buffer, patient) as publisher:
        assert publisher.online.wait(20)
        with Ingester(broker.port, lambda batch, before: iter(())) as deaf:
            buffer.append([readout(1)])
            deaf.wait_until(lambda: deaf.arrivals[1] == 1)
        broker.kill()
        broker.start()
        with Ingester(broker.port) as ingester:
            wait_until(lambda: buffer.backlog().readouts == 0)
            assert ingester.arrivals[1] == 1


def test_a_second_process_goes_on_with_what_the_first_left(
    broker: Broker, tmp_path: Path, readout: MakeReadout
) -> None:
    path = tmp_path / "two-lives.sqlite"
    first = Buffer(path, lambda: datetime.now(UTC), max_age=0.0)
    with Ingester(broker.port, lambda batch, before: iter(())) as deaf:
        first.append([readout(1)])
        with publishing(broker.port, first, flush=0.0):
            deaf.wait_until(lambda: deaf.arrivals[1] > 0)
    first.close()
    second = Buffer(path, lambda: datetime.now(UTC), max_age=0.0)
    with Ingester(broker.port) as ingester, publishing(broker.port, second):
        second.append([readout(2)])
        wait_until(lambda: second.backlog().readouts == 0)
    second.close()
    assert set(ingester.volumes) == {1, 2}


def test_the_status_is_retained_online_then_offline_after_a_clean_end(broker: Broker, buffer: Buffer) -> None:
    with Ingester(broker.port) as early, publishing(broker.port, buffer) as publisher:
        assert publisher.online.wait(20)
        early.wait_until(lambda: len(early.messages) == 1)
        with Ingester(broker.port) as late:  # takes over the client id of `early`
            late.wait_until(lambda: len(late.messages) == 1)
            topic, payload, retained = late.messages[0]
            assert (topic, decode(payload, GatewayStatus).state, retained) == (STATUS, "online", True)
    with Ingester(broker.port) as after:
        after.wait_until(lambda: len(after.messages) == 1)
        assert decode(after.messages[0][1], GatewayStatus).state == "offline"


@pytest.mark.expects_log("acknowledgement cannot be read")
def test_an_acknowledgement_that_is_none_is_passed_over(
    broker: Broker, buffer: Buffer, readout: MakeReadout
) -> None:
    with Ingester(broker.port) as ingester, publishing(broker.port, buffer) as publisher:
        assert publisher.online.wait(20)
        ingester.publish_raw_ack(b"{")
        ingester.publish_raw_ack(b'{"epoch":"x","batches":["one"]}')
        buffer.append([readout(1)])
        wait_until(lambda: buffer.backlog().readouts == 0)
        assert publisher.alive


def test_health_is_published_while_online(broker: Broker, buffer: Buffer) -> None:
    at = to_milliseconds(datetime(2026, 11, 22, tzinfo=UTC))
    health = Health(at=at, version="0.1.0", epoch=buffer.epoch, clock_synchronised=True, buffered_readouts=0)
    with Ingester(broker.port) as ingester, publishing(broker.port, buffer) as publisher:
        publisher.send(Kind.HEALTH, health)  # offline yet: nothing is kept
        assert publisher.online.wait(20)
        publisher.send(Kind.HEALTH, health)
        ingester.wait_until(lambda: len(ingester.messages) == 2)
    assert decode(ingester.messages[1][1], Health) == health


@pytest.mark.expects_log("no connection to the broker")
def test_a_publisher_that_never_reached_a_broker_ends_at_once(buffer: Buffer, readout: MakeReadout) -> None:
    buffer.append([readout(1)])
    with publishing(free_port(), buffer) as publisher:
        pass
    assert not publisher.alive
    assert buffer.backlog().readouts == 1


def test_a_backlog_is_drained_newest_first_while_live_readouts_go_out_at_once(
    broker: Broker, buffer: Buffer, readout: MakeReadout
) -> None:
    for n in range(0, 6_000, 500):
        buffer.append([replace(readout(n + step), at=BEGIN) for step in range(500)])
    small = replace(QUICK, window=2, resend_after=300.0, resend_longest=300.0)  # nothing comes twice
    with Ingester(broker.port) as ingester, publishing(broker.port, buffer, small) as publisher:
        assert publisher.online.wait(20)
        for live in range(10_000, 10_005):
            buffer.append([replace(readout(live), at=BEGIN)])
            ingester.wait_until(lambda live=live: ingester.volumes[live] > 0)
        wait_until(lambda: buffer.backlog().readouts == 0)
    firsts = [
        read_back(batch.readouts[0]).values["8-0:1.0.0"].micro // 1_000_000 for batch in ingester.batches
    ]
    backlog = [first for first in dict.fromkeys(firsts) if first < 10_000]
    assert backlog == sorted(backlog, reverse=True)
    assert len(backlog) == 12
    assert ingester.volumes == dict.fromkeys([*range(6_000), *range(10_000, 10_005)], 1)


@pytest.mark.expects_log("no connection to the broker")
def test_a_reply_waits_for_the_connection_and_health_does_not(
    broker: Broker, buffer: Buffer, caplog: pytest.LogCaptureFixture
) -> None:
    broker.kill()
    later = replace(QUICK, reconnect_first=2.0, reconnect_longest=2.0)  # when the central side listens
    with publishing(broker.port, buffer, later) as publisher:
        publisher.send(Kind.REPLY, Reply("c1", 0, "done"))
        publisher.send(Kind.HEALTH, Health(0, "", buffer.epoch, True, 0))
        wait_until(lambda: "no connection to the broker" in caplog.messages)
        broker.start()
        with Ingester(broker.port) as central:
            central.wait_until(lambda: bool(central.replies("c1")))
            publisher.send(Kind.REPLY, Reply("c2", 0, "done"))
            central.wait_until(lambda: bool(central.replies("c2")))
    assert {topic.rsplit("/")[-1] for topic, _, _ in central.messages} == {"status", "reply"}


def test_commands_and_configurations_are_handed_over(broker: Broker, buffer: Buffer) -> None:
    received: list[tuple[Kind, bytes]] = []
    settings = MqttSettings("127.0.0.1", broker.port, "stadtwerke", "gw-7")
    publisher = Publisher(
        settings,
        buffer,
        clock=lambda: datetime.now(UTC),
        version="0.1.0",
        pace=QUICK,
        inbox=lambda kind, payload: received.append((kind, payload)),
    )
    with Ingester(broker.port) as central:
        publisher.start()
        assert publisher.online.wait(20)
        command = Command("c1", "scan")
        central.ask(Kind.COMMAND, command)
        central.ask(Kind.CONFIG, DesiredConfig("v2", ""))
        wait_until(lambda: len(received) == 2)
        publisher.stop()
    assert received == [(Kind.COMMAND, encode(command)), (Kind.CONFIG, encode(DesiredConfig("v2", "")))]


@pytest.mark.parametrize(
    ("topic", "size", "heard"),
    [
        (b"hesper/v1/stadtwerke/gw-7/command", 10, True),
        (b"hesper/v1/stadtwerke/gw-7/command", MAX_MESSAGE_BYTES + 1, False),
        (b"hesper/v1/stadtwerke/gw-7/config", 10, False),  # not listened to
        (b"hesper/v1/stadtwerke/gw-8/command", 10, False),
        (b"hesper/v1/other/gw-7/command", 10, False),
        (b"hesper/v1/stadtwerke/gw-7/command/x", 10, False),
        (b"$SYS/broker", 10, False),
        (b"\xff\xfe", 10, False),
    ],
)
def test_whatever_a_broker_sends_only_our_own_topics_are_heard(topic: bytes, size: int, heard: bool) -> None:
    events: SimpleQueue[Event | None] = SimpleQueue()
    settings = MqttSettings("127.0.0.1", 1, "stadtwerke", "gw-7")
    link = MqttLink(settings, events, b"", [Kind.ACK, Kind.COMMAND])
    message = MQTTMessage(topic=topic)
    message.payload = bytes(size)
    link._on_message(link._client, None, message)
    assert events.empty() is not heard
