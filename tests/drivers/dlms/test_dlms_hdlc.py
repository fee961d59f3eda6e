"""Frames and addresses: real traces, and properties of the codec."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.dlms.address import parse_address
from drivers.dlms.codec import apdu
from drivers.dlms.codec.apdu import decode_apdu
from drivers.dlms.codec.data import Data, DataTag
from drivers.dlms.codec.hdlc import (
    Frame,
    HdlcAddress,
    HdlcControl,
    HdlcFrameReader,
    HdlcParameters,
    decode_frame,
)
from drivers.errors import DecodeError, DriverError
from tests.drivers.dlms.traces import DISC, GET, GOT, LAST_OF_THREE, SNRM, UA, UA_WIDE

CLIENT, SERVER = HdlcAddress(16), HdlcAddress(1)


def frame_of(text: str) -> Frame:
    frame = decode_frame(bytes.fromhex(text))
    assert frame.encode().hex() == text.lower()
    return frame


def test_frames_of_real_meters_are_read_and_written_to_the_byte() -> None:
    assert frame_of(DISC) == Frame(SERVER, CLIENT, HdlcControl.DISCONNECT)
    assert frame_of(SNRM).kind is HdlcControl.SET_NORMAL_RESPONSE_MODE
    assert frame_of(GET).send == 1
    got = frame_of(GOT)
    assert (got.destination, got.source, got.send, got.receive, got.final) == (CLIENT, SERVER, 1, 2, True)
    assert decode_apdu(got.information[3:]) == apdu.GetResult(Data(DataTag.DOUBLE_LONG_UNSIGNED, 0x3CE488))
    pushed = frame_of(LAST_OF_THREE)
    assert (pushed.kind, pushed.source) == (HdlcControl.UNNUMBERED_INFORMATION, HdlcAddress(1, 17))


def test_the_parameters_of_a_link_come_in_one_byte_or_two() -> None:
    assert HdlcParameters.decode(frame_of(UA).information) == HdlcParameters(128, 128)
    wide = frame_of(UA_WIDE)
    assert wide.source == HdlcAddress(1, 2836, wide=True)
    assert HdlcParameters.decode(wide.information) == HdlcParameters(242, 242)
    assert HdlcParameters.decode(b"") == HdlcParameters(128, 128)
    for wrong in ("8180", "81800105", "8180020502", "818003050200", "00", "81800405020000"):
        with pytest.raises(DecodeError):
            HdlcParameters.decode(bytes.fromhex(wrong))


addresses = (
    st.builds(HdlcAddress, st.integers(0, 127))
    | st.builds(HdlcAddress, st.integers(0, 127), st.integers(0, 127))
    | st.builds(HdlcAddress, st.integers(0, 16383), st.integers(0, 16383), st.just(True))
)
numbers = st.integers(0, 7)
frames = st.builds(
    Frame, addresses, addresses, st.just(HdlcControl.INFORMATION), st.binary(max_size=200), numbers, numbers
) | st.builds(
    Frame, addresses, addresses, st.sampled_from([k for k in HdlcControl if k is not HdlcControl.INFORMATION])
)


@given(frames, st.booleans(), st.binary(max_size=9))
def test_every_frame_survives_a_round_trip_between_noise(
    frame: Frame, shared_flag: bool, noise: bytes
) -> None:
    reader = HdlcFrameReader()
    encoded = frame.encode()
    reader.add(encoded + (encoded[1:] if shared_flag else noise))
    assert reader.next() == frame
    if shared_flag:
        assert reader.next() == frame


@given(
    st.lists(st.binary(max_size=20) | st.sampled_from([bytes.fromhex(GOT), b"\x7e", b"\x7e\xa0"]), max_size=8)
)
def test_the_reader_bears_any_bytes_and_loses_no_frame_to_silence(pieces: list[bytes]) -> None:
    reader = HdlcFrameReader()
    for piece in pieces:
        reader.add(piece)
        while reader.next():
            pass
    while reader.pending:
        reader.resync()
    reader.add(bytes.fromhex(GOT))
    assert reader.next() is not None


@given(st.binary(max_size=30))
def test_arbitrary_bytes_are_a_frame_or_a_decode_error(data: bytes) -> None:
    for one in (data, b"\x7e" + data + b"\x7e", b"\x7e\xa0" + bytes((len(data) + 2,)) + data + b"\x7e"):
        try:
            decode_frame(one)
        except DecodeError:
            continue


@pytest.mark.parametrize("position", range(1, 22))
def test_a_damaged_frame_is_passed_over(position: int) -> None:
    damaged = bytearray.fromhex(GOT)
    damaged[position] ^= 1
    reader = HdlcFrameReader()
    reader.add(bytes(damaged) + bytes.fromhex(UA))
    while (frame := reader.next()) is None:
        reader.resync()
    assert frame.kind is HdlcControl.UNNUMBERED_ACKNOWLEDGE
    assert reader.damaged


@pytest.mark.parametrize(
    ("text", "client", "server", "encoded"),
    [
        ("", 16, HdlcAddress(1), "03"),
        ("32", 32, HdlcAddress(1), "03"),
        ("1/17", 1, HdlcAddress(17), "23"),
        ("1/1/17", 1, HdlcAddress(1, 17), "0223"),
        ("16/1/17:4", 16, HdlcAddress(1, 17, wide=True), "00020023"),
        ("1/1/2836", 1, HdlcAddress(1, 2836), "00022c29"),
        ("16/200", 16, HdlcAddress(200), "02900001"),
    ],
)
def test_addresses_of_a_configuration(text: str, client: int, server: HdlcAddress, encoded: str) -> None:
    assert parse_address(text) == (HdlcAddress(client), server)
    assert server.encode().hex() == encoded


@pytest.mark.parametrize("text", ["x", "0/1", "128", "16/", "16/1/2/3", "16/99999", "/1/1:2"])
def test_what_is_no_address_is_said(text: str) -> None:
    with pytest.raises(DriverError, match="no DLMS address"):
        parse_address(text)
