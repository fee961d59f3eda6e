"""Packed past of a register: a `RegisterPast` as bytes, for a checkpoint that outlives its process.

Every figure comes back bit by bit, NaN too: a judgement from the unpacked past is the one from the past that
was packed. The layout is a byte for its `FORMAT`, then zlib over MessagePack. The eight bytes of the figures
are stored plane by plane, since neighbours share their upper ones.
"""

import zlib
from dataclasses import fields

import msgspec
import numpy as np

from anomaly.boundary.steps import COLUMNS
from anomaly.input.past import RegisterPast, Standing
from anomaly.input.series import FloatArray
from metering.readings.rate import Int64Array, WeeklyRates

FORMAT = 1  # raised whenever the layout, or what a figure means, changes
_LEVEL = 1  # of zlib: the higher ones take several times as long
_WIDTH = 8  # bytes of a figure
_WEEKS = tuple(field.name for field in fields(WeeklyRates))


class UnfitCheckpointError(ValueError):
    """Bytes that are no past of this format: throw them away and judge the register from its readings."""


class _Layout(msgspec.Struct, array_like=True, frozen=True, forbid_unknown_fields=True):
    """What is packed: instants and days as in `RegisterPast`, figures as planes of bytes."""

    day: int
    cut: int
    tail: int
    final: int
    since: int
    events_from: int
    weeks: bytes
    first_day: int
    days: bytes
    first_hour: int
    hours: bytes
    standing: Standing | None
    broken: bool


def pack(past: RegisterPast) -> bytes:
    """The past as bytes."""
    layout = _Layout(
        day=past.day,
        cut=past.cut,
        tail=past.tail,
        final=past.final,
        since=past.since,
        events_from=past.events_from,
        weeks=_planes(np.stack([getattr(past.weeks, name) for name in _WEEKS])),
        first_day=past.first_day,
        days=_planes(past.days),
        first_hour=past.first_hour,
        hours=_planes(past.hours),
        standing=past.standing,
        broken=past.broken,
    )
    return bytes([FORMAT]) + zlib.compress(msgspec.msgpack.encode(layout), _LEVEL)


def unpack(packed: bytes) -> RegisterPast:
    """The past that was packed. Raises UnfitCheckpointError for anything else."""
    if packed[:1] != bytes([FORMAT]):
        raise UnfitCheckpointError(f"not a past of format {FORMAT}; judge the register from its readings")
    try:
        layout = msgspec.msgpack.decode(zlib.decompress(packed[1:]), type=_Layout)
        weeks = _figures(layout.weeks).view(np.int64).reshape(len(_WEEKS), -1)
        days = _figures(layout.days).view(np.float64).reshape(len(COLUMNS), -1)
        hours = _figures(layout.hours).view(np.float64)
    except (zlib.error, msgspec.MsgspecError, ValueError) as error:
        raise UnfitCheckpointError("a damaged past; judge the register from its readings") from error
    return RegisterPast(
        day=layout.day,
        cut=layout.cut,
        tail=layout.tail,
        final=layout.final,
        since=layout.since,
        events_from=layout.events_from,
        weeks=WeeklyRates(*weeks),
        first_day=layout.first_day,
        days=days,
        first_hour=layout.first_hour,
        hours=hours,
        standing=layout.standing,
        broken=layout.broken,
    )


def _planes(figures: Int64Array | FloatArray) -> bytes:
    """First bytes of all figures, then all second ones, and so on."""
    return np.frombuffer(figures.tobytes(), np.uint8).reshape(-1, _WIDTH).T.tobytes()


def _figures(planes: bytes) -> Int64Array:
    """Figures whose bytes these are, eight to each: shape (n,)."""
    return np.frombuffer(np.frombuffer(planes, np.uint8).reshape(_WIDTH, -1).T.tobytes(), np.int64)
