"""Profiles: every one has golden answers and is read right; a wrong one says where it is wrong."""

import csv
from datetime import UTC, datetime
from decimal import Decimal
from fractions import Fraction
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import drivers
from drivers.driver import Target
from drivers.modbus.encoding import Encoding, WordOrder
from drivers.modbus.master import ModbusDriver
from drivers.modbus.profile import Register
from drivers.modbus.profile_file import ProfileError, load_profile, parse_profile, profile_names
from drivers.modbus.virtual import RegisterMeter
from drivers.simulated import SimulatedLine
from telemetry.micro import to_micro
from telemetry.obis import Obis
from telemetry.readout import Quantity

DRIVERS = Path(drivers.__file__).parent
NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)

SMALL = """
protocol = "modbus"
title = "A meter"
source = "https://example.org/meter.pdf"
serial = "9600 8E1"
defaults = { encoding = "uint32", sentinels = [0xFFFFFFFF] }
registers = [
  { obis = "1-0:1.8.0", address = 0x0010, unit = "kW.h", scale = 0.01 },
  { obis = "1-0:2.8.0", address = 0x0012, unit = "kW.h", scale = "1/3600" },
]
"""


def test_hesper_brings_the_eastron_meters() -> None:
    assert {"eastron-sdm630", "eastron-sdm120"} <= set(profile_names())


@pytest.mark.parametrize("name", profile_names())
def test_a_profile_names_its_source_and_has_golden_answers_for_every_register(name: str) -> None:
    profile = load_profile(name)
    assert profile.source.startswith("https://")
    assert profile.golden, "a profile without golden answers is not shipped"
    proven = {obis for golden in profile.golden for obis in golden.values}
    assert proven == {register.obis for register in profile.registers}


@pytest.mark.parametrize("name", profile_names())
def test_the_driver_reads_the_golden_answers(name: str) -> None:
    profile = load_profile(name)
    for golden in profile.golden:
        meter = RegisterMeter(7, lambda words=golden.words: words)
        driver = ModbusDriver(SimulatedLine(meter, profile.settings), lambda: NOW)
        [readout] = driver.read(Target("7", meter="EAS-1", profile=name))
        units = {register.obis: register.unit for register in profile.registers}
        assert readout.values == {
            obis: Quantity(to_micro(text), units[obis]) for obis, text in golden.values.items()
        }


@pytest.mark.parametrize("name", profile_names())
def test_every_register_has_a_name_in_the_shared_language(name: str) -> None:
    assert [r.obis for r in load_profile(name).registers if Obis.parse(r.obis).definition is None] == []


@pytest.mark.parametrize(("name", "table"), [("eastron-sdm630", "sdm.csv"), ("eastron-sdm120", "sdm120.csv")])
def test_addresses_and_units_agree_with_the_collected_register_maps(
    name: str, table: str, shared_data: Path
) -> None:
    with (shared_data / "modbus-maps" / table).open(newline="") as file:
        rows = {int(row["address"], 16): row for row in csv.DictReader(file) if "thd" not in row["quantity"]}
    profile = load_profile(name)
    assert {register.address for register in profile.registers} == set(rows)
    for register in profile.registers:
        row = rows[register.address]
        assert register.comment == row["quantity"].replace("_l", " L").replace("_", " ")
        assert register.unit == {"VA": "V.A"}.get(row["unit"], row["unit"])
        assert (register.function, register.encoding) == (int(row["function_code"]), row["encoding"])
        assert (register.word_order, register.scale) == (row["word_order"], Fraction(row["scale"]))


def test_scales_are_exact() -> None:
    imported, exported = parse_profile(SMALL, "small").registers
    assert imported.scale == Fraction(1, 100)
    assert imported.quantity([0, 12345]) == Quantity(123_450_000, "kW.h")
    assert exported.quantity([0, 3600 * 7]) == Quantity(7_000_000, "kW.h")


def test_a_sentinel_is_no_reading() -> None:
    register = parse_profile(SMALL, "small").registers[0]
    assert register.quantity([0xFFFF, 0xFFFF]) is None
    assert register.words(None) == [0xFFFF, 0xFFFF]


def test_a_value_beyond_any_register_is_no_reading() -> None:
    register = Register(
        "1-0:1.8.0", 3, 0, Encoding.UINT64, WordOrder.BIG, Fraction(1), "kW.h", frozenset(), ""
    )
    assert register.quantity([0x7FFF, 0, 0, 0]) is None


@given(
    st.sampled_from([one for one in Encoding if not one.is_float]),
    st.sampled_from(WordOrder),
    st.sampled_from([Fraction(1), Fraction(1, 100), Fraction(10), Fraction(1, 1000)]),
    st.data(),
)
def test_a_virtual_register_is_the_exact_inverse(
    encoding: Encoding, order: WordOrder, scale: Fraction, data: st.DataObject
) -> None:
    register = Register("1-0:1.8.0", 3, 0, encoding, order, scale, "kW.h", frozenset(), "")
    signed = encoding.value.startswith("int")
    bits = 16 * encoding.words - signed
    raw = data.draw(st.integers(-(1 << bits) if signed else 0, (1 << bits) - 1))
    value = raw * scale
    quantity = register.quantity(register.words(value))
    if abs(value) < 9_000_000_000:
        assert quantity == Quantity(round(value * 1_000_000), "kW.h")
    else:
        assert quantity is None


@given(st.decimals(Decimal(0), Decimal(99999), places=1))
def test_a_float_register_shows_what_seven_digits_hold(value: Decimal) -> None:
    register = Register(
        "1-0:1.8.0", 4, 0, Encoding.FLOAT32, WordOrder.BIG, Fraction(1), "kW.h", frozenset(), ""
    )
    assert register.quantity(register.words(Fraction(value))) == Quantity(to_micro(value), "kW.h")


@pytest.mark.parametrize(
    ("find", "put", "complaint"),
    [
        ("protocol =", "protocol", "line 2"),
        ('"9600 8E1"', '"fast"', "serial setting"),
        ('source = "https://example.org/meter.pdf"', "", "source"),
        ('obis = "1-0:1.8.0"', 'obis = "1.8.0"', "register 1.8.0"),
        ("address = 0x0012", "address = 70000", "register 1-0:2.8.0"),
        ("address = 0x0012", "adress = 0x0012", "register 1-0:2.8.0.*adress"),
        ("address = 0x0012", "address = 0x0011", "0x0011 belongs to 1-0:1.8.0"),
        ("address = 0x0012", "address = 0xFFFF", "0xFFFF"),
        ("1-0:2.8.0", "1-0:1.8.0", "named twice"),
        ("scale = 0.01", "scale = 0", "register 1-0:1.8.0: a scale of 0"),
        ("scale = 0.01", 'scale = "1/0"', "register 1-0:1.8.0"),
        ("scale = 0.01", 'scale = "much"', "register 1-0:1.8.0"),
        ('unit = "kW.h", scale = 0.01', 'unit = "kvar.h"', "kvar.h cannot be the unit"),
        ('unit = "kW.h", scale = 0.01', 'unit = "kWh"', "unknown unit"),
        ("0xFFFFFFFF", "0x1FFFFFFFF", "sentinel"),
    ],
)
def test_a_wrong_profile_says_in_which_file_and_register(find: str, put: str, complaint: str) -> None:
    assert find in SMALL
    with pytest.raises(ProfileError, match=f"profile small.*{complaint}"):
        parse_profile(SMALL.replace(find, put), "small")


def test_a_golden_block_that_is_not_hexadecimal_is_named() -> None:
    wrong = (
        '\n[[golden]]\ncomment = "x"\nblocks = [{ function = 4, address = 16, words = "12345" }]\nvalues = {}'
    )
    with pytest.raises(ProfileError, match="golden block 0x0010"):
        parse_profile(SMALL + wrong, "small")


def test_an_unknown_profile_is_answered_with_the_known_ones(tmp_path: Path) -> None:
    with pytest.raises(ProfileError) as caught:
        load_profile("nobody-x1")
    assert "eastron-sdm630" in caught.value.advice
    with pytest.raises(ProfileError, match=r"missing\.toml"):
        load_profile(str(tmp_path / "missing.toml"))


def test_an_operators_own_profile_is_read_by_its_path(tmp_path: Path) -> None:
    path = tmp_path / "own.toml"
    path.write_text(SMALL)
    assert load_profile(str(path)).name == "own"


def test_the_profile_in_the_documentation_is_one() -> None:
    text = (DRIVERS / "profiles" / "README.md").read_text()
    profile = parse_profile(text.split("```toml\n")[1].split("```")[0], "readme")
    [golden] = profile.golden
    shown = {
        register.obis: register.quantity([golden.words[4, a] for a in range(register.address, register.end)])
        for register in profile.registers
    }
    assert shown == {obis: Quantity(to_micro(value), "kW.h") for obis, value in golden.values.items()}
