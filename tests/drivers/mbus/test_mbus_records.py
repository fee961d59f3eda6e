"""Data records: every field, exact values, dates, and the encoder that reads the same tables."""

from datetime import date, datetime, time
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.errors import DecodeError
from drivers.mbus.codec import vif
from drivers.mbus.codec.dif import MORE_FOLLOWS, Coding, DataInformation, Function, read_data_information
from drivers.mbus.codec.encode import date_record, record
from drivers.mbus.codec.fixed import read_fixed
from drivers.mbus.codec.header import ByteOrder, Header
from drivers.mbus.codec.records import Record, read_records
from drivers.mbus.codec.telegram import Telegram, decode, encode_telegram
from drivers.mbus.codec.timepoint import TimePoint, decode_timepoint, encode_timepoint
from drivers.mbus.codec.values import encode_value, read_value

INTEGERS = [Coding.INT8, Coding.INT16, Coding.INT24, Coding.INT32, Coding.INT48, Coding.INT64]
BCDS = [Coding.BCD2, Coding.BCD4, Coding.BCD6, Coding.BCD8, Coding.BCD12]
LSB = ByteOrder.LSB_FIRST


def only(data: str, order: ByteOrder = LSB) -> Record:
    (one,) = read_records(bytes.fromhex(data), order)
    return one


# data information


@given(
    st.sampled_from([coding for coding in Coding if coding is not Coding.SELECTION]),
    st.sampled_from(list(Function)[:4]),
    st.integers(0, 2**41 - 1),
    st.integers(0, 2**20 - 1),
    st.integers(0, 2**10 - 1),
)
def test_data_information_decodes_to_itself(
    coding: Coding, function: Function, storage: int, tariff: int, subunit: int
) -> None:
    information = DataInformation(coding, function, storage, tariff, subunit)
    block = information.encode()
    assert read_data_information(block, 0) == (information, len(block))


# values


@given(st.sampled_from(INTEGERS + BCDS), st.integers(-(10**13), 10**13))
def test_an_encoded_number_decodes_to_itself(coding: Coding, number: int) -> None:
    try:
        raw = encode_value(coding, number)
    except ValueError:
        return
    coded, end = read_value(coding, raw, 0, LSB)
    assert (coded.number, end) == (Decimal(number), len(raw))


@given(st.floats(width=32, allow_nan=False, allow_infinity=False))
def test_a_float32_is_the_shortest_decimal_that_denotes_it(value: float) -> None:
    import numpy as np

    coded, _ = read_value(Coding.FLOAT32, np.float32(value).tobytes(), 0, LSB)
    assert coded.number is not None
    assert np.float32(str(coded.number)) == np.float32(value)
    assert len(coded.number.normalize().as_tuple().digits) <= 9
    assert encode_value(Coding.FLOAT32, coded.number) == np.float32(float(coded.number)).tobytes()


@given(st.integers(-(10**18) + 1, 10**18 - 1))
def test_a_number_of_variable_length_decodes_to_itself(number: int) -> None:
    coded, _ = read_value(Coding.VARIABLE, encode_value(Coding.VARIABLE, number), 0, LSB)
    assert coded.number == number


def test_the_top_nibble_f_makes_a_bcd_number_negative() -> None:
    assert only("0B 2C 00 22 F0").value == Decimal(-22000)
    assert only("0A 5A 05 F0").value == Decimal("-0.5")


@pytest.mark.parametrize("data", ["0C 06 BD EB DD DD", "0B 3B 00 0A 00", "0A 5A 00 1F", "09 5B FF"])
def test_letters_on_the_display_are_no_number(data: str) -> None:
    one = only(data)
    assert one.value is None
    assert "instead of a number" in (one.error or "")


@pytest.mark.parametrize("data", ["05 2B 00 00 C0 7F", "05 2B 00 00 80 FF"])
def test_a_float_that_is_not_finite_is_no_number(data: str) -> None:
    assert only(data).value is None


@pytest.mark.parametrize(
    ("data", "value"),
    [
        ("0D 78 03 43 42 41", "ABC"),
        ("0D 06 C2 34 12", Decimal(1234)),
        ("0D 06 D2 34 12", Decimal(-1234)),
        ("0D 06 E3 00 00 01", Decimal(65536)),
        ("0D 2B F4 00 00 20 41", Decimal(10)),
        ("0D 2B F8 00 00 00 00 00 00 24 40", Decimal(10)),
        ("0D 7F F2 01 02", b"\x01\x02"),
        ("0D 7F F0" + 16 * "07", 16 * b"\x07"),
    ],
)
def test_every_variable_length_form_is_read(data: str, value: object) -> None:
    assert only(data).value == value


@pytest.mark.parametrize("lvar", ["CA", "DF", "FB", "FF"])
def test_reserved_variable_lengths_are_errors(lvar: str) -> None:
    with pytest.raises(DecodeError, match="reserved"):
        only(f"0D 06 {lvar}" + 16 * "00")


# dates and times


@given(st.dates(date(1981, 1, 1), date(2080, 12, 31)), st.times(), st.booleans())
def test_dates_and_times_decode_to_themselves(day: date, clock: time, summer: bool) -> None:
    minute = clock.replace(second=0, microsecond=0)
    second = clock.replace(microsecond=0)
    for point, size in (
        (TimePoint(day), 2),
        (TimePoint(None, second), 3),
        (TimePoint(day, minute, summer), 4),
        (TimePoint(day, second, summer), 6),
    ):
        assert decode_timepoint(encode_timepoint(point, size)) == point


@pytest.mark.parametrize(
    ("raw", "shown"),
    [
        ("5F 1C", "2010-12-31"),
        ("21 C5", "1997-05-01"),  # years 81 to 99 are of the last century
        ("00 00 08 16 27 00", "2016-07-22T08:00:00"),  # type I of a Landis+Gyr G350 gas meter
        ("1A 2F 65 11", "2011-01-05T15:26:00"),
        ("0C 2C BD 16", "2013-06-29T12:12:00"),  # hundreds from 1900 on: 1
    ],
)
def test_dates_read_as_meters_show_them(raw: str, shown: str) -> None:
    point = decode_timepoint(bytes.fromhex(raw))
    assert str(point) == shown


@pytest.mark.parametrize("raw", ["00 00", "FF FF", "A1 15 E9 17", "3F 1F FF FF", "00 80 08 16 27 00", "01"])
def test_invalid_times_and_patterns_are_no_date(raw: str) -> None:
    assert decode_timepoint(bytes.fromhex(raw)) is None


def test_the_summer_bit_tells_the_two_half_past_twos_of_an_autumn_night_apart() -> None:
    from zoneinfo import ZoneInfo

    zone = ZoneInfo("Europe/Madrid")
    night, half_past_two = date(2026, 10, 25), time(2, 30)
    summer = TimePoint(night, half_past_two, summer=True).local(zone)
    winter = TimePoint(night, half_past_two).local(zone)
    assert summer.utcoffset() != winter.utcoffset()


# value information


@pytest.mark.parametrize(
    ("data", "quantity", "unit", "value"),
    [
        ("04 03 01 00 00 00", "energy", "kW.h", "0.001"),
        ("04 0E 01 00 00 00", "energy", "GJ", "0.001"),
        ("04 08 01 00 00 00", "energy", "MJ", "0.000001"),
        ("04 FB 01 01 00 00 00", "energy", "MW.h", "1"),
        ("04 FB 09 02 00 00 00", "energy", "GJ", "2"),
        ("04 FB 0D 03 00 00 00", "energy", "Mcal", "3"),
        ("04 FB 10 03 00 00 00", "volume", "m3", "300"),
        ("02 FD 48 44 09", "voltage", "V", "237.2"),
        ("02 FD 59 BD 03", "current", "A", "0.957"),
        ("02 FB 2E 88 13", "frequency", "Hz", "500.0"),
        ("01 93 74 05", "volume", "m3", "0.00005"),  # 10**(4-6)
        ("01 13 05", "volume", "m3", "0.005"),
        ("01 93 7D 05", "volume", "m3", "5"),
        ("01 93 78 05", "volume", "m3", "0.006"),  # plus 10**-3
        ("02 FC 03 48 52 25 74 D4 11", "%RH", None, "45.64"),
        ("03 FC 20 03 43 42 41 15 31 00", "ABC", None, "12565"),  # the text after the VIFE
        ("02 7C 09 65 6D 69 74 20 2E 74 61 62 D2 0F", "bat. time", None, "4050"),
        ("04 BE 50 71 BB B0 00", "duration of first lower limit exceed of volume flow", "s", "11582321"),
    ],
)
def test_a_vif_says_quantity_unit_and_scale(data: str, quantity: str, unit: str | None, value: str) -> None:
    one = only(data)
    assert (one.quantity, one.unit, one.value) == (quantity, unit, Decimal(value))


def test_a_record_error_is_no_value() -> None:
    one = only("01 93 15 00")
    assert (one.value, one.error) == (None, "no data available")


def test_fillers_are_no_records_and_manufacturer_data_stay_raw() -> None:
    first, second = read_records(bytes.fromhex("2F 2F 01 13 05 2F 0F 01 02"))
    assert first.value == Decimal("0.005")
    assert (second.function, second.value) == (Function.MANUFACTURER, b"\x01\x02")


def test_chains_have_limits() -> None:
    assert only("81" + 9 * "80" + "00 13 05").value == Decimal("0.005")
    with pytest.raises(DecodeError, match="more than 10 DIFEs"):
        only("81" + 10 * "80" + "00 13 05")
    assert only("01 93" + 9 * "BB" + "3B 05").value == Decimal("0.005")
    with pytest.raises(DecodeError, match="more than 10 VIFEs"):
        only("01 93" + 10 * "BB" + "3B 05")


# fixed structure


def test_the_fixed_structure_takes_binary_counters_and_set_day_marks_from_its_status() -> None:
    header, (now, kept) = read_fixed(bytes.fromhex("78563412 0A 01 E9 7E 10000000 20000000"), LSB)
    assert (header.serial, header.medium, header.status) == ("12345678", 0x07, 0)
    assert (now.value, now.unit, now.storage) == (Decimal(16), "L", 0)
    assert (kept.value, kept.unit, kept.storage) == (Decimal(32), "L", 1)


# encoder

SCALES = st.sampled_from(
    [
        (vif.ENERGY, "kW.h", -3),
        (vif.ENERGY, "W.h", 0),
        (vif.ENERGY, "MW.h", -1),
        (vif.ENERGY, "GJ", -3),
        (vif.VOLUME, "m3", -3),
        (vif.VOLUME, "L", 0),
        (vif.POWER, "kW", -1),
        (vif.FLOW, "m3/h", -3),
        (vif.FLOW_TEMPERATURE, "Cel", -2),
        (vif.TEMPERATURE_DIFFERENCE, "K", -2),
        (vif.HEAT_COST_UNITS, "1", 0),
        (vif.VOLTAGE, "V", -1),
        (vif.REACTIVE_ENERGY, "kvar.h", 0),
    ]
)


@given(
    SCALES,
    st.integers(-9999, 10**8 - 1),
    st.sampled_from([Coding.BCD8, Coding.INT32, Coding.INT64, Coding.BCD12, Coding.VARIABLE]),
    st.tuples(st.integers(0, 40), st.integers(0, 4), st.integers(0, 3)),
)
def test_an_encoded_record_decodes_to_itself(
    scale: tuple[str, str, int], digits: int, coding: Coding, place: tuple[int, int, int]
) -> None:
    from telemetry.units import convert

    quantity, unit, exponent = scale
    storage, tariff, subunit = place
    value = Decimal(digits).scaleb(exponent)
    data = record(quantity, value, unit, coding=coding, storage=storage, tariff=tariff, subunit=subunit)
    (one,) = read_records(data)
    assert (one.quantity, one.storage, one.tariff, one.subunit) == (quantity, storage, tariff, subunit)
    assert one.number is not None
    assert one.unit is not None
    assert convert(one.number, one.unit, unit) == value


def test_an_encoded_telegram_decodes_to_its_records() -> None:
    header = Header("06855817", "KAM", 8, 0x04, 4, 0x04, 0)
    data = (
        record(vif.ENERGY, Decimal(37351), "kW.h")
        + record(vif.ENERGY, Decimal(5), "kW.h", extensions=b"\x3b", coding=Coding.INT32)
        + date_record(date(2026, 10, 31), storage=1)
        + date_record(datetime(2026, 11, 22, 2, 24), storage=0)  # noqa: DTZ001 - a meter's clock has no zone
        + b"\x0d\x7c\x08DI .tsuc\x067 talf"  # a plain-text unit and a text, last letter first
        + bytes((MORE_FOLLOWS,))
    )
    telegram = decode(encode_telegram(5, header, data))
    assert isinstance(telegram, Telegram)
    assert telegram.header == header
    assert telegram.more_follow
    assert [str(r.value) for r in telegram.records[:5]] == [
        "37351",
        "5",
        "2026-10-31",
        "2026-11-22T02:24:00",
        "flat 7",
    ]
    assert telegram.records[1].notes == ("positive contributions only",)


def test_a_value_that_no_vif_says_is_refused() -> None:
    with pytest.raises(ValueError, match="no VIF"):
        record(vif.VOLTAGE, Decimal(1), "m3")
    with pytest.raises(ValueError, match="does not fit"):
        record(vif.VOLUME, Decimal(123456789), "m3", coding=Coding.BCD8)
