"""Master and virtual meter wired back to back: simulated, over a real pty, and over TCP."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import date
from decimal import Decimal
from pathlib import Path

import pytest

from drivers.bus import VirtualBus
from drivers.driver import IdentityError, Target
from drivers.errors import DriverError, GarbledAnswerError, MeterError, NoAnswerError
from drivers.host import PtyMeterHost, TcpMeterHost, Wiring
from drivers.line import Line, SerialSettings, Transmission, VirtualMeter
from drivers.mbus.codec import vif
from drivers.mbus.codec.encode import date_record, record
from drivers.mbus.codec.frame import LongFrame
from drivers.mbus.codec.header import Header
from drivers.mbus.codec.telegram import encode_telegram
from drivers.mbus.master import MAX_TELEGRAMS, MBusDriver
from drivers.mbus.virtual import VirtualMBusMeter
from drivers.serial_line import SerialLine
from drivers.tcp_line import TcpLine
from tests.drivers.mbus.from_frames import readouts
from tests.drivers.mbus.wire import (
    BUSY,
    LINE_SETTINGS,
    NKE,
    NOW,
    REQ_FCB_0,
    REQ_FCB_1,
    Tap,
    counter,
    driver_on,
    telegram,
)


def energies(driver: MBusDriver, **options: object) -> list[int]:
    (readout,) = driver.read(Target("5", **options))  # type: ignore[arg-type]
    return [quantity.micro // 1_000_000 for quantity in readout.values.values()]


# FCB


def test_the_first_request_after_the_link_reset_carries_fcb_1_and_good_answers_toggle_it() -> None:
    counter = iter(range(4, 100, 4))
    tap = Tap(VirtualMBusMeter(5, lambda: [telegram(next(counter))]))
    driver = driver_on(tap)
    assert [energies(driver) for _ in range(3)] == [[4], [8], [12]]  # never the oldest telegram for ever
    assert tap.sent == [NKE, REQ_FCB_1, REQ_FCB_0, REQ_FCB_1]


def test_a_damaged_answer_is_asked_for_again_with_the_same_fcb() -> None:
    asked = iter(range(4, 100, 4))
    broken = {2, 3}
    tap = Tap(
        VirtualMBusMeter(5, lambda: [telegram(next(asked))]),
        lambda n, data: data[:-2] + b"\0\x16" if n in broken else data,
    )
    assert energies(driver_on(tap)) == [4]
    assert tap.sent == [NKE, REQ_FCB_1, REQ_FCB_1, REQ_FCB_1]


def test_after_a_failure_the_next_readout_begins_with_a_link_reset() -> None:
    silent = set(range(1, 5))
    tap = Tap(VirtualMBusMeter(5, [telegram(4)]), lambda n, data: b"" if n in silent else data)
    driver = driver_on(tap)
    with pytest.raises(NoAnswerError):
        driver.read(Target("5"))
    assert energies(driver) == [4]
    assert tap.sent[4:] == [NKE, REQ_FCB_1]


def test_each_meter_has_an_fcb_of_its_own() -> None:
    tap = Tap(VirtualBus([VirtualMBusMeter(5, [telegram(4)]), VirtualMBusMeter(6, [telegram(8)])]))
    driver = driver_on(tap)
    driver.read(Target("5"))
    driver.read(Target("6"))
    driver.read(Target("5"))
    assert [data[1] for data in tap.sent] == [0x40, 0x7B, 0x40, 0x7B, 0x5B]


def test_a_virtual_meter_repeats_its_answer_for_the_same_fcb() -> None:
    counter = iter(range(4, 100, 4))
    meter = VirtualMBusMeter(5, lambda: [telegram(next(counter))])

    def say(data: bytes) -> list[bytes]:
        return [one.data for one in meter.hear(data, LINE_SETTINGS)]

    assert say(NKE) == [b"\xe5"]
    assert say(REQ_FCB_1) == say(REQ_FCB_1) == [telegram(4)]
    assert say(REQ_FCB_0) == say(REQ_FCB_0) == [telegram(8)]
    assert say(REQ_FCB_1) == [telegram(12)]
    assert say(bytes.fromhex("10 5B 06 61 16")) == []
    assert say(bytes.fromhex("10 40 FF 3F 16")) == []  # broadcast: obeyed, never answered
    assert say(REQ_FCB_1) == [telegram(16)]


def test_a_virtual_meter_answers_with_its_own_address_unless_told_otherwise() -> None:
    foreign = encode_telegram(99, Header("06855817", "KAM", 8, 4), b"")
    (own,) = VirtualMBusMeter(5, [foreign]).hear(REQ_FCB_1, LINE_SETTINGS)
    (kept,) = VirtualMBusMeter(5, [foreign], keep_address=True).hear(REQ_FCB_1, LINE_SETTINGS)
    assert (own.data[5], kept.data[5]) == (5, 99)
    with pytest.raises(ValueError, match="cannot answer with this"):
        VirtualMBusMeter(5, [b"\x68\x01"]).hear(REQ_FCB_1, LINE_SETTINGS)


# several telegrams


def test_a_chain_of_telegrams_is_one_readout() -> None:
    chain = [telegram(1, more=True), telegram(2, more=True), telegram(3)]
    driver = driver_on(VirtualMBusMeter(5, chain))
    assert energies(driver) == [1, 2, 3]
    assert energies(driver) == [1, 2, 3]  # begins with the first one again
    assert driver.read(Target("5"))[0].raw == b"".join(chain)


def test_a_meter_that_announces_more_and_repeats_itself_is_read_once() -> None:
    assert energies(driver_on(VirtualMBusMeter(5, [telegram(4, more=True)]))) == [4]


def test_a_chain_ends_after_ten_telegrams() -> None:
    tap = Tap(VirtualMBusMeter(5, [telegram(n, more=True) for n in range(40)]))
    driver_on(tap).read(Target("5"))
    assert len(tap.sent) == 1 + MAX_TELEGRAMS


def test_a_meter_that_falls_silent_within_a_chain_keeps_what_it_said() -> None:
    tap = Tap(VirtualMBusMeter(5, [telegram(4, more=True)]), lambda n, data: b"" if n > 2 else data)
    assert energies(driver_on(tap)) == [4]


# set days


def test_a_set_day_is_returned_once_and_then_once_a_day_or_when_it_changes() -> None:
    kept = [4]

    def answer() -> list[bytes]:
        data = record(vif.ENERGY, Decimal(9), "kW.h") + record(
            vif.ENERGY, Decimal(kept[0]), "kW.h", storage=1
        )
        data += date_record(date(2026, 10, 31), storage=1)
        return [encode_telegram(5, Header("06855817", "KAM", 8, 0x04), data)]

    driver = driver_on(VirtualMBusMeter(5, answer))

    def set_days() -> list[int]:
        return [readout.values["6-0:1.0.0"].micro for readout in driver.read(Target("5"))[1:]]

    assert [set_days(), set_days()] == [[4_000_000], []]
    kept[0] = 5
    assert [set_days(), set_days()] == [[5_000_000], []]
    driver.line.wait(86_400)
    assert [set_days(), set_days()] == [[5_000_000], []]


# errors


def test_silence_is_no_answer_and_takes_its_time_on_the_line() -> None:
    driver = driver_on(VirtualBus([]))
    with pytest.raises(NoAnswerError, match="address 5 does not answer"):
        driver.read(Target("5", retries=1, timeout=0.5))
    assert driver.line.now() == pytest.approx(3 * 0.5 + 15 * 11 / 2400)


def test_noise_is_a_garbled_answer_and_ends() -> None:
    tap = Tap(VirtualMBusMeter(5, [telegram(4)]), lambda n, data: bytes([0x68] * 400))
    with pytest.raises(GarbledAnswerError) as raised:
        driver_on(tap).read(Target("5", retries=0))
    assert len(raised.value.received) >= 261


def test_two_meters_at_one_address_garble_each_other() -> None:
    twins = VirtualBus([VirtualMBusMeter(5, [telegram(4)]), VirtualMBusMeter(5, [telegram(4, serial="1")])])
    with pytest.raises(GarbledAnswerError, match="no telegram"):
        driver_on(twins).read(Target("5"))


def test_the_answer_of_another_address_is_not_taken() -> None:
    meter = VirtualMBusMeter(5, [encode_telegram(9, Header("06855817", "KAM", 8, 4), b"")], keep_address=True)
    with pytest.raises(GarbledAnswerError):
        driver_on(meter).read(Target("5"))


def test_a_busy_meter_is_an_error_of_the_meter_that_can_be_retried() -> None:
    with pytest.raises(MeterError, match="application busy") as raised:
        driver_on(VirtualMBusMeter(5, [BUSY])).read(Target("5"))
    assert (raised.value.code, raised.value.retry) == (8, True)


def test_another_meter_at_the_address_is_an_identity_error() -> None:
    driver = driver_on(VirtualMBusMeter(5, [telegram(4)]))
    assert energies(driver, meter="KAM-06855817") == [4]
    with pytest.raises(IdentityError, match="expected KAM-00000001, but KAM-06855817 answered"):
        driver.read(Target("5", meter="KAM-00000001"))


def test_the_fixed_structure_is_compared_by_its_number(shared_data: Path) -> None:
    raw = bytes.fromhex((shared_data / "mbus-frames" / "manual_frame2.hex").read_text())
    driver = driver_on(VirtualMBusMeter(5, [raw]))
    assert driver.read(Target("5", meter="WEH-12345678"))[0].meter == "WEH-12345678"
    with pytest.raises(IdentityError):
        driver.read(Target("5", meter="WEH-12345679"))


@pytest.mark.parametrize("address", ["", "251", "253", "255", "-1", "five", "²"])
def test_an_address_that_is_none_says_what_to_give(address: str) -> None:
    with pytest.raises(DriverError, match="no M-Bus address") as raised:
        driver_on(VirtualBus([])).read(Target(address))
    assert "1 to 250" in raised.value.advice


def test_the_only_meter_on_a_line_answers_to_254() -> None:
    (readout,) = driver_on(VirtualMBusMeter(5, [telegram(4)])).read(Target("254"))
    assert readout.meter == "KAM-06855817"


# the wire


def test_a_readout_takes_the_time_of_the_formula() -> None:
    """T = 5*11/B + g + 11*N/B, domain knowledge of every M-Bus planner; 426 ms for 87 bytes at 2400 Bd."""
    answer = LongFrame(0x08, 5, 0x78, b"\x0f" + bytes(77)).encode()
    assert len(answer) == 87
    driver = driver_on(VirtualMBusMeter(5, [answer]))
    target = Target("5", meter="KAM-1")
    driver.read(target)
    before = driver.line.now()
    driver.read(target)
    assert driver.line.now() - before == pytest.approx((5 * 11 + 11 + 11 * 87) / 2400)


def test_a_meter_that_takes_more_than_a_second_is_read() -> None:
    assert energies(driver_on(VirtualMBusMeter(5, [telegram(4)], reaction=1.1))) == [4]


def test_an_echo_and_stray_bytes_in_front_are_no_answer() -> None:
    class Echo:
        def __init__(self) -> None:
            self.meter = VirtualMBusMeter(5, [telegram(4)])

        def hear(self, data: bytes, settings: SerialSettings) -> list[Transmission]:
            answers = self.meter.hear(data, settings)
            return [Transmission(data), *(Transmission(b"\x00\xff\x68" + a.data, a.delay) for a in answers)]

    assert energies(driver_on(Echo())) == [4]


def test_an_echo_alone_says_that_the_converter_works() -> None:
    class Echo:
        def hear(self, data: bytes, settings: SerialSettings) -> list[Transmission]:
            return [Transmission(data)]

    with pytest.raises(NoAnswerError, match="only the echo"):
        driver_on(Echo()).read(Target("5"))


FAST = SerialSettings(38400, 8, "E", 1)
AWKWARD = Wiring(piece=7, piece_gap=0.001, echo=True, stray=b"\xff\x00")


@contextmanager
def tcp(meter: VirtualMeter, wiring: Wiring) -> Iterator[Line]:
    host = TcpMeterHost(meter, FAST, wiring)
    with host:
        line = TcpLine("127.0.0.1", host.port, FAST)
        yield line
        line.close()


@contextmanager
def pty(meter: VirtualMeter, wiring: Wiring) -> Iterator[Line]:
    with PtyMeterHost(meter, FAST, wiring) as host:
        line = SerialLine(host.spec, FAST)
        yield line
        line.close()


@pytest.mark.parametrize("transport", [tcp, pty])
@pytest.mark.parametrize("wiring", [Wiring(time_scale=0), AWKWARD], ids=["plain", "awkward"])
def test_real_telegrams_arrive_over_a_real_transport(
    transport: Callable[[VirtualMeter, Wiring], Iterator[Line]], wiring: Wiring, shared_data: Path
) -> None:
    paths = sorted((shared_data / "mbus-frames").glob("*.hex"))
    frames = [bytes.fromhex(path.read_text()) for path in paths]
    bus = VirtualBus([VirtualMBusMeter(1 + n, [frame]) for n, frame in enumerate(frames)])
    with transport(bus, wiring) as line:  # type: ignore[attr-defined]
        driver = MBusDriver(line, lambda: NOW)
        for n, frame in enumerate(frames):
            got = driver.read(Target(str(1 + n), timeout=2.0))
            assert [(r.meter, r.at, r.values, r.status) for r in got] == [
                (r.meter, r.at, r.values, r.status) for r in readouts([frame], NOW)
            ], paths[n].stem


@pytest.mark.parametrize("transport", [tcp, pty])
@pytest.mark.parametrize("wiring", [Wiring(time_scale=0), AWKWARD], ids=["plain", "awkward"])
def test_meters_are_read_by_secondary_address_over_a_real_transport(
    transport: Callable[[VirtualMeter, Wiring], Iterator[Line]], wiring: Wiring
) -> None:
    bus = VirtualBus([counter(1, "06855817"), counter(2, "A1111111"), counter(3, "A1111112")])
    with transport(bus, wiring) as line:  # type: ignore[attr-defined]
        driver = MBusDriver(line, lambda: NOW)
        for energy in (4, 8):
            for serial in ("06855817", "A1111111", "A1111112"):
                (readout,) = driver.read(Target(serial, timeout=2.0))
                assert readout.meter == f"KAM-{serial}"
                assert [quantity.micro for quantity in readout.values.values()] == [energy * 1_000_000]
