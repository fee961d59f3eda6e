"""Packed past: every figure comes back bit by bit, and nothing else is taken for one."""

import zlib
from dataclasses import fields, replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from anomaly.boundary.steps import COLUMNS
from anomaly.input.local_time import monday
from anomaly.input.past import RegisterPast, Standing
from anomaly.input.series import DAY, HOUR
from anomaly.judge import examine
from anomaly.packed_past import FORMAT, UnfitCheckpointError, pack, unpack
from metering.readings.rate import WeeklyRates
from tests.support.blocks import LITRE, START, Made, register
from tests.support.checkpoints import ZONE, Series, made, settled_of

INTS = st.integers(-(2**63), 2**63 - 1)
FLOATS = st.floats(allow_nan=True, allow_infinity=True)


@st.composite
def pasts(draw: st.DrawFn) -> RegisterPast:
    count = draw(st.integers(0, 4))
    weeks = [draw(arrays.arrays(np.int64, count, elements=INTS)) for _ in fields(WeeklyRates)]
    instants = ("day", "cut", "tail", "final", "since", "events_from", "first_day", "first_hour")
    standing = st.builds(Standing, first=INTS, begin=INTS, longest=INTS, moved=st.booleans())
    return RegisterPast(
        **{name: draw(INTS) for name in instants},
        weeks=WeeklyRates(*weeks),
        days=draw(arrays.arrays(np.float64, (len(COLUMNS), draw(st.integers(0, 4))), elements=FLOATS)),
        hours=draw(arrays.arrays(np.float64, draw(st.integers(0, 9)), elements=FLOATS)),
        standing=draw(st.none() | standing),
        broken=draw(st.booleans()),
    )


def same(one: RegisterPast, other: RegisterPast) -> bool:
    """Whether all fields are the same, arrays by shape, type and bits."""
    return _bits(one) == _bits(other)


def _bits(value: object) -> object:
    if isinstance(value, np.ndarray):
        return value.shape, value.dtype, value.tobytes()
    if isinstance(value, RegisterPast | WeeklyRates):
        return [_bits(getattr(value, field.name)) for field in fields(value)]
    return value


@given(pasts())
def test_every_past_comes_back_bit_by_bit(past: RegisterPast) -> None:
    assert same(unpack(pack(past)), past)


@given(st.binary())
def test_other_bytes_are_unfit(other: bytes) -> None:
    for each in (other, bytes([FORMAT]) + other, bytes([FORMAT]) + zlib.compress(other)):
        with pytest.raises(UnfitCheckpointError):
            unpack(each)


@given(pasts())
def test_a_past_of_another_format_is_unfit(past: RegisterPast) -> None:
    with pytest.raises(UnfitCheckpointError, match="format"):
        unpack(bytes([FORMAT + 1]) + pack(past)[1:])


def test_a_judgement_goes_on_from_an_unpacked_past() -> None:
    hours = np.tile([0] * 6 + [8] * 18, 150) + np.where(np.arange(150 * 24) >= 40 * 24, 6, 0)
    times = START + np.arange(len(hours), dtype=np.int64) * HOUR
    none = np.zeros(len(hours), dtype=np.int64)
    leaking = Series.of(Made(register(), times, np.cumsum(hours * LITRE), none))
    now = START + 120 * DAY
    (past,) = settled_of(examine(made([leaking], now, [None])), monday(now - 2 * DAY, ZONE))
    assert past is not None
    again = unpack(pack(past))
    assert same(again, past)
    assert not same(again, replace(past, broken=not past.broken))
    assert len(pack(past)) < past.nbytes / 8
    later = [examine(made([leaking], now + DAY, [each])).judged[0] for each in (past, again)]
    assert later[0].findings == later[1].findings
    assert [each.kind for each in later[1].findings] == ["leak"]
