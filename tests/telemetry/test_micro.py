"""Micro-units: exact, half-even, and unharmed by a double on the wire."""

from decimal import Decimal

import msgspec
import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from telemetry.micro import (
    LIMIT,
    ValueOutOfRangeError,
    from_micro,
    in_range,
    to_micro,
    to_wire,
    wire_array_to_micro,
)

micros = st.integers(min_value=-LIMIT + 1, max_value=LIMIT - 1)


@pytest.mark.parametrize(
    ("value", "micro"),
    [
        ("56.108", 56_108_000),
        ("0.0000005", 0),
        ("0.0000015", 2),
        ("-0.0000015", -2),
        ("1234.567", 1_234_567_000),
        ("4e+05", 400_000_000_000),
    ],
)
def test_values_are_rounded_half_even_to_millionths(value: str, micro: int) -> None:
    assert to_micro(value) == micro


@pytest.mark.parametrize(
    "value", ["NaN", "Infinity", "-Infinity", "9000000000", "-9000000000", "1e400", "litre"]
)
def test_what_no_register_can_show_is_refused(value: str) -> None:
    with pytest.raises(ValueOutOfRangeError, match="outside the range"):
        to_micro(value)


@given(micros)
def test_decimals_and_micro_units_are_inverse(micro: int) -> None:
    assert to_micro(from_micro(micro)) == micro


@given(st.lists(micros, min_size=1, max_size=20))
@example([10**15 - 1, -(10**15 - 1)])
def test_a_json_number_carries_fifteen_digits_exactly(values: list[int]) -> None:
    sent = msgspec.json.encode([to_wire(v) for v in values])
    received = wire_array_to_micro(np.array(msgspec.json.decode(sent, type=list[float])))
    expected = [
        v if abs(v) < 10**15 else int(Decimal(v).scaleb(-1).quantize(Decimal(1)) * 10) for v in values
    ]
    assert received.tolist() == expected


@given(micros)
def test_a_wire_number_has_at_most_fifteen_significant_digits(micro: int) -> None:
    digits = Decimal(repr(to_wire(micro))).as_tuple().digits
    assert len("".join(map(str, digits)).strip("0")) <= 15


def test_range_check_refuses_what_is_not_below_the_limit() -> None:
    numbers = np.array([0.0, 8_999_999_999.0, 9e9, -9e9, np.nan, np.inf])
    assert in_range(numbers).tolist() == [True, True, False, False, False, False]
