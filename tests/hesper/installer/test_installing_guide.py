"""docs/installing.md from its first command to its last, on a real port."""

import os
import re
import shlex
import signal
import subprocess
import sys
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import pytest
from typer.testing import CliRunner

from drivers.bus import VirtualBus
from drivers.host import PtyMeterHost, TcpMeterHost
from drivers.line import SerialSettings
from drivers.mbus.virtual import VirtualMBusMeter
from drivers.modbus.framing import Transport
from drivers.modbus.profile_file import load_profile
from drivers.modbus.virtual import VirtualModbusMeter
from hesper.cli import build

ROOT = Path(__file__).resolve().parents[3]
GUIDE = (ROOT / "docs" / "installing.md").read_text("utf-8")
COMMANDS = [shlex.split(line) for line in re.findall(r"```sh\nhesper (.*)\n```", GUIDE)]
WATER = bytes.fromhex("681F1F680802727856341224400107550000000313153100DA023B13018B60043718021816")
ENVIRONMENT = {"COLUMNS": "200", "PATH": "", "NO_COLOR": "1", "PYTHONPATH": str(ROOT)}


def family(unit: int, name: str, transport: Transport = Transport.RTU) -> VirtualModbusMeter:
    """A meter that shows its family's golden values, and nothing between its registers."""
    profile = load_profile(name)
    golden = profile.golden[0]
    values = {obis: Decimal(text) for obis, text in golden.values.items()}
    return VirtualModbusMeter(
        unit, profile, values, serial=golden.serial, turnaround=0.0, transport=transport
    )


@pytest.fixture(scope="module")
def basement(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, dict[str, str]]]:
    """A folder to work in, and what stands for the ports that the guide names."""
    bus = VirtualBus([family(1, "abb-a-b-series"), family(2, "eastron-sdm630")])
    with (
        PtyMeterHost(bus, SerialSettings(9600)) as line,
        TcpMeterHost(family(1, "siemens-pac2200", transport=Transport.TCP)) as network,
        PtyMeterHost(VirtualMBusMeter(0, [WATER]), SerialSettings(2400, 8, "E", 1)) as heat,
    ):
        yield (
            tmp_path_factory.mktemp("basement"),
            {
                "/dev/serial/by-id/usb-FTDI_FT232R-if00-port0": line.spec,
                "/dev/serial/by-id/usb-FTDI_FT232R-if00-port1": heat.spec,
                "tcp://192.168.1.20:502": network.spec,
            },
        )


def test_every_command_of_the_guide_does_what_it_says(
    basement: tuple[Path, dict[str, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, ports = basement
    monkeypatch.chdir(folder)
    assert [command[:2] for command in COMMANDS] == [
        ["gateway", "scan"],
        ["gateway", "scan"],
        ["gateway", "commission"],
        ["gateway", "read"],
        ["gateway", "read"],
        ["gateway", "check"],
        ["gateway", "plan"],
        ["gateway", "run"],
        ["decode", "03 03 04 00 02 E1 E3 71 EA"],
    ]
    for command in COMMANDS:
        if command[:2] == ["gateway", "run"]:
            run_for_a_moment(folder, [sys.executable, "-m", "hesper", *command])
            continue
        words = [ports.get(word, word) for word in command]
        done = CliRunner().invoke(build(words), words)
        assert done.exit_code == 0, (command, done.output)
        assert done.stdout


def run_for_a_moment(folder: Path, command: list[str]) -> None:
    """As the guide has it, but with a broker and a buffer that are this machine's."""
    file = folder / "gateway.toml"
    text = file.read_text("utf-8")
    text = text.replace("mqtt.example.org", "127.0.0.1").replace("/var/lib/hesper/", f"{folder}/")
    text = text.replace("[buffer]", "port = 1\n\n[buffer]").replace('"15min"', '"10s"')
    file.write_text(text, "utf-8")
    with subprocess.Popen(
        [*command, "--log", "json"],
        cwd=folder,
        env=ENVIRONMENT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as gateway:
        assert gateway.stdout is not None
        for line in gateway.stdout:
            if "broker" in line:  # it has begun, and misses the broker
                break
        gateway.send_signal(signal.SIGTERM)
        gateway.stdout.read()
        assert gateway.wait(20) == 0
    assert os.path.getsize(folder / "buffer.sqlite")


def test_every_link_of_the_guide_leads_somewhere() -> None:
    for link in re.findall(r"\]\(([\w./-]+)\)", GUIDE):
        assert (ROOT / "docs" / link).exists(), link
