"""Readouts of many messages into columns for the store: one row a value, in the order of arrival.

Work in Python is done once for each *form* of readout (`plans.py`); everything else runs over whole columns.
What cannot become a row is a refusal of just that: a value's problem leaves the other values of its readout,
and a readout's problem the others of its message.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain, islice, repeat
from operator import attrgetter
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt
from psycopg import Connection

from ingest.receive.decode import Decoded
from ingest.receive.directory import Directory, Key, Plan
from ingest.receive.instants import problem_of, strange
from ingest.receive.missed import resolve_missed
from ingest.receive.quarantine import QuarantineReason, Refusal, refuse_readout
from ingest.receive.value_routes import UNUSED, Conversion, Draft, Problems, complete, unused
from store.readings.misses import MissedPoll
from telemetry.micro import LIMIT, in_range, wire_array_to_micro
from telemetry.units import UnitError, convert_micro
from telemetry.wire import Batch, WireReadout

_at = attrgetter("at")
_status = attrgetter("status")
_values = attrgetter("values")
_meter = attrgetter("meter")
_units = attrgetter("units")
_registers = attrgetter("registers")


@dataclass(frozen=True, slots=True)
class Columns:
    """One row a value; all arrays have the same length.

    `register_ids` int32; `measured_at` int64, microseconds since 1970 UTC; `values` int64, micro-units of the
    register's unit; `status` int16; `readouts` int64, position in `Resolved.readouts`; `places` int64, which
    of the readout's values it is.
    """

    register_ids: npt.NDArray[np.int32]
    measured_at: npt.NDArray[np.int64]
    values: npt.NDArray[np.int64]
    status: npt.NDArray[np.int16]
    readouts: npt.NDArray[np.int64]
    places: npt.NDArray[np.int64]


@dataclass(slots=True)
class Resolved:
    """The usable part of a micro-batch, and what is refused by message, in the order of the messages.

    `messages` (int64) is the message of each readout, `plans` where each goes; a plan without a meter is that
    of a readout that is refused. `missed` are (message, poll).
    """

    readouts: list[WireReadout]
    messages: npt.NDArray[np.int64]
    plans: list[Plan]
    columns: Columns
    refusals: list[list[Refusal]]
    missed: list[tuple[int, MissedPoll]]


def resolve(
    connection: Connection[Any], directory: Directory, messages: Sequence[Decoded], now: int
) -> Resolved:
    """Columns of what can be stored at `now` (milliseconds); registers that are new are added.

    Raises psycopg.Error where the database fails.
    """
    directory.refresh(connection)
    sizes = [len(message.batch.readouts) if message.batch else 0 for message in messages]
    readouts = list(chain.from_iterable(message.batch.readouts for message in messages if message.batch))
    instants = np.fromiter(map(_at, readouts), np.int64, len(readouts))
    keys = _keys(messages, sizes, readouts)
    draft = Draft(
        messages,
        readouts,
        message_of=np.repeat(np.arange(len(messages)), sizes),
        strange=strange(instants, now),
        keys=keys,
        plans=list(map(directory.plans.get, keys)),
        problems=Problems(),
        refusals=[list(message.refusals) for message in messages],
    )
    complete(connection, directory, draft)
    _refuse_strange(draft)
    plans = [plan for plan in draft.plans if plan is not None]
    columns = _columns(readouts, instants, plans, draft.problems)
    for (place, reason), details in draft.problems.found.items():
        _refuse(draft, place, reason, details)
    polls, refused = resolve_missed(connection, directory, messages, now)
    for index, refusal in refused:
        draft.refusals[index].append(refusal)
    return Resolved(readouts, draft.message_of, plans, columns, draft.refusals, polls)


def _refuse_strange(draft: Draft) -> None:
    """Readouts of meters that may speak, but not of such an instant."""
    for place in np.flatnonzero(draft.strange).tolist():
        plan, readout = draft.plans[place], draft.readouts[place]
        if plan is None or plan.meter_id == UNUSED:
            continue
        index, draft.plans[place] = int(draft.message_of[place]), unused(readout)
        message = draft.messages[index]
        assert message.batch is not None, "a message with readouts has a batch"
        detail = problem_of(readout.at)
        refusal = refuse_readout(message.text, message.batch, readout, QuarantineReason.INSTANT, detail)
        draft.refusals[index].append(refusal)


def _refuse(draft: Draft, place: int, reason: QuarantineReason, details: dict[str, str]) -> None:
    index = int(draft.message_of[place])
    message = draft.messages[index]
    assert message.batch is not None, "a message with readouts has a batch"
    draft.refusals[index].append(
        refuse_values(message.text, message.batch, draft.readouts[place], reason, details)
    )


def refuse_values(
    text: str, batch: Batch, readout: WireReadout, reason: QuarantineReason, details: dict[str, str]
) -> Refusal:
    """A refusal of those values of a readout that `details` names: OBIS -> what is wrong."""
    part = msgspec.structs.replace(
        readout,
        values={code: readout.values[code] for code in details},
        units={code: name for code, name in readout.units.items() if code in details},
    )
    detail = "; ".join(dict.fromkeys(details.values()))
    return refuse_readout(text, batch, part, reason, detail[:1_000])


def code_at(readout: WireReadout, place: int) -> str:
    """The code of a readout's value by its place."""
    return next(islice(readout.values, place, None))


def _keys(messages: Sequence[Decoded], sizes: Sequence[int], readouts: Sequence[WireReadout]) -> list[Key]:
    texts = chain.from_iterable(
        repeat(message.text, size) for message, size in zip(messages, sizes, strict=True)
    )
    units = map(tuple, map(dict.items, map(_units, readouts)))
    return list(zip(texts, map(_meter, readouts), map(tuple, map(_values, readouts)), units, strict=True))


def _columns(
    readouts: Sequence[WireReadout],
    instants: npt.NDArray[np.int64],
    plans: Sequence[Plan],
    problems: Problems,
) -> Columns:
    """Arrays of the values that a register can hold; what is wrong with the others becomes a problem."""
    values_of = list(map(_values, readouts))
    counts = np.fromiter(map(len, values_of), np.int64, len(readouts))
    total = int(counts.sum())
    ends = np.cumsum(counts)
    owners = np.repeat(np.arange(len(readouts)), counts)
    places = np.arange(total) - np.repeat(ends - counts, counts)
    registers = np.fromiter(chain.from_iterable(map(_registers, plans)), np.int32, total)
    numbers = np.fromiter(chain.from_iterable(map(dict.values, values_of)), np.float64, total)
    status = np.fromiter(map(_status, readouts), np.int16, len(readouts))
    used = registers != UNUSED
    good = used & in_range(numbers)
    for row in np.flatnonzero(used & ~good).tolist():
        detail = f"{numbers[row]} is outside the range of a register"
        problems.add(
            int(owners[row]), QuarantineReason.RANGE, code_at(readouts[owners[row]], places[row]), detail
        )
    micro = wire_array_to_micro(np.where(good, numbers, 0.0))
    for conversion in problems.conversions:
        row = int(ends[conversion.readout] - counts[conversion.readout]) + conversion.place
        if good[row]:
            code = code_at(readouts[conversion.readout], conversion.place)
            converted = _converted(int(micro[row]), numbers[row], conversion, code, problems)
            good[row] = converted is not None
            micro[row] = 0 if converted is None else converted
    if not good.all():
        registers, micro, owners, places = registers[good], micro[good], owners[good], places[good]
    return Columns(registers, instants[owners] * 1_000, micro, status[owners], owners, places)


def _converted(
    micro: int, number: float, conversion: Conversion, code: str, problems: Problems
) -> int | None:
    """Micro-units of the register's unit; None, with a problem, where only rounding would give one."""
    source, target = conversion.source, conversion.target
    try:
        converted = convert_micro(micro, source, target)
    except UnitError as error:
        problems.add(conversion.readout, QuarantineReason.UNIT, code, str(error))
        return None
    if converted is None:
        detail = f"{number} {source} is not a whole number of millionths of {target}"
        problems.add(conversion.readout, QuarantineReason.UNIT, code, detail)
        return None
    if abs(converted) >= LIMIT:
        detail = f"{number} {source} is outside the range of a register in {target}"
        problems.add(conversion.readout, QuarantineReason.RANGE, code, detail)
        return None
    return converted
