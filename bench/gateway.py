"""Cost of a gateway of 250 meters on 4 lines: memory, CPU, bytes on its disk; and its speed of catching up.

    python -m bench.gateway [seconds] [--folder ON_A_REAL_DISK]

A real `hesper gateway run` polls 250 virtual M-Bus meters at 2400 Bd over TCP, each every minute (fifteen
times as often as usual), and publishes to the embedded broker, where a receiver acknowledges at once. Meters,
broker and receiver are other processes. Then a day of 15-minute readouts, kept while the broker was away, is
sent by buffer and publisher. Limits: 80 MB, one core, one disk block a readout, the buffer without a broker.
"""

import argparse
import multiprocessing
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, date, datetime
from decimal import Decimal
from multiprocessing.connection import Connection
from pathlib import Path

import psutil
from paho.mqtt.client import Client, MQTTMessage
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion

from bench.buffer import BLOCK, DAY, METERS, day_offline, drained_per_second
from bench.ingest import broker
from bench.measurement import Measurement, show
from drivers.bus import VirtualBus
from drivers.host import TcpMeterHost
from drivers.line import SerialSettings
from drivers.mbus.codec import vif
from drivers.mbus.codec.encode import date_record, record
from drivers.mbus.codec.header import Header
from drivers.mbus.codec.telegram import encode_telegram
from drivers.mbus.virtual import VirtualMBusMeter
from gateway.uplink.link import MqttSettings
from gateway.uplink.publisher import Publisher
from telemetry.topics import Kind, Topic, subscription
from telemetry.wire import Ack, Batch, decode, encode

LINES = 4
SETTINGS = SerialSettings(2400, 8, "E", 1)
LIMIT_MB = 80.0
CONFIG = """
utility = "bench"
gateway = "house"
time_zone = "Europe/Berlin"
clock = "trusted"
[mqtt]
host = "127.0.0.1"
port = {port}
[buffer]
path = "buffer.sqlite"
"""


def telegram(number: int) -> bytes:
    """A heat meter's answer of usual length, with a set day."""
    energy = Decimal(37_000 + number)
    records = [
        record(vif.ENERGY, energy, "kW.h"),
        record(vif.VOLUME, Decimal("561.08"), "m3"),
        record(vif.POWER, Decimal("4.2"), "kW"),
        record(vif.FLOW, Decimal("0.182"), "m3/h"),
        record(vif.FLOW_TEMPERATURE, Decimal("71.2"), "Cel"),
        record(vif.RETURN_TEMPERATURE, Decimal("48.9"), "Cel"),
        record(vif.ENERGY, energy - 800, "kW.h", storage=1),
        date_record(date(2026, 10, 31), storage=1),
    ]
    return encode_telegram(1, Header(f"{number:08d}", "KAM", 8, 0x04), b"".join(records))


def meters_process(ports: Connection) -> None:
    """Four buses behind TCP, until the other end of the pipe is closed."""
    hosts = []
    for line in range(LINES):
        numbers = range(line, METERS, LINES)
        meters = [VirtualMBusMeter(1 + at, [telegram(number)]) for at, number in enumerate(numbers)]
        hosts.append(TcpMeterHost(VirtualBus(meters), SETTINGS))
        hosts[-1].start()
    ports.send([host.port for host in hosts])
    with suppress(EOFError):
        ports.recv()
    for host in hosts:
        host.stop()


def receiver_process(port: int, asked: Connection) -> None:
    """Acknowledges every batch at once; says how many readouts have come whenever it is asked."""
    readouts = 0

    def take(client: Client, _: object, message: MQTTMessage) -> None:
        nonlocal readouts
        topic = Topic.parse(message.topic)
        batch = decode(bytes(message.payload), Batch)
        acknowledged = Topic(topic.utility, topic.gateway, Kind.ACK)
        client.publish(str(acknowledged), encode(Ack(batch.epoch, [batch.batch])), 1)
        readouts += len(batch.readouts)

    client = Client(CallbackAPIVersion.VERSION2, protocol=MQTTProtocolVersion.MQTTv5)
    client.on_message = take
    client.connect("127.0.0.1", port)
    client.subscribe(subscription(Kind.READINGS), 1)
    client.loop_start()
    asked.send(readouts)
    with suppress(EOFError):
        while asked.recv():
            asked.send(readouts)
    client.disconnect()
    client.loop_stop()


@contextmanager
def process(target: Callable[..., None], *arguments: object) -> Iterator[Connection]:
    """Another process, with a pipe to it; it ends when the block does."""
    here, there = multiprocessing.Pipe()
    child = multiprocessing.get_context("spawn").Process(target=target, args=(*arguments, there))
    child.start()
    there.close()
    try:
        yield here
    finally:
        here.close()
        child.join(10)
        if child.is_alive():
            child.kill()


def configuration(folder: Path, port: int, line_ports: list[int]) -> Path:
    """The file of a gateway with all meters, each read every minute."""
    tables = []
    for line, line_port in enumerate(line_ports):
        tables.append(
            f'[[line]]\nname = "line {line}"\nport = "tcp://127.0.0.1:{line_port}"\n'
            f'protocol = "mbus"\nsettings = "{SETTINGS}"\nschedule = "1min"'
        )
        tables += [f"[[line.meter]]\naddress = {1 + at}" for at in range(len(range(line, METERS, LINES)))]
    path = folder / "gateway.toml"
    path.write_text(CONFIG.format(port=port) + "\n".join(tables) + "\n")
    return path


def running(folder: Path, port: int, seconds: float, settle: float) -> Iterator[Measurement]:
    """Memory, CPU and disk of the gateway's process while it polls."""
    with process(meters_process) as meters, process(receiver_process, port) as receiver:
        receiver.recv()
        path = configuration(folder, port, meters.recv())
        command = [sys.executable, "-m", "hesper", "gateway", "run", str(path)]
        gateway = psutil.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            time.sleep(settle)
            before = _state(gateway, receiver)
            time.sleep(seconds)
            after = _state(gateway, receiver)
            memory = gateway.memory_info().rss / 1e6
        finally:
            gateway.terminate()
            gateway.wait(20)
    readouts, cpu, written, elapsed = (b - a for a, b in zip(before, after, strict=True))
    yield Measurement("memory of a gateway of 250 meters", memory, "MB", LIMIT_MB, "<= 1")
    yield Measurement("CPU time, each meter read every minute", cpu / elapsed, "of a core", 1.0)
    usual = cpu / elapsed / 15
    yield Measurement("the same every 15 minutes, computed", usual, "of a core", 1.0)
    yield Measurement("readouts sent and acknowledged", readouts / elapsed, "1/s", METERS / 60)
    yield Measurement("bytes written to disk for a readout", written / max(readouts, 1), "B", BLOCK)


def _state(gateway: psutil.Process, receiver: Connection) -> tuple[float, float, float, float]:
    """Readouts acknowledged, CPU seconds, bytes written, and the time at which this is so."""
    receiver.send(True)
    cpu = gateway.cpu_times()
    return receiver.recv(), cpu.user + cpu.system, gateway.io_counters().write_bytes, time.monotonic()


def catching_up(folder: Path, port: int) -> Iterator[Measurement]:
    """Buffer and publisher after a day offline, beside the buffer alone."""
    alone = drained_per_second(folder)
    buffer = day_offline(folder / "day.sqlite")
    settings = MqttSettings("127.0.0.1", port, "bench", "offline", session_expiry=0)
    publisher = Publisher(settings, buffer, clock=lambda: datetime.now(UTC), version="bench")
    with process(receiver_process, port) as receiver:
        receiver.recv()
        begun = time.perf_counter()
        publisher.start()
        while buffer.backlog().readouts:
            time.sleep(0.01)
        rate = DAY / (time.perf_counter() - begun)
        publisher.stop()
    buffer.close()
    yield Measurement("readouts sent and acknowledged after a day offline", rate, "1/s", alone)


def main() -> None:
    """Print the measurements."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("seconds", type=float, nargs="?", default=120.0, help="of watching")
    parser.add_argument("--settle", type=float, default=70.0, help="s until each meter was read once")
    parser.add_argument("--folder", type=Path, default=Path(), help="on the disk that is measured")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=arguments.folder) as place:
        folder = Path(place)
        with broker("embedded", folder / "broker") as (port, _):
            show(running(folder, port, arguments.seconds, arguments.settle))
            show(catching_up(folder, port))


if __name__ == "__main__":
    main()
