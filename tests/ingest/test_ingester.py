"""The ingester against the real broker and database, with everything around it dying in turn."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import psycopg
import pytest

from gateway.uplink.link import MqttSettings
from gateway.uplink.publisher import Publisher, PublisherLimits
from ingest.ingester import INBOX_BYTES, Ingester
from ingest.mqtt.subscriber import Connection
from store import quarantine
from store.postgres.database import connect
from store.postgres.embedded import EmbeddedPostgres
from store.postgres.migrate import migrate
from store.registry import apply
from telemetry.topics import Kind
from telemetry.wire import Batch, Health, Outcome
from tests.gateway.ingester import Ingester as Witness
from tests.support.aurora import COLD, NOON, REGISTRY, WATER, ListSource, batch_of
from tests.support.broker import Broker

QUICK = PublisherLimits(
    tick=0.02, resend_after=0.5, resend_longest=1.0, reconnect_first=0.1, reconnect_longest=0.3
)
SECONDS = 30.0
ROOT = Path(__file__).resolve().parents[2]


def eventually(condition: Callable[[], bool], what: str) -> None:
    """Wait for a condition that another process or thread brings about."""
    deadline = time.monotonic() + SECONDS
    while not condition():
        assert time.monotonic() < deadline, f"not within {SECONDS} s: {what}"
        time.sleep(0.02)


@pytest.fixture
def broker() -> Iterator[Broker]:
    with Broker() as broker:
        yield broker


@contextmanager
def ingesting(
    database: str, broker: Broker, *, name: str = "one", room: int = INBOX_BYTES
) -> Iterator[Ingester]:
    """An ingester in a thread of this process."""
    stop = threading.Event()
    connection = Connection("127.0.0.1", broker.port, name, session_expiry=0)
    ingester = Ingester(database, connection, inbox_bytes=room)
    thread = threading.Thread(target=ingester.run, args=(stop,))
    thread.start()
    try:
        yield ingester
    finally:
        stop.set()
        thread.join(SECONDS)
    assert not thread.is_alive()


@contextmanager
def publishing(
    broker: Broker, batches: Sequence[Batch], pace: PublisherLimits = QUICK
) -> Iterator[tuple[Publisher, ListSource]]:
    """A gateway that sends `batches` until each is acknowledged."""
    source = ListSource(batches)
    settings = MqttSettings("127.0.0.1", broker.port, "aurora", "house", session_expiry=0)
    publisher = Publisher(settings, source, clock=lambda: datetime.now(UTC), version="test", pace=pace)
    publisher.start()
    try:
        yield publisher, source
    finally:
        publisher.stop(flush=0.0)


def send(broker: Broker, batches: Sequence[Batch]) -> dict[int, Outcome | None]:
    """Publish, wait for all acknowledgements, and give their outcomes."""
    with publishing(broker, batches) as (_, source):
        eventually(lambda: len(source.outcomes) == len(batches), "all batches are acknowledged")
        return source.outcomes


def many(count: int) -> list[Batch]:
    """Batches of one reading each, an hour apart."""
    return [batch_of(number, (WATER, -number, {COLD: float(number)})) for number in range(1, count + 1)]


def stored(connection: psycopg.Connection) -> int:
    row = connection.execute("select count(*) from readings").fetchone()
    connection.rollback()
    assert row is not None
    return int(row[0])


def test_a_batch_is_stored_and_its_gateway_told_what_became_of_it(
    registered: psycopg.Connection, database: str, broker: Broker
) -> None:
    batch = batch_of(1, (WATER, 0, {COLD: 1.0}), (WATER, 1, {COLD: 2.0}), ("XXX-9", 0, {COLD: 1.0}))
    with ingesting(database, broker):
        assert send(broker, [batch]) == {1: Outcome(1, stored=2, quarantined={"unknown_meter": 1})}
        assert send(broker, [batch]) == {1: Outcome(1, known=2, quarantined={"unknown_meter": 1})}
    assert stored(registered) == 2
    assert len(quarantine.waiting(registered)) == 1


def test_what_was_sent_before_an_ingester_listened_is_asked_for_at_once(
    registered: psycopg.Connection, database: str, broker: Broker
) -> None:
    patient = replace(QUICK, resend_after=300.0, resend_longest=300.0)
    with (
        Witness(broker.port, lambda batch, before: iter(())) as witness,
        publishing(broker, many(3), patient) as (_, source),
    ):
        eventually(lambda: len(witness.arrivals) == 3, "the broker took all")
        with ingesting(database, broker):
            eventually(lambda: len(source.outcomes) == 3, "all batches are acknowledged")
    assert stored(registered) == 3


@pytest.mark.expects_log("the database refuses a message")
def test_a_message_beyond_a_limit_of_the_database_does_not_hold_up_the_others(
    registered: psycopg.Connection, database: str, broker: Broker
) -> None:
    registered.execute(
        """
        create function beyond() returns trigger language plpgsql as
            $$ begin raise program_limit_exceeded; end $$;
        create trigger beyond before insert on readings for each row when (new.value = 3000000)
            execute function beyond();
        """
    )
    registered.commit()
    with ingesting(database, broker):
        outcomes = send(broker, many(5))
    assert outcomes[3] == Outcome(3, quarantined={"refused": 1})
    assert stored(registered) == 4


@pytest.mark.expects_log("the database refuses a message")
def test_a_message_that_the_database_refuses_is_kept_and_those_beside_it_are_stored(
    registered: psycopg.Connection, database: str, broker: Broker
) -> None:
    registered.execute("alter table readings add check (value <> 13000000)")
    registered.commit()
    with ingesting(database, broker):
        outcomes = send(broker, many(20))
    assert outcomes[13] == Outcome(13, quarantined={"refused": 1})
    assert stored(registered) == 19
    assert [entry.reason for entry in quarantine.waiting(registered)] == ["refused"]


def test_an_ingester_killed_between_commit_and_acknowledgement_leaves_nothing_twice(
    registered: psycopg.Connection, database: str, broker: Broker
) -> None:
    crashing = (
        "import os, signal, sys, threading\n"
        "from ingest.ingester import Ingester\n"
        "from ingest.receive.storing import Storing\n"
        "from ingest.mqtt.subscriber import Connection\n"
        "Storing._answer = lambda *_: os.kill(os.getpid(), signal.SIGKILL)\n"
        "broker = Connection('127.0.0.1', int(sys.argv[2]), 'one', session_expiry=0)\n"
        "Ingester(sys.argv[1], broker).run(threading.Event())\n"
    )
    command = [sys.executable, "-c", crashing, database, str(broker.port)]
    batch = batch_of(1, (WATER, 0, {COLD: 1.0}), ("XXX-9", 0, {COLD: 1.0}))
    with subprocess.Popen(command, cwd=ROOT) as first, publishing(broker, [batch]) as (_, source):
        assert first.wait(SECONDS) == -signal.SIGKILL
        assert stored(registered) == 1
        assert not source.outcomes
        with ingesting(database, broker):
            eventually(lambda: bool(source.outcomes), "the batch is acknowledged")
    assert source.outcomes == {1: Outcome(1, known=1, quarantined={"unknown_meter": 1})}
    assert stored(registered) == 1
    assert len(quarantine.waiting(registered)) == 1


def test_two_ingesters_share_the_work(registered: psycopg.Connection, database: str, broker: Broker) -> None:
    with ingesting(database, broker), ingesting(database, broker, name="two"):
        outcomes = send(broker, many(200))
    assert sum(outcome.stored + outcome.known for outcome in outcomes.values() if outcome) == 200
    assert stored(registered) == 200


@pytest.mark.expects_log("no connection to the broker")
def test_nothing_is_lost_when_the_broker_dies(
    registered: psycopg.Connection, database: str, broker: Broker
) -> None:
    batches = many(400)
    with ingesting(database, broker), publishing(broker, batches) as (_, source):
        eventually(lambda: len(source.outcomes) > 50, "some batches are acknowledged")
        broker.restart()
        eventually(lambda: len(source.outcomes) == len(batches), "all batches are acknowledged")
    assert stored(registered) == 400


@pytest.mark.expects_log("the database is away")
def test_nothing_is_lost_when_the_database_dies(tmp_path: Path, broker: Broker) -> None:
    batches = many(400)
    with EmbeddedPostgres(tmp_path / "postgres", {"fsync": "off"}) as server:
        with connect(server.url) as connection:
            migrate(connection)
            apply(connection, REGISTRY)
        with ingesting(server.url, broker), publishing(broker, batches) as (_, source):
            eventually(lambda: len(source.outcomes) > 50, "some batches are acknowledged")
            server.stop()
            server.start()
            eventually(lambda: len(source.outcomes) == len(batches), "all batches are acknowledged")
        with connect(server.url) as connection:
            assert stored(connection) == 400


def test_an_ingester_told_to_stop_while_the_database_is_away_ends(broker: Broker, tmp_path: Path) -> None:
    nowhere = f"postgresql://hesper@/hesper?host={tmp_path}"
    address = f"mqtt://127.0.0.1:{broker.port}"
    command = [
        sys.executable,
        "-m",
        "hesper",
        "ingest",
        "run",
        "--database-url",
        nowhere,
        "--broker",
        address,
        "--session-expiry",
        "0",
    ]
    with subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE) as process:
        assert process.stderr is not None
        try:
            assert any(b"listening" in line for line in process.stderr), "it ended before it listened"
            with publishing(broker, many(1)) as (_, source):
                assert any(b"the database is away" in line for line in process.stderr), (
                    "it ended without a word"
                )
                process.terminate()
                assert process.wait(SECONDS) == 0
                assert not source.outcomes
        finally:
            process.kill()


def test_status_and_health_of_a_gateway_are_kept(
    registered: psycopg.Connection, database: str, broker: Broker
) -> None:
    health = Health(NOON, "1.0", "life", clock_synchronised=True, buffered_readouts=3)

    def state() -> tuple[str, int | None]:
        row = registered.execute(
            "select state, (health->>'buffered_readouts')::int from gateways where code = 'house'"
        ).fetchone()
        registered.rollback()
        assert row is not None
        return row[0], row[1]

    with ingesting(database, broker):
        with publishing(broker, []) as (publisher, _):
            assert publisher.online.wait(SECONDS)
            publisher.send(Kind.HEALTH, health)
            eventually(lambda: state() == ("online", 3), "status and health arrive")
        eventually(lambda: state() == ("offline", 3), "the goodbye arrives")


def test_a_gateways_death_is_noticed_by_its_last_will(
    registered: psycopg.Connection, database: str, broker: Broker
) -> None:
    dying = (
        "import os, signal, sys\n"
        "from gateway.uplink.link import MqttLink, MqttSettings\n"
        "from queue import SimpleQueue\n"
        "from telemetry.topics import Kind\n"
        "from telemetry.wire import GatewayStatus, encode\n"
        "events = SimpleQueue()\n"
        "settings = MqttSettings('127.0.0.1', int(sys.argv[1]), 'aurora', 'house', session_expiry=0)\n"
        "link = MqttLink(settings, events, encode(GatewayStatus('offline', 1)))\n"
        "link.open()\n"
        "events.get()\n"
        "link.publish(Kind.STATUS, encode(GatewayStatus('online', 2)), retain=True)\n"
        "sys.stdin.read()\n"
    )

    def state() -> str:
        row = registered.execute("select state from gateways where code = 'house'").fetchone()
        registered.rollback()
        return row[0] if row else ""

    with ingesting(database, broker):
        command = [sys.executable, "-c", dying, str(broker.port)]
        with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE) as process:
            eventually(lambda: state() == "online", "the gateway says that it is online")
            os.kill(process.pid, signal.SIGKILL)
        eventually(lambda: state() == "offline", "the broker sends the will")
