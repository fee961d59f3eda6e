"""Every real telegram decodes to the records that libmbus read from it, exactly.

libmbus is the second opinion, not the truth. Where it is known to be wrong, the record is listed by file and
number in `LIBMBUS_IS_WRONG` with what is right; everything else is compared exactly after units.
"""

import re
import struct
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest

from drivers.errors import DecodeError
from drivers.mbus.codec.dif import Function
from drivers.mbus.codec.records import Record
from drivers.mbus.codec.telegram import ApplicationError, Telegram, decode
from drivers.mbus.codec.timepoint import TimePoint
from telemetry.units import convert

DATA = Path(__file__).resolve().parents[4] / "shared" / "data"


def telegrams_in(folder: str) -> list[object]:
    paths = sorted((DATA / folder).glob("*.hex"))
    absent = pytest.mark.skip(reason="needs ../shared/data beside the checkout")
    return [pytest.param(path, id=path.stem) for path in paths] or [pytest.param(DATA, marks=absent)]


FUNCTIONS = {
    "Instantaneous value": Function.INSTANTANEOUS,
    "Actual value": Function.INSTANTANEOUS,  # fixed structure
    "Maximum value": Function.MAXIMUM,
    "Minimum value": Function.MINIMUM,
    "Value during error state": Function.ERROR_STATE,
    "Manufacturer specific": Function.MANUFACTURER,
    "More records follow": Function.MORE_FOLLOWS,
}
UNITS_OF_LIBMBUS = {
    "Wh": "W.h",
    "kWh": "kW.h",
    "W": "W",
    "m^3": "m3",
    "l": "L",
    "m^3/h": "m3/h",
    "°C": "Cel",
    "K": "K",
    "s": "s",
    "V": "V",
    "A": "A",
    "Units for H.C.A.": "1",
}
QUANTITIES = {
    "Energy": "energy",
    "Power": "power",
    "Volume": "volume",
    "Volume flow": "volume flow",
    "Flow temperature": "flow temperature",
    "Return temperature": "return temperature",
    "Temperature difference": "temperature difference",
    "External temperature": "external temperature",
    "Time point (date)": "date",
    "Time point (date & time)": "date and time",
    "Voltage": "voltage",
    "Current": "current",
    "Fabrication No": "fabrication number",
    "Operating time": "operating time",
    "On time": "on time",
    "Averaging Duration": "averaging duration",
    "Actuality Duration": "actuality duration",
    "Manufacturer specific": "manufacturer specific",
    "Dimensionless": "dimensionless",
    "Error flags": "error flags",
    "Customer location": "customer location",
    "Software version": "software version",
    "Firmware version": "firmware version",
    "Digital Input": "digital input",
    "H.C.A.": "heat cost allocation",
}
PLAIN_TEXT_UNITS = {"%RH", "cust. ID", "bat. time"}
MEDIA = {
    "Heat: Outlet": "heat (outlet)",
    "Heat": "heat (outlet)",
    "Heat / Cooling load meter": "heat and cooling",
    "Bus/System": "bus, system",
}


def shows_digits(text: str) -> Callable[[Record], bool]:
    """The display shows letters: an error value, which libmbus adds up as if letters were digits."""
    return lambda record: record.value is None and text in (record.error or "")


def lasts(seconds: int) -> Callable[[Record], bool]:
    """VIFEs 50 and 58 say how long a limit was exceeded; libmbus shows the seconds as a flow in m3/h."""
    return lambda record: (
        record.value == seconds and record.unit == "s" and record.quantity.startswith("duration")
    )


def no_date(record: Record) -> bool:
    """The meter marks the time invalid or sends zeros; libmbus shows a date that is none."""
    return record.value is None and record.error is not None


def reserved_vif_7b(record: Record) -> bool:
    """VIF 7B is reserved (FB without its extension bit); libmbus leaves such a record empty."""
    return record.quantity == "reserved VIF 7B" and record.value == 302


LIBMBUS_IS_WRONG: dict[tuple[str, int], Callable[[Record], bool]] = {
    ("ELS_Elster-F96-Plus", 4): shows_digits("DDDDEBBD"),
    ("ELS_Elster-F96-Plus", 5): shows_digits("DDEBBD"),
    ("abb_f95", 2): shows_digits("DDEBB4DD"),
    ("abb_f95", 3): shows_digits("EBB4DD"),
    ("SEN_Pollustat", 12): lasts(11582321),
    ("SEN_Pollustat", 13): lasts(756),
    ("REL-Relay-Padpuls2", 1): no_date,  # 1900-01-00T00:00:00Z in libmbus: the invalid bit is set
    ("itron_bm_+m", 2): no_date,  # 2000-00-00
    ("sen_pollutherm", 2): reserved_vif_7b,
}


def read_hex(path: Path) -> bytes:
    return bytes.fromhex(path.read_text())


def text_of(node: ElementTree.Element, name: str) -> str:
    return node.findtext(name) or ""


def is_float(raw: bytes, record: Record) -> bool:
    """Whether the record's value is the shortest decimal of a float32 (scaled), by the bytes themselves."""
    if len(raw) != 4 or record.number is None:
        return False
    (value,) = struct.unpack("<f", raw)
    shortest = Decimal(str(np.float32(value))) if np.isfinite(value) else None
    return shortest is not None and shortest.as_tuple().digits == record.number.as_tuple().digits


def assert_number(record: Record, expected: str, unit: str) -> None:
    assert record.number is not None
    ours = record.number
    if unit in UNITS_OF_LIBMBUS:
        assert record.unit is not None
        ours = convert(ours, record.unit, UNITS_OF_LIBMBUS[unit])
    if ours == Decimal(expected):
        return
    # libmbus scales a float32 as a C double and prints six decimals: the same float must print the same
    assert is_float(record.raw, record), f"{ours} is not {expected}"
    (value,) = struct.unpack("<f", record.raw)
    scale = ours / Decimal(str(np.float32(value)))
    assert f"{value * float(scale):.6f}" == expected


def assert_record(record: Record, expected: ElementTree.Element) -> None:
    unit, quantity, value = (text_of(expected, name) for name in ("Unit", "Quantity", "Value"))
    assert record.function is FUNCTIONS[text_of(expected, "Function")]
    if storage := text_of(expected, "StorageNumber"):
        assert record.storage == int(storage)
    assert record.tariff == int(text_of(expected, "Tariff") or 0)
    assert record.subunit == int(text_of(expected, "Device") or 0)
    if record.function in (Function.MANUFACTURER, Function.MORE_FOLLOWS):
        assert record.raw == bytes.fromhex(value)
        return
    if quantity:
        assert record.quantity == (quantity if quantity in PLAIN_TEXT_UNITS else QUANTITIES[quantity])
    if isinstance(record.value, TimePoint):
        assert str(record.value) == value.removesuffix("Z")
    elif isinstance(record.value, str):
        assert record.value.strip() == value.strip()
    else:
        assert_number(record, value, unit)


@pytest.mark.parametrize("path", telegrams_in("mbus-frames"))
def test_every_record_of_a_real_telegram_is_what_libmbus_read(path: Path) -> None:
    telegram = decode(read_hex(path))
    assert isinstance(telegram, Telegram)
    document = ElementTree.parse(path.with_suffix(".norm.xml"))
    expected = document.findall("DataRecord")
    assert len(telegram.records) == len(expected)
    for number, (record, theirs) in enumerate(zip(telegram.records, expected, strict=True)):
        if right := LIBMBUS_IS_WRONG.get((path.stem, number)):
            assert right(record), f"record {number}: {record}"
        else:
            assert_record(record, theirs)


@pytest.mark.parametrize("path", telegrams_in("mbus-frames"))
def test_the_header_of_a_real_telegram_is_what_libmbus_read(path: Path) -> None:
    telegram = decode(read_hex(path))
    assert isinstance(telegram, Telegram)
    header = telegram.header
    theirs = ElementTree.parse(path.with_suffix(".norm.xml")).find("SlaveInformation")
    assert theirs is not None
    assert header.serial == text_of(theirs, "Id").zfill(8)
    assert (header.manufacturer or "") == text_of(theirs, "Manufacturer")
    assert header.version == (int(text_of(theirs, "Version")) if text_of(theirs, "Version") else None)
    assert header.medium_name == MEDIA.get(text_of(theirs, "Medium"), text_of(theirs, "Medium").lower())
    assert header.access_number == int(text_of(theirs, "AccessNumber"))
    assert header.status == int(text_of(theirs, "Status"), 16)
    assert header.configuration == int(text_of(theirs, "Signature") or "0", 16)


def test_every_exception_to_libmbus_is_still_one(shared_data: Path) -> None:
    """The list above names only records that exist, so that none of them excuses anything by accident."""
    for name, number in LIBMBUS_IS_WRONG:
        telegram = decode(read_hex(shared_data / "mbus-frames" / f"{name}.hex"))
        assert isinstance(telegram, Telegram)
        expected = ElementTree.parse(shared_data / "mbus-frames" / f"{name}.norm.xml").findall("DataRecord")
        with pytest.raises((AssertionError, KeyError)):
            assert_record(telegram.records[number], expected[number])


@pytest.mark.parametrize("path", telegrams_in("mbus-error-frames"))
def test_an_error_frame_gives_its_application_error_or_a_decode_error(path: Path) -> None:
    described = path.with_suffix(".xml")
    if not described.exists():
        with pytest.raises(DecodeError):
            decode(read_hex(path))
        return
    answer = decode(read_hex(path))
    assert isinstance(answer, ApplicationError)
    document = described.read_text(encoding="latin-1")
    error = re.search(r"<Error>(.*)</Error>", document)
    assert error is not None
    # the documents say latin-1 and hold UTF-8: "More than 10 VIFE´s"
    assert re.sub(r"[^a-z0-9 ,]", "", answer.message.lower()) == re.sub(r"[^a-z0-9 ,]", "", error[1].lower())


def test_a_busy_meter_can_be_asked_later() -> None:
    answer = decode(bytes.fromhex("68 04 04 68 08 01 70 08 81 16"))
    assert isinstance(answer, ApplicationError)
    assert answer.busy
