"""Frames, headers, and bytes that are no telegram: round trips and hard cases."""

from contextlib import suppress
from datetime import UTC, datetime
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.errors import DecodeError
from drivers.mbus.codec.dif import Coding, DataInformation
from drivers.mbus.codec.frame import (
    LongFrame,
    MBusFrameReader,
    ShortFrame,
    SingleCharacterFrame,
    decode_frame,
)
from drivers.mbus.codec.header import (
    ByteOrder,
    Header,
    encode_long_header,
    manufacturer_code,
    manufacturer_letters,
    read_long_header,
    status_labels,
)
from drivers.mbus.codec.records import read_records
from drivers.mbus.codec.telegram import Telegram, decode, decode_answer, encode_telegram
from hesper.decode import explain
from telemetry.status import Status
from tests.drivers.mbus.from_frames import readouts

BYTE = st.integers(0, 255)
SHORT_FRAMES = st.builds(ShortFrame, BYTE, BYTE)
LONG_FRAMES = st.builds(LongFrame, BYTE, BYTE, BYTE, st.binary(max_size=252))
FRAMES = st.one_of(st.just(SingleCharacterFrame()), SHORT_FRAMES, LONG_FRAMES)
LSB = ByteOrder.LSB_FIRST


def answer(data: str, ci: int = 0x72) -> Telegram:
    telegram = decode_answer(LongFrame(0x08, 1, ci, bytes.fromhex(data)))
    assert isinstance(telegram, Telegram)
    return telegram


# frames


@given(FRAMES)
def test_a_frame_decodes_to_itself(frame: SingleCharacterFrame | ShortFrame | LongFrame) -> None:
    assert decode_frame(frame.encode()) == frame


@given(st.lists(LONG_FRAMES, max_size=4), st.lists(st.integers(1, 40), min_size=1))
def test_a_reader_finds_frames_whatever_pieces_they_come_in(
    frames: list[LongFrame], sizes: list[int]
) -> None:
    wire = b"".join(frame.encode() for frame in frames)
    reader, at = MBusFrameReader(), 0
    found: list[object] = []
    while at < len(wire):
        size = sizes[len(found) % len(sizes)]
        reader.add(wire[at : at + size])
        at += size
        while frame := reader.next():
            found.append(frame)
    assert found == frames
    assert reader.skipped == 0


@given(st.binary(max_size=12).filter(lambda noise: not set(noise) & {0x10, 0x68, 0xE5}), LONG_FRAMES)
def test_a_reader_skips_stray_bytes_in_front(noise: bytes, frame: LongFrame) -> None:
    reader = MBusFrameReader()
    reader.add(noise + frame.encode())
    assert reader.next() == frame
    assert reader.skipped == len(noise)


def test_a_stray_start_byte_hides_a_frame_only_until_silence() -> None:
    frame = LongFrame(0x08, 1, 0x72, b"\x01\x02")
    reader = MBusFrameReader()
    reader.add(bytes.fromhex("68 F0 F0 68") + frame.encode())
    assert reader.next() is None
    while reader.pending and not (found := reader.next()):
        reader.resync()
    assert found == frame


@given(st.binary(max_size=300))
def test_arbitrary_bytes_raise_nothing_but_decode_errors(data: bytes) -> None:
    for decoder in (decode, decode_frame, read_records):
        with suppress(DecodeError):
            decoder(data)


@given(st.sampled_from([0x70, 0x71, 0x72, 0x73, 0x76, 0x77, 0x78, 0x7A, 0x50]), st.binary(max_size=240))
def test_arbitrary_user_data_raise_nothing_but_decode_errors(ci: int, data: bytes) -> None:
    frame = LongFrame(0x08, 1, ci, data).encode()
    with suppress(DecodeError):
        decode(frame)
    with suppress(DecodeError):
        readouts([frame], datetime(2026, 11, 22, tzinfo=UTC))


@given(st.sampled_from(range(0x40)), st.sampled_from([0x02, 0x04, 0x0D]), st.data())
def test_any_records_give_readouts_or_decode_errors(storage: int, medium: int, data: st.DataObject) -> None:
    """Well-formed headers and DIFs, so that hypothesis gets as far as names, set days and units."""
    records = b""
    for _ in range(data.draw(st.integers(1, 6))):
        coding = data.draw(st.sampled_from([Coding.INT16, Coding.INT32, Coding.FLOAT32, Coding.BCD8]))
        value = data.draw(st.binary(min_size=coding.size, max_size=coding.size))
        value_information = bytes((data.draw(st.integers(0, 0x7B)),))
        records += DataInformation(coding, storage=storage).encode() + value_information + value
    telegram = encode_telegram(1, Header("00000001", "KAM", 1, medium), records)
    readouts([telegram], datetime(2026, 11, 22, tzinfo=UTC))
    explain(telegram)


@given(
    st.from_regex(r"[0-9A-F]{8}", fullmatch=True),
    st.from_regex(r"[A-Z]{3}", fullmatch=True),
    st.tuples(BYTE, BYTE, BYTE, BYTE),
)
def test_a_header_decodes_to_itself(serial: str, letters: str, bytes_: tuple[int, int, int, int]) -> None:
    header = Header(serial, letters, *bytes_, configuration=0)
    assert read_long_header(encode_long_header(header), LSB) == header


@pytest.mark.parametrize(
    ("data", "complaint"),
    [
        ("", "too early"),
        ("10 5B 01 5C", "too early"),
        ("10 5B 01 5D 16", "checksum"),
        ("10 5B 01 5C 17", "ends with 17"),
        ("68 03 04 68 08 01 70 79 16", "length bytes differ"),
        ("68 02 02 68 08 01 09 16", "no room"),
        ("42", "begins with 42"),
        ("E5 E5", "after the end"),
    ],
)
def test_a_broken_frame_says_what_is_wrong(data: str, complaint: str) -> None:
    with pytest.raises(DecodeError, match=complaint):
        decode_frame(bytes.fromhex(data))


# header


@given(st.integers(0, 0x7FFF))
def test_manufacturer_letters_decode_to_themselves(code: int) -> None:
    assert manufacturer_code(manufacturer_letters(code)) == code


def test_a_manufacturer_code_that_is_no_letters_still_gives_a_lasting_meter_id() -> None:
    header = Header("050002E5", manufacturer_letters(0))
    assert header.manufacturer == "@@@"
    assert header.meter == "XXX-050002E5"


def test_a_status_byte_is_telemetry_bits_and_words() -> None:
    telegram = answer("17588506 2D2C 08 04 04 16 0000")
    assert telegram.header.meter == "KAM-06855817"
    assert status_labels(0x16) == ["power low", "temporary error", "application error"]
    assert status_labels(0x81) == ["busy", "manufacturer bit 7"]
    assert Status.POWER_LOW.labels() == ["power low"]


def test_only_the_mode_bits_of_the_configuration_say_encrypted() -> None:
    with pytest.raises(DecodeError, match=r"KAM-06855817 are encrypted, and there is no key"):
        answer("17588506 2D2C 08 04 04 00 2025 0102030405060708090A0B0C0D0E0F10")
    assert answer("17588506 2D2C 08 04 04 00 27B6 0406E7910000").records[0].value == Decimal(37351)


def test_most_significant_byte_first_gives_the_same_records() -> None:
    lsb = answer("17588506 2D2C 08 04 04 00 0000 0C0617588506 0414 2CDB0000 426C 5F1C 0D7C024241 024344")
    msb = answer(
        "06855817 2C2D 08 04 04 00 0000 0C0606855817 0414 0000DB2C 426C 1C5F 0D7C024241 024443", 0x76
    )
    assert [r.value for r in msb.records] == [r.value for r in lsb.records]
    assert msb.header == lsb.header


def test_a_telegram_without_header_names_no_meter() -> None:
    assert answer("0406E7910000", 0x78).header.meter is None
    assert answer("2A 04 0000 0406E7910000", 0x7A).header.access_number == 42
