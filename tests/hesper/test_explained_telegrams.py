"""`hesper decode` beyond M-Bus: Modbus with a profile, IEC 62056-21, and what is only recognised."""

import json
import struct
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from drivers.driver import Target
from drivers.errors import DecodeError
from drivers.line import SerialSettings
from drivers.modbus.capture import captured, memory_of
from drivers.modbus.framing import ModbusRequest, RtuFraming, Transport
from drivers.modbus.master import ModbusDriver
from drivers.modbus.profile_file import load_profile, profile_names
from drivers.modbus.virtual import RegisterMeter
from drivers.optical.codec.telegram import BlockCheck, encode_block
from drivers.simulated import SimulatedLine
from drivers.sml.transport import START
from hesper.cli import build
from hesper.decode import explain
from telemetry.micro import to_micro
from tests.drivers.sml.golden import GOLDEN, Golden

NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
RTU = RtuFraming()
ABB = load_profile("abb-a-b-series")
POWER = "03 03 04 00 02 E1 E3 71 EA"  # an ABB meter's register 0x5B14
READOUT = (
    b"C.1.0(12345678)\r\n1-0:1.8.0*255(001234.567*kWh)\r\n1.8.0*01(001100.000*kWh)\r\n"
    b"F.F(00000000)\r\nX.Y(door)\r\n"
)


def hesper(*arguments: str) -> tuple[int, str, str]:
    result = CliRunner().invoke(build(list(arguments)), list(arguments))
    return result.exit_code, result.stdout, result.stderr


@pytest.mark.parametrize("transport", Transport)
@pytest.mark.parametrize("name", profile_names())
def test_the_raw_bytes_of_every_readout_can_be_explained_again(name: str, transport: Transport) -> None:
    profile = load_profile(name)
    golden = profile.golden[0]
    meter = RegisterMeter(7, lambda: golden.words, transport=transport)
    line = SimulatedLine(meter, profile.settings or SerialSettings())
    driver = ModbusDriver(line, lambda: NOW, transport=transport)
    [readout] = driver.read(Target("7", meter=f"XXX-{golden.serial or 1}", profile=name))
    explained = explain(readout.raw, name)
    assert {one.obis: to_micro(one.value) for one in explained.records if one.obis and one.value} == {
        obis: quantity.micro for obis, quantity in readout.values.items()
    }


def test_an_answer_is_explained_by_the_request_in_front_of_it() -> None:
    request = ModbusRequest(3, 3, 0x8900, 2)
    data = RTU.request(request) + RTU.registers(request, [0x002F, 0x702D]) + bytes.fromhex(POWER)
    with pytest.raises(DecodeError, match="the address of its first word"):
        explain(data, "abb-a-b-series")
    power = ModbusRequest(3, 3, 0x5B14, 2)
    data = data[:-9] + RTU.request(power) + bytes.fromhex(POWER)
    explained = explain(data, "abb-a-b-series")
    assert explained.meter == "ABB-3108909"
    assert [(one.obis, one.value, one.unit) for one in explained.records] == [("1-0:16.7.0", "1888.99", "W")]


def test_the_command_takes_a_profile_and_the_address_of_the_first_word() -> None:
    code, out, _ = hesper("decode", POWER, "--profile", "abb-a-b-series", "--address", "0x5B14", "--json")
    assert code == 0
    shown = json.loads(out)
    assert (shown["protocol"], shown["medium"]) == ("modbus", "ABB A and B series")
    assert shown["records"][0]["value"] == "1888.99"


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ((POWER,), "name the meter's --profile"),
        ((POWER, "--profile", "abb-a-b-series"), "give the address of its first word"),
        ((POWER, "--profile", "abb-b23"), "no profile 'abb-b23'"),
        ((POWER[:-3], "--profile", "abb-a-b-series"), "not a whole Modbus RTU frame"),
        (("03 83 02 61 31", "--profile", "abb-a-b-series"), "illegal data address (exception 02)"),
        (("1B1B1B1B01010101760501",), "an SML telegram that is not whole"),
        (("7EA007032193 0F01 7E",), "this is an HDLC frame"),
        (("00 01 02",), "Check that the telegram is whole"),
    ],
)
def test_what_cannot_be_explained_is_named_as_far_as_it_is_known(
    arguments: tuple[str, ...], says: str
) -> None:
    code, out, err = hesper("decode", *arguments)
    assert (code, out) == (1, "")
    assert says in " ".join(err.split())


def test_a_wrong_address_is_a_usage_error() -> None:
    code, _, err = hesper("decode", POWER, "--profile", "abb-a-b-series", "--address", "first")
    assert code == 2
    assert "write 72 or 0x0048" in err


@pytest.mark.parametrize("check", BlockCheck)
def test_a_readout_of_iec_62056_21_is_explained_data_set_by_data_set(
    check: BlockCheck, tmp_path: Path
) -> None:
    file = tmp_path / "readout.txt"
    file.write_bytes(b"/ISk5MT174\r\n" + encode_block(READOUT, check))
    code, out, _ = hesper("decode", str(file), "--json")
    assert code == 0
    shown = json.loads(out)
    assert (shown["protocol"], shown["meter"], shown["status"]) == ("optical", "ISK-12345678", [])
    assert [(one["obis"], one["value"], one["storage"]) for one in shown["records"]] == [
        (None, "12345678", 0),
        ("1-0:1.8.0", "1234.567", 0),
        ("1-0:1.8.0", "1100.000", 1),
        (None, "0", 0),
        (None, "door", 0),
    ]


def test_a_readout_that_was_copied_from_a_screen_has_no_frame_and_no_maker(tmp_path: Path) -> None:
    explained = explain(READOUT + b"!\r\n")
    assert explained.meter is None
    assert [one.value for one in explained.records][1] == "1234.567"


def test_a_damaged_readout_says_so() -> None:
    data = bytearray(encode_block(READOUT, BlockCheck.XOR))
    data[20] ^= 1
    with pytest.raises(DecodeError, match="block check"):
        explain(bytes(data))


@pytest.mark.parametrize("golden", GOLDEN.values(), ids=GOLDEN)
def test_a_pushed_telegram_is_explained_as_the_readout_that_it_becomes(golden: Golden) -> None:
    explained = explain(b"noise" + golden.telegram)
    assert (explained.protocol, explained.meter) == ("sml", golden.meter)
    assert explained.status == golden.status.labels()
    assert {one.obis: (to_micro(one.value or "none"), one.unit) for one in explained.records if one.obis} == {
        obis: (quantity.micro, quantity.unit) for obis, quantity in golden.values.items()
    }


@given(st.sampled_from([b"", START, b"/ISK5MT174\r\n", b"\x68"]), st.binary(max_size=80))
def test_any_bytes_are_explained_or_refused(head: bytes, data: bytes) -> None:
    for profile in (None, "abb-a-b-series"):
        try:
            explain(head + data, profile)
        except DecodeError:
            continue


@given(st.lists(st.integers(0, 0xFFFF), min_size=1, max_size=125), st.integers(0, 0xFF00))
def test_captured_frames_are_what_was_said(words: list[int], address: int) -> None:
    request = ModbusRequest(7, 3, address, len(words))
    frames = captured(RTU.request(request) + RTU.registers(request, words))
    memory = memory_of(frames, ABB)
    assert memory == {(3, address + position): word for position, word in enumerate(words)}
    assert struct.pack(f">{len(words)}H", *memory.values()) in RTU.registers(request, words)
