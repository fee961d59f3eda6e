"""The Modbus master against virtual meters: on the virtual clock, over a pty and over TCP."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.bus import VirtualBus
from drivers.catalogue import open_driver, open_line
from drivers.driver import SearchScope, Target
from drivers.errors import DecodeError, DriverError, GarbledAnswerError, MeterError, NoAnswerError
from drivers.host import PtyMeterHost, TcpMeterHost, Wiring
from drivers.line import SerialSettings, Transmission, VirtualMeter
from drivers.modbus.blocks import plan, wire_time
from drivers.modbus.framing import ModbusRequest, RtuFraming, Transport
from drivers.modbus.master import ModbusDriver
from drivers.modbus.profile_file import load_profile
from drivers.modbus.timing import TURNAROUND, silence, transaction_time
from drivers.modbus.virtual import VirtualModbusMeter
from drivers.simulated import SimulatedLine
from telemetry.micro import to_micro
from telemetry.readout import Readout

NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
SDM630 = load_profile("eastron-sdm630")
ELEVEN_BITS = SerialSettings(9600, 8, "E", 1)
FAST = SerialSettings(115200, 8, "N", 1)
VALUES = {register.obis: Decimal(position) / 8 + 100 for position, register in enumerate(SDM630.registers)}
EXACT = [(4, range(register.address, register.end)) for register in SDM630.registers]


def target(address: str = "7", **changes: object) -> Target:
    return Target(address, **({"meter": "EAS-123", "profile": "eastron-sdm630"} | changes))  # type: ignore[arg-type]


def meter(unit: int = 7, **options: object) -> VirtualModbusMeter:
    return VirtualModbusMeter(unit, SDM630, VALUES, **options)  # type: ignore[arg-type]


def driver_of(
    virtual: VirtualMeter, settings: SerialSettings = ELEVEN_BITS, clock: Callable[[], datetime] = lambda: NOW
) -> ModbusDriver:
    return ModbusDriver(SimulatedLine(virtual, settings), clock)


def blocks_asked(virtual: VirtualModbusMeter) -> list[tuple[int, int]]:
    """Address and words of each request for values; serial numbers are holding registers."""
    return [(one.address, one.count) for one in virtual.requests if one.function == 4]


def assert_all_values(readout: Readout) -> None:
    assert {obis: value.micro for obis, value in readout.values.items()} == {
        obis: to_micro(value) for obis, value in VALUES.items()
    }


def test_all_registers_come_in_two_blocks_with_the_frames_as_received() -> None:
    virtual = meter()
    [readout] = driver_of(virtual).read(target())
    assert_all_values(readout)
    assert (readout.meter, readout.at) == ("EAS-123", NOW)
    assert blocks_asked(virtual) == [(0x0000, 80), (0x0156, 40)]
    assert readout.raw[:3] == bytes((7, 4, 160))
    assert readout.raw[165:168] == bytes((7, 4, 80))
    assert len(readout.raw) == 165 + 85


def test_the_time_of_a_transaction_is_the_formulas() -> None:
    one_pair_each = 48 * transaction_time(ELEVEN_BITS, 2)
    three_blocks = sum(transaction_time(ELEVEN_BITS, words) for words in (80, 16, 40))
    assert one_pair_each == pytest.approx(1.320, abs=0.001)
    assert three_blocks == pytest.approx(0.381, abs=0.001)


def test_a_full_read_takes_exactly_the_time_of_its_blocks() -> None:
    driver = driver_of(meter(turnaround=0.03))
    driver.read(target())
    begun = driver.line.now()
    driver.read(target())
    expected = sum(
        transaction_time(ELEVEN_BITS, words, turnaround=0.03, pause=SDM630.pause) for words in (80, 40)
    )
    assert driver.line.now() - begun == pytest.approx(expected, abs=1e-9)


def test_silence_is_three_and_a_half_characters_and_fixed_above_19200() -> None:
    assert silence(ELEVEN_BITS) == pytest.approx(3.5 * 11 / 9600)
    assert silence(SerialSettings(38400)) == 0.00175


class Witness:
    """Notes every frame that the master sends, when it begins, and when the wire fell silent before it."""

    def __init__(self, virtual: VirtualMeter) -> None:
        self.virtual = virtual
        self.frames: list[bytes] = []
        self.quiet: list[float] = []
        self.line: SimulatedLine
        self._silent_since = 0.0

    def hear(self, data: bytes, settings: SerialSettings) -> list[Transmission]:
        self.frames.append(data)
        heard = self.line.now()
        self.quiet.append(heard - len(data) * settings.character_time - self._silent_since)
        said = self.virtual.hear(data, settings)
        wire_time = sum(one.delay + len(one.data) * settings.character_time for one in said)
        self._silent_since = heard + wire_time
        return said


def witnessed(virtual: VirtualMeter, settings: SerialSettings) -> tuple[ModbusDriver, Witness]:
    witness = Witness(virtual)
    witness.line = SimulatedLine(witness, settings)
    return ModbusDriver(witness.line, lambda: NOW), witness


@pytest.mark.parametrize("baud", [1200, 9600, 19200, 38400, 115200])
def test_t3_5_is_kept_between_an_answer_and_the_next_request(baud: int) -> None:
    settings = SerialSettings(baud, 8, "E", 1)
    pac = load_profile("siemens-pac2200")
    bus = VirtualBus(VirtualModbusMeter(unit, pac, {}) for unit in (1, 2))
    driver, witness = witnessed(bus, settings)
    for unit in ("1", "2", "1"):
        driver.read(target(unit, profile="siemens-pac2200"))
    assert len(witness.quiet) >= 6
    assert min(witness.quiet) == pytest.approx(silence(settings))


def test_a_meters_pause_is_kept_whoever_was_asked_before() -> None:
    pac = load_profile("siemens-pac2200")
    driver, witness = witnessed(VirtualBus([VirtualModbusMeter(1, pac, {}), meter(7)]), FAST)
    for unit, profile in (("1", "siemens-pac2200"), ("7", "eastron-sdm630")):
        witness.frames.clear()
        witness.quiet.clear()
        driver.read(target(unit, profile=profile))
    assert min(witness.quiet) == pytest.approx(SDM630.pause)


def test_reading_and_searching_never_write_nor_broadcast() -> None:
    driver, witness = witnessed(meter(), ELEVEN_BITS)
    driver.read(target())
    list(driver.search(SearchScope(settings=(ELEVEN_BITS,), addresses=("6-8",))))
    assert len(witness.frames) > 10
    assert {frame[1] for frame in witness.frames} == {3, 4}
    assert 0 not in {frame[0] for frame in witness.frames}


def test_a_gap_is_read_along_only_where_a_second_request_costs_more() -> None:
    """On a fast line a request's overhead is worth more words than on a slow one."""
    slow, fast = SerialSettings(1200), SerialSettings(115200)
    eager = replace(SDM630, pause=0.0)
    assert [block.count for block in plan(eager, slow)] == [36, 28, 40]
    assert [block.count for block in plan(eager, fast)] == [80, 40]
    for settings in (slow, fast):
        blocks = plan(eager, settings)
        assert wire_time(blocks, settings, 0.0) == sum(
            transaction_time(settings, block.count, turnaround=TURNAROUND) for block in blocks
        )


def test_a_refused_block_is_split_and_remembered() -> None:
    virtual = meter(spans=EXACT)
    driver = driver_of(virtual)
    assert_all_values(driver.read(target())[0])
    assert len(blocks_asked(virtual)) == 1 + 6 + 1
    virtual.requests.clear()
    assert_all_values(driver.read(target())[0])
    assert len(blocks_asked(virtual)) == 7


def test_a_register_that_the_meter_lacks_is_left_out_and_asked_again_a_day_later() -> None:
    lacking = [span for span in EXACT if 0x0160 not in span[1]]
    virtual = meter(spans=lacking)
    now = NOW
    driver = driver_of(virtual, clock=lambda: now)
    [readout] = driver.read(target())
    assert set(VALUES) - set(readout.values) == {"1-0:22.8.0"}
    virtual.requests.clear()
    driver.read(target())
    assert not any(one.address <= 0x0160 < one.address + one.count for one in virtual.requests)
    now += timedelta(days=1, seconds=1)
    virtual.requests.clear()
    driver.read(target())
    assert any(one.address <= 0x0160 < one.address + one.count for one in virtual.requests)


def test_a_meter_without_any_of_the_registers_is_another_model() -> None:
    with pytest.raises(MeterError) as caught:
        driver_of(meter(spans=[])).read(target())
    assert caught.value.code == 2
    assert "model" in caught.value.advice


def test_a_value_that_the_meter_does_not_have_is_no_reading_and_not_zero() -> None:
    some = {"1-0:1.8.0": Decimal("5.5")}
    [readout] = driver_of(VirtualModbusMeter(7, SDM630, some)).read(target())
    assert {obis: value.micro for obis, value in readout.values.items()} == {"1-0:1.8.0": 5_500_000}


def test_values_are_asked_for_when_the_meter_is_read() -> None:
    shown = {"1-0:1.8.0": Decimal(1)}
    driver = driver_of(VirtualModbusMeter(7, SDM630, lambda: shown))
    driver.read(target())
    shown["1-0:1.8.0"] = Decimal(2)
    assert driver.read(target())[0].values["1-0:1.8.0"].micro == 2_000_000


def test_many_units_share_a_line_and_each_answers_for_itself() -> None:
    bus = VirtualBus(VirtualModbusMeter(unit, SDM630, {"1-0:1.8.0": Decimal(unit)}) for unit in (1, 2, 247))
    driver = driver_of(bus)
    for unit in (1, 2, 247):
        [readout] = driver.read(target(str(unit)))
        assert readout.values["1-0:1.8.0"].micro == unit * 1_000_000


def test_silence_is_no_answer_after_every_retry() -> None:
    virtual = meter(unit=8)
    driver = driver_of(virtual)
    with pytest.raises(NoAnswerError, match="unit 7"):
        driver.read(target(retries=1, timeout=0.3))
    expected = SDM630.pause + 2 * (8 * ELEVEN_BITS.character_time + 0.3)  # silence is pause enough
    assert driver.line.now() == pytest.approx(expected)


class Flawed:
    """A meter in front of which something fails: `flaws` are applied to one answer after the other."""

    def __init__(self, virtual: VirtualMeter, *flaws: Callable[[bytes], bytes]) -> None:
        self.virtual = virtual
        self.flaws = list(flaws)

    def hear(self, data: bytes, settings: SerialSettings) -> list[Transmission]:
        said = self.virtual.hear(data, settings)
        if said and self.flaws:
            flaw = self.flaws.pop(0)
            return [Transmission(flaw(one.data), one.delay) for one in said]
        return said


def test_a_jabbering_line_is_given_up() -> None:
    class Jabbering:
        def hear(self, data: bytes, settings: SerialSettings) -> list[Transmission]:
            return [Transmission(bytes(4096))]

    with pytest.raises(GarbledAnswerError):
        driver_of(Jabbering()).read(target(retries=0))


def damaged(frame: bytes) -> bytes:
    return frame[:5] + bytes((frame[5] ^ 1,)) + frame[6:]


def test_a_damaged_answer_is_asked_for_again() -> None:
    driver = driver_of(Flawed(meter(), damaged, lambda frame: b""))
    assert_all_values(driver.read(target())[0])


def test_an_answer_that_stays_damaged_is_garbled() -> None:
    driver = driver_of(Flawed(meter(), damaged, damaged))
    with pytest.raises(GarbledAnswerError) as caught:
        driver.read(target(retries=1))
    assert len(caught.value.received) == 165


def test_a_late_answer_is_not_taken_for_the_next_requests() -> None:
    class Late:
        """Answers everything 1.1 s late."""

        def hear(self, data: bytes, settings: SerialSettings) -> list[Transmission]:
            return [Transmission(one.data, 1.1) for one in inner.hear(data, settings)]

    # two blocks of the same length, which RTU cannot tell apart
    inner = meter(spans=[(4, range(0x48, 0x50)), (4, range(0x15A, 0x162))])
    driver = driver_of(Late())
    [readout] = driver.read(target())
    assert {obis: value.micro for obis, value in readout.values.items()} == {
        register.obis: to_micro(VALUES[register.obis])
        for register in SDM630.registers
        if 0x48 <= register.address < 0x50 or 0x15A <= register.address < 0x162
    }


def test_a_busy_meter_is_asked_again_and_then_reported_as_passing() -> None:
    class Busy:
        def hear(self, data: bytes, settings: SerialSettings) -> list[Transmission]:
            framing = RtuFraming()
            found = framing.next_request(data)
            assert found is not None
            asked.append(found[0])
            return [Transmission(framing.refusal(found[0], 6), 0.02)]

    asked: list[ModbusRequest] = []
    driver = driver_of(Busy())
    with pytest.raises(MeterError, match="device busy") as caught:
        driver.read(target(retries=2))
    assert (caught.value.code, caught.value.retry, len(asked)) == (6, True, 3)
    driver = driver_of(Busy())
    with pytest.raises(MeterError, match="device busy"):
        driver.read(target(retries=0))
    assert driver.line.now() < 0.25, "nobody waits after the last attempt"


@pytest.mark.parametrize(
    ("wrong", "remedy"),
    [
        ({"address": "0"}, "1 to 247"),
        ({"address": "248"}, "1 to 247"),
        ({"address": "first"}, "1 to 247"),
        ({"meter": None}, "carries no identity"),
        ({"profile": None}, "eastron-sdm630"),
        ({"profile": "nobody-x1"}, "eastron-sdm630"),
    ],
)
def test_a_wrong_target_is_refused_with_a_remedy(wrong: dict[str, object], remedy: str) -> None:
    with pytest.raises(DriverError) as caught:
        driver_of(meter()).read(target(**wrong))
    assert remedy in caught.value.advice


def test_a_broadcast_is_never_answered_nor_a_write_obeyed() -> None:
    virtual = meter()
    framing = RtuFraming()
    assert virtual.hear(framing.request(ModbusRequest(0, 4, 0, 2)), FAST) == []
    write = bytes.fromhex("07 06 00 00 00 01 48 6c")
    [refused] = virtual.hear(write, FAST)
    assert refused.data[:3] == bytes((7, 0x86, 1))


@given(st.binary(max_size=600), st.sampled_from(Transport))
def test_a_virtual_meter_bears_any_bytes(data: bytes, transport: Transport) -> None:
    meter(transport=transport).hear(data, FAST)


@pytest.mark.parametrize("count", [0, 126])
def test_a_request_for_too_few_or_too_many_registers_is_refused(count: int) -> None:
    frame = bytearray(bytes.fromhex("00 01 00 00 00 06 07 04 00 00 00 00"))
    frame[-1] = count
    [refused] = meter(transport=Transport.TCP).hear(bytes(frame), FAST)
    assert refused.data[6:] == bytes((7, 0x84, 3))


def test_what_is_not_modbus_tcp_is_forgotten_and_the_next_request_answered() -> None:
    virtual = meter(transport=Transport.TCP)
    assert virtual.hear(b"GET / HTTP/1.1\r\n\r\n", FAST) == []
    assert len(virtual.hear(bytes.fromhex("00 01 00 00 00 06 07 04 00 00 00 02"), FAST)) == 1


@pytest.mark.parametrize("kind", [PtyMeterHost, TcpMeterHost])
@pytest.mark.parametrize(
    "wiring", [Wiring(), Wiring(echo=True), Wiring(piece=7), Wiring(stray=b"\x00\xff")], ids=str
)
def test_rtu_is_read_over_a_real_line(kind: type[PtyMeterHost], wiring: Wiring) -> None:
    with kind(meter(), FAST, wiring) as host:
        line = open_line(host.spec, FAST)
        driver = open_driver("modbus", line, lambda: NOW)
        assert_all_values(driver.read(target())[0])
        line.close()


def test_modbus_tcp_is_read_over_a_real_socket() -> None:
    with TcpMeterHost(meter(transport=Transport.TCP), wiring=Wiring(piece=5)) as host:
        line = open_line(host.spec, SerialSettings())
        driver = open_driver("modbus", line, lambda: NOW, transport="tcp")
        [readout] = driver.read(target())
        assert_all_values(readout)
        assert readout.raw[2:4] == b"\x00\x00"  # the header is kept with the frame
        line.close()


def test_modbus_tcp_asked_of_an_rtu_server_says_what_is_wrong() -> None:
    class RtuServer:
        def hear(self, data: bytes, settings: SerialSettings) -> list[Transmission]:
            return [Transmission(bytes.fromhex("07 84 02 c2 c1 00 00"))]

    with TcpMeterHost(RtuServer()) as host:
        line = open_line(host.spec, SerialSettings())
        driver = open_driver("modbus", line, lambda: NOW, transport="tcp")
        with pytest.raises(DecodeError, match="RTU-over-TCP"):
            driver.read(target())
