"""Register words and numbers: exact both ways, in either word order."""

import struct
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.modbus.encoding import Encoding, WordOrder, decode, encode, pattern, unsigned

orders = st.sampled_from(WordOrder)
INTEGERS = [one for one in Encoding if not one.is_float]


@given(st.sampled_from(INTEGERS), orders, st.data())
def test_every_integer_pattern_survives(encoding: Encoding, order: WordOrder, data: st.DataObject) -> None:
    bits = data.draw(st.integers(0, (1 << 16 * encoding.words) - 1))
    words = pattern(bits, encoding, order)
    assert unsigned(words, order) == bits
    number = decode(words, encoding, order)
    assert number is not None
    assert encode(number, encoding, order) == words


@given(st.floats(width=32, allow_nan=False, allow_infinity=False), orders)
def test_every_float32_survives_as_its_shortest_decimal(number: float, order: WordOrder) -> None:
    words = encode(Decimal(number), Encoding.FLOAT32, order)
    shortest = decode(words, Encoding.FLOAT32, order)
    assert shortest is not None
    assert struct.pack(">f", float(shortest)) == struct.pack(">f", number)
    assert len(shortest.as_tuple().digits) <= 9 or shortest == Decimal(number)


@given(st.floats(allow_nan=False, allow_infinity=False), orders)
def test_every_float64_survives(number: float, order: WordOrder) -> None:
    words = encode(Decimal(number), Encoding.FLOAT64, order)
    assert float(decode(words, Encoding.FLOAT64, order) or 0) == number


def test_float32_is_the_shortest_decimal() -> None:
    words = encode(Decimal("1234.567"), Encoding.FLOAT32, WordOrder.BIG)
    assert decode(words, Encoding.FLOAT32, WordOrder.BIG) == Decimal("1234.567")


def test_word_order_is_the_order_of_words_not_of_bytes() -> None:
    assert decode([0x0001, 0x86A0], Encoding.UINT32, WordOrder.BIG) == 100_000
    assert decode([0x86A0, 0x0001], Encoding.UINT32, WordOrder.LITTLE) == 100_000
    assert decode([0xFFFF], Encoding.INT16, WordOrder.LITTLE) == -1


@pytest.mark.parametrize("bits", [0x7FC00000, 0x7F800000, 0xFF800000, 0xFFFFFFFF])
def test_nan_and_infinity_are_no_number(bits: int) -> None:
    assert decode(pattern(bits, Encoding.FLOAT32, WordOrder.BIG), Encoding.FLOAT32, WordOrder.BIG) is None


@pytest.mark.parametrize(
    ("number", "encoding"), [(65536, Encoding.UINT16), (-1, Encoding.UINT64), (10**39, Encoding.FLOAT32)]
)
def test_a_number_beyond_its_words_is_refused(number: int, encoding: Encoding) -> None:
    with pytest.raises(ValueError, match="does not fit"):
        encode(number, encoding, WordOrder.BIG)
