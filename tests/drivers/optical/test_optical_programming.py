"""Programming mode against virtual meters: password, registers, partial blocks, errors, and the break."""

import re
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

import drivers.optical
from drivers.bus import VirtualBus
from drivers.catalogue import open_line
from drivers.driver import IdentityError, Target
from drivers.errors import DriverError, GarbledAnswerError, MeterError, NoAnswerError, UnsupportedError
from drivers.host import PtyMeterHost, TcpMeterHost, Wiring
from drivers.line import SerialSettings, Transmission
from drivers.optical.codec.dataset import decode_sets
from drivers.optical.codec.telegram import BREAK, BlockCheck, Identification, ProgrammingCommand
from drivers.optical.master import OpticalDriver
from drivers.optical.profile import PROFILES, ReadoutMethod
from drivers.optical.virtual import VirtualOpticalMeter
from drivers.optical.virtual_programming import ProgrammingMode, VirtualLoadProfile
from telemetry.readout import Quantity, Readout
from telemetry.status import Status
from tests.drivers.optical.meters import BERLIN, EKT, EMH, NOW, Listening, answers, driver_of, programmable

README = (Path(drivers.optical.__file__).parent / "README.md").read_text("utf-8")
REGISTERS = answers(
    "C.1.0(03878504)1.8.0(005432.1*kWh)1.8.1(005000.0*kWh)F.F(00000000)0.9.1(130001)0.9.2(261122)"
)
ENERGY = Quantity(5_432_100_000, "kW.h")


def read(programming: ProgrammingMode, target: Target, *addresses: str) -> list[Readout]:
    return driver_of(programmable(programming)).read_registers(target, addresses)


def test_single_registers_are_read_one_by_one_and_the_session_is_broken_off() -> None:
    listening = Listening(programmable(ProgrammingMode(REGISTERS)))
    driver = driver_of(listening)
    [readout] = driver.read_registers(Target("", time_zone=BERLIN), ["C.1.0", "1.8.0", "0.9.1", "0.9.2"])
    assert readout.meter == "EMH-03878504"
    assert readout.values == {"1-0:1.8.0": ENERGY}
    assert readout.clock == datetime(2026, 11, 22, 12, 0, 1, tzinfo=UTC)
    assert listening.heard == [
        b"/?!\r\n",
        b"\x06051\r\n",
        *(
            ProgrammingCommand.of("R1", address).encode(BlockCheck.XOR)
            for address in ("C.1.0", "1.8.0", "0.9.1", "0.9.2")
        ),
        BREAK.encode(BlockCheck.XOR),
    ]
    assert readout.raw == b"".join(one.data for one in listening.said[2:])
    assert (driver.tally.exchanges, driver.tally.retries) == (6, 0)
    assert driver.line.settings.baud == 300


def test_the_password_is_given_once_and_shown_nowhere(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("DEBUG")
    mode = ProgrammingMode(REGISTERS, password="12345678")
    target = Target("", password="12345678")
    assert read(mode, target, "C.1.0", "1.8.0")[0].values == {"1-0:1.8.0": ENERGY}
    assert "12345678" not in repr(target) + caplog.text


@pytest.mark.parametrize("password", ["87654321", None])
def test_a_refused_password_is_a_meter_error_with_its_number_and_no_second_attempt(
    password: str | None, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG")
    mode = ProgrammingMode(REGISTERS, password="12345678")
    with pytest.raises(MeterError) as caught:
        read(mode, Target("", password=password, retries=2), "1.8.0")
    assert caught.value.code == 4
    assert "password" in caught.value.advice
    assert (mode.attempts, mode.broken_off) == (1 if password else 0, 1)
    assert "87654321" not in f"{caught.value!r}{caught.value.advice}{caplog.text}"


@pytest.mark.parametrize("answer", [b"", b"\x02garbled\x03\x00", b"\x15"], ids=["silence", "noise", "NAK"])
@pytest.mark.parametrize(
    "echo", [b"", b"echo", b"\x00echo"], ids=["no echo", "echo", "echo after a stray byte"]
)
def test_a_password_that_meets_no_acknowledgement_is_not_repeated(answer: bytes, echo: bytes) -> None:
    mode = ProgrammingMode(REGISTERS, password="12345678")
    meter = programmable(mode)
    given: list[bytes] = []

    class Deaf:
        def hear(self, data: bytes, settings: SerialSettings) -> list[Transmission]:
            if b"P1" not in data:
                return [] if given else meter.hear(data, settings)
            given.append(data)
            return [Transmission(echo.replace(b"echo", data) + answer, 0.2, settings)]

    with pytest.raises(MeterError, match="password") as caught:
        driver_of(Deaf()).read_registers(Target("", password="12345678"), ["1.8.0"])
    assert len(given) == 1
    assert "12345678" not in f"{caught.value!r} {vars(caught.value)}"


def test_a_password_that_a_data_set_cannot_carry_is_refused_unseen() -> None:
    with pytest.raises(DriverError, match="password has characters") as caught:
        read(ProgrammingMode(REGISTERS), Target("", password="(x)"), "1.8.0")
    assert "(x)" not in str(caught.value)


def test_a_register_that_the_meter_has_not_leaves_the_others() -> None:
    mode = ProgrammingMode(REGISTERS)
    assert read(mode, Target(""), "C.1.0", "9.9.9", "1.8.0")[0].values == {"1-0:1.8.0": ENERGY}
    with pytest.raises(MeterError, match=r"refuses 9\.9\.9") as caught:
        read(mode, Target(""), "9.9.9", "9.9.8")
    assert caught.value.code == 1
    assert mode.broken_off == 2  # after the failure, too


def test_an_answer_without_the_address_is_of_the_register_that_was_asked_for() -> None:
    mode = ProgrammingMode(REGISTERS | {"1.8.0": "(005432.1*kWh)"})
    assert read(mode, Target(""), "C.1.0", "1.8.0")[0].values == {"1-0:1.8.0": ENERGY}


@pytest.mark.parametrize("text", ["", "1.8.0)", "1.8.0(a)(b)", "1.8/0"])
def test_what_is_no_register_is_refused(text: str) -> None:
    with pytest.raises(DriverError):
        read(ProgrammingMode(REGISTERS), Target(""), text)


def test_several_meters_on_a_wire_are_programmed_by_their_addresses() -> None:
    meters = [
        programmable(ProgrammingMode({"1.8.0": f"1.8.0({number}*kWh)"}), address=str(number))
        for number in (71, 72)
    ]
    driver = driver_of(VirtualBus(meters))
    for number in (72, 71):
        [readout] = driver.read_registers(Target(str(number)), ["C.1.0", "1.8.0"])
        assert readout.meter == f"EMH-{number}"
        assert readout.values == {"1-0:1.8.0": Quantity(number * 1_000_000, "kW.h")}


def test_another_meter_is_an_identity_error() -> None:
    with pytest.raises(IdentityError, match="EMH-03878504"):
        read(ProgrammingMode(REGISTERS), Target("", meter="EMH-1"), "C.1.0", "1.8.0")


class Losing:
    """Swallows, or damages, the answers to some of what the meter hears."""

    def __init__(self, mode: ProgrammingMode, *losses: bytes, by: bytes = b"") -> None:
        self.meter = programmable(mode)
        self.losses = list(losses)
        self.by = by
        self.heard: list[bytes] = []

    def hear(self, data: bytes, settings: SerialSettings) -> list[Transmission]:
        self.heard.append(data)
        said = self.meter.hear(data, settings)
        if self.losses and self.losses[0] in data:
            self.losses.pop(0)
            return [Transmission(self.by, 0.2, said[0].settings)] if self.by else []
        return said


def test_a_lost_answer_is_asked_for_again_in_the_same_session() -> None:
    losing = Losing(ProgrammingMode(REGISTERS), b"1.8.0")
    driver = driver_of(losing)
    assert driver.read_registers(Target(""), ["C.1.0", "1.8.0"])[0].values == {"1-0:1.8.0": ENERGY}
    assert losing.heard.count(b"/?!\r\n") == 1
    assert (driver.tally.retries, driver.tally.timeouts) == (1, 1)


def test_a_damaged_answer_is_asked_for_again_with_a_nak() -> None:
    losing = Losing(ProgrammingMode(REGISTERS), b"1.8.0", by=b"\x021.8.0(1*kWh)\x03\x00")
    driver = driver_of(losing)
    assert driver.read_registers(Target(""), ["C.1.0", "1.8.0"])[0].values == {"1-0:1.8.0": ENERGY}
    assert losing.heard.count(b"\x15") == 1
    assert (driver.tally.retries, driver.tally.garbled) == (1, 1)


def test_a_meter_that_falls_silent_is_broken_off_and_called_anew() -> None:
    losing = Losing(ProgrammingMode(REGISTERS), b"1.8.0", b"1.8.0")
    assert driver_of(losing).read_registers(Target(""), ["C.1.0", "1.8.0"])[0].values == {"1-0:1.8.0": ENERGY}
    assert losing.heard.count(b"/?!\r\n") == 2
    assert losing.heard.count(BREAK.encode(BlockCheck.XOR)) == 2


def test_a_damaged_command_is_not_understood_and_said_again() -> None:
    class Noisy(Losing):
        def hear(self, data: bytes, settings: SerialSettings) -> list[Transmission]:
            if self.losses and self.losses[0] in data:
                self.losses.pop(0)
                data = data[:-1] + bytes((data[-1] ^ 1,))
            return super().hear(data, settings)

    noisy = Noisy(ProgrammingMode(REGISTERS), b"1.8.0")
    assert driver_of(noisy).read_registers(Target(""), ["C.1.0", "1.8.0"])[0].values == {"1-0:1.8.0": ENERGY}
    assert noisy.heard.count(b"/?!\r\n") == 1


def test_a_meter_that_breaks_off_itself_is_told_so_and_not_broken_off_again() -> None:
    losing = Losing(ProgrammingMode(REGISTERS), b"1.8.0", by=BREAK.encode(BlockCheck.XOR))
    with pytest.raises(MeterError, match="broke the session off"):
        driver_of(losing).read_registers(Target(""), ["C.1.0", "1.8.0"])
    assert BREAK.encode(BlockCheck.XOR) not in losing.heard


def test_a_meter_without_programming_mode_is_told_apart() -> None:
    without = VirtualOpticalMeter(EMH, decode_sets(b"1.8.0(1*kWh)"))
    with pytest.raises(UnsupportedError, match="instead of entering programming mode"):
        driver_of(without).read_registers(Target(""), ["1.8.0"])
    mode_b = VirtualOpticalMeter(Identification("ISK", "E", "MT171"), decode_sets(b"1.8.0(1*kWh)"))
    with pytest.raises(UnsupportedError, match="mode B") as caught:
        driver_of(mode_b).read_registers(Target(""), ["1.8.0"])
    assert "mode C" in caught.value.advice


def test_silence_in_place_of_the_invitation_is_no_answer() -> None:
    class Shy:
        def hear(self, data: bytes, settings: SerialSettings) -> list[Transmission]:
            return [Transmission(EMH.encode())] if data.startswith(b"/?") else []

    with pytest.raises(NoAnswerError):
        driver_of(Shy()).read_registers(Target("", retries=0), ["1.8.0"])


def test_the_profile_of_registers_is_read_by_programming_mode() -> None:
    [readout] = driver_of(programmable(ProgrammingMode(REGISTERS))).read(Target("", profile="iec-registers"))
    assert readout.meter == "EMH-03878504"
    assert readout.values == {"1-0:1.8.0": ENERGY, "1-0:1.8.1": Quantity(5_000_000_000, "kW.h")}


CE301 = {
    "SNUMB": "SNUMB(00123456)\r\n",
    "DATE_": "DATE_(00.22.11.26)\r\n",
    "TIME_": "TIME_(15:00:02)\r\n",
    "ET0PE": "".join(
        f"ET0PE({v})\r\n" for v in ("16907.9477764", "11504.3875082", "3628.2698795", "1775.2903887")
    ),
    "POWEP": "POWEP(0.5266)\r\n",
    "POWPP": "POWPP(0.0592)\r\n(0.4402)\r\n(0.054)\r\n",
    "VOLTA": "VOLTA(233.751)(235.418)(234.796)\r\n",
    "CURRE": "CURRE(1.479)\r\nCURRE(2.8716)\r\nCURRE(0.782)\r\n",
    "FREQU": "FREQU(49.96)\r\n",
    "ENMPE(10.26)": "ENMPE(16550.0972645)\r\nENMPE(11295.733509)\r\n",
    "ENMPE(09.26)": "ENMPE(16072.2017158)\r\nENMPE(10970.531727)\r\n",
}
CE301_VALUES = {
    "1-0:1.8.0": Quantity(16_907_947_776, "kW.h"),
    "1-0:1.8.1": Quantity(11_504_387_508, "kW.h"),
    "1-0:1.8.2": Quantity(3_628_269_880, "kW.h"),
    "1-0:1.8.3": Quantity(1_775_290_389, "kW.h"),
    "1-0:16.7.0": Quantity(526_600, "kW"),
    "1-0:36.7.0": Quantity(59_200, "kW"),
    "1-0:56.7.0": Quantity(440_200, "kW"),
    "1-0:76.7.0": Quantity(54_000, "kW"),
    "1-0:32.7.0": Quantity(233_751_000, "V"),
    "1-0:52.7.0": Quantity(235_418_000, "V"),
    "1-0:72.7.0": Quantity(234_796_000, "V"),
    "1-0:31.7.0": Quantity(1_479_000, "A"),
    "1-0:51.7.0": Quantity(2_871_600, "A"),
    "1-0:71.7.0": Quantity(782_000, "A"),
    "1-0:14.7.0": Quantity(49_960_000, "Hz"),
}


@pytest.mark.parametrize("profile", ["energomera", "energomera-registers"])
def test_a_ce301_is_read_with_its_own_names_and_block_check(profile: str) -> None:
    sets = decode_sets("".join(CE301.values()).encode())
    meter = programmable(ProgrammingMode(CE301, password="777777"), EKT, sets, BlockCheck.SUM)
    target = Target("", profile=profile, password="777777", meter="EKT-123456")
    driver = driver_of(meter)
    readout, *months = driver.read(target)
    assert readout.meter == "EKT-123456"
    assert readout.values == CE301_VALUES
    assert readout.clock == datetime(2026, 11, 22, 15, 0, 2, tzinfo=UTC)
    assert [(one.meter, one.at.month) for one in months] == [("EKT-123456", 10), ("EKT-123456", 11)]
    assert len(driver.read(target)) == 1  # what was kept is told once a day
    driver.line.wait(86_400)
    assert len(driver.read(target)) == 3


def test_a_kept_month_in_the_readout_of_a_ce301_is_not_its_present() -> None:
    sets = decode_sets(b"SNUMB(1)ET0PE(16907.9)ENMPE(16550.1)ET0PE(1)(2)(3)(4)(5)(6)(7)")
    [readout] = driver_of(VirtualOpticalMeter(EKT, sets, check=BlockCheck.SUM)).read(
        Target("", profile="energomera")
    )
    assert readout.values["1-0:1.8.0"] == Quantity(16_907_900_000, "kW.h")


def test_months_that_cannot_be_read_cost_the_present_nothing() -> None:
    sets = decode_sets("".join(CE301.values()).encode())
    without = VirtualOpticalMeter(EKT, sets, check=BlockCheck.SUM)
    [readout] = driver_of(without).read(Target("", profile="energomera"))
    assert readout.values["1-0:1.8.0"] == CE301_VALUES["1-0:1.8.0"]


def test_a_ce301_tells_its_months_by_name_until_it_has_no_more() -> None:
    meter = programmable(ProgrammingMode(CE301), EKT, check=BlockCheck.SUM)
    target = Target("", profile="energomera", time_zone=BERLIN)
    september, october = driver_of(meter).months(target)
    assert (october.meter, october.status) == ("EKT-00123456", Status.HISTORICAL)
    assert october.at == datetime(2026, 10, 31, 23, tzinfo=UTC)  # local midnight at the end of the month
    assert october.values == {
        "1-0:1.8.0": Quantity(16_550_097_264, "kW.h"),  # half-even: 16550.0972645
        "1-0:1.8.1": Quantity(11_295_733_509, "kW.h"),
    }
    assert september.at == datetime(2026, 9, 30, 22, tzinfo=UTC)
    assert b"ENMPE(16072" in september.raw


KEPT = answers(
    "C.1.0(03878504)0.1.0(01)1.8.0(005432.1*kWh)2.8.0(000001.0*kWh)"
    "1.8.0*01(005000.0)2.8.0*01(000000.9)0.1.2*01(2611010000)"
    "1.8.0*00(004000.0)0.1.2*00(2610010000)1.8.0*99(003000.0)0.1.2*99(2609010000)"
)


def test_kept_periods_are_counted_down_from_the_period_counter_over_its_end() -> None:
    driver = driver_of(programmable(ProgrammingMode(KEPT)))
    kept = driver.months(Target("", time_zone=BERLIN))
    assert [(one.at, one.values["1-0:1.8.0"].micro) for one in kept] == [
        (datetime(2026, 8, 31, 22, tzinfo=UTC), 3_000_000_000),
        (datetime(2026, 9, 30, 22, tzinfo=UTC), 4_000_000_000),
        (datetime(2026, 10, 31, 23, tzinfo=UTC), 5_000_000_000),
    ]
    assert kept[-1].values["1-0:2.8.0"] == Quantity(900_000, "kW.h")  # the unit is the present value's
    assert all(one.status == Status.HISTORICAL for one in kept)
    assert len(driver.months(Target("", time_zone=BERLIN), count=1)) == 1


def test_without_a_period_counter_the_periods_are_numbered_from_one() -> None:
    del (registers := dict(KEPT))["0.1.0"]
    [kept] = driver_of(programmable(ProgrammingMode(registers))).months(Target(""))
    assert kept.values["1-0:1.8.0"] == Quantity(5_000_000_000, "kW.h")


@pytest.mark.parametrize(
    "wiring", [Wiring(), Wiring(echo=True), Wiring(piece=11), Wiring(stray=b"\x00")], ids=str
)
@pytest.mark.parametrize("kind", [PtyMeterHost, TcpMeterHost])
def test_a_load_profile_comes_over_real_lines(kind: type[PtyMeterHost], wiring: Wiring) -> None:
    rows = [(NOW - timedelta(minutes=15 * n), (str(n),)) for n in range(9, 0, -1)]
    profile = VirtualLoadProfile([("1.8.0", "kWh")], rows, BERLIN)
    mode = ProgrammingMode(REGISTERS, password="12345678", load_profile=profile)
    direct = SerialSettings(9600, 7, "E", 1)
    quick = Identification("EMh", "5", "LZQJ-XC")
    meter = VirtualOpticalMeter(quick, (), programming=mode, sign_on=direct)
    with kind(meter, direct, wiring) as host:
        line = open_line(host.spec, direct)
        driver = OpticalDriver(line, lambda: NOW)
        target = Target("", profile="iec-blocks", time_zone=BERLIN, password="12345678")
        readouts = driver.load_profile(target, rows[0][0], NOW)
        line.close()
    assert [one.at for one in readouts] == [at for at, _ in rows]
    assert driver.tally.retries == 0


def test_every_profile_is_described_and_has_registers_where_it_needs_them() -> None:
    for name, profile in PROFILES.items():
        assert profile.name == name
        assert profile.description
        assert bool(profile.registers) or profile.access is not ReadoutMethod.REGISTERS
        assert f"`{name}`" in README
    with pytest.raises(DriverError, match="no optical profile") as caught:
        driver_of(programmable(ProgrammingMode({}))).read_registers(Target("", profile="x"), ["1.8.0"])
    assert "energomera-registers" in caught.value.advice


def test_the_example_of_the_readme_runs() -> None:
    [example] = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    names: dict[str, object] = {}
    exec(example, names)
    assert isinstance(names["driver"], OpticalDriver)


def test_garbage_that_never_ends_well_is_garbled() -> None:
    losing = Losing(ProgrammingMode(REGISTERS), *[b"1.8.0"] * 4, by=b"\x021.8.0(1*kWh")
    with pytest.raises(GarbledAnswerError, match="broke off"):
        driver_of(losing).read_registers(Target("", retries=0), ["1.8.0"])
    assert losing.heard[-1] == BREAK.encode(BlockCheck.XOR)
