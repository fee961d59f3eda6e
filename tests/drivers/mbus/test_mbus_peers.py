"""pyMeterBus from PyPI, a master that our code did not make, reads our virtual bus over a real pty."""

import json
import warnings
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import serial

from drivers.bus import VirtualBus
from drivers.host import PtyMeterHost, Wiring
from drivers.line import SerialSettings
from drivers.mbus.virtual import VirtualMBusMeter
from tests.drivers.mbus.wire import bus_of, telegram

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # its regular expressions are not written for today's Python
    import meterbus

FAST = SerialSettings(9600, 8, "E", 1)
SERIALS = ["06855817", "11111111", "1111A112"]


@pytest.fixture
def port() -> Iterator[serial.Serial]:
    """The port of a master, with a bus of three meters behind it."""
    with (
        PtyMeterHost(bus_of(SERIALS), FAST, Wiring(time_scale=0.1)) as host,
        serial.Serial(host.spec, FAST.baud, timeout=0.25) as opened,
    ):
        yield opened


def answer(port: serial.Serial) -> Any:
    return meterbus.load(meterbus.recv_frame(port, 1))


def test_it_reads_a_meter_by_its_primary_address(port: serial.Serial) -> None:
    meterbus.send_ping_frame(port, 2)
    assert isinstance(answer(port), meterbus.TelegramACK)
    meterbus.send_request_frame(port, 2)
    telegram = answer(port)
    assert telegram.secondary_address == "111111112D2C0804"
    (record,) = [json.loads(record.to_JSON()) for record in telegram.records]
    assert (record["value"], record["unit"]) == (4000, "MeasureUnit.WH")


def test_it_reads_a_meter_by_its_secondary_address(port: serial.Serial) -> None:
    meterbus.send_ping_frame(port, 253)
    assert meterbus.recv_frame(port, 1) is None  # nobody is selected
    meterbus.send_select_frame(port, "1111A1122D2C0804")
    assert isinstance(answer(port), meterbus.TelegramACK)
    meterbus.send_request_frame(port, 253)
    assert answer(port).secondary_address == "1111A1122D2C0804"


def test_its_scan_of_primary_addresses_finds_all_meters(port: serial.Serial) -> None:
    found = []
    for address in range(6):
        meterbus.send_ping_frame(port, address)
        if meterbus.recv_frame(port, 1) == b"\xe5":
            found.append(address)
    assert found == [1, 2, 3]


def test_its_wildcards_meet_one_meter_several_and_nobody(port: serial.Serial) -> None:
    def select(mask: str) -> bytes | None:
        meterbus.send_select_frame(port, mask)
        return port.read(10)

    assert select("0FFFFFFFFFFFFFFF") == b"\xe5"
    assert select("1FFFFFFFFFFFFFFF") not in (b"", b"\xe5")
    assert select("2FFFFFFFFFFFFFFF") == b""


def test_it_reads_a_chain_of_telegrams_with_its_frame_count_bit() -> None:
    chain = [telegram(1, more=True), telegram(2)]
    with (
        PtyMeterHost(VirtualMBusMeter(5, chain), FAST, Wiring(time_scale=0)) as host,
        serial.Serial(host.spec, FAST.baud, timeout=0.5) as port,
    ):
        meterbus.send_ping_frame(port, 5)
        assert isinstance(answer(port), meterbus.TelegramACK)
        request = meterbus.send_request_frame_multi(port, 5)
        first = answer(port)
        assert first.more_records_follow
        request.header.cField.parts[0] ^= meterbus.CONTROL_MASK_FCB
        meterbus.send_request_frame_multi(port, req=request)
        second = answer(port)
    assert [frame.records[0].value for frame in (first, second)] == [Decimal(1000), Decimal(2000)]


def reads(frame: bytes) -> bool:
    """Whether it can read a telegram at all (it knows no fixed structure and not every VIF)."""
    try:
        return bool(meterbus.load(frame).records)
    except (meterbus.MBusFrameDecodeError, KeyError):
        return False


def test_every_real_telegram_that_it_can_read_reaches_it_through_our_bus(shared_data: Path) -> None:
    paths = sorted((shared_data / "mbus-frames").glob("*.hex"))
    frames = [frame for path in paths if reads(frame := bytes.fromhex(path.read_text()))]
    assert len(frames) > 35
    bus = VirtualBus(VirtualMBusMeter(1 + n, [frame], keep_address=True) for n, frame in enumerate(frames))
    with (
        PtyMeterHost(bus, FAST, Wiring(time_scale=0)) as host,
        serial.Serial(host.spec, FAST.baud, timeout=0.25) as port,
    ):
        for n, frame in enumerate(frames):
            meterbus.send_request_frame(port, 1 + n)
            assert meterbus.recv_frame(port, 1) == frame
