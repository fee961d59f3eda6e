"""Exponent registers, bit fields and serial numbers: what a value needs beside its own words."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.driver import IdentityError, Target
from drivers.line import SerialSettings, Transmission
from drivers.modbus.master import ModbusDriver
from drivers.modbus.profile import ModbusProfile
from drivers.modbus.profile_file import ProfileError, load_profile, parse_profile
from drivers.modbus.virtual import RegisterMeter, VirtualModbusMeter, profile_words
from drivers.simulated import SimulatedLine

NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)

SUNSPEC = """
protocol = "modbus"
title = "A meter with scale factors"
source = "https://example.org/sunspec.pdf"
defaults = { function = 3, encoding = "int16" }
identity = { address = 0x00F0, words = 4 }
registers = [
  { obis = "1-0:16.7.0", address = 0x0010, unit = "W", exponent = 0x0014, sentinels = [0x8000] },
  { obis = "1-0:36.7.0", address = 0x0011, unit = "W", exponent = 0x0014, sentinels = [0x8000] },
  { obis = "1-0:1.8.0", address = 0x0020, unit = "kW.h", encoding = "uint32", scale = 1e-3, exponent = 0x28 },
  { obis = "1-0:96.5.0", address = 0x0030, unit = "1", encoding = "uint16", bits = [0, 3] },
  { obis = "1-0:96.5.1", address = 0x0030, unit = "1", encoding = "uint16", bits = [4, 15] },
]
"""


@pytest.fixture
def path(tmp_path: Path) -> str:
    file = tmp_path / "sunspec.toml"
    file.write_text(SUNSPEC)
    return str(file)


def sunspec() -> ModbusProfile:
    return parse_profile(SUNSPEC, "sunspec")


def words(serial: str = "K123", exponent: int = 0xFFFF) -> dict[tuple[int, int], int]:
    memory = {(3, 0x10): 2345, (3, 0x11): 0x8000, (3, 0x14): exponent, (3, 0x30): 0x0125}
    memory |= {(3, 0x20): 0x0001, (3, 0x21): 0x86A0, (3, 0x28): 1}
    text = serial.ljust(8, "\0").encode()
    return memory | {(3, 0xF0 + i): int.from_bytes(text[2 * i : 2 * i + 2], "big") for i in range(4)}


def driver_of(meter: RegisterMeter) -> ModbusDriver:
    return ModbusDriver(SimulatedLine(meter, SerialSettings()), lambda: NOW)


def test_a_value_is_multiplied_by_the_power_of_ten_in_its_exponent_register(path: str) -> None:
    memory = words()
    [readout] = driver_of(RegisterMeter(7, lambda: memory)).read(Target("7", meter="ABC-K123", profile=path))
    assert {obis: value.micro for obis, value in readout.values.items()} == {
        "1-0:16.7.0": 234_500_000,
        "1-0:1.8.0": 1_000_000_000,
        "1-0:96.5.0": 5_000_000,
        "1-0:96.5.1": 18_000_000,
    }, "and 0x8000 is no power"


@pytest.mark.parametrize("exponent", [0x8000, 100])
def test_without_a_usable_exponent_there_is_no_reading(path: str, exponent: int) -> None:
    memory = words(exponent=exponent)
    [readout] = driver_of(RegisterMeter(7, lambda: memory)).read(Target("7", meter="ABC-K123", profile=path))
    assert "1-0:16.7.0" not in readout.values
    assert "1-0:1.8.0" in readout.values, "which has another one"


def test_a_refused_exponent_costs_only_the_values_that_need_it(path: str) -> None:
    memory = words()
    del memory[3, 0x28]
    [readout] = driver_of(RegisterMeter(7, lambda: memory)).read(Target("7", meter="ABC-K123", profile=path))
    assert set(readout.values) == {"1-0:16.7.0", "1-0:96.5.0", "1-0:96.5.1"}


@given(st.integers(-(10**9), 10**9), st.integers(0, 15), st.integers(0, 4095))
def test_a_virtual_meter_chooses_an_exponent_at_which_its_values_fit(power: int, low: int, high: int) -> None:
    profile = sunspec()
    shown = {
        "1-0:16.7.0": Decimal(power),
        "1-0:36.7.0": Decimal(1),
        "1-0:96.5.0": Decimal(low),
        "1-0:96.5.1": Decimal(high),
    }
    memory = profile_words(profile, shown)
    read = {one.obis: one.reading(memory) for one in profile.registers}
    watts, field, rest = read["1-0:16.7.0"], read["1-0:96.5.0"], read["1-0:96.5.1"]
    assert watts
    assert field
    assert rest
    assert abs(watts.micro - power * 1_000_000) <= max(1000, abs(power) * 200), "four digits at the least"
    assert (field.micro, rest.micro) == (low * 1_000_000, high * 1_000_000)


def test_a_number_that_no_exponent_makes_fit_is_refused() -> None:
    with pytest.raises(ValueError, match="does not fit"):
        profile_words(sunspec(), {"1-0:16.7.0": Decimal(10) ** 20})
    with pytest.raises(ValueError, match="bits 0 to 3"):
        profile_words(sunspec(), {"1-0:96.5.0": Decimal(16)})


@pytest.mark.parametrize(
    ("find", "put", "complaint"),
    [
        ("bits = [0, 3]", "bits = [3, 0]", "first and the last"),
        ("bits = [4, 15]", "bits = [4, 16]", "within uint16"),
        (
            'encoding = "uint16", bits = [4, 15]',
            'encoding = "bcd16", bits = [4, 15]',
            "first and the last",
        ),
        (", bits = [4, 15]", "", "0x0030 belongs to 1-0:96.5.0"),
        (", words = 4 }", " }", "words = 8"),
        ("words = 4 }", 'words = 3, encoding = "uint32" }', "3 registers cannot be uint32"),
        ("words = 4 }", 'encoding = "float32" }', "cannot be float32"),
        ("words = 4 }", 'words = 4, maker = "ABB1" }', "not a meter id"),
    ],
)
def test_a_wrong_layout_is_named(find: str, put: str, complaint: str) -> None:
    assert find in SUNSPEC
    with pytest.raises(ProfileError, match=f"profile sunspec.*{complaint}"):
        parse_profile(SUNSPEC.replace(find, put), "sunspec")


def test_a_serial_number_is_compared_when_met_after_a_failure_and_once_a_day(path: str) -> None:
    now, silent = NOW, False
    memory = words()

    class Meter(RegisterMeter):
        def hear(self, data: bytes, settings: SerialSettings) -> list[Transmission]:
            return [] if silent else super().hear(data, settings)

    meter = Meter(7, lambda: memory)
    driver = ModbusDriver(SimulatedLine(meter, SerialSettings()), lambda: now)
    target = Target("7", meter="ABC-00K123", profile=path, retries=0)

    def asked() -> int:
        count = sum(one.address == 0xF0 for one in meter.requests)
        meter.requests.clear()
        return count

    for expected in (1, 0, 0):
        driver.read(target)
        assert asked() == expected
    now += timedelta(days=1)
    driver.read(target)
    assert asked() == 1
    silent = True
    with pytest.raises(Exception, match="did not answer"):
        driver.read(target)
    silent = False
    memory.update(words("K999"))
    for _ in range(2):
        with pytest.raises(IdentityError) as caught:
            driver.read(target)
        assert (caught.value.expected, caught.value.found) == ("ABC-00K123", "ABC-K999")


@pytest.mark.parametrize("shown", [0, 0xFFFFFFFF, None])
def test_a_meter_that_shows_no_serial_number_is_taken_for_the_configured_one(shown: int | None) -> None:
    profile = load_profile("eastron-sdm120")
    memory = dict(profile.golden[0].words)
    for address in (0xFC00, 0xFC01):
        del memory[3, address]
        if shown is not None:
            memory[3, address] = shown & 0xFFFF
    driver = driver_of(RegisterMeter(7, lambda: memory))
    for _ in range(2):
        assert driver.read(Target("7", meter="EAS-5", profile="eastron-sdm120"))


def test_a_meter_that_is_silent_when_asked_for_its_serial_number_is_read_all_the_same() -> None:
    profile = load_profile("eastron-sdm120")

    class Meter(RegisterMeter):
        def hear(self, data: bytes, settings: SerialSettings) -> list[Transmission]:
            return super().hear(data, settings) if data[1] == 4 else []

    driver = driver_of(Meter(7, lambda: profile.golden[0].words))
    for timeouts in (1, 1):
        assert driver.read(Target("7", meter="EAS-5", profile="eastron-sdm120"))
        assert driver.tally.timeouts == timeouts, "and asked again tomorrow"


def test_a_virtual_meter_shows_its_serial_number() -> None:
    meter = VirtualModbusMeter(7, load_profile("abb-a-b-series"), {}, serial="4711")
    target = Target("7", meter="ABB-4712", profile="abb-a-b-series")
    with pytest.raises(IdentityError, match="ABB-4711"):
        driver_of(meter).read(target)
