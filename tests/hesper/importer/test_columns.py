"""The column map: what it says, and what is wrong with one that says nothing."""

import pytest

from hesper.importer.columns import EXAMPLE, ColumnMapError, parse_column_map
from telemetry.obis import Medium


def test_the_example_maps_litres_to_cubic_metres() -> None:
    columns = parse_column_map([EXAMPLE])
    (register,) = columns.registers
    assert (columns.meter, columns.at, register.obis, register.column) == (
        "meter",
        "local_time",
        "8-0:1.0.0",
        "litres",
    )
    assert register.number("90348") == 90.348
    assert register.number("4e+05") == 400.0
    assert columns.medium is Medium.COLD_WATER


def test_options_may_be_repeated_in_any_order_and_mean_the_same() -> None:
    repeated = parse_column_map(["8-0:1.0.0=litres:L", "at=local_time", "meter=meter"])
    assert repeated == parse_column_map([EXAMPLE])
    assert repeated.text == parse_column_map([EXAMPLE]).text


def test_a_column_without_unit_holds_the_usual_one() -> None:
    (register,) = parse_column_map(["meter=m,at=t,1-0:1.8.0=energy"]).registers
    assert (register.unit, register.usual, register.number("12.5")) == ("kW.h", True, 12.5)


def test_gigajoules_are_sent_as_gigajoules_since_kilowatt_hours_would_be_rounded() -> None:
    (register,) = parse_column_map(["meter=m,at=t,6-0:1.0.0=heat:GJ"]).registers
    assert (register.target, register.usual, register.number("1.234")) == ("GJ", False, 1.234)


def test_fahrenheit_is_converted_with_its_zero_point() -> None:
    (register,) = parse_column_map(["meter=m,at=t,6-0:10.0.0=flow:[degF]"]).registers
    assert register.number("212") == 100.0


def test_a_column_name_may_hold_a_comma_or_a_colon() -> None:
    columns = parse_column_map(["meter=id,at=t", '"8-0:1.0.0=volume, total:m3"'])
    assert columns.registers[0].column == "volume, total"
    assert parse_column_map(["meter=id,at=t,8-0:1.0.0=a:b:L"]).registers[0].column == "a:b"


@pytest.mark.parametrize("text", ["NaN", "inf", "1_000", "", "9e9", "12,5", "0x10", "1e999999999"])
def test_what_is_not_a_number_of_a_register_is_an_error(text: str) -> None:
    (register,) = parse_column_map([EXAMPLE.replace(":L", "")]).registers
    with pytest.raises(ValueError, match="litres"):
        register.number(text)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "no column is named for meter and at"),
        ("meter=m,at=t", "no register"),
        ("at=t,8-0:1.0.0=v", "no column is named for meter"),
        ("meter", "not NAME=COLUMN"),
        ("meter=m,meter=n,at=t", "mapped twice"),
        ("meter=m,at=t,volume=v", "not an OBIS code"),
        ("meter=m,at=t,8-0:1.0.0=v:litre", "unknown unit"),
        ("meter=m,at=t,8-0:1.0.0=v:kW.h", "cannot be converted"),
        ("meter=m,at=t,8-0:77.0.0=v", "no usual unit"),
    ],
)
def test_an_unusable_map_says_what_is_wrong(text: str, message: str) -> None:
    with pytest.raises(ColumnMapError, match=message):
        parse_column_map([text])
