"""Register words and numbers: exact both ways, in either word order."""

import struct
from collections.abc import Callable
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.modbus.encoding import (
    Encoding,
    WordOrder,
    decode,
    encode,
    pattern,
    text,
    text_words,
    unsigned,
)

orders = st.sampled_from(WordOrder)
WHOLE = [one for one in Encoding if not one.is_float]
INTEGERS = [one for one in Encoding if one.is_integer]

# What meters' documents show: the words as they come on the wire, and the number that they mean.
DOCUMENTED = [
    ("0001 0000 0000", "uint48", "big", 1 << 32),
    ("FFFF FFFF FFFE", "int48", "big", -2),
    ("8001", "sign16", "big", -1),
    ("8000 0064", "sign32", "big", -100),
    ("0064 8000", "sign32", "little", -100),
    ("8000 0000", "sign32", "big", 0),
    ("0012 3456", "bcd32", "big", 123_456),
    ("3456 0012", "bcd32", "little", 123_456),
    ("1200 5634", "bcd32", "big-swapped", 123_456),
    ("0000 1234 5678 9012", "bcd64", "big", 123_456_789_012),
    ("001A", "bcd16", "big", None),
    ("FFFF FFFF", "bcd32", "big", None),
    ("0001 0002 0003", "mod10k48", "big", 100_020_003),
    ("0003 0002 0001", "mod10k48", "little", 100_020_003),
    ("FFFF FFFE", "mod10k32", "big", -10_002),
    ("2710 0000", "mod10k32", "big", None),
    ("0001 03E7", "mod1k32", "big", 1999),
    ("0000 03E8", "mod1k32", "big", None),
    ("AABB CCDD", "uint32", "big", 0xAABBCCDD),
    ("CCDD AABB", "uint32", "little", 0xAABBCCDD),
    ("BBAA DDCC", "uint32", "big-swapped", 0xAABBCCDD),
    ("DDCC BBAA", "uint32", "little-swapped", 0xAABBCCDD),
]


def words_of(text: str) -> list[int]:
    return [int(word, 16) for word in text.split()]


@pytest.mark.parametrize(("words", "encoding", "order", "means"), DOCUMENTED)
def test_a_documented_layout_means_its_number(
    words: str, encoding: str, order: str, means: int | None
) -> None:
    assert decode(words_of(words), Encoding(encoding), WordOrder(order)) == means


def test_floats_come_in_every_order() -> None:
    for words, order in (
        ("449A 5225", WordOrder.BIG),
        ("5225 449A", WordOrder.LITTLE),
        ("9A44 2552", WordOrder.BIG_SWAPPED),
        ("2552 9A44", WordOrder.LITTLE_SWAPPED),
    ):
        assert decode(words_of(words), Encoding.FLOAT32, order) == Decimal("1234.567")


@given(st.sampled_from(WHOLE), orders, st.data())
def test_every_whole_number_survives(
    whole_numbers: Callable[[Encoding], st.SearchStrategy[int]],
    encoding: Encoding,
    order: WordOrder,
    data: st.DataObject,
) -> None:
    number = data.draw(whole_numbers(encoding))
    assert decode(encode(number, encoding, order), encoding, order) == number


@given(st.sampled_from(Encoding), orders, st.data())
def test_any_words_are_a_number_or_none(encoding: Encoding, order: WordOrder, data: st.DataObject) -> None:
    words = data.draw(st.lists(st.integers(0, 0xFFFF), min_size=encoding.words, max_size=encoding.words))
    number = decode(words, encoding, order)
    assert number is None or number.is_finite()


@given(st.lists(st.integers(0, 0xFFFF), min_size=1, max_size=16), orders)
def test_any_words_are_a_text_or_none(words: list[int], order: WordOrder) -> None:
    shown = text(words, order)
    assert shown is None or text(text_words(shown, len(words), order), order) == shown


def test_a_text_is_what_stands_between_the_filling() -> None:
    assert text(words_of("4B31 3233 2000 0000"), WordOrder.BIG) == "K123"
    assert text(words_of("314B 3332"), WordOrder.BIG_SWAPPED) == "K123"
    assert text(words_of("0000 0000"), WordOrder.BIG) is None
    assert text(words_of("FFFF FFFF"), WordOrder.BIG) is None
    assert text(words_of("4B07 3233"), WordOrder.BIG) is None
    with pytest.raises(ValueError, match="does not fit"):
        text_words("too long", 3, WordOrder.BIG)


@given(st.sampled_from(INTEGERS), orders, st.data())
def test_every_integer_pattern_survives(encoding: Encoding, order: WordOrder, data: st.DataObject) -> None:
    bits = data.draw(st.integers(0, (1 << 16 * encoding.words) - 1))
    words = pattern(bits, encoding.words, order)
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
    assert decode(pattern(bits, 2, WordOrder.BIG), Encoding.FLOAT32, WordOrder.BIG) is None


@pytest.mark.parametrize(
    ("number", "encoding"), [(65536, Encoding.UINT16), (-1, Encoding.UINT64), (10**39, Encoding.FLOAT32)]
)
def test_a_number_beyond_its_words_is_refused(number: int, encoding: Encoding) -> None:
    with pytest.raises(ValueError, match="does not fit"):
        encode(number, encoding, WordOrder.BIG)
