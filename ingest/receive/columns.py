"""Values of resolved readouts as columns for the store: one row a value, in the order of arrival.

Work in Python is done for values that need a conversion; everything else runs over whole columns. A value
that no register can hold is a refusal of just that.
"""

from dataclasses import dataclass
from itertools import chain
from operator import attrgetter
from typing import Any

import numpy as np
import numpy.typing as npt

from ingest.receive.directory import UNUSED
from ingest.receive.quarantine import QuarantineReason
from ingest.receive.resolve import Conversion, Resolved
from telemetry.micro import LIMIT, in_range, wire_array_to_micro
from telemetry.units import UnitError, convert_micro

_status = attrgetter("status")
_values = attrgetter("values")
_registers = attrgetter("registers")


@dataclass(frozen=True, slots=True)
class ValueColumns:
    """Columns of one row a value; all arrays have the same length.

    `register_ids` int32; `measured_at` int64, microseconds since 1970 UTC; `values` int64, micro-units of the
    register's unit; `status` int16; `readouts` int64, position in the readouts of `resolved`; `places` int64,
    which of the readout's values it is.
    """

    resolved: Resolved
    register_ids: npt.NDArray[np.int32]
    measured_at: npt.NDArray[np.int64]
    values: npt.NDArray[np.int64]
    status: npt.NDArray[np.int16]
    readouts: npt.NDArray[np.int64]
    places: npt.NDArray[np.int64]

    def by_message(self, selection: Any) -> npt.NDArray[np.int64]:
        """Number of the selected rows that are of each message."""
        message_of = self.resolved.message_of[self.readouts[selection]]
        return np.bincount(message_of, minlength=len(self.resolved.messages))


def columns_of(resolved: Resolved) -> ValueColumns:
    """The values that a register can hold; the others are refused."""
    values_of = list(map(_values, resolved.readouts))
    counts = np.fromiter(map(len, values_of), np.int64, len(values_of))
    total = int(counts.sum())
    starts = np.cumsum(counts) - counts
    owners = np.repeat(np.arange(len(counts)), counts)
    places = np.arange(total) - np.repeat(starts, counts)
    registers = np.fromiter(chain.from_iterable(map(_registers, resolved.routes)), np.int32, total)
    numbers = np.fromiter(chain.from_iterable(map(dict.values, values_of)), np.float64, total)
    status = np.fromiter(map(_status, resolved.readouts), np.int16, len(counts))
    used = registers != UNUSED
    good = used & in_range(numbers)
    for row in np.flatnonzero(used & ~good).tolist():
        readout = int(owners[row])
        detail = f"{numbers[row]} is outside the range of a register"
        resolved.problem(readout, QuarantineReason.RANGE, resolved.code(readout, int(places[row])), detail)
    micro = wire_array_to_micro(np.where(good, numbers, 0.0))
    for conversion in resolved.conversions:
        row = int(starts[conversion.readout]) + conversion.place
        if good[row]:
            converted = _converted(int(micro[row]), numbers[row], conversion, resolved)
            good[row] = converted is not None
            micro[row] = 0 if converted is None else converted
    for (readout, reason), details in resolved.problems.items():
        resolved.refuse_values(readout, reason, details)
    if not good.all():
        registers, micro, owners, places = registers[good], micro[good], owners[good], places[good]
    return ValueColumns(
        resolved, registers, resolved.instants[owners] * 1_000, micro, status[owners], owners, places
    )


def _converted(micro: int, number: float, conversion: Conversion, resolved: Resolved) -> int | None:
    """Micro-units of the register's unit; None, with a problem, where only rounding would give one."""
    source, target = conversion.source, conversion.target
    code = resolved.code(conversion.readout, conversion.place)
    try:
        converted = convert_micro(micro, source, target)
    except UnitError as error:
        resolved.problem(conversion.readout, QuarantineReason.UNIT, code, str(error))
        return None
    if converted is None:
        detail = f"{number} {source} is not a whole number of millionths of {target}"
        resolved.problem(conversion.readout, QuarantineReason.UNIT, code, detail)
        return None
    if abs(converted) >= LIMIT:
        detail = f"{number} {source} is outside the range of a register in {target}"
        resolved.problem(conversion.readout, QuarantineReason.RANGE, code, detail)
        return None
    return converted
