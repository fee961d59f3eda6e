"""The reader against virtual meters: on the virtual clock, over a pty that changes speed, and over TCP."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.bus import VirtualBus
from drivers.catalogue import open_driver, open_line
from drivers.driver import IdentityError, Tally, Target
from drivers.errors import DecodeError, DriverError, GarbledAnswerError, NoAnswerError, UnsupportedError
from drivers.host import PtyMeterHost, TcpMeterHost, Wiring
from drivers.line import SerialSettings, Transmission, VirtualMeter
from drivers.optical.codec.dataset import DataSet, Value, decode_sets, encode_sets
from drivers.optical.codec.telegram import BlockCheck, Identification, ProgrammingCommand, encode_block
from drivers.optical.master import OpticalDriver
from drivers.optical.virtual import OPTICAL, VirtualOpticalMeter
from drivers.optical.virtual_programming import ProgrammingMode, VirtualClock, VirtualLoadProfile
from drivers.protocol import protocol_named
from drivers.simulated import SimulatedLine
from telemetry.readout import Quantity
from telemetry.status import Status

NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
SLOW = Identification("LGZ", "5", "ZMD310AT.B")
QUICK = Identification("LGz", "5", "ZMD310AT.B")
SETS = decode_sets(
    b"F.F(00000000)\r\n0.0.0(0012345678)\r\n1.8.0(005432.1*kWh)\r\n2.8.0(000012.0*kWh)\r\n"
    b"1.8.0*05(005000.0)\r\n0.1.2*05(26-11-01 00:00)\r\n1.8.0*06(1.0)\r\n0.1.2*06(27-01-01 00:00)\r\n!"
)
PRESENT = {"1-0:1.8.0": Quantity(5_432_100_000, "kW.h"), "1-0:2.8.0": Quantity(12_000_000, "kW.h")}


def padded(characters: int) -> list[DataSet]:
    """A readout whose block has that many characters, frame included."""
    frame = len(encode_block(b"", BlockCheck.XOR))
    rest = characters - frame - len(encode_sets([*SETS, DataSet("X", (Value(""),))]))
    return [*SETS, DataSet("X", (Value("0" * rest),))]


def driver_of(virtual: VirtualMeter, settings: SerialSettings = OPTICAL, **options: float) -> OpticalDriver:
    return OpticalDriver(SimulatedLine(virtual, settings), lambda: NOW, **options)


def test_a_readout_gives_the_present_and_what_the_meter_kept() -> None:
    present, kept = driver_of(VirtualOpticalMeter(SLOW, SETS)).read(Target(""))
    assert (present.meter, present.at, present.status) == ("LGZ-0012345678", NOW, Status(0))
    assert present.values == PRESENT
    assert kept.at == datetime(2026, 11, 1, tzinfo=UTC)
    assert kept.values == {"1-0:1.8.0": Quantity(5_000_000_000, "kW.h")}
    assert kept.status == Status.HISTORICAL
    assert present.raw == kept.raw == SLOW.encode() + encode_block(encode_sets(SETS), BlockCheck.XOR)


def test_what_the_meter_keeps_is_returned_once_and_then_once_a_day_or_when_it_changes() -> None:
    shown = [SETS]
    driver = driver_of(VirtualOpticalMeter(SLOW, lambda: shown[0]))
    assert [len(driver.read(Target(""))) for _ in range(3)] == [2, 1, 1]
    shown[0] = decode_sets(encode_sets(SETS).replace(b"005000.0", b"005001.0"))
    assert [len(driver.read(Target(""))) for _ in range(2)] == [2, 1]
    driver.line.wait(86_400)
    assert [len(driver.read(Target(""))) for _ in range(2)] == [2, 1]


@pytest.mark.parametrize(("who", "seconds"), [(SLOW, 3.10), (QUICK, 2.56)], ids=["200 ms", "20 ms"])
def test_a_mode_c_readout_takes_the_time_of_the_formula(who: Identification, seconds: float) -> None:
    assert len(who.encode()) == 17
    driver = driver_of(VirtualOpticalMeter(who, padded(1500)))
    driver.read(Target(""))
    assert driver.line.now() == pytest.approx(seconds, rel=0.03)
    exact = (5 + 17 + 6) * 10 / 300 + 3 * who.reaction + 1500 * 10 / 9600
    assert driver.line.now() == pytest.approx(exact, abs=1e-9)


def test_without_the_change_of_speed_the_same_readout_takes_fifty_seconds() -> None:
    stays = Identification("LGZ", "0", "ZMD310AT.B")
    driver = driver_of(VirtualOpticalMeter(stays, padded(1500)))
    driver.read(Target(""))
    assert driver.line.now() == pytest.approx(51.5, rel=0.03)


def test_the_line_is_at_the_sign_on_speed_again_afterwards() -> None:
    driver = driver_of(VirtualOpticalMeter(SLOW, SETS))
    for _ in range(2):
        assert driver.read(Target(""))[0].values == PRESENT
        assert driver.line.settings == OPTICAL


def test_a_head_that_is_slow_to_switch_is_given_its_time() -> None:
    slow_head = driver_of(VirtualOpticalMeter(SLOW, SETS, reaction=0.5), switch_pause=0.4)
    assert slow_head.read(Target(""))[0].values == PRESENT


def test_a_slow_head_has_a_profile_of_its_own() -> None:
    driver = driver_of(VirtualOpticalMeter(SLOW, SETS, reaction=0.5))
    assert driver.read(Target("", profile="iec-slow-head"))[0].values == PRESENT
    early = driver_of(VirtualOpticalMeter(SLOW, SETS, reaction=0.3))
    with pytest.raises(DriverError):  # the meter has begun before the head is ready
        early.read(Target("", profile="iec-slow-head", retries=0))


def test_the_speed_changes_only_when_the_last_bit_of_the_acknowledgement_has_left() -> None:
    switched: list[float] = []

    class Watched(SimulatedLine):
        def configure(self, settings: SerialSettings) -> None:
            switched.append(self.now())
            super().configure(settings)

    line = Watched(VirtualOpticalMeter(QUICK, SETS), OPTICAL)
    OpticalDriver(line, lambda: NOW).read(Target(""))
    last_bit = (5 + 17 + 6) * 10 / 300 + 2 * 0.02
    assert last_bit < switched[0] < last_bit + 0.02  # and before the meter begins


def test_exchanges_are_tallied() -> None:
    flawed = Flawed(VirtualOpticalMeter(SLOW, SETS), damaged)
    driver = driver_of(flawed)
    driver.read(Target(""))
    assert driver.tally == Tally(exchanges=3, retries=1, timeouts=0, garbled=1)
    for_nobody = driver_of(VirtualOpticalMeter(SLOW, SETS, address="71"))
    with pytest.raises(NoAnswerError):
        for_nobody.read(Target("72", retries=1))
    assert for_nobody.tally == Tally(exchanges=2, retries=1, timeouts=2, garbled=0)


def test_the_meters_clock_is_told_beside_its_values() -> None:
    meter = VirtualOpticalMeter(SLOW, [*SETS, *decode_sets(b"0.9.1(115958)0.9.2(261122)")])
    present, kept = driver_of(meter).read(Target(""))
    assert present.clock == datetime(2026, 11, 22, 11, 59, 58, tzinfo=UTC)
    assert kept.clock is None


def test_switching_too_late_garbles_the_answer() -> None:
    late = driver_of(VirtualOpticalMeter(QUICK, SETS), switch_pause=1.0)
    with pytest.raises(DriverError):
        late.read(Target("", retries=0))


@pytest.mark.parametrize("baud", ["A", "E", "X"])
def test_meters_of_mode_a_and_b_are_read_without_acknowledgement(baud: str) -> None:
    meter = VirtualOpticalMeter(Identification("ISK", baud, "MT171"), SETS)
    assert driver_of(meter).read(Target(""))[0].values == PRESENT


def test_a_line_that_cannot_follow_a_meter_of_mode_b_says_so() -> None:
    meter = VirtualOpticalMeter(Identification("ISK", "E", "MT171"), SETS, reaction=0.02)
    with TcpMeterHost(meter, OPTICAL) as host:
        line = open_line(host.spec, OPTICAL)
        with pytest.raises(UnsupportedError, match="goes on at 9600 Bd") as caught:
            OpticalDriver(line, lambda: NOW).read(Target(""))
        line.close()
    assert "serial port" in caught.value.advice


def test_several_meters_on_a_wire_answer_to_their_addresses() -> None:
    meters = [
        VirtualOpticalMeter(SLOW, decode_sets(b"1.8.0(%d*kWh)" % number), address=f"00{number}")
        for number in (71, 72)
    ]
    driver = driver_of(VirtualBus(meters))
    for number in (72, 71):
        [readout] = driver.read(Target(str(number)))
        assert readout.meter == f"LGZ-{number}"
        assert readout.values == {"1-0:1.8.0": Quantity(number * 1_000_000, "kW.h")}
    with pytest.raises(NoAnswerError):
        driver.read(Target("73"))


def test_energomeras_block_check_is_a_profile() -> None:
    meter = VirtualOpticalMeter(Identification("EKT", "5", "CE301v8"), SETS, check=BlockCheck.SUM)
    assert driver_of(meter).read(Target("", profile="energomera"))[0].values == PRESENT
    with pytest.raises(GarbledAnswerError, match="block check") as caught:
        driver_of(meter).read(Target("", retries=0))
    assert caught.value.received == encode_block(encode_sets(SETS), BlockCheck.SUM)


@pytest.mark.parametrize("expected", ["LGZ-0012345678", "LGZ-12345678"])
def test_the_expected_meter_keeps_the_name_the_configuration_gives_it(expected: str) -> None:
    assert driver_of(VirtualOpticalMeter(SLOW, SETS)).read(Target("", meter=expected))[0].meter == expected


@pytest.mark.parametrize("expected", ["LGZ-12345679", "ISK-12345678"])
def test_another_meter_than_the_expected_one_is_an_identity_error(expected: str) -> None:
    with pytest.raises(IdentityError, match="LGZ-0012345678"):
        driver_of(VirtualOpticalMeter(SLOW, SETS)).read(Target("", meter=expected))


def test_a_meter_without_a_serial_needs_a_configured_id() -> None:
    nameless = VirtualOpticalMeter(SLOW, decode_sets(b"1.8.0(1*kWh)"))
    assert driver_of(nameless).read(Target("", meter="LGZ-5"))[0].meter == "LGZ-5"
    with pytest.raises(DriverError, match="without a serial number"):
        driver_of(nameless).read(Target(""))
    with pytest.raises(IdentityError, match="a LGZ meter"):
        driver_of(nameless).read(Target("", meter="ISK-5"))


def test_a_fatal_error_is_a_status_of_the_readout() -> None:
    meter = VirtualOpticalMeter(SLOW, decode_sets(b"F.F(00000040)\r\n0.0.0(1)\r\n1.8.0(1*kWh)"))
    [readout] = driver_of(meter).read(Target(""))
    assert readout.status == Status.PERMANENT_ERROR


def test_silence_is_no_answer_after_every_retry() -> None:
    asked: list[bytes] = []

    class Deaf:
        def hear(self, data: bytes, settings: SerialSettings) -> list[Transmission]:
            asked.append(data)
            return []

    with pytest.raises(NoAnswerError, match="sign-on"):
        driver_of(Deaf()).read(Target("", retries=2))
    assert asked == [b"/?!\r\n"] * 3


@pytest.mark.parametrize("noise", [b"/LG\xff5", bytes(1 << 18)], ids=["damaged", "jabbering"])
def test_noise_instead_of_an_identification_is_garbled(noise: bytes) -> None:
    class Noisy:
        def hear(self, data: bytes, settings: SerialSettings) -> list[Transmission]:
            return [Transmission(noise)]

    with pytest.raises(GarbledAnswerError, match="no identification") as caught:
        driver_of(Noisy()).read(Target("", retries=1))
    assert caught.value.received.startswith(noise[:4])


def test_a_meter_that_identifies_itself_and_then_says_nothing_is_told_apart() -> None:
    class Shy:
        def hear(self, data: bytes, settings: SerialSettings) -> list[Transmission]:
            return [Transmission(SLOW.encode())] if data.startswith(b"/?") else []

    with pytest.raises(NoAnswerError, match="no readout"):
        driver_of(Shy()).read(Target("", retries=0))


def test_a_virtual_meter_is_deaf_at_another_speed() -> None:
    meter = VirtualOpticalMeter(SLOW, SETS)
    assert meter.hear(b"/?!\r\n", SerialSettings(9600, 7, "E", 1)) == []
    assert meter.hear(b"\x15", OPTICAL) == []  # there is nothing to repeat
    assert len(meter.hear(b"/?!\r\n", OPTICAL)) == 1
    assert meter.hear(b"\x06090\r\n", OPTICAL) == []  # more speed than it offered


telegrams = st.sampled_from([b"/?!\r\n", b"\x06050\r\n", b"\x06051\r\n", b"\x15", b"\x06"]) | st.binary(
    max_size=20
)
commands = st.builds(
    ProgrammingCommand,
    st.sampled_from(["P1", "R1", "R6", "W1", "B0"]),
    st.text("P.01(;)26!0.9.2", max_size=16).map(str.encode),
)


@given(st.lists(telegrams | commands.map(lambda one: one.encode(BlockCheck.XOR)), max_size=8))
def test_a_virtual_meter_bears_any_bytes(heard: list[bytes]) -> None:
    its = VirtualClock(lambda: NOW, UTC)
    profile = VirtualLoadProfile([("1.8.0", "kWh")], [(NOW, ("1",))], UTC)
    meter = VirtualOpticalMeter(SLOW, SETS, programming=ProgrammingMode({}, clock=its, load_profile=profile))
    meter.hear(b"/?!\r\n", OPTICAL)
    for said in [b"\x06051\r\n", *heard]:
        for settings in (OPTICAL, replace(OPTICAL, baud=9600)):
            meter.hear(said, settings)


class Flawed:
    """A meter in front of which something fails: `flaws` are applied to one block after the other."""

    def __init__(self, virtual: VirtualMeter, *flaws: Callable[[bytes], bytes]) -> None:
        self.virtual = virtual
        self.flaws = list(flaws)
        self.heard: list[bytes] = []

    def hear(self, data: bytes, settings: SerialSettings) -> list[Transmission]:
        self.heard.append(data)
        said = self.virtual.hear(data, settings)
        if said and said[0].data.startswith(b"\x02") and self.flaws:
            return [Transmission(self.flaws.pop(0)(said[0].data), said[0].delay, said[0].settings)]
        return said


def damaged(block: bytes) -> bytes:
    return block[:9] + bytes((block[9] ^ 1,)) + block[10:]


def test_a_damaged_block_is_asked_for_again_with_a_nak() -> None:
    flawed = Flawed(VirtualOpticalMeter(SLOW, SETS), damaged)
    assert driver_of(flawed).read(Target(""))[0].values == PRESENT
    assert flawed.heard == [b"/?!\r\n", b"\x06050\r\n", b"\x15"]


def test_a_block_that_stays_damaged_begins_the_session_anew() -> None:
    flawed = Flawed(VirtualOpticalMeter(SLOW, SETS), damaged, damaged)
    assert driver_of(flawed).read(Target(""))[0].values == PRESENT
    assert flawed.heard.count(b"/?!\r\n") == 2


def test_a_readout_that_breaks_off_begins_the_session_anew() -> None:
    flawed = Flawed(VirtualOpticalMeter(SLOW, SETS), lambda block: block[:40])
    assert driver_of(flawed).read(Target(""))[0].values == PRESENT


def test_a_readout_that_never_ends_well_says_what_came() -> None:
    flawed = Flawed(VirtualOpticalMeter(SLOW, SETS), *[lambda block: block[:40]] * 2)
    with pytest.raises(GarbledAnswerError, match="broke off") as caught:
        driver_of(flawed).read(Target("", retries=1))
    assert len(caught.value.received) == 40


def test_a_whole_block_without_data_sets_is_a_decode_error() -> None:
    broken = Flawed(VirtualOpticalMeter(SLOW, SETS), lambda block: encode_block(b"1.8.0\r\n", BlockCheck.XOR))
    with pytest.raises(DecodeError, match="no value in parentheses"):
        driver_of(broken).read(Target(""))


@pytest.mark.parametrize(
    ("wrong", "text"), [({"address": "1/2"}, "device address"), ({"profile": "x"}, "profile")]
)
def test_a_wrong_target_is_refused(wrong: dict[str, str], text: str) -> None:
    with pytest.raises(DriverError, match=text):
        driver_of(VirtualOpticalMeter(SLOW, SETS)).read(Target(**({"address": ""} | wrong)))


@pytest.mark.parametrize(
    "wiring", [Wiring(), Wiring(echo=True), Wiring(piece=11), Wiring(stray=b"\x00")], ids=str
)
@pytest.mark.parametrize("kind", [PtyMeterHost, TcpMeterHost])
def test_meters_are_read_over_real_lines(kind: type[PtyMeterHost], wiring: Wiring) -> None:
    heard: list[int] = []
    meter = VirtualOpticalMeter(QUICK, SETS, reaction=0.06)

    class Listening:
        def hear(self, data: bytes, settings: SerialSettings) -> list[Transmission]:
            heard.append(settings.baud)
            said = meter.hear(data, settings)
            spoken.extend(one.settings.baud for one in said if one.settings)
            return said

    spoken: list[int] = []
    settings = protocol_named("optical").settings
    with kind(Listening(), settings, wiring) as host:
        line = open_line(host.spec, settings)
        driver = open_driver("optical", line, lambda: NOW)
        assert driver.read(Target(""))[0].values == PRESENT
        line.close()
    assert set(heard) == {300}
    # a serial server cannot change its speed, so the meter is asked to stay
    assert spoken == [300, 9600 if kind is PtyMeterHost else 300]
