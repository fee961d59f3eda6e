"""Telegrams and data sets of IEC 62056-21: known bytes, round trips, and bytes that are nothing."""

from decimal import Decimal

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from drivers.errors import DecodeError
from drivers.optical.codec.dataset import DataSet, Value, decode_sets, encode_sets
from drivers.optical.codec.telegram import (
    BlockCheck,
    DataBlock,
    Identification,
    Mode,
    OptionSelect,
    TelegramReader,
    encode_block,
    encode_sign_on,
    find_option_select,
    find_sign_on,
)

printable = st.characters(min_codepoint=0x20, max_codepoint=0x7E, exclude_characters="()!*/")
texts = st.text(printable, max_size=20)
values = st.builds(Value, text=texts, unit=texts)
data_sets = st.builds(
    DataSet,
    address=texts.map(str.strip),
    values=st.lists(values, min_size=1, max_size=4).map(tuple),
)
checks = st.sampled_from(BlockCheck)


def test_a_sign_on_carries_the_address() -> None:
    assert encode_sign_on("") == b"/?!\r\n"
    assert encode_sign_on("12345678") == b"/?12345678!\r\n"
    assert find_sign_on(b"\x00/?12345678!\r\nrest") == ("12345678", b"rest")
    with pytest.raises(ValueError, match="device address"):
        encode_sign_on("1/2")


def test_an_identification_tells_maker_speed_mode_and_reaction() -> None:
    reader = TelegramReader()
    reader.add(b"/?!\r\n\xff/LGZ4ZMD3104107.B14\r\n")  # behind an echo and a stray byte
    found = reader.identification()
    assert found == Identification("LGZ", "4", "ZMD3104107.B14")
    assert (found.mode, found.reaction) == (Mode.C, 0.2)
    assert Identification("EsK", "5", "x").reaction == 0.2
    assert Identification("ESk", "5", "x").reaction == 0.02
    assert Identification("ISK", "C", "x").mode is Mode.B
    assert Identification("ISK", "X", "x").mode is Mode.A


def test_an_acknowledgement_is_six_characters() -> None:
    telegram = OptionSelect(baud="5").encode()
    assert telegram == b"\x06050\r\n"
    assert find_option_select(b"\x00" + telegram) == (OptionSelect("0", "5", "0"), b"")
    assert find_option_select(telegram[:-1]) is None


def test_the_block_check_is_xor_or_energomeras_sum() -> None:
    checked = b"!\r\n\x03"
    assert BlockCheck.XOR.of(checked) == 0x21 ^ 0x0D ^ 0x0A ^ 0x03
    assert BlockCheck.SUM.of(checked) == (0x21 + 0x0D + 0x0A + 0x03) & 0x7F
    assert encode_block(b"", BlockCheck.XOR) == b"\x02" + checked + bytes((0x25,))


@given(st.lists(data_sets, max_size=12), checks)
def test_a_readout_survives_the_wire(sets: list[DataSet], check: BlockCheck) -> None:
    reader = TelegramReader(check)
    block = encode_block(encode_sets(sets), check)
    for byte in block[:-1]:
        reader.add(bytes((byte,)))
        assert reader.frame() is None
    reader.add(block[-1:])
    assert reader.frame() == DataBlock(block[1:-2])
    assert decode_sets(block[1:-2]) == sets


@given(st.lists(data_sets, min_size=1), checks, st.data())
def test_a_wrong_bit_is_found_and_the_repetition_read(
    sets: list[DataSet], check: BlockCheck, data: st.DataObject
) -> None:
    block = encode_block(encode_sets(sets), check)
    position = data.draw(st.integers(1, len(block) - 5))
    # they would become STX, ETX and EOT: a shorter block may hold, and what is behind it is no part of it
    assume(block[position] not in b"BCD")
    reader = TelegramReader(check)
    reader.add(block[:position] + bytes((block[position] ^ 0x40,)) + block[position + 1 :])
    with pytest.raises(DecodeError, match="block check"):
        reader.frame()
    reader.add(block)
    assert reader.frame() == DataBlock(block[1:-2])


@given(st.binary(max_size=300))
def test_arbitrary_bytes_raise_nothing_but_decode_error(data: bytes) -> None:
    reader = TelegramReader()
    reader.add(data)
    for understand in (
        reader.identification,
        reader.frame,
        lambda: decode_sets(data),
        lambda: find_sign_on(data),
        lambda: find_option_select(data),
    ):
        try:
            understand()
        except DecodeError:
            continue


@given(st.text(st.sampled_from("1.8(*)!:-&F\r\n k"), max_size=60))
def test_nearly_right_data_sets_raise_nothing_but_decode_error(text: str) -> None:
    try:
        sets = decode_sets(text.encode())
    except DecodeError:
        return
    assert all(one.values for one in sets)


def test_data_sets_have_one_or_several_values() -> None:
    read = decode_sets(
        b"0.0.0(12345678)\r\n1.8.1(000123.45*kWh)\r\n1.6.1(4.2*kW)(26-11-01 10:15)\r\n(9)\r\n!\r\n"
    )
    assert [str(one) for one in read] == [
        "0.0.0(12345678)",
        "1.8.1(000123.45*kWh)",
        "1.6.1(4.2*kW)(26-11-01 10:15)",
        "(9)",
    ]
    assert read[1].values[0].number == Decimal("123.45")


@pytest.mark.parametrize("text", ["26-11-01 10:15", "", "ERROR", "12:30", "1E5", "NaN", "00A1"])
def test_what_is_no_number_is_none(text: str) -> None:
    assert Value(text, "kWh").number is None


@pytest.mark.parametrize(("data", "offset"), [(b"1.8.0", 5), (b"1.8.0(12", 5), (b"1.8.0(1\x80)", 7)])
def test_a_broken_data_set_names_the_byte(data: bytes, offset: int) -> None:
    with pytest.raises(DecodeError) as caught:
        decode_sets(data)
    assert caught.value.offset == offset
