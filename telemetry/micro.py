"""Micro-units: every stored value is the exact count of millionths of its unit (docs/decisions/001).

`Decimal` at the edges, `int` everywhere else. A float never carries a billed value, except inside a wire
message, where at most 15 significant digits make a double exact (`wire.py`).
"""

from decimal import ROUND_HALF_EVEN, Context, Decimal, InvalidOperation

import numpy as np
import numpy.typing as npt

MICRO = 1_000_000
LIMIT = 9_000_000_000 * MICRO  # |value| stays below 9e9 units, so that int64 and numpy sums have room
_EXACT_IN_DOUBLE = 10**15  # integers of at most 15 digits pass through a double's decimal form unharmed
_CONTEXT = Context(prec=60, rounding=ROUND_HALF_EVEN)  # wide enough for any int64 or float64 a meter sends
_ONE = Decimal(1)


class ValueOutOfRangeError(ValueError):
    """A value that no register can hold: not a number, or not below 9e9 units."""

    def __init__(self, value: object) -> None:
        super().__init__(f"{value} is outside the range of a register (|value| < 9000000000)")
        self.value = value


def to_micro(value: Decimal | int | str) -> int:
    """Millionths of the unit, rounded half-even.

    Raises ValueOutOfRangeError for what is not a finite number below 9e9 in magnitude.
    """
    try:
        scaled = _CONTEXT.multiply(Decimal(value), Decimal(MICRO))
        if not scaled.is_finite() or abs(scaled) >= LIMIT:
            raise ValueOutOfRangeError(value)
        return int(scaled.quantize(_ONE, context=_CONTEXT))
    except InvalidOperation:
        raise ValueOutOfRangeError(value) from None


def from_micro(micro: int) -> Decimal:
    """The value in its unit, without trailing zeros: 56108000 -> Decimal('56.108')."""
    whole, rest = divmod(abs(micro), MICRO)
    text = f"{whole}.{rest:06d}".rstrip("0").rstrip(".")
    return Decimal(text if micro >= 0 else "-" + text)


def to_wire(micro: int) -> float:
    """The JSON number of a wire message: the value in its unit with at most 15 significant digits.

    From 1e9 units on the last micro-unit digit is rounded half-even away (below any meter's resolution).
    """
    if abs(micro) >= _EXACT_IN_DOUBLE:
        micro = round(micro, -1)
    return micro / MICRO


def wire_array_to_micro(values: npt.NDArray[np.float64]) -> npt.NDArray[np.int64]:
    """Micro-units (int64) of wire numbers (float64, same shape): the inverse of `to_wire`, bit for bit.

    The caller has checked that all are finite and below 9e9 in magnitude (`in_range`). Below 1e15
    micro-units the product's error is under a quarter, so rounding finds the integer; above, the sender
    kept tens only, and rounding to tens finds those.
    """
    scaled = np.rint(values * MICRO)
    large = np.abs(scaled) >= _EXACT_IN_DOUBLE
    if large.any():
        scaled[large] = np.rint(scaled[large] / 10.0) * 10.0
    return scaled.astype(np.int64)


def in_range(values: npt.NDArray[np.float64]) -> npt.NDArray[np.bool_]:
    """True where a wire number (float64, same shape) can be a register's value."""
    with np.errstate(invalid="ignore"):
        return np.abs(values) < LIMIT / MICRO
