"""Blocks of registers for the tests of `anomaly`: series made of what was used in each hour."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import numpy.typing as npt

from anomaly.catalogue import parameters_of
from anomaly.input.block import Block, Register
from anomaly.input.series import DAY, HOUR, Finding
from anomaly.judge import examine
from telemetry.obis import Obis, RegisterKind

UNIT = 1_000_000
LITRE = 1_000
START = 19_723 * DAY  # 2024-01-01T00:00Z, a Monday
UTC = ZoneInfo("UTC")

NIGHT_REST = ([0] * 6 + [8] * 18) * 70  # litres an hour: a flat for ten weeks


@dataclass(frozen=True, slots=True)
class Made:
    """A register with its readings."""

    register: Register
    times: npt.NDArray[np.int64]
    values: npt.NDArray[np.int64]
    status: npt.NDArray[np.int64]


def register(obis: str = "8-0:1.0.0", meter: str = "KAM-1", **facts: Any) -> Register:
    """One with the default rules of its OBIS code, hourly."""
    code = Obis.parse(obis)
    given = {
        "unit": code.unit or "",
        "kind": code.kind or RegisterKind.COUNTER,
        "interval": HOUR,
        "parameters": parameters_of(code),
    }
    return Register(meter, code, **(given | facts))


def shown(of: Register, values: npt.ArrayLike, *, status: npt.ArrayLike = 0, every: int = HOUR) -> Made:
    """A register that showed these micro-units, one reading after another."""
    micro = np.asarray(values, dtype=np.int64)
    times = START + np.arange(len(micro), dtype=np.int64) * every
    return Made(of, times, micro, np.broadcast_to(np.asarray(status, dtype=np.int64), micro.shape))


def used(
    of: Register, hours: Sequence[float] | npt.ArrayLike, *, unit: int = LITRE, start: int = 400 * UNIT
) -> Made:
    """A counter that moved by this much in each hour, in thousandths of its unit unless told otherwise."""
    steps = np.rint(np.asarray(hours, dtype=np.float64) * unit).astype(np.int64)
    return shown(of, start + np.concatenate(([0], np.cumsum(steps))))


def block(*made: Made, zone: ZoneInfo = UTC, until: int | None = None, **columns: Any) -> Block:
    """A block of registers."""
    return Block.of(
        [each.register for each in made],
        np.repeat(np.arange(len(made)), [len(each.times) for each in made]),
        np.concatenate([each.times for each in made]),
        np.concatenate([each.values for each in made]),
        status=np.concatenate([each.status for each in made]),
        until=until,
        zone=zone,
        **columns,
    )


def findings(of: Block | Made, kind: str) -> list[Finding]:
    """What is said of this kind, over all registers."""
    judged = examine(of if isinstance(of, Block) else block(of)).judged
    return [finding for each in judged for finding in each.findings if finding.kind == kind]


def at(hours: float) -> int:
    """The instant some hours after the first reading."""
    return START + round(hours * HOUR)
