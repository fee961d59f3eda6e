"""Units: one frozen table, exact conversion, and a clear word where there is none."""

from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from telemetry.units import UNITS, UnitError, convert, convert_micro, ratio, unit


@pytest.mark.parametrize(
    ("value", "source", "target", "expected"),
    [
        ("1389817000", "W.h", "kW.h", "1389817"),
        ("3.6", "MJ", "kW.h", "1"),
        ("1", "Gcal", "GJ", "4.1868"),
        ("250", "L", "m3", "0.25"),
        ("68", "[degF]", "Cel", "20"),
        ("1", "m3/min", "m3/h", "60"),
        ("3600", "J/h", "W", "1"),
    ],
)
def test_conversion_is_exact(value: str, source: str, target: str, expected: str) -> None:
    assert convert(Decimal(value), source, target) == Decimal(expected)


def test_units_of_different_dimensions_do_not_convert() -> None:
    with pytest.raises(UnitError, match=r"kW\.h is energy, m3 is volume"):
        convert(Decimal(1), "kW.h", "m3")


def test_an_unknown_unit_names_those_that_are_known() -> None:
    with pytest.raises(UnitError, match=r"unknown unit 'kwh'; known UCUM codes: .*kW\.h"):
        unit("kwh")


def test_a_register_takes_another_unit_only_where_nothing_is_rounded() -> None:
    assert convert_micro(1_000_000, "GJ", "kW.h") is None  # 277.777... kWh
    assert convert_micro(3_600_000, "GJ", "kW.h") == 1_000_000_000
    assert convert_micro(1_500_000, "L", "m3") == 1_500


@given(st.sampled_from(sorted(UNITS)), st.sampled_from(sorted(UNITS)))
def test_a_ratio_and_its_inverse_multiply_to_one(source: str, target: str) -> None:
    try:
        forth = ratio(source, target)
    except UnitError:
        return
    assert forth * ratio(target, source) == Fraction(1)


def test_the_table_is_frozen() -> None:
    with pytest.raises(TypeError):
        UNITS["furlong"] = UNITS["m3"]  # type: ignore[index]
