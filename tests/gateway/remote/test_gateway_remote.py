"""A whole gateway, asked from afar through the real broker: commands, and another configuration."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from drivers.bus import VirtualBus
from drivers.host import TcpMeterHost, Wiring
from drivers.mbus.virtual import VirtualMBusMeter
from gateway.process import GatewayProcess
from gateway.remote.configuration_files import configuration_to_run
from telemetry.topics import Kind
from telemetry.wire import Command, DesiredConfig, Health, decode
from tests.gateway.ingester import Ingester
from tests.gateway.test_gateway_process import FRAMES, HEAD, MBUS_LINE, MBUS_METER, QUICK, running
from tests.support.broker import Broker


@pytest.fixture
def broker() -> Iterator[Broker]:
    with Broker() as running_broker:
        yield running_broker


@pytest.mark.expects_log("meter is gone")
@pytest.mark.expects_log("line is too slow")  # a poll each second, on a machine that tests keep busy
@pytest.mark.expects_log("desired configuration taken back")
def test_a_gateway_does_what_it_is_asked_and_takes_back_what_silences_a_line(
    broker: Broker, tmp_path: Path, shared_data: Path
) -> None:
    frames = [bytes.fromhex((shared_data / "mbus-frames" / f"{name}.hex").read_text()) for name in FRAMES[:2]]
    bus = VirtualBus([VirtualMBusMeter(n, [raw]) for n, raw in enumerate(frames, start=1)])
    with TcpMeterHost(bus, wiring=Wiring(time_scale=0.0)) as host, Ingester(broker.port) as central:
        installed = tmp_path / "gateway.toml"
        head = HEAD.format(port=broker.port, clock="trusted") + MBUS_LINE.format(port=host.spec)
        installed.write_text(head + MBUS_METER.format(address=1))
        config, version = configuration_to_run(installed)
        gateway = GatewayProcess(
            config, installed=installed, config_version=version, pace=QUICK, health_seconds=1.0
        )
        with running(gateway):
            central.wait_until(lambda: bool(central.batches), 40)
            central.ask(Kind.COMMAND, Command("c1", "read-now", meter="", line="basement"))
            central.wait_until(lambda: [r.state for r in central.replies("c1")] == ["running", "done"])
            assert central.replies("c1")[-1].result["readouts"] >= 1

            central.ask(Kind.COMMAND, Command("c2", "show-config"))
            central.wait_until(lambda: [r.state for r in central.replies("c2")] == ["done"])
            assert central.replies("c2")[0].result == {"version": "", "toml": installed.read_text()}

            wanted = DesiredConfig("both", head + MBUS_METER.format(address=1) + MBUS_METER.format(address=2))
            central.ask(Kind.CONFIG, wanted, retain=True)
            central.wait_until(lambda: [r.state for r in central.replies("both")][-1:] == ["done"])
            central.wait_until(lambda: len(meters(central)) == 2)
            central.wait_until(lambda: "both" in versions(central))
            central.ask(Kind.COMMAND, Command("c3", "show-config"))
            central.wait_until(lambda: [r.state for r in central.replies("c3")] == ["done"])
            assert central.replies("c3")[0].result == {"version": "both", "toml": wanted.toml}

            nobody = DesiredConfig("nobody", head + MBUS_METER.format(address=77))
            central.ask(Kind.CONFIG, nobody, retain=True)
            central.wait_until(lambda: [r.state for r in central.replies("nobody")][-1:] == ["failed"])
            assert "no meter answers any more" in central.replies("nobody")[-1].detail
            assert [meter.address for meter in gateway.config.line[0].meter] == ["1", "2"]
    config, version = configuration_to_run(installed)
    assert (version, [meter.address for meter in config.line[0].meter]) == ("both", ["1", "2"])


def meters(central: Ingester) -> set[str]:
    return {wire.meter for batch in central.batches for wire in batch.readouts}


def versions(central: Ingester) -> set[str]:
    return {
        decode(payload, Health).config_version
        for topic, payload, _ in central.messages
        if topic.endswith("/health")
    }
