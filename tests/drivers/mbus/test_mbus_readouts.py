"""From records to registers: names, set days, units, and what is left out with its reason."""

from datetime import UTC, date, datetime, tzinfo
from decimal import Decimal
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from drivers.errors import DecodeError
from drivers.mbus.codec import vif
from drivers.mbus.codec.dif import Coding, Function
from drivers.mbus.codec.encode import date_record, record
from drivers.mbus.codec.header import Header
from drivers.mbus.codec.telegram import Telegram, decode, encode_telegram
from drivers.mbus.readouts import Interpretation, interpret, record_names
from telemetry.readout import Quantity
from telemetry.status import Status
from tests.drivers.mbus.from_frames import readouts

NOW = datetime(2026, 11, 22, 2, 30, tzinfo=UTC)
MADRID = ZoneInfo("Europe/Madrid")
HEAT, WATER, ELECTRICITY, GAS, BOTH = 0x04, 0x07, 0x02, 0x03, 0x0D


def read(*data: bytes, medium: int = HEAT, zone: tzinfo = UTC, status: int = 0) -> Interpretation:
    header = Header("06855817", "KAM", 8, medium, 4, status, 0)
    telegram = decode(encode_telegram(5, header, b"".join(data)))
    assert isinstance(telegram, Telegram)
    return interpret([telegram], NOW, zone)


def present(*data: bytes, medium: int = HEAT) -> dict[str, Quantity]:
    return dict(read(*data, medium=medium).readouts[0].values)


def energy(value: str, unit: str = "kW.h", **place: Any) -> bytes:
    return record(vif.ENERGY, Decimal(value), unit, **place)


def reasons(interpretation: Interpretation) -> list[str]:
    return [left_out.reason for left_out in interpretation.rejected]


def test_a_heat_meter_is_named_by_the_table() -> None:
    values = present(
        energy("37351"),
        record(vif.VOLUME, Decimal("561.08"), "m3"),
        record(vif.POWER, Decimal(34700), "W", resolution=Decimal(100)),
        record(vif.FLOW, Decimal("0.543"), "m3/h"),
        record(vif.FLOW_TEMPERATURE, Decimal("101.69"), "Cel"),
        record(vif.RETURN_TEMPERATURE, Decimal("46.16"), "Cel"),
        record(vif.TEMPERATURE_DIFFERENCE, Decimal("55.53"), "K"),
        energy("12", tariff=2),
        record(vif.VOLUME, Decimal("1.23"), "m3", subunit=1),
    )
    assert values == {
        "6-0:1.0.0": Quantity(37_351_000_000, "kW.h"),
        "6-0:2.0.0": Quantity(561_080_000, "m3"),
        "6-0:8.0.0": Quantity(34_700_000, "kW"),
        "6-0:9.0.0": Quantity(543_000, "m3/h"),
        "6-0:10.0.0": Quantity(101_690_000, "Cel"),
        "6-0:11.0.0": Quantity(46_160_000, "Cel"),
        "6-0:12.0.0": Quantity(55_530_000, "K"),
        "6-0:1.0.2": Quantity(12_000_000, "kW.h"),
        "6-1:2.0.0": Quantity(1_230_000, "m3"),
    }


@pytest.mark.parametrize(
    ("medium", "data", "obis"),
    [
        (WATER, record(vif.VOLUME, Decimal("1.5"), "m3"), "8-0:1.0.0"),
        (0x06, record(vif.VOLUME, Decimal("1.5"), "m3"), "9-0:1.0.0"),
        (0x16, record(vif.FLOW, Decimal("1.5"), "m3/h"), "8-0:2.0.0"),
        (GAS, record(vif.VOLUME, Decimal("1.5"), "m3"), "7-0:3.0.0"),
        (0x0A, energy("1"), "5-0:1.0.0"),
        (BOTH, energy("1", extensions=b"\x3c"), "5-0:1.0.0"),
        (BOTH, energy("1", extensions=b"\x3b"), "6-0:1.0.0"),
        (ELECTRICITY, energy("1"), "1-0:1.8.0"),
        (ELECTRICITY, energy("1", extensions=b"\x3c", tariff=1), "1-0:2.8.1"),
        (ELECTRICITY, record(vif.VOLTAGE, Decimal("230.1"), "V", extensions=b"\x7c\x02"), "1-0:52.7.0"),
        (ELECTRICITY, record(vif.POWER, Decimal(-5), "W"), "1-0:16.7.0"),
        (ELECTRICITY, record(vif.FREQUENCY, Decimal("49.98"), "Hz"), "1-0:14.7.0"),
        (0x08, record(vif.HEAT_COST_UNITS, Decimal(7), "1"), "4-0:1.0.0"),
    ],
)
def test_other_media_are_named_by_the_table(medium: int, data: bytes, obis: str) -> None:
    assert list(present(data, medium=medium)) == [obis]


@pytest.mark.parametrize("function", [Function.MAXIMUM, Function.MINIMUM, Function.ERROR_STATE])
def test_only_instantaneous_values_have_a_name(function: Function) -> None:
    assert present(record(vif.ENERGY, Decimal(1), "kW.h", function=function)) == {}


def test_a_manufacturers_variant_of_a_quantity_has_no_name() -> None:
    assert present(record(vif.ENERGY, Decimal(1), "kW.h", extensions=b"\x7f\x01"), medium=ELECTRICITY) == {}


def test_joules_stay_joules_and_calories_become_kilowatt_hours() -> None:
    assert present(energy("12.345", "GJ"))["6-0:1.0.0"] == Quantity(12_345_000, "GJ")
    assert present(energy("0.036", "GJ"))["6-0:1.0.0"] == Quantity(36_000, "GJ")  # 10 kW.h, and yet GJ
    assert present(energy("2.000", "Gcal"))["6-0:1.0.0"] == Quantity(2_326_000_000, "kW.h")
    assert present(energy("0.8", "MW.h"))["6-0:1.0.0"] == Quantity(800_000_000, "kW.h")


def test_values_finer_than_micro_units_are_rounded_half_even() -> None:
    power = record(vif.POWER, Decimal("-170.72178"), "W", coding=Coding.FLOAT32, resolution=Decimal("1E3"))
    assert present(power)["6-0:8.0.0"] == Quantity(-170_722, "kW")


def test_the_status_byte_travels_with_the_present_only() -> None:
    now, kept = read(
        energy("5"), energy("4", storage=1), date_record(date(2026, 10, 31), storage=1), status=0x04
    ).readouts
    assert now.status == Status.POWER_LOW
    assert kept.status == Status.HISTORICAL


@pytest.mark.parametrize(
    ("set_day", "instant"),
    [
        (date(2026, 11, 1), datetime(2026, 10, 31, 23, tzinfo=UTC)),  # midnight in Madrid
        (date(2026, 10, 31), datetime(2026, 10, 31, 23, tzinfo=UTC)),  # the end of the month's last day
        (date(2026, 9, 30), datetime(2026, 9, 30, 22, tzinfo=UTC)),  # the same in summer
        (date(2024, 2, 29), datetime(2024, 2, 29, 23, tzinfo=UTC)),
        (date(2026, 2, 25), datetime(2026, 2, 24, 23, tzinfo=UTC)),
        (datetime(2026, 4, 30, 23, 59, tzinfo=MADRID), datetime(2026, 4, 30, 22, tzinfo=UTC)),
        (datetime(2026, 1, 15, 6, 30, tzinfo=MADRID), datetime(2026, 1, 15, 5, 30, tzinfo=UTC)),
    ],
)
def test_a_set_day_is_its_local_instant(set_day: date, instant: datetime) -> None:
    interpretation = read(energy("5"), energy("4", storage=1), date_record(set_day, storage=1), zone=MADRID)
    now, kept = interpretation.readouts
    assert now.at == NOW
    assert kept.at == instant
    assert kept.values == {"6-0:1.0.0": Quantity(4_000_000, "kW.h")}


def test_every_storage_with_a_date_is_a_readout_of_its_own_in_order_of_time() -> None:
    months = [(32, date(2026, 10, 1)), (33, date(2026, 9, 1)), (34, date(2026, 8, 1))]
    data = [
        energy(str(storage), storage=storage) + date_record(day, storage=storage) for storage, day in months
    ]
    kept = read(energy("99"), *data).readouts[1:]
    assert [readout.at.month for readout in kept] == [8, 9, 10]
    assert [readout.values["6-0:1.0.0"].micro for readout in kept] == [34_000_000, 33_000_000, 32_000_000]


def test_a_storage_without_a_date_gives_no_reading() -> None:
    assert len(read(energy("5"), energy("4", storage=1)).readouts) == 1


def test_stored_momentary_values_give_no_reading() -> None:
    temperature = record(vif.FLOW_TEMPERATURE, Decimal(20), "Cel", storage=1)
    assert len(read(temperature, date_record(date(2026, 10, 1), storage=1)).readouts) == 1


def test_the_next_set_day_is_not_the_date_of_a_value() -> None:
    dates = date_record(date(2025, 12, 31), storage=1) + date_record(
        date(2026, 12, 31), storage=1, extensions=b"\x7e"
    )
    kept = read(energy("4", storage=1), dates).readouts[1]
    assert kept.at == datetime(2026, 1, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    ("dates", "reason"),
    [
        ([date(2027, 1, 1)], "is still to come"),
        ([date(2000, 1, 1)], "a clock that was not set"),
        ([date(2026, 1, 1), date(2026, 2, 1)], "several dates: 2026-01-01, 2026-02-01"),
    ],
)
def test_a_set_day_that_cannot_be_is_reported(dates: list[date], reason: str) -> None:
    data = b"".join(date_record(day, storage=1) for day in dates)
    interpretation = read(energy("5"), energy("4", storage=1), data)
    assert len(interpretation.readouts) == 1
    assert [reason in given for given in reasons(interpretation)] == [True]


def test_a_set_day_after_the_meters_own_clock_is_still_to_come() -> None:
    clock = date_record(datetime(2014, 3, 13, 12, 45, tzinfo=UTC))
    interpretation = read(clock, energy("3", storage=8), date_record(date(2015, 1, 1), storage=8))
    assert len(interpretation.readouts) == 1
    assert "later than the meter's own clock" in reasons(interpretation)[0]


def test_of_two_records_that_agree_the_finest_is_taken() -> None:
    both = read(energy("37"), energy("37.351"), energy("0.037", "MW.h"))
    assert both.readouts[0].values["6-0:1.0.0"] == Quantity(37_351_000, "kW.h")
    assert both.rejected == []
    assert present(energy("5"), energy("5"))["6-0:1.0.0"] == Quantity(5_000_000, "kW.h")


def test_two_storages_of_one_set_day_must_agree() -> None:
    """Minol keeps the yearly value in storage 8, with a time, and the monthly one in 32, without."""

    def kept(yearly: str, monthly: str) -> Interpretation:
        first = energy(yearly, storage=8) + date_record(datetime(2026, 7, 1, tzinfo=MADRID), storage=8)
        second = energy(monthly, storage=32) + date_record(date(2026, 7, 1), storage=32)
        return read(first, second, zone=MADRID)

    (_, one) = kept("5", "5").readouts
    assert (one.at, one.values["6-0:1.0.0"].micro) == (datetime(2026, 6, 30, 22, tzinfo=UTC), 5_000_000)
    contradiction = kept("5", "6")
    assert len(contradiction.readouts) == 1
    assert len(contradiction.rejected) == 2


def test_records_that_contradict_each_other_are_left_out_and_reported() -> None:
    interpretation = read(energy("37"), energy("40"), record(vif.VOLUME, Decimal(1), "m3"))
    assert list(interpretation.readouts[0].values) == ["6-0:2.0.0"]
    assert len(interpretation.rejected) == 2
    assert "several values for 6-0:1.0.0: 37 kW.h, 40 kW.h" in reasons(interpretation)[0]


def test_voltages_without_a_phase_are_ambiguous_even_when_they_are_equal() -> None:
    voltage = record(vif.VOLTAGE, Decimal("230.0"), "V")
    assert present(voltage, voltage, voltage, medium=ELECTRICITY) == {}


def test_a_value_that_no_register_can_hold_is_left_out_and_reported() -> None:
    interpretation = read(energy("9000000000", coding=Coding.INT64), energy("1", storage=0, tariff=1))
    assert list(interpretation.readouts[0].values) == ["6-0:1.0.1"]
    assert "outside the range" in reasons(interpretation)[0]


def test_the_records_name_what_the_readouts_hold() -> None:
    header = Header("06855817", "KAM", 8, HEAT)
    data = energy("5") + energy("4", storage=1) + date_record(date(2026, 10, 31), storage=1)
    telegram = decode(encode_telegram(5, header, data))
    assert isinstance(telegram, Telegram)
    assert [str(name) for name in record_names(telegram.records, telegram.header)] == [
        "6-0:1.0.0",
        "6-0:1.0.0",
        "None",
    ]


def test_a_telegram_without_manufacturer_takes_the_configured_meter_id() -> None:
    fixed = bytes.fromhex("68 13 13 68 08 05 73 78 56 34 12 0A 00 E9 7E 01 00 00 00 35 01 00 00 3C 16")
    assert readouts([fixed], NOW)[0].meter == "XXX-12345678"
    (one,) = readouts([fixed], NOW, UTC, "WEH-12345678")
    assert one.meter == "WEH-12345678"
    assert one.values == {"8-0:1.0.0": Quantity(1_000, "m3")}


def test_a_telegram_without_any_identity_needs_a_configured_one() -> None:
    from drivers.mbus.codec.frame import LongFrame

    bare = LongFrame(0x08, 1, 0x78, energy("5")).encode()
    with pytest.raises(DecodeError, match="configure the meter id"):
        readouts([bare], NOW)
    assert readouts([bare], NOW, UTC, "KAM-1")[0].meter == "KAM-1"


def test_a_refusal_is_no_readout() -> None:
    with pytest.raises(DecodeError, match="application busy"):
        readouts([bytes.fromhex("68 04 04 68 08 01 70 08 81 16")], NOW)


def test_a_real_heat_meter_gives_its_present_and_its_last_set_day(shared_data: Path) -> None:
    raw = bytes.fromhex((shared_data / "mbus-frames" / "kamstrup_multical_601.hex").read_text())
    now, kept = readouts([raw], NOW)
    assert (now.meter, now.raw, len(now.values)) == ("KAM-06855817", raw, 12)
    assert kept.at == datetime(2011, 1, 1, tzinfo=UTC)
    assert kept.values["6-0:1.0.0"] == Quantity(33_361_000_000, "kW.h")
    assert kept.values["6-0:2.0.0"] == Quantity(500_980_000, "m3")
