"""A whole gateway: virtual meters behind TCP and pty, the real broker, and a receiver that acknowledges."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest
from click.testing import Result
from typer.testing import CliRunner

from drivers.bus import VirtualBus
from drivers.host import PtyMeterHost, TcpMeterHost, Wiring
from drivers.line import SerialSettings
from drivers.mbus.codec.frame import LongFrame, decode_frame
from drivers.mbus.codec.telegram import Telegram, decode_answer
from drivers.mbus.readouts import interpret
from drivers.mbus.virtual import VirtualMBusMeter
from drivers.modbus.profile_file import load_profile
from drivers.modbus.virtual import VirtualModbusMeter
from gateway import process
from gateway.config.file import load_config
from gateway.process import GatewayProcess, RestartNeededError
from gateway.uplink.publisher import PublisherLimits
from hesper.cli import build
from telemetry.status import Status
from telemetry.topics import Kind, Topic
from telemetry.wire import Batch, Health, MissReason, decode
from tests.gateway.ingester import Ingester
from tests.support.broker import Broker
from tests.telemetry.read_back import read_back

FRAMES = ["GWF-MTKcoder", "kamstrup_382_005", "allmess_cf50", "itron_bm_+m"]
QUICK = PublisherLimits(
    tick=0.02, resend_after=0.5, resend_longest=1.0, reconnect_first=0.05, reconnect_longest=0.2
)
AT_ONCE = Wiring(time_scale=0.0)
ROOT = Path(__file__).resolve().parents[2]

MBUS_LINE = """
[[line]]
name = "basement"
port = "{port}"
protocol = "mbus"
settings = "38400 8E1"
schedule = "1s"
"""
MBUS_METER = """
[[line.meter]]
address = {address}
timeout = 0.3
retries = 0
"""
MODBUS_LINE = """
[[line]]
name = "roof"
port = "{port}"
protocol = "modbus"
settings = "38400 8N1"
schedule = "1s"

[[line.meter]]
address = 1
meter = "EAS-12345678"
profile = "eastron-sdm120"
"""
HEAD = """
utility = "stadtwerke"
gateway = "gw-7"
time_zone = "Europe/Berlin"
clock = "{clock}"

[mqtt]
host = "127.0.0.1"
port = {port}

[buffer]
path = "buffer.sqlite"
"""


@pytest.fixture
def broker() -> Iterator[Broker]:
    with Broker() as running:
        yield running


@pytest.fixture
def telegrams(shared_data: Path) -> list[bytes]:
    """Telegrams that real meters sent."""
    return [bytes.fromhex((shared_data / "mbus-frames" / f"{name}.hex").read_text()) for name in FRAMES]


def expected_of(telegram: bytes) -> tuple[str, set[str]]:
    """Meter and registers of a telegram, straight from the codec."""
    frame = decode_frame(telegram)
    assert isinstance(frame, LongFrame)
    answer = decode_answer(frame)
    assert isinstance(answer, Telegram)
    present = interpret([answer], datetime(2026, 11, 22, tzinfo=UTC)).readouts[0]
    return present.meter, {f"{obis}={value.micro} {value.unit}" for obis, value in present.values.items()}


def write_config(folder: Path, broker: Broker, lines: str, clock: str = "trusted") -> Path:
    path = folder / "gateway.toml"
    path.write_text(HEAD.format(port=broker.port, clock=clock) + lines, "utf-8")
    return path


@contextmanager
def running(gateway: GatewayProcess) -> Iterator[GatewayProcess]:
    """Watch as `process.run` does, until the test has seen enough."""
    enough = threading.Event()

    def watch() -> None:
        while not enough.wait(0.1):
            assert gateway.watch()

    with gateway:
        watcher = threading.Thread(target=watch)
        watcher.start()
        try:
            yield gateway
        finally:
            enough.set()
            watcher.join()


def received(ingester: Ingester) -> dict[str, set[str]]:
    """Meter -> registers with values, of all present readouts that came."""
    seen: dict[str, set[str]] = {}
    for batch in ingester.batches:
        for readout in map(read_back, batch.readouts):
            if Status.HISTORICAL not in readout.status:
                values = {f"{obis}={value.micro} {value.unit}" for obis, value in readout.values.items()}
                seen.setdefault(readout.meter, set()).update(values)
    return seen


@pytest.mark.expects_log("meter is gone")
@pytest.mark.expects_log("meter's clock is wrong")  # these telegrams were sent years ago
@pytest.mark.expects_log("line is too slow")  # a poll each second, on a machine that tests keep busy
def test_real_telegrams_on_one_line_and_a_modbus_meter_arrive_with_their_values(
    broker: Broker, tmp_path: Path, telegrams: list[bytes]
) -> None:
    bus = VirtualBus([VirtualMBusMeter(n, [raw]) for n, raw in enumerate(telegrams, start=1)])
    roof = VirtualModbusMeter(1, load_profile("eastron-sdm120"), {"1-0:1.8.0": 1234.5, "1-0:32.7.0": 230.5})
    with ExitStack() as stack:
        basement = stack.enter_context(TcpMeterHost(bus, wiring=AT_ONCE))
        pty = stack.enter_context(PtyMeterHost(roof, SerialSettings(38400), AT_ONCE))
        addresses = range(1, len(telegrams) + 2)  # nobody has the last one
        lines = MBUS_LINE.format(port=basement.spec)
        lines += "".join(MBUS_METER.format(address=n) for n in addresses)
        lines += MODBUS_LINE.format(port=pty.spec)
        config = load_config(write_config(tmp_path, broker, lines))
        ingester = stack.enter_context(Ingester(broker.port))
        gateway = stack.enter_context(running(GatewayProcess(config, pace=QUICK, health_seconds=1.0)))
        expected = dict(map(expected_of, telegrams))
        ingester.wait_until(lambda: set(received(ingester)) == {*expected, "EAS-12345678"}, 40)
        ingester.wait_until(lambda: health_of_dead_meter(ingester) > 0)
    seen = received(ingester)
    electricity = seen.pop("EAS-12345678")
    assert seen == expected
    assert electricity == {"1-0:1.8.0=1234500000 kW.h", "1-0:32.7.0=230500000 V"}
    statuses = {wire.status for batch in ingester.batches for wire in batch.readouts}
    assert not any(Status.UNSYNCHRONISED in Status(status) for status in statuses)
    assert all(batch.epoch == gateway.buffer.epoch for batch in ingester.batches)
    missed = {(miss.meter, miss.reason) for batch in ingester.batches for miss in batch.missed}
    assert (f"basement/{len(telegrams) + 1}", MissReason.NO_ANSWER) in missed
    assert gateway.answering() == {"basement": True, "roof": True}
    health = told_health(ingester)[-1]
    assert sorted(health.versions) == ["hesper", "os", "python", "sqlite"]
    assert 0 < (health.disk_free_bytes or 0) < (health.disk_total_bytes or 0)
    assert 0 < (health.memory_bytes or 0) < (health.memory_total_bytes or 0)
    assert [line.down for line in health.lines] == [False, False]


def told_health(ingester: Ingester) -> list[Health]:
    topic = str(Topic("stadtwerke", "gw-7", Kind.HEALTH))
    return [decode(payload, Health) for at, payload, _ in ingester.messages if at == topic]


def health_of_dead_meter(ingester: Ingester) -> int:
    return max((meter.failures for health in told_health(ingester) for meter in health.meters), default=0)


def start(config: Path) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "hesper", "gateway", "run", str(config), "--log", "json"]
    return subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE, text=True)


def test_a_gateway_killed_in_the_middle_sends_all_that_it_kept(
    broker: Broker, tmp_path: Path, telegrams: list[bytes]
) -> None:
    counter = count_up()
    meter = VirtualModbusMeter(1, load_profile("eastron-sdm120"), lambda: {"1-0:1.8.0": next(counter)})
    with TcpMeterHost(meter, wiring=AT_ONCE) as host:
        config = write_config(tmp_path, broker, MODBUS_LINE.format(port=host.spec))
        first = start(config)
        try:
            with Ingester(broker.port, deaf) as ingester:
                ingester.wait_until(lambda: len(ingester.batches) > 0, 40)
        finally:
            os.kill(first.pid, signal.SIGKILL)
            first.communicate()
        second = start(config)
        try:
            with Ingester(broker.port) as listening:
                listening.wait_until(lambda: len(received(listening).get("EAS-12345678", ())) > 3, 40)
        finally:
            second.terminate()
            _, log = second.communicate(timeout=20)
    assert second.returncode == 0
    unheard = {wire.at for batch in ingester.batches for wire in batch.readouts}
    assert unheard <= {wire.at for batch in listening.batches for wire in batch.readouts}
    events = [json.loads(line) for line in log.splitlines()]
    told = [event["event"] for event in events if "line" not in event]  # a busy machine can make a line slow
    assert told == ["gateway runs", "connected", "gateway stops"]
    assert events[0]["meters"] == 1


def count_up() -> Iterator[int]:
    begin = time.monotonic()
    while True:
        yield int((time.monotonic() - begin) * 10)


def deaf(batch: Batch, before: int) -> Iterator[object]:
    yield from ()


def check(*arguments: str) -> Result:
    words = ["gateway", "check", *arguments]
    return CliRunner().invoke(build(words), words)


@pytest.fixture
def config_text() -> Callable[[str], str]:
    def build(protocol: str) -> str:
        text = HEAD.format(port=1883, clock="ntp") + MODBUS_LINE.format(port="/dev/ttyUSB0")
        return text.replace('"modbus"', f'"{protocol}"')

    return build


def test_check_says_ok_with_a_summary(tmp_path: Path, config_text: Callable[[str], str]) -> None:
    path = tmp_path / "gateway.toml"
    path.write_text(config_text("modbus"), "utf-8")
    done = check(str(path))
    assert (done.exit_code, done.stderr) == (0, "")
    assert done.stdout == (
        "gateway.toml: OK. Gateway gw-7 of stadtwerke, 1 meter on 1 line.\n"
        "  roof: modbus at /dev/ttyUSB0, 38400 8N1, 1 meter\n"
    )
    assert json.loads(check(str(path), "--json").stdout)["ok"] is True


def test_check_names_the_mistake_and_fails(tmp_path: Path, config_text: Callable[[str], str]) -> None:
    path = tmp_path / "gateway.toml"
    path.write_text(config_text("mbuss"), "utf-8")
    done = check(str(path))
    assert done.exit_code == 1
    assert done.stderr.startswith("gateway.toml line 17: [[line]] 'roof': protocol 'mbuss' is not known")
    report = json.loads(check(str(path), "--json").stdout)
    assert (report["ok"], report["problems"][0]["line"]) == (False, 17)


@pytest.mark.expects_log("line is too slow")  # a poll each second, on a machine that tests keep busy
def test_a_configuration_is_applied_while_the_gateway_runs(broker: Broker, tmp_path: Path) -> None:
    profile = load_profile("eastron-sdm120")
    with ExitStack() as stack:
        first, second = (
            stack.enter_context(
                TcpMeterHost(VirtualModbusMeter(1, profile, {"1-0:1.8.0": 5.0}), wiring=AT_ONCE)
            )
            for _ in range(2)
        )
        lines = MODBUS_LINE.format(port=first.spec)
        attic = MODBUS_LINE.format(port=second.spec).replace("roof", "attic").replace("1234567", "7654321")
        config = write_config(tmp_path, broker, lines)
        ingester = stack.enter_context(Ingester(broker.port))
        gateway = stack.enter_context(
            running(GatewayProcess(load_config(config), pace=QUICK, health_seconds=0.5))
        )
        ingester.wait_until(lambda: "EAS-12345678" in received(ingester), 40)
        gateway.apply(load_config(write_config(tmp_path, broker, lines + attic)))
        gateway.config_version = "second"
        ingester.wait_until(lambda: "EAS-76543218" in received(ingester), 40)
        ingester.wait_until(lambda: "second" in {health.config_version for health in told_health(ingester)})
        assert gateway.answering() == {"roof": True, "attic": True}
        assert gateway.poller("attic").name == "attic"
        with pytest.raises(RestartNeededError, match="clock cannot be changed while the gateway runs"):
            gateway.apply(load_config(write_config(tmp_path, broker, lines, "ntp")))
        assert list(gateway.answering()) == ["roof", "attic"]


@pytest.mark.expects_log("waits for the time")
@pytest.mark.expects_log("clock is not synchronised")
@pytest.mark.expects_log("line is too slow")  # a poll each second, on a machine that tests keep busy
def test_what_is_read_before_the_clock_is_set_waits_for_its_true_instant(
    broker: Broker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    time_came = threading.Event()
    monkeypatch.setattr(process, "kernel_clock_synchronised", time_came.is_set)  # the kernel's cannot be set
    monkeypatch.setattr(process, "clock_was_set", lambda: False)
    meter = VirtualModbusMeter(1, load_profile("eastron-sdm120"), {"1-0:1.8.0": 5.0})
    with ExitStack() as stack:
        host = stack.enter_context(TcpMeterHost(meter, wiring=AT_ONCE))
        config = write_config(tmp_path, broker, MODBUS_LINE.format(port=host.spec), "ntp")
        ingester = stack.enter_context(Ingester(broker.port))
        gateway = stack.enter_context(
            running(GatewayProcess(load_config(config), pace=QUICK, health_seconds=0.2))
        )
        ingester.wait_until(lambda: gateway.buffer.backlog().held >= 2)
        assert ingester.batches == []
        begun = time.time()
        time_came.set()
        ingester.wait_until(lambda: Status(0) in statuses(ingester), 40)
        assert Status.CLOCK_CORRECTED in statuses(ingester)
        assert Status.UNSYNCHRONISED not in statuses(ingester)
        first = min(wire.at for batch in ingester.batches for wire in batch.readouts) / 1000
        assert begun - 60 < first < begun


def statuses(ingester: Ingester) -> set[Status]:
    return {Status(wire.status) for batch in ingester.batches for wire in batch.readouts}


@pytest.mark.expects_log("line thread ended, started again")
@pytest.mark.expects_log("no connection to the broker")
@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_line_whose_thread_ended_by_a_fault_of_ours_is_started_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "gateway.toml"
    path.write_text(
        HEAD.format(port=1, clock="trusted") + MODBUS_LINE.format(port="tcp://127.0.0.1:1"), "utf-8"
    )
    gateway = GatewayProcess(load_config(path), pace=QUICK)
    polled = threading.Event()

    def fail_once() -> float:
        if polled.is_set():
            return 1.0
        polled.set()
        raise ZeroDivisionError("a bug of ours")

    monkeypatch.setattr(gateway.poller("roof"), "poll", fail_once)
    with gateway:
        assert polled.wait(10)
        for first in line_threads():
            first.join(10)
        assert line_threads() == []
        assert gateway.watch()
        assert len(line_threads()) == 1


def line_threads() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "line roof"]
