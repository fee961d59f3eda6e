"""What an ingester says of itself by HTTP, and that its memory stays bounded while the database is away."""

import os
import signal
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from ingest.endpoint import Answers, Endpoint
from ingest.mqtt.inbox import Delivery, Inbox
from store.postgres.database import connect
from store.postgres.embedded import EmbeddedPostgres
from store.postgres.migrate import migrate
from store.registry import apply
from tests.ingest.test_ingester import eventually, ingesting, publishing, send, stored
from tests.support.aurora import COLD, ELSEWHERE, REGISTRY, WATER, batch_of
from tests.support.broker import Broker


@pytest.fixture
def broker() -> Iterator[Broker]:
    with Broker() as broker:
        yield broker


def ask(port: int, path: str) -> tuple[int, str]:
    """(status, text) of the endpoint's answer."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=10) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read().decode()


def test_metrics_count_what_became_of_readings_without_naming_a_meter(
    registered: psycopg.Connection, database: str, broker: Broker
) -> None:
    batches = [
        batch_of(1, (WATER, 0, {COLD: 1.0}), (WATER, 1, {COLD: 2.0})),
        batch_of(2, (WATER, 0, {COLD: 1.0}), (WATER, 1, {COLD: 9.0}), (ELSEWHERE, 0, {COLD: 1.0})),
    ]
    with ingesting(database, broker) as ingester, Endpoint("127.0.0.1", 0, ingester.answers) as endpoint:
        for batch in batches:
            send(broker, [batch])
        eventually(lambda: "ack_seconds_count 2.0" in ask(endpoint.port, "/metrics")[1], "both are counted")
        status, text = ask(endpoint.port, "/metrics")
        assert ask(endpoint.port, "/health/live") == (200, "ok\n")
        assert ask(endpoint.port, "/health/ready") == (200, "ok\n")
        assert ask(endpoint.port, "/elsewhere")[0] == 404
    assert status == 200
    for line in (
        'hesper_ingest_readings_total{outcome="stored"} 2.0',
        'hesper_ingest_readings_total{outcome="known"} 1.0',
        'hesper_ingest_readings_total{outcome="conflict"} 1.0',
        'hesper_ingest_quarantined_total{reason="wrong_gateway"} 1.0',
        "hesper_ingest_batch_rows_count 2.0",
        "hesper_ingest_broker_up 1.0",
        "hesper_ingest_database_up 1.0",
    ):
        assert line in text.splitlines()
    assert "KAM-" not in text
    assert "house" not in text


def test_what_is_wrong_is_said_with_503() -> None:
    answers = Answers(lambda: b"", lambda: "no turn for 130 s", lambda: "")
    with Endpoint("127.0.0.1", 0, answers) as endpoint:
        assert ask(endpoint.port, "/health/live") == (503, "no turn for 130 s\n")


def test_an_inbox_is_bounded_by_number_and_by_bytes() -> None:
    inbox = Inbox(3, 100)
    assert inbox.offer(Delivery("t", b"x" * 400)), "one that is larger than all room, into an empty inbox"
    assert not inbox.offer(Delivery("t", b""))
    large = inbox.take(0)
    assert large is not None
    assert not inbox.offer(Delivery("t", b"")), "it is taken, and still in memory"
    inbox.release(large)
    assert [inbox.offer(Delivery("t", b"x" * 40)) for _ in range(3)] == [True, True, False]
    assert (len(inbox), inbox.size) == (2, 80)
    assert inbox.offer(Delivery("t", b""))
    assert not inbox.offer(Delivery("t", b""))
    inbox.close()
    while taken := inbox.take(0):
        inbox.release(taken)
    assert (len(inbox), inbox.size) == (0, 0)
    assert not inbox.offer(Delivery("t", b""))


@pytest.mark.expects_log("the database is away")
@pytest.mark.expects_log("inbox full")
@pytest.mark.expects_log("no connection to the broker")  # rumqttd ends one on which not all is acknowledged
def test_a_database_that_is_away_holds_the_broker_up_and_not_our_memory(
    tmp_path: Path, broker: Broker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ingest.mqtt.subscriber._PATIENCE", 0.2)
    room = 20_000
    batches = [
        batch_of(n, *[(WATER, -n * 50 - i, {COLD: float(n)}) for i in range(50)]) for n in range(1, 41)
    ]
    with EmbeddedPostgres(tmp_path / "postgres", {"fsync": "off"}) as server:
        with connect(server.url) as connection:
            migrate(connection)
            apply(connection, REGISTRY)
        with (
            ingesting(server.url, broker, room=room) as ingester,
            Endpoint("127.0.0.1", 0, ingester.answers) as endpoint,
        ):
            send(broker, batches[:1])
            server.stop()
            with publishing(broker, batches[1:]) as (_, source):
                eventually(lambda: ask(endpoint.port, "/health/ready")[0] == 503, "it is noticed")
                assert ask(endpoint.port, "/health/live") == (200, "ok\n")
                eventually(lambda: ingester._inbox.size > room // 2, "messages wait")
                server.start()

                def all_acknowledged() -> bool:
                    assert ingester._inbox.size <= room
                    return len(source.outcomes) == len(batches) - 1

                eventually(all_acknowledged, "all batches are acknowledged")
            assert ask(endpoint.port, "/health/ready") == (200, "ok\n")
        with connect(server.url) as connection:
            assert stored(connection) == 50 * len(batches)


def test_an_ingester_that_nobody_sends_anything_says_that_its_database_is_gone_or_hangs(
    tmp_path: Path, broker: Broker
) -> None:
    def ready(endpoint: Endpoint) -> tuple[int, str]:
        began = time.monotonic()
        told = ask(endpoint.port, "/health/ready")
        assert time.monotonic() - began < 3
        return told

    with EmbeddedPostgres(tmp_path / "postgres", {"fsync": "off"}) as server:
        with connect(server.url) as connection:
            migrate(connection)
        with (
            ingesting(server.url, broker) as ingester,
            Endpoint("127.0.0.1", 0, ingester.answers) as endpoint,
        ):
            eventually(lambda: ready(endpoint) == (200, "ok\n"), "it listens")
            assert server.pid is not None
            os.kill(server.pid, signal.SIGSTOP)
            try:
                assert ready(endpoint) == (503, "the database does not answer\n")
                assert "database_up 0.0" in ask(endpoint.port, "/metrics")[1]
            finally:
                os.kill(server.pid, signal.SIGCONT)
            eventually(lambda: ready(endpoint)[0] == 200, "it answers again")
            server.stop()
            assert ready(endpoint)[0] == 503
            server.start()
            assert ready(endpoint)[0] == 200
