"""The names that a configuration uses."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

import drivers
from drivers.catalogue import open_driver, open_line
from drivers.line import SerialSettings
from drivers.modbus.framing import Transport
from drivers.modbus.master import ModbusDriver
from drivers.optical.master import OpticalDriver
from drivers.protocol import protocol_named
from drivers.serial_line import SerialLine
from drivers.tcp_line import TcpLine

LINE = open_line("tcp://127.0.0.1:4001", SerialSettings())


def now() -> datetime:
    return datetime(2026, 11, 22, tzinfo=UTC)


def test_options_go_to_the_driver() -> None:
    modbus = open_driver("modbus", TcpLine("127.0.0.1", 502), now, transport="tcp")
    assert isinstance(modbus, ModbusDriver)
    assert modbus.transport is Transport.TCP
    optical = open_driver("optical", LINE, now, switch_pause=0.4)
    assert isinstance(optical, OpticalDriver)
    assert optical.switch_pause == 0.4


def test_an_unknown_protocol_is_answered_with_the_known_ones() -> None:
    for ask in (protocol_named, lambda name: open_driver(name, LINE, now)):
        with pytest.raises(ValueError, match="mbus, modbus, optical"):
            ask("mbu")


def test_a_path_is_a_serial_line_and_nothing_is_opened_yet() -> None:
    line = open_line("/dev/serial/by-id/usb-nothing", SerialSettings(2400, 8, "E", 1))
    assert isinstance(line, SerialLine)
    assert str(line.settings) == "2400 8E1"
    line.close()


def test_the_example_in_the_documentation_runs() -> None:
    text = (Path(drivers.__file__).parent / "README.md").read_text()
    names: dict[str, object] = {}
    exec(text.split("```python\n")[1].split("```")[0], names)
    assert isinstance(names["driver"], ModbusDriver)
