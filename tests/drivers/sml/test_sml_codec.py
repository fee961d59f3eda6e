"""Transport, values and messages: published examples, and properties of the codec."""

from datetime import UTC, datetime
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.crc import kermit, x25
from drivers.errors import DecodeError
from drivers.sml import tlv
from drivers.sml.messages import (
    CloseResponse,
    ListEntry,
    ListResponse,
    Message,
    OpenResponse,
    OtherBody,
    SmlTime,
    TimeKind,
    decode_messages,
    encode_message,
)
from drivers.sml.tlv import Integer
from drivers.sml.transport import START, TransportReader, enclose
from tests.drivers.sml.golden import GOLDEN

WHOLE = GOLDEN["EasyMeter Q3B"].telegram


def opened(telegram: bytes) -> bytes:
    reader = TransportReader()
    reader.add(telegram)
    envelope = reader.next()
    assert envelope is not None
    assert envelope.raw == telegram
    return envelope.messages


def test_the_crcs_are_those_of_the_catalogue() -> None:
    # check values of CRC-16/IBM-SDLC (X.25) and CRC-16/KERMIT for "123456789", low byte first
    assert x25(b"123456789").hex() == "6e90"
    assert kermit(b"123456789").hex() == "8921"


@pytest.mark.parametrize(
    ("telegram", "messages"),  # from the transport tests of felixwrt/sml-rs
    [
        ("1b1b1b1b010101011234567800000000", None),
        ("1b1b1b1b01010101123456781b1b1b1b1a00b87b", "12345678"),
        ("1b1b1b1b01010101123456001b1b1b1b1a0191a5", "123456"),
        ("1b1b1b1b01010101121b1b1b1b1b1b1b1b0000001b1b1b1b1a03be25", "121b1b1b1b"),
    ],
    ids=["incomplete", "basic", "padding", "escape in the data"],
)
def test_published_telegrams_are_opened(telegram: str, messages: str | None) -> None:
    reader = TransportReader()
    reader.add(bytes.fromhex(telegram))
    envelope = reader.next()
    assert (envelope.messages.hex() if envelope else None) == messages
    if messages:
        assert enclose(bytes.fromhex(messages)).hex() == telegram


def test_a_telegram_in_pieces_between_noise_is_found() -> None:
    reader = TransportReader()
    found = []
    for byte in b"\x1b\x1b" + WHOLE[40:] + WHOLE + b"\xff\x1b" + WHOLE:
        reader.add(bytes((byte,)))
        if envelope := reader.next():
            found.append(envelope.raw)
    assert found == [WHOLE, WHOLE]
    assert reader.damaged == 0


@pytest.mark.parametrize("position", [9, 40, -3, -1])
def test_a_damaged_telegram_is_counted_and_the_next_one_is_read(position: int) -> None:
    damaged = bytearray(WHOLE)
    damaged[position] ^= 4
    reader = TransportReader()
    reader.add(bytes(damaged) + WHOLE)
    envelope = reader.next()
    assert envelope is not None
    assert envelope.raw == WHOLE
    assert reader.damaged == 1


def test_a_telegram_that_broke_off_does_not_hide_the_next() -> None:
    reader = TransportReader()
    reader.add(WHOLE[:100] + WHOLE)
    assert reader.next() is not None
    assert reader.damaged == 1


def test_a_start_without_an_end_is_given_up() -> None:
    reader = TransportReader()
    reader.add(START + bytes(1 << 15))
    assert reader.next() is None
    assert reader.damaged == 1
    assert len(reader.pending) < 8


@given(st.lists(st.sampled_from([b"\x1b", b"\x1b" * 4, b"\x01" * 4, b"\x1a", b"x"]) | st.binary(max_size=9)))
def test_what_is_enclosed_comes_out_again(pieces: list[bytes]) -> None:
    messages = b"".join(pieces) + b"\0"  # every message ends with one
    assert opened(enclose(messages)) == messages


@given(
    st.lists(st.sampled_from([WHOLE, WHOLE[:50], START, b"\x1b" * 4 + b"\x1a\0"]) | st.binary(max_size=30))
)
def test_the_reader_bears_any_bytes(pieces: list[bytes]) -> None:
    reader = TransportReader()
    for piece in pieces:
        reader.add(piece)
        while (envelope := reader.next()) is not None:
            assert x25(envelope.raw[:-2]) == envelope.raw[-2:]


integers = st.integers(1, 8).flatmap(
    lambda size: (
        st.builds(Integer, st.integers(0, 256**size - 1), st.just(size))
        | st.builds(Integer, st.integers(-(256**size) // 2, 256**size // 2 - 1), st.just(size), st.just(True))
    )
)
values = st.recursive(
    st.none() | st.booleans() | integers | st.binary(min_size=1, max_size=300),
    lambda inner: st.lists(inner, max_size=20).map(tuple),
    max_leaves=30,
)


@given(values)
def test_every_value_survives_a_round_trip(value: tlv.Value) -> None:
    encoded = tlv.encode(value)
    assert tlv.decode(encoded) == (value, len(encoded))


@given(st.binary(max_size=80) | st.lists(st.sampled_from(b"\x71\x72\xf1\x01\x83\x52\x00")).map(bytes))
def test_arbitrary_bytes_are_a_value_or_a_decode_error(data: bytes) -> None:
    try:
        _, end = tlv.decode(data)
    except DecodeError:
        return
    assert end <= len(data)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("71" * 100 + "01", "too deep"),
        ("ffffffff0f", "a length of"),
        ("7201", "ends too early"),
        ("7301050102", "a value of 5 bytes ends too early"),
        ("0a41", "a length of 10 in 2 bytes"),
        ("00", "ends too early"),
        ("430000", "no value"),
        ("6a000000000000000000", "no value"),
        ("f171", "continues no length"),
        ("", "data end"),
        ("81", "data end"),
    ],
)
def test_what_breaks_the_encoding_is_said(value: str, text: str) -> None:
    with pytest.raises(DecodeError, match=text):
        tlv.decode(bytes.fromhex(value))


times = st.none() | st.builds(SmlTime, st.sampled_from(TimeKind), st.integers(0, 2**32 - 1))
entries = st.builds(
    ListEntry,
    st.binary(min_size=6, max_size=6),
    integers | st.binary(min_size=1, max_size=40) | st.booleans(),
    st.integers(0, 255),
    st.integers(-30, 30),
    st.none() | st.integers(0, 2**32 - 1),
    times,
)
names = st.binary(min_size=1, max_size=20)
bodies = (
    st.builds(OpenResponse, names, names, st.none() | names, times)
    | st.builds(ListResponse, names, st.lists(entries, max_size=20).map(tuple), st.none() | names, times)
    | st.just(CloseResponse())
)


@given(st.lists(st.builds(Message, names, bodies), max_size=3))
def test_every_message_survives_a_round_trip(messages: list[Message]) -> None:
    assert decode_messages(b"".join(map(encode_message, messages))) == messages


@given(st.binary(max_size=60), st.integers(0, 300), st.integers(0, 255))
def test_arbitrary_messages_raise_only_decode_errors(data: bytes, position: int, byte: int) -> None:
    altered = bytearray(opened(WHOLE))
    altered[position % len(altered)] = byte
    for one in (data, b"\x76" + data, bytes(altered)):
        try:
            decode_messages(one)
        except DecodeError:
            continue


@given(values)
def test_any_body_with_a_right_crc_raises_only_decode_errors(body: tlv.Value) -> None:
    for tag in (0x0101, 0x0701, 0x0201):
        unchecked = b"\x76\x02\x01\x62\x00\x62\x00\x72\x63" + tag.to_bytes(2, "big") + tlv.encode(body)
        try:
            [message] = decode_messages(unchecked + b"\x63" + x25(unchecked) + b"\0")
        except DecodeError:
            continue
        assert isinstance(message.body, OpenResponse | ListResponse | CloseResponse)


def test_a_message_with_a_wrong_crc_is_refused() -> None:
    encoded = bytearray(encode_message(Message(b"\1", CloseResponse())))
    encoded[2] ^= 2  # the transaction's id
    with pytest.raises(DecodeError, match="CRC"):
        decode_messages(bytes(encoded))


def test_the_kermit_crc_of_some_holley_and_itron_meters_is_taken() -> None:
    encoded = encode_message(Message(b"\1", CloseResponse()))
    unchecked = encoded[:-4]
    assert decode_messages(unchecked + b"\x63" + kermit(unchecked) + b"\0") == decode_messages(encoded)


def test_a_crc_may_come_without_its_leading_zero() -> None:
    for number in range(1000):
        encoded = encode_message(Message(number.to_bytes(2, "big"), CloseResponse()))
        if encoded[-3] == 0:
            break
    assert encoded[-4] == 0x63
    shortened = encoded[:-4] + b"\x62" + encoded[-2:]
    assert decode_messages(shortened) == decode_messages(encoded)


def test_messages_that_hold_no_values_are_passed_by() -> None:
    with pytest.raises(ValueError, match="not written"):
        encode_message(Message(b"\1", OtherBody(1)))
    unchecked = bytes.fromhex("7602016200620072630001") + b"\x71\x01"
    other = unchecked + b"\x63" + x25(unchecked) + b"\0"
    assert decode_messages(other) == [Message(b"\1", OtherBody(1))]


def test_numbers_are_exact_whatever_the_scaler() -> None:
    entry = ListEntry(bytes(6), Integer(2**64 - 1, 8), 30, -4)
    assert entry.number == Decimal("1844674407370955.1615")


def test_a_timestamp_is_an_instant_and_a_count_of_seconds_is_none() -> None:
    assert SmlTime(TimeKind.TIMESTAMP, 1_764_000_000).instant == datetime(2025, 11, 24, 16, 0, tzinfo=UTC)
    assert SmlTime(TimeKind.LOCAL_TIMESTAMP, 0).instant == datetime(1970, 1, 1, tzinfo=UTC)
    assert SmlTime(TimeKind.SECONDS_INDEX, 5).instant is None
    assert SmlTime(TimeKind.TIMESTAMP, 2**62).instant is None  # beyond the calendar
