"""What is asked in the database is done by a real gateway, over a real broker, and its answer is stored."""

import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest

from drivers.bus import VirtualBus
from drivers.host import TcpMeterHost, Wiring
from drivers.mbus.virtual import VirtualMBusMeter
from gateway.process import GatewayProcess
from gateway.remote.configuration_files import configuration_to_run
from ingest import worker
from ingest.mqtt import downlink
from ingest.mqtt.downlink import Downlink
from store.gateways.requests import CommandRequest, ConfigurationRequest, ask, put_configuration
from telemetry.topics import Kind, Topic
from telemetry.wire import Command, DesiredConfig, Reply, decode, encode
from tests.gateway.ingester import Ingester as Witness
from tests.gateway.test_gateway_process import FRAMES, HEAD, MBUS_LINE, MBUS_METER, QUICK, running
from tests.ingest.test_ingester import eventually, ingesting
from tests.support.broker import Broker

NOW = datetime(2026, 3, 3, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


@pytest.fixture
def broker() -> Iterator[Broker]:
    with Broker() as broker:
        yield broker


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worker, "IDLE_SECONDS", 0.05)


class Desk:
    """A broker's place: keeps what was published, and takes it or not."""

    def __init__(self) -> None:
        self.connection = 1
        self.listening = True
        self.takes = True
        self.published: list[tuple[str, bytes, bool, int | None]] = []

    def deliver(self, topic: str, payload: bytes, *, retain: bool = False, expiry: int | None = None) -> bool:
        if self.takes:
            self.published.append((topic, payload, retain, expiry))
        return self.takes


def read_now(connection: psycopg.Connection, at: datetime, meter: str = "", line: str = "") -> int:
    request = CommandRequest("read-now", "anna", "asked", at, at + 10 * MINUTE, meter=meter, line=line)
    command = ask(connection, _gateway(connection), request)
    connection.commit()
    return command


def configure(connection: psycopg.Connection, toml: str, after: int = 0) -> None:
    request = ConfigurationRequest(toml, "anna", "a better one", datetime.now(UTC))
    assert put_configuration(connection, _gateway(connection), after, request) == after + 1
    connection.commit()


def _gateway(connection: psycopg.Connection) -> int:
    return int(value(connection, "select min(id) from gateways"))


def value(connection: psycopg.Connection, query: str) -> Any:
    row = connection.execute(query.encode()).fetchone()
    connection.rollback()
    assert row is not None
    return row[0]


def test_what_the_broker_does_not_take_stays_due(registered: psycopg.Connection, database: str) -> None:
    desk = Desk()
    sender = Downlink(database, desk, lambda: NOW)
    read_now(registered, NOW, meter="KAM-00000001")
    configure(registered, "a = 1")
    desk.takes = False
    assert sender.turn(registered) == 0
    desk.takes, desk.listening = True, False
    assert sender.turn(registered) == 0
    assert desk.published == []
    desk.listening = True
    assert (sender.turn(registered), sender.turn(registered)) == (2, 0)
    (config, command) = desk.published
    assert config[0] == str(Topic("aurora", "house", Kind.CONFIG))
    assert decode(config[1], DesiredConfig) == DesiredConfig("1", "a = 1")
    assert config[2:] == (True, None)
    assert command[0] == str(Topic("aurora", "house", Kind.COMMAND))
    sent = decode(command[1], Command)
    assert (sent.command, sent.meter, sent.expires_at) == ("read-now", "KAM-00000001", 1772496600000)
    assert command[2:] == (False, 30)


def test_a_fault_in_one_request_is_survived(
    registered: psycopg.Connection, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(downlink, "_PAUSE", 0.01)
    desk = Desk()
    faults = [RuntimeError("nobody foresaw this")]

    def deliver(*_: object, **__: object) -> bool:
        if faults:
            raise faults.pop()
        return True

    monkeypatch.setattr(desk, "deliver", deliver)
    read_now(registered, NOW, meter="KAM-00000001")
    stop = threading.Event()
    thread = threading.Thread(target=Downlink(database, desk, lambda: NOW).run, args=(stop,))
    thread.start()
    try:
        eventually(lambda: value(registered, "select state from gateway_commands") == "sent", "it is sent")
    finally:
        stop.set()
        thread.join(30)
    assert not faults


def test_a_broker_that_was_started_anew_gets_again_what_nobody_answered(
    registered: psycopg.Connection, database: str
) -> None:
    desk = Desk()
    sender = Downlink(database, desk, lambda: NOW)
    configure(registered, "a = 1")
    assert (sender.turn(registered), sender.turn(registered)) == (1, 0)
    desk.connection += 1
    assert (sender.turn(registered), sender.turn(registered)) == (1, 0)
    assert desk.published[0] == desk.published[1]


def test_a_reply_that_nobody_asked_for_or_that_is_broken_harms_nothing(
    registered: psycopg.Connection, database: str, broker: Broker
) -> None:
    with ingesting(database, broker), Witness(broker.port) as witness:
        read_now(registered, datetime.now(UTC), meter="KAM-00000001")
        eventually(lambda: value(registered, "select state from gateway_commands") == "sent", "it is sent")
        wire_id = str(value(registered, "select wire_id from gateway_commands"))
        topic = str(Topic("aurora", "house", Kind.REPLY))
        for reply in (
            encode(Reply("what?", 1, "done")),
            b"{",
            encode(Reply(wire_id, 1, "done", "\0")),
            encode(Reply(wire_id, 1, "done", "read", {"readouts": 1})),
        ):
            witness.publish(topic, reply)
        eventually(lambda: value(registered, "select state from gateway_commands") == "done", "it is done")
    assert value(registered, "select count(*) from gateway_replies") == 1


@pytest.mark.expects_log("meter is gone")
@pytest.mark.expects_log("line is too slow")  # a poll each second, on a machine that tests keep busy
@pytest.mark.expects_log("desired configuration taken back")
def test_a_real_gateway_reads_now_changes_its_configuration_and_takes_back_a_bad_one(
    connection: psycopg.Connection, database: str, broker: Broker, tmp_path: Path, shared_data: Path
) -> None:
    connection.execute(
        """
        with u as (
            insert into utilities (code, name, time_zone) values ('stadtwerke', 'S', 'UTC') returning id
        )
        insert into gateways (utility_id, code) select id, 'gw-7' from u
        """
    )
    connection.commit()
    frames = [bytes.fromhex((shared_data / "mbus-frames" / f"{name}.hex").read_text()) for name in FRAMES[:2]]
    bus = VirtualBus([VirtualMBusMeter(n, [raw]) for n, raw in enumerate(frames, start=1)])

    def configuration(version: int) -> str:
        return str(value(connection, f"select state from gateway_configurations where version = {version}"))

    with TcpMeterHost(bus, wiring=Wiring(time_scale=0.0)) as host:
        installed = tmp_path / "gateway.toml"
        head = HEAD.format(port=broker.port, clock="trusted") + MBUS_LINE.format(port=host.spec)
        installed.write_text(head + MBUS_METER.format(address=1))
        config, version = configuration_to_run(installed)
        gateway = GatewayProcess(
            config, installed=installed, config_version=version, pace=QUICK, health_seconds=1.0
        )
        with ingesting(database, broker), running(gateway):
            read_now(connection, datetime.now(UTC), line="basement")
            eventually(
                lambda: value(connection, "select state from gateway_commands") == "done", "it is read"
            )
            replies = connection.execute("select state, result from gateway_replies order by id").fetchall()
            assert [state for state, _ in replies] == ["running", "done"]
            assert replies[-1][1]["readouts"] >= 1

            configure(connection, head + MBUS_METER.format(address=1) + MBUS_METER.format(address=2))
            eventually(lambda: configuration(1) == "kept", "it is kept")
            configure(connection, head + MBUS_METER.format(address=77), after=1)
            eventually(lambda: configuration(2) == "rolled back", "it is taken back")
            eventually(
                lambda: (
                    value(connection, "select config_version from gateway_health order by at desc limit 1")
                    == "1"
                ),
                "the one before runs, and its health says so",
            )
            assert value(connection, "select bool_or(state = 'online') from gateway_states")
