"""What data sets mean: codes, units, dates, identity, and what never becomes a value."""

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.errors import DecodeError
from drivers.optical.codec.dataset import decode_sets
from drivers.optical.codec.instants import instant
from drivers.optical.codec.registers import DataSetAddress, Registers, registers, ucum_code
from telemetry.obis import Medium
from telemetry.readout import Quantity

MADRID = ZoneInfo("Europe/Madrid")


def read(text: str, medium: Medium = Medium.ELECTRICITY) -> Registers:
    return registers(decode_sets(text.encode() + b"!\r\n"), MADRID, medium)


@pytest.mark.parametrize(
    ("text", "obis", "period"),
    [
        ("1.8.0", "1-0:1.8.0", 255),
        ("1.8.2*05", "1-0:1.8.2", 5),
        ("1.8.2&05", "1-0:1.8.2", 5),
        ("1-0:1.8.0*255", "1-0:1.8.0", 255),
        ("1-1:2.8.1", "1-1:2.8.1", 255),
        ("8-0:1.0.0", "8-0:1.0.0", 255),
        ("1.8", "1-0:1.8.0", 255),
        ("C.1.0", "0-0:96.1.0", 255),
        ("0.0.0", "0-0:0.0.0", 255),
        ("F.F", "0-0:97.97.0", 255),
        ("0.1.2*11", "0-0:0.1.2", 11),
    ],
)
def test_short_and_full_addresses_are_obis_codes(text: str, obis: str, period: int) -> None:
    address = DataSetAddress.parse(text, Medium.ELECTRICITY)
    assert address is not None
    assert (str(address.obis), address.period) == (obis, period)


@pytest.mark.parametrize("text", ["", "P.01.x", "1", "kWh", "1-0:1.8.0.0.0", "999.8.0", "1.8.0*"])
def test_other_addresses_are_the_makers_own(text: str) -> None:
    assert DataSetAddress.parse(text, Medium.ELECTRICITY) is None


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("kWh", "kW.h"),
        ("KWH", "kW.h"),
        ("kvarh", "kvar.h"),
        ("m3", "m3"),
        ("°C", "Cel"),
        ("mW", None),
        ("MV", None),
    ],
)
def test_units_are_ucum_and_milli_is_not_mega(text: str, code: str | None) -> None:
    assert ucum_code(text) == code


def test_values_are_exact_and_keep_their_unit() -> None:
    got = read(
        "1.8.1(000123.450*kWh)\r\n2.8.0(7*MWh)\r\n32.7.0(230.1*V)\r\n1.6.1(4.20*kW)(26-11-01 10:15)\r\n"
        "13.7.0(0.97)\r\n"
    )
    assert got.present == {
        "1-0:13.7.0": Quantity(970_000, "1"),
        "1-0:1.8.1": Quantity(123_450_000, "kW.h"),
        "1-0:2.8.0": Quantity(7_000_000, "MW.h"),
        "1-0:32.7.0": Quantity(230_100_000, "V"),
        "1-0:1.6.1": Quantity(4_200_000, "kW"),
    }


@pytest.mark.parametrize(
    "text",
    [
        "1.8.0(12.5)",  # no unit: kWh or MWh?
        "1.8.0(12.5*m3)",  # a unit of another dimension: a code of the maker's own
        "1.8.0(ERROR*kWh)",
        "1.8.0(----*kWh)",
        "1.8.0(ERR05)",
        "1.8.0(ER05*kWh)",
        "6.8(12.5*MWh)",  # heat meters' old codes are not OBIS
        "F.F(00000000)",
        "0.9.1(101500)",
        "1.8.0(99999999999*kWh)",
    ],
)
def test_what_is_not_certain_is_no_value(text: str) -> None:
    assert read(text).present == {}


def test_a_register_that_is_told_twice_has_a_value_only_if_both_agree() -> None:
    got = read("1.8.0(5*kWh)\r\n1-0:1.8.0*255(5*kWh)\r\n2.8.0(5*kWh)\r\n1-0:2.8.0(6*kWh)\r\n")
    assert got.present == {"1-0:1.8.0": Quantity(5_000_000, "kW.h")}


def test_a_water_meters_short_codes_are_of_its_medium() -> None:
    assert read("1.0.0(12.5*m3)", Medium.COLD_WATER).present == {"8-0:1.0.0": Quantity(12_500_000, "m3")}


def test_stored_values_take_the_instant_of_their_billing_period() -> None:
    got = read(
        "1.8.1(200.5*kWh)\r\n1.8.1*05(190.0)\r\n1.8.1&04(180.0*kWh)\r\n1.8.1*03(170.0)\r\n"
        "0.1.2*05(26-11-01 00:00)\r\n0.1.2&04(2610010000)\r\n1.6.1*05(3.3*kW)(26-10-07 18:15)\r\n"
    )
    assert got.present == {"1-0:1.8.1": Quantity(200_500_000, "kW.h")}
    assert got.historical == {
        datetime(2026, 10, 31, 23, 0, tzinfo=UTC): {"1-0:1.8.1": Quantity(190_000_000, "kW.h")},
        datetime(2026, 9, 30, 22, 0, tzinfo=UTC): {"1-0:1.8.1": Quantity(180_000_000, "kW.h")},
    }


def test_a_stored_value_may_carry_its_own_date() -> None:
    got = read("1.8.0*01(190.0*kWh)(26-11-01 00:00)")
    assert list(got.historical) == [datetime(2026, 10, 31, 23, 0, tzinfo=UTC)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("26-07-01 12:00", datetime(2026, 7, 1, 10, 0, tzinfo=UTC)),
        ("2026-07-01 12:00:30", datetime(2026, 7, 1, 10, 0, 30, tzinfo=UTC)),
        ("2607011200", datetime(2026, 7, 1, 10, 0, tzinfo=UTC)),
        ("12607011200", datetime(2026, 7, 1, 10, 0, tzinfo=UTC)),
        ("0261201120030", datetime(2026, 12, 1, 11, 0, 30, tzinfo=UTC)),
        ("2260701120000", datetime(2026, 7, 1, 12, 0, tzinfo=UTC)),
        ("1261025023000", datetime(2026, 10, 25, 0, 30, tzinfo=UTC)),  # the hour that occurs twice
        ("0261025023000", datetime(2026, 10, 25, 1, 30, tzinfo=UTC)),
    ],
)
def test_the_meters_dates_are_instants(text: str, expected: datetime) -> None:
    assert instant(text, MADRID) == expected


@pytest.mark.parametrize("text", ["", "26-13-01 00:00", "0000000000", "12:00", "soon"])
def test_what_is_no_date_is_none(text: str) -> None:
    assert instant(text, MADRID) is None


def test_serials_come_with_the_makers_first() -> None:
    assert read("0.0.0(11)\r\nC.1.0( 22 )\r\nC.1.1()\r\n").serials == ("22", "11")
    assert read("0-0:96.1.0*255(33a)").serials == ("33A",)


@pytest.mark.parametrize(
    ("text", "fatal"), [("F.F(00000000)", False), ("F.F()", False), ("F.F(00000010)", True)]
)
def test_the_fatal_error_register_is_a_fault_and_no_value(text: str, fatal: bool) -> None:
    assert read(text).fatal_error is fatal
    assert read(text).present == {}


@given(st.text(st.sampled_from("0123456789.*&-:()CFkWhm3 \r\n"), max_size=80))
def test_any_readable_readout_has_registers(text: str) -> None:
    try:
        sets = decode_sets(text.encode())
    except DecodeError:
        return
    registers(sets, MADRID)
