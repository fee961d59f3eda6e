"""Registers in the words of IEC 61968-9 and ESPI: exact, or refused."""

from fractions import Fraction

import pytest

from metering.delivery.format import InexpressibleError
from metering.delivery.reading_types import BULK, DELTA, POWERS, reading_type
from telemetry.micro import MICRO
from telemetry.obis import Obis
from telemetry.units import UNITS


@pytest.mark.parametrize(
    ("obis", "unit", "code"),
    [
        ("8-0:1.0.0", "m3", "0.0.0.1.1.9.58.0.0.0.0.0.0.0.0.0.42.0"),  # as other head-ends write water
        ("1-0:1.8.0", "kW.h", "0.0.0.1.1.1.12.0.0.0.0.0.0.0.0.3.72.0"),
        ("1-0:2.8.0", "kW.h", "0.0.0.1.19.1.12.0.0.0.0.0.0.0.0.3.72.0"),
        ("1-0:1.8.2", "kW.h", "0.0.0.1.1.1.12.0.0.0.0.2.0.0.0.3.72.0"),
        ("6-0:1.0.0", "GJ", "0.0.0.1.1.12.12.0.0.0.0.0.0.0.0.9.31.0"),
        ("7-0:3.0.0", "m3", "0.0.0.1.1.7.58.0.0.0.0.0.0.0.0.0.42.0"),
    ],
)
def test_codes_are_those_of_the_standard(obis: str, unit: str, code: str) -> None:
    assert reading_type(obis, unit).code(BULK) == code
    assert reading_type(obis, unit).code(DELTA) == "8.0.0.4." + code.removeprefix("0.0.0.1.")


@pytest.mark.parametrize(
    "unit", [code for code, each in UNITS.items() if each.dimension in {"energy", "volume"}]
)
@pytest.mark.parametrize("step", [1, MICRO])
def test_no_unit_loses_anything(unit: str, step: int) -> None:
    obis = "8-0:1.0.0" if UNITS[unit].dimension == "volume" else "6-0:1.0.0"
    kind = reading_type(obis, unit)
    power, factor = kind.counted(step)
    base = (
        UNITS["m3"].factor if UNITS[unit].dimension == "volume" else Fraction(3600 if kind.uom == 72 else 1)
    )
    assert power in POWERS
    assert factor * Fraction(10) ** power * base == UNITS[unit].factor / step


def test_what_the_standard_has_no_words_for_is_refused() -> None:
    with pytest.raises(InexpressibleError, match="use csv"):
        reading_type("8-0:3.0.0", "Cel")
    with pytest.raises(InexpressibleError, match="no commodity"):
        reading_type("0-0:96.8.0", "m3")
    assert Obis.parse("0-0:96.8.0").medium is not None
