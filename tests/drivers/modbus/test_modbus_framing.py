"""Modbus frames: known bytes, round trips between both ends, and bytes that are nothing."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.errors import DecodeError
from drivers.modbus.framing import (
    Framing,
    MbapFraming,
    ModbusAnswer,
    ModbusRequest,
    RtuFraming,
    Transport,
    exception_text,
    framing,
    may_pass,
)

units = st.integers(1, 247)
requests = st.builds(
    ModbusRequest,
    unit=units,
    function=st.sampled_from([3, 4]),
    address=st.integers(0, 0xFFFF),
    count=st.integers(1, 125),
)
framings = st.sampled_from([RtuFraming(), MbapFraming()])


def test_a_request_has_the_bytes_of_the_vendors_example() -> None:
    # Eastron SDM630 protocol document: read the voltage of phase 1
    assert RtuFraming().request(ModbusRequest(1, 4, 0, 2)).hex(" ") == "01 04 00 00 00 02 71 cb"


@pytest.mark.parametrize(
    ("asked", "answered", "words"),
    [
        # Eastron SDM320Y user manual, 4.3: the voltage, "230.2"; the width of pulse 1, "100"
        ("01 04 00 00 00 02 71 CB", "01 04 04 43 66 33 34 1B 38", (0x4366, 0x3334)),
        ("01 03 00 0C 00 02 04 08", "01 03 04 42 C8 00 00 6F B5", (0x42C8, 0x0000)),
    ],
)
def test_exchanges_in_a_makers_document_are_understood(
    asked: str, answered: str, words: tuple[int, ...]
) -> None:
    found = RtuFraming().next_request(bytes.fromhex(asked))
    assert found is not None
    request, rest = found
    assert (RtuFraming().request(request), rest) == (bytes.fromhex(asked), b"")
    answer = RtuFraming().find_answer(bytes.fromhex(answered), request)
    assert answer is not None
    assert answer.registers == words
    assert RtuFraming().registers(request, list(words)) == bytes.fromhex(answered)


def test_a_modbus_tcp_request_has_header_and_no_crc() -> None:
    frame = MbapFraming().request(ModbusRequest(1, 4, 0x48, 2, transaction=0x1501))
    assert frame.hex(" ") == "15 01 00 00 00 06 01 04 00 48 00 02"


def test_an_answer_is_read_as_registers() -> None:
    frame = bytes.fromhex("01 04 04 43 66 33 34 1b 38")
    assert RtuFraming().find_answer(frame, ModbusRequest(1, 4, 0, 2)) == ModbusAnswer(frame, (0x4366, 0x3334))


def test_a_refusal_carries_its_exception_code() -> None:
    frame = bytes.fromhex("01 84 02 c2 c1")
    assert RtuFraming().find_answer(frame, ModbusRequest(1, 4, 0, 2)) == ModbusAnswer(frame, exception=2)
    assert exception_text(2) == "illegal data address (exception 02)"
    assert exception_text(99) == "unknown refusal (exception 99)"
    assert may_pass(6)
    assert not may_pass(2)


@given(framings, requests, st.data())
def test_both_ends_understand_each_other(
    framing: Framing, request: ModbusRequest, data: st.DataObject
) -> None:
    heard = framing.next_request(framing.request(request))
    assert heard == (request, b"")
    words = data.draw(st.lists(st.integers(0, 0xFFFF), min_size=request.count, max_size=request.count))
    frame = framing.registers(request, words)
    assert framing.find_answer(frame, request) == ModbusAnswer(frame, tuple(words))
    refusal = framing.refusal(request, 2)
    assert framing.find_answer(refusal, request) == ModbusAnswer(refusal, exception=2)


@given(framings, requests)
def test_an_answer_in_pieces_is_none_until_its_last_byte(framing: Framing, request: ModbusRequest) -> None:
    frame = framing.registers(request, [7] * request.count)
    assert all(framing.find_answer(frame[:size], request) is None for size in range(len(frame)))


@given(requests, st.binary(max_size=8))
def test_rtu_finds_the_answer_behind_an_echo_and_stray_bytes(request: ModbusRequest, stray: bytes) -> None:
    rtu = RtuFraming()
    frame = rtu.registers(request, list(range(request.count)))
    found = rtu.find_answer(rtu.request(request) + stray + frame, request)
    assert found is not None
    assert found.registers == tuple(range(request.count))


@given(requests)
def test_a_damaged_rtu_answer_is_no_answer(request: ModbusRequest) -> None:
    frame = bytearray(RtuFraming().registers(request, [0] * request.count))
    frame[3] ^= 0x10
    assert RtuFraming().find_answer(bytes(frame), request) is None


def test_another_units_answer_is_not_taken() -> None:
    frame = RtuFraming().registers(ModbusRequest(2, 4, 0, 1), [5])
    assert RtuFraming().find_answer(frame, ModbusRequest(1, 4, 0, 1)) is None


def test_a_late_modbus_tcp_answer_is_passed_over() -> None:
    mbap = MbapFraming()
    late = mbap.registers(ModbusRequest(1, 4, 0, 1, transaction=6), [6])
    right = mbap.registers(ModbusRequest(1, 4, 0, 1, transaction=7), [7])
    found = mbap.find_answer(late + right, ModbusRequest(1, 4, 0, 1, transaction=7))
    assert found == ModbusAnswer(right, (7,))


@given(framings, st.binary(max_size=300), requests)
def test_arbitrary_bytes_raise_nothing_but_decode_error(
    framing: Framing, data: bytes, request: ModbusRequest
) -> None:
    for understand in (lambda: framing.find_answer(data, request), lambda: framing.next_request(data)):
        try:
            understand()
        except DecodeError:
            continue


@pytest.mark.parametrize(
    "data",
    ["00 01 00 07 00 05 01 04 02 00 00", "00 01 00 00 ff 05 01 04 02 00 00", "00 00 00 00 00 03 01 04 02"],
)
def test_what_is_not_modbus_tcp_is_a_decode_error(data: str) -> None:
    with pytest.raises(DecodeError):
        MbapFraming().find_answer(bytes.fromhex(data), ModbusRequest(1, 4, 0, 1))


def test_transports_choose_their_frames() -> None:
    assert isinstance(framing(Transport.RTU), RtuFraming)
    assert isinstance(framing(Transport.TCP), MbapFraming)
