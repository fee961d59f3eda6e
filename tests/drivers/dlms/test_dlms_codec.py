"""Values, services, dates and names: properties of the codec, and what breaks its rules."""

import struct
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from dlms_cosem.utils import parse_as_dlms_data
from hypothesis import given
from hypothesis import strategies as st

from drivers.dlms.codec import apdu
from drivers.dlms.codec.apdu import Attribute, RangeSelection, decode_apdu, encode_apdu
from drivers.dlms.codec.clock import ClockStatus, DateTime, decode_date_time, encode_date_time
from drivers.dlms.codec.data import Data, DataTag, decode_data, encode_data, take_length
from drivers.dlms.codec.objects import CaptureColumn, Scaling, decode_object_list, logical_name
from drivers.dlms.codec.security import decode_ciphered
from drivers.errors import DecodeError

BERLIN = ZoneInfo("Europe/Berlin")


data = st.recursive(
    st.just(Data(DataTag.NULL))
    | st.builds(Data, st.just(DataTag.BOOLEAN), st.booleans())
    | st.builds(
        Data,
        st.sampled_from([DataTag.OCTET_STRING, DataTag.VISIBLE_STRING, DataTag.UTF8_STRING]),
        st.binary(),
    )
    | st.builds(Data, st.just(DataTag.DATE_TIME), st.binary(min_size=12, max_size=12))
    | st.builds(Data, st.just(DataTag.DATE), st.binary(min_size=5, max_size=5))
    | st.builds(Data, st.just(DataTag.TIME), st.binary(min_size=4, max_size=4))
    | st.builds(Data, st.just(DataTag.BIT_STRING), st.text("01", max_size=40))
    | st.builds(Data, st.sampled_from([DataTag.UNSIGNED, DataTag.ENUM]), st.integers(0, 255))
    | st.builds(Data, st.sampled_from([DataTag.INTEGER, DataTag.BCD]), st.integers(-128, 127))
    | st.builds(Data, st.just(DataTag.LONG), st.integers(-(2**15), 2**15 - 1))
    | st.builds(Data, st.just(DataTag.LONG_UNSIGNED), st.integers(0, 2**16 - 1))
    | st.builds(Data, st.just(DataTag.DOUBLE_LONG), st.integers(-(2**31), 2**31 - 1))
    | st.builds(Data, st.just(DataTag.DOUBLE_LONG_UNSIGNED), st.integers(0, 2**32 - 1))
    | st.builds(Data, st.just(DataTag.LONG64), st.integers(-(2**63), 2**63 - 1))
    | st.builds(Data, st.just(DataTag.LONG64_UNSIGNED), st.integers(0, 2**64 - 1)),
    lambda inner: st.builds(
        Data, st.sampled_from([DataTag.ARRAY, DataTag.STRUCTURE]), st.lists(inner, max_size=5).map(tuple)
    ),
    max_leaves=20,
)


@given(data)
def test_every_value_survives_a_round_trip(value: Data) -> None:
    assert decode_data(encode_data(value)) == value


@given(st.floats(width=32))
def test_a_float_is_the_shortest_decimal_that_it_is(number: float) -> None:
    encoded = bytes((DataTag.FLOAT32,)) + struct.pack(">f", number)
    value = decode_data(encoded)
    if value.number is not None:
        assert np.float32(str(value.number)) == np.float32(number)
        assert decode_data(encode_data(value)) == value
    assert (value.number is None) == (not np.isfinite(number))


def test_a_float_shows_what_the_meter_shows() -> None:
    assert decode_data(bytes.fromhex("174366199a")).number == Decimal("230.1")
    assert decode_data(bytes.fromhex("18406cc33333333333")).number == Decimal("230.1")
    assert decode_data(bytes.fromhex("177fc00000")).number is None
    assert encode_data(Data(DataTag.FLOAT32, None))[0] == DataTag.FLOAT32


@given(st.binary(max_size=60) | st.lists(st.sampled_from(b"\x01\x02\x05\x82\x09\x00")).map(bytes))
def test_arbitrary_bytes_are_a_value_or_a_decode_error(raw: bytes) -> None:
    try:
        decode_data(raw)
    except DecodeError:
        return


@pytest.mark.parametrize(
    ("raw", "text"),
    [
        ("0101" * 40 + "00", "too deep"),
        ("0184ffffffff", "end too early"),
        ("0985ffffffffff", "length of 5 bytes"),
        ("0980", "length of 0 bytes"),
        ("13", "no type"),
        ("", "no type"),
        ("0000", "1 bytes after"),
        ("0600", "end too early"),
    ],
)
def test_what_breaks_the_encoding_is_said(raw: str, text: str) -> None:
    with pytest.raises(DecodeError, match=text):
        decode_data(bytes.fromhex(raw))


@pytest.mark.parametrize(
    ("take", "wrong"),
    [
        (lambda d: d.items, Data(DataTag.UNSIGNED, 1)),
        (lambda d: d.octets, Data(DataTag.UNSIGNED, 1)),
        (lambda d: d.integer, Data(DataTag.BOOLEAN, value=True)),
        (Scaling.decode, decode_data(bytes.fromhex("02020f7f161e"))),
        (CaptureColumn.decode, decode_data(bytes.fromhex("0201090100"))),
        (decode_object_list, decode_data(bytes.fromhex("01010201120001"))),
    ],
)
def test_a_value_of_another_type_is_a_decode_error(take: object, wrong: Data) -> None:
    assert callable(take)
    with pytest.raises(DecodeError):
        take(wrong)


names = st.binary(min_size=6, max_size=6)
attributes = st.builds(Attribute, st.integers(0, 65535), names, st.integers(0, 255))
bytes_of_one = st.integers(0, 255)
numbers4 = st.integers(0, 2**32 - 1)
apdus = (
    st.builds(apdu.GetRequest, attributes, st.none() | st.builds(RangeSelection, bytes_of_one, data))
    | st.builds(apdu.GetNext, numbers4)
    | st.builds(apdu.GetResult, data)
    | st.builds(apdu.GetResult, st.none(), bytes_of_one)
    | st.builds(apdu.GetBlock, st.booleans(), numbers4, st.binary(max_size=300))
    | st.builds(apdu.GetBlock, st.booleans(), numbers4, st.just(b""), st.integers(1, 255))
    | st.builds(apdu.SetRequest, attributes, data)
    | st.builds(apdu.SetResult, bytes_of_one)
    | st.builds(apdu.ActionRequest, attributes, st.none() | data)
    | st.builds(apdu.ActionResult, bytes_of_one, st.none() | data)
    | st.builds(apdu.ExceptionResponse, bytes_of_one, bytes_of_one.filter(lambda service: service != 6))
    | st.builds(apdu.ExceptionResponse, bytes_of_one, st.just(6), numbers4)
    | st.builds(apdu.ServiceError, bytes_of_one, bytes_of_one, bytes_of_one)
)


@given(apdus)
def test_every_apdu_survives_a_round_trip(one: apdu.Apdu) -> None:
    assert decode_apdu(encode_apdu(one)) == one


@given(
    st.binary(max_size=40),
    st.sampled_from([0xC0, 0xC1, 0xC3, 0xC4, 0xC5, 0xC7, 0xD8, 0x0E]),
    st.integers(1, 3),
)
def test_arbitrary_bytes_are_an_apdu_or_a_decode_error(raw: bytes, tag: int, form: int) -> None:
    for one in (raw, bytes((tag, form, 0xC1)) + raw, bytes((tag,)) + raw):
        for decode in (decode_apdu, decode_ciphered):
            try:
                decode(one)
            except DecodeError:
                continue


integers = st.builds(Data, st.just(DataTag.LONG), st.integers(-(2**15), 2**15 - 1)) | st.builds(
    Data, st.sampled_from([DataTag.DOUBLE_LONG_UNSIGNED, DataTag.LONG64_UNSIGNED]), st.integers(0, 2**32 - 1)
)


@given(st.lists(st.lists(integers, min_size=1, max_size=4), min_size=1, max_size=4))
def test_the_peers_codec_reads_our_data(rows: list[list[Data]]) -> None:
    value = Data(DataTag.ARRAY, tuple(Data(DataTag.STRUCTURE, tuple(row)) for row in rows))
    assert parse_as_dlms_data(encode_data(value)) == [[cell.value for cell in row] for row in rows]


@pytest.mark.parametrize("zone", [UTC, BERLIN, ZoneInfo("America/New_York")])
@given(hundredths=st.integers(0, 400_000_000_000))
def test_instants_survive_a_round_trip_with_their_deviation(zone: ZoneInfo, hundredths: int) -> None:
    aware = datetime(1980, 1, 1, tzinfo=UTC) + timedelta(milliseconds=10 * hundredths)
    decoded = decode_date_time(encode_date_time(aware, zone), BERLIN)
    assert decoded.instant == aware
    assert bool(decoded.status & ClockStatus.SUMMER_TIME) == bool(aware.astimezone(zone).dst())


@given(st.binary(max_size=13))
def test_arbitrary_bytes_are_a_date_and_time_or_a_decode_error(raw: bytes) -> None:
    try:
        assert decode_date_time(raw, BERLIN).instant.tzinfo is UTC
    except DecodeError:
        return


@pytest.mark.parametrize(
    ("raw", "instant", "status"),
    [
        ("07ea0b18 02 071e0000 ffc4 00", datetime(2026, 11, 24, 6, 30, tzinfo=UTC), 0),
        ("07ea0b18 ff 071e00ff 8000 ff", datetime(2026, 11, 24, 6, 30, tzinfo=UTC), 0),  # local
        ("07ea0718 ff 071e0000 ff88 80", datetime(2026, 7, 24, 5, 30, tzinfo=UTC), 0x80),
        (
            "07ea0a19 ff 021e0000 8000 80",
            datetime(2026, 10, 25, 0, 30, tzinfo=UTC),
            0x80,
        ),  # the hour occurs twice
        ("07ea0a19 ff 021e0000 8000 00", datetime(2026, 10, 25, 1, 30, tzinfo=UTC), 0),
        (
            "07e50b02 02 15330000 ffc4 00",
            datetime(2021, 11, 2, 20, 51, tzinfo=UTC),
            0,
        ),  # Iskra AM550
    ],
)
def test_dates_and_times_are_read(raw: str, instant: datetime, status: int) -> None:
    shown = decode_date_time(bytes.fromhex(raw), BERLIN)
    assert shown == DateTime(instant, ClockStatus(status))


def test_a_date_with_wildcards_is_no_instant() -> None:
    for wild in ("ffff0b18ff071e0000ffc400", "07eaff18ff071e0000ffc400", "07ea0b18ff191e0000ffc400"):
        with pytest.raises(DecodeError):
            decode_date_time(bytes.fromhex(wild), BERLIN)
    with pytest.raises(DecodeError):
        decode_date_time(bytes(5), BERLIN)


def test_a_deviation_is_utc_minus_local_time() -> None:
    local = datetime(2026, 1, 1, 12, tzinfo=BERLIN)
    assert encode_date_time(local, BERLIN)[9:11] == (-60).to_bytes(2, "big", signed=True)
    assert local.utcoffset() == timedelta(hours=1)


def test_logical_names() -> None:
    assert logical_name("1-0:1.8.0*255") == logical_name("1-0:1.8.0") == bytes((1, 0, 1, 8, 0, 255))
    assert str(Attribute(3, logical_name("1-0:1.8.0"), 2)) == "1-0:1.8.0*255 attribute 2"
    with pytest.raises(ValueError, match="logical name"):
        logical_name("1.8.0")


def test_lengths_of_every_size() -> None:
    assert take_length(bytes.fromhex("7f"), 0) == (127, 1)
    assert take_length(bytes.fromhex("820100"), 0) == (256, 3)
