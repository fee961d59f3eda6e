"""Profile files: what they say is exact both ways, and a wrong one says where it is wrong."""

import runpy
import struct
from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.driver import Target
from drivers.line import SerialSettings
from drivers.modbus.encoding import Encoding, WordOrder
from drivers.modbus.master import ModbusDriver
from drivers.modbus.profile import ProfileRegister, WordSpan
from drivers.modbus.profile_file import ProfileError, load_profile, parse_profile
from drivers.modbus.search import recognised
from drivers.modbus.virtual import RegisterMeter
from drivers.simulated import SimulatedLine
from telemetry.micro import LIMIT, to_micro
from telemetry.readout import Quantity

ROOT = Path(__file__).resolve().parents[3]
DOCUMENT = ROOT / "docs" / "profiles.md"
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
    register = ProfileRegister(
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
    whole_numbers: Callable[[Encoding], st.SearchStrategy[int]],
    encoding: Encoding,
    order: WordOrder,
    scale: Fraction,
    data: st.DataObject,
) -> None:
    register = ProfileRegister("1-0:1.8.0", 3, 0, encoding, order, scale, "kW.h", frozenset(), "")
    raw = data.draw(whole_numbers(encoding))
    value = raw * scale
    quantity = register.quantity(register.words(value))
    if abs(value) < 9_000_000_000:
        assert quantity == Quantity(round(value * 1_000_000), "kW.h")
    else:
        assert quantity is None


@given(st.decimals(Decimal(0), Decimal(99999), places=1))
def test_a_float_register_shows_what_seven_digits_hold(value: Decimal) -> None:
    register = ProfileRegister(
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


def test_an_unknown_profile_is_answered_with_the_known_ones() -> None:
    with pytest.raises(ProfileError) as caught:
        load_profile("nobody-x1")
    assert "eastron-sdm630" in caught.value.advice
    assert "wago-879" in caught.value.advice


@pytest.mark.parametrize(
    ("name", "near"), [("eastron-sdm603", "eastron-sdm630"), ("IEM3000", "schneider-iem3000")]
)
def test_a_misspelt_profile_is_answered_with_those_like_it(name: str, near: str) -> None:
    with pytest.raises(ProfileError) as caught:
        load_profile(name)
    assert near in caught.value.advice
    assert "wago-879" not in caught.value.advice


def test_a_profile_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(ProfileError, match=r"missing\.toml"):
        load_profile(str(tmp_path / "missing.toml"))


def test_an_operators_own_profile_is_read_by_its_path(tmp_path: Path) -> None:
    path = tmp_path / "own.toml"
    path.write_text(SMALL)
    assert load_profile(str(path)).name == "own"


def test_sentinels_can_be_given_for_each_encoding() -> None:
    text = SMALL.replace("[0xFFFFFFFF]", "{ uint32 = [0xFFFFFFFF], int16 = [0x7FFF] }").replace(
        'unit = "kW.h", scale = 0.01', 'unit = "kW.h", encoding = "int16"'
    )
    short, long = parse_profile(text, "small").registers
    assert (short.sentinels, long.sentinels) == ({0x7FFF}, {0xFFFFFFFF})
    assert short.quantity([0x7FFF]) is None
    assert short.quantity([0xFFFF]) == Quantity(-1_000_000, "kW.h")


def test_a_profile_that_names_no_serial_setting_has_none() -> None:
    assert parse_profile(SMALL.replace('serial = "9600 8E1"', ""), "small").settings is None


_LETTERS = {"uint16": "H", "int16": "h", "uint32": "I", "int32": "i", "uint64": "Q", "int64": "q"}
_PACKED = [*map(Encoding, _LETTERS), Encoding.FLOAT32, Encoding.FLOAT64]
_CODES = ("1-0:21.8.0", "1-0:22.8.0", "1-0:41.8.0", "1-0:42.8.0", "1-0:61.8.0", "1-0:62.8.0")


def _shown(draw: st.DrawFn, encoding: Encoding) -> tuple[bytes, Fraction]:
    """A value as a meter packs it, high word first, and what it means: floats as their shortest decimal."""
    if encoding is Encoding.FLOAT32:
        short = draw(st.floats(-(2.0**20), 2.0**20, width=32))
        return struct.pack(">f", short), Fraction(str(np.float32(short)))
    if encoding is Encoding.FLOAT64:
        double = draw(st.floats(-1e6, 1e6))
        return struct.pack(">d", double), Fraction(repr(double))
    packed = draw(st.binary(min_size=2 * encoding.words, max_size=2 * encoding.words))
    return packed, Fraction(struct.unpack(f">{_LETTERS[encoding]}", packed)[0])


@st.composite
def _layouts(draw: st.DrawFn) -> tuple[str, dict[tuple[int, int], int], dict[str, int]]:
    """A profile of mixed encodings, word orders, scales and gaps; the meter's words; micro-units by code."""
    rows: list[str] = []
    words: dict[tuple[int, int], int] = {}
    values: dict[str, int] = {}
    address = draw(st.integers(0, 0x8000))
    for code in _CODES[: draw(st.integers(1, len(_CODES)))]:
        encoding, order = draw(st.sampled_from(_PACKED)), draw(st.sampled_from(WordOrder))
        function, scale = (
            draw(st.sampled_from([3, 4])),
            draw(st.sampled_from(["1", "0.01", "1000", "1/3600"])),
        )
        packed, raw = _shown(draw, encoding)
        byte_order = "<" if order.value.endswith("swapped") else ">"
        one = struct.unpack(f"{byte_order}{encoding.words}H", packed)
        for position, word in enumerate(reversed(one) if order.value.startswith("little") else one):
            words[function, address + position] = word
        rows.append(
            f'{{ obis = "{code}", address = {address}, function = {function}, unit = "kW.h",'
            f' encoding = "{encoding}", word_order = "{order}", scale = "{scale}" }}'
        )
        micro = round(raw * Fraction(scale) * 1_000_000)
        if abs(micro) < LIMIT:
            values[code] = micro
        address += encoding.words + draw(st.integers(0, 200))
    head = 'protocol = "modbus"\ntitle = "mixed"\nsource = "https://example.org/meter.pdf"\n'
    return f"{head}registers = [\n{','.join(rows)}\n]\n", words, values


@given(_layouts())
def test_mixed_encodings_orders_and_scales_are_read_exactly_over_the_wire(
    layout: tuple[str, dict[tuple[int, int], int], dict[str, int]],
) -> None:
    text, words, values = layout
    with TemporaryDirectory() as folder:
        path = Path(folder) / "mixed.toml"
        path.write_text(text)
        driver = ModbusDriver(SimulatedLine(RegisterMeter(7, lambda: words), SerialSettings()), lambda: NOW)
        [readout] = driver.read(Target("7", meter="EAS-1", profile=str(path)))
    assert {code: quantity.micro for code, quantity in readout.values.items()} == values


def test_the_profile_in_the_documentation_is_read_and_recognised(tmp_path: Path) -> None:
    text = DOCUMENT.read_text("utf-8")
    path = tmp_path / "own.toml"
    path.write_text(text.split("```toml\n")[1].split("```")[0], "utf-8")
    profile = load_profile(str(path))
    [golden] = profile.golden
    driver = ModbusDriver(
        SimulatedLine(RegisterMeter(7, lambda: golden.words), SerialSettings()), lambda: NOW
    )
    [readout] = driver.read(Target("7", meter="EAS-1", profile=str(path)))
    assert {obis: value.micro for obis, value in readout.values.items()} == {
        obis: to_micro(text) for obis, text in golden.values.items()
    }
    words = golden.words
    assert recognised(profile, lambda span: {key: words[key] for key in words if key in _keys(span)})


def _keys(span: WordSpan) -> set[tuple[int, int]]:
    return {(span.function, address) for address in range(span.address, span.end)}


def test_the_table_in_the_documentation_is_that_of_the_files() -> None:
    script = runpy.run_path(str(ROOT / "scripts" / "profiles-table"))
    text = DOCUMENT.read_text("utf-8")
    assert script["with_table"](text) == text, "run scripts/profiles-table"
