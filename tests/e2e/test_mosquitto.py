"""The same pipeline on Mosquitto, the broker of production: import, ingester, acknowledgements."""

import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest
from paho.mqtt.client import Client
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion

from hesper.central import Central, CentralProcess
from ingest.ingester import Ingester
from ingest.mqtt.subscriber import Connection
from store.postgres.database import connect
from store.registry import apply
from telemetry.wire import encode
from tests.e2e.conftest import wait_until
from tests.support.aurora import COLD, REGISTRY, TOPIC, WATER, batch_of
from tests.support.broker import free_port
from tests.support.mosquitto import mosquitto as running_mosquitto

ROWS = 400


@pytest.fixture
def registered(connection: psycopg.Connection) -> psycopg.Connection:
    """A session with the test's database, in which aurora is registered."""
    apply(connection, REGISTRY)
    connection.commit()
    return connection


@pytest.fixture
def mosquitto(tmp_path: Path) -> Iterator[int]:
    """The port of a Mosquitto of this test, on loopback."""
    port = free_port()
    config = tmp_path / "mosquitto.conf"
    config.write_text(
        f"listener {port} 127.0.0.1\nallow_anonymous true\nmax_inflight_messages 0\nuser root\n"
    )
    with running_mosquitto(port, config):
        yield port


@pytest.mark.e2e
def test_what_is_sent_while_an_ingester_restarts_waits_in_its_session(
    mosquitto: int, registered: psycopg.Connection, database: str
) -> None:
    """Its name is the same again, so nobody has to send anything twice."""
    client = Client(CallbackAPIVersion.VERSION2, protocol=MQTTProtocolVersion.MQTTv5)
    client.connect("127.0.0.1", mosquitto)
    client.loop_start()

    def publish(number: int) -> None:
        batch = batch_of(number, (WATER, -number, {COLD: float(number)}))
        client.publish(TOPIC, encode(batch), 1).wait_for_publish(15)

    def stored(count: int) -> bool:
        row = registered.execute("select count(*) from readings").fetchone()
        registered.rollback()
        return row == (count,)

    with ingesting(database, mosquitto):
        publish(1)
        wait_until(lambda: stored(1), 15, "the first is stored")
    publish(2)
    publish(3)
    assert stored(1)
    with ingesting(database, mosquitto):
        wait_until(lambda: stored(3), 15, "what waited is stored")
    client.disconnect()
    client.loop_stop()


@contextmanager
def ingesting(database: str, port: int) -> Iterator[None]:
    """An ingester whose session outlives it."""
    stop, ingester = threading.Event(), Ingester(database, Connection("127.0.0.1", port, "lasting"))
    thread = threading.Thread(target=ingester.run, args=(stop,))
    thread.start()
    try:
        wait_until(lambda: ingester.subscriber.listening, 15, "the ingester listens")
        yield
    finally:
        stop.set()
        thread.join(15)


@pytest.mark.e2e
def test_an_import_through_mosquitto_is_stored_and_acknowledged(mosquitto: int, tmp_path: Path) -> None:
    history = tmp_path / "history.csv"
    rows = [f"m{n % 4},2026-03-{1 + n // 24 % 28:02d}T{n % 24:02d}:00:00,{1000 + n}" for n in range(ROWS)]
    history.write_text("meter,time,litres\n" + "\n".join(rows) + "\n")
    arguments = ["import", str(history), "--utility", "u", "--tz", "Europe/Madrid", "--json"]
    mapping = ["--column-map", "meter=meter,at=time,8-0:1.0.0=litres:L"]
    central = Central(
        tmp_path / "data",
        roles=[CentralProcess.DATABASE, CentralProcess.INGEST],
        broker=f"mqtt://127.0.0.1:{mosquitto}",
    )
    with central:
        command = [sys.executable, "-m", "hesper", *arguments, *mapping, "--data", str(tmp_path / "data")]
        done = subprocess.run(command, capture_output=True, text=True, timeout=90, check=False)
        assert done.returncode == 0, done.stderr
        with connect(central.database_url) as connection:
            stored = connection.execute("select count(*) from readings").fetchone()
    assert json.loads(done.stdout)["stored"] == ROWS
    assert stored == (ROWS,)
