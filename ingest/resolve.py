"""Readouts of many messages into columns for the store: one row a value, in the order of arrival.

What cannot become a row is a refusal of just that: a value's problem leaves the other values of its readout,
and a readout's problem the other readouts of its message.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import msgspec
import numpy as np
import numpy.typing as npt
from psycopg import Connection

from ingest.decode import Decoded
from ingest.directory import Directory, Meter, Register
from ingest.quarantine import Reason, Refusal, refuse_batch, refuse_readout
from store.registry import KnownGateway
from telemetry.micro import LIMIT, in_range, wire_array_to_micro
from telemetry.obis import Obis, ObisError
from telemetry.topics import Topic
from telemetry.units import UnitError, convert_micro, unit
from telemetry.wire import Batch, WireReadout, from_milliseconds

EARLIEST = 946_684_800_000  # 2000-01-01, milliseconds: before it, a meter's clock was never set
LEAD = 86_400_000  # milliseconds that a reading may lie in the future
MAX_REGISTERS = 1_000  # of one meter; more is not a meter


class Origin(NamedTuple):
    """A readout, and the message that it came in. `message` counts within the micro-batch."""

    message: int
    text: str
    batch: Batch
    gateway: KnownGateway
    meter: Meter
    readout: WireReadout


@dataclass(frozen=True, slots=True)
class Columns:
    """One row a value; all arrays have the same length.

    `register_ids` int32; `measured_at` int64, microseconds since 1970 UTC; `values` int64, micro-units of the
    register's unit; `status` int16; `origins` int32, index of the readout in `Resolved.origins`; `codes` are
    OBIS codes.
    """

    register_ids: npt.NDArray[np.int32]
    measured_at: npt.NDArray[np.int64]
    values: npt.NDArray[np.int64]
    status: npt.NDArray[np.int16]
    origins: npt.NDArray[np.int32]
    codes: Sequence[str]


@dataclass(slots=True)
class Resolved:
    """The usable part of a micro-batch. `refusals` are by message, in the order of the messages."""

    columns: Columns
    origins: list[Origin]
    refusals: list[list[Refusal]]


@dataclass(slots=True)
class _Rows:
    """Columns as they grow, and the problems of single values."""

    registers: list[int] = field(default_factory=list)
    instants: list[int] = field(default_factory=list)  # milliseconds
    numbers: list[float] = field(default_factory=list)
    status: list[int] = field(default_factory=list)
    origins: list[int] = field(default_factory=list)
    codes: list[str] = field(default_factory=list)
    conversions: list[tuple[int, str, str]] = field(default_factory=list)  # row, from, to
    problems: dict[tuple[int, Reason], dict[str, str]] = field(default_factory=dict)  # -> code: detail

    def problem(self, origin: int, reason: Reason, code: str, detail: str) -> None:
        self.problems.setdefault((origin, reason), {})[code] = detail


class _UnusableError(Exception):
    """Why a value has no register."""

    def __init__(self, reason: Reason, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason


def resolve(
    connection: Connection[Any], directory: Directory, messages: Sequence[Decoded], now: int
) -> Resolved:
    """Columns of what can be stored at `now` (milliseconds); registers that are new are added.

    Raises psycopg.Error where the database fails.
    """
    directory.prepare(connection, [(m.topic, _meters(m.batch)) for m in messages if m.topic])
    rows = _Rows()
    origins: list[Origin] = []
    refusals: list[list[Refusal]] = []
    for index, message in enumerate(messages):
        refused = list(message.refusals)
        refusals.append(refused)
        topic, batch = message.topic, message.batch
        if topic is None or batch is None or not batch.readouts:
            continue
        gateway = directory.gateway(topic)
        if gateway is None:
            refused.append(_unknown_gateway(directory, message, topic, batch))
            continue
        latest = now + LEAD
        for readout in batch.readouts:
            meter = directory.meter(topic.utility, readout.meter)
            if meter is None or not meter.known.read_by(gateway) or not EARLIEST <= readout.at <= latest:
                reason, detail = _readout_problem(readout, topic, gateway, meter)
                refused.append(refuse_readout(message.text, batch, readout, reason, detail))
                continue
            origins.append(Origin(index, message.text, batch, gateway, meter, readout))
            _add(connection, rows, len(origins) - 1, meter, readout)
    columns = _columns(rows)
    _refuse_values(rows, origins, refusals)
    return Resolved(columns, origins, refusals)


def refuse_values(origin: Origin, reason: Reason, details: dict[str, str]) -> Refusal:
    """A refusal of those values of a readout that `details` names: OBIS -> what is wrong."""
    readout = origin.readout
    part = msgspec.structs.replace(
        readout,
        values={code: readout.values[code] for code in details},
        units={code: name for code, name in readout.units.items() if code in details},
    )
    detail = "; ".join(dict.fromkeys(details.values()))
    return refuse_readout(origin.text, origin.batch, part, reason, detail[:1_000])


def _meters(batch: Batch | None) -> set[str]:
    return {readout.meter for readout in batch.readouts} if batch else set()


def _add(connection: Connection[Any], rows: _Rows, origin: int, meter: Meter, readout: WireReadout) -> None:
    """A row for each value of a readout."""
    at, status, units = readout.at, readout.status, readout.units
    for code, number in readout.values.items():
        register = None if units else meter.usual.get(code)
        if register is None:
            try:
                found, source = _register(connection, meter, code, units.get(code))
            except _UnusableError as problem:
                rows.problem(origin, problem.reason, code, str(problem))
                continue
            if source != found.unit:
                rows.conversions.append((len(rows.registers), source, found.unit))
            register = found.id
        rows.registers.append(register)
        rows.instants.append(at)
        rows.numbers.append(number)
        rows.status.append(status)
        rows.origins.append(origin)
        rows.codes.append(code)


def _register(
    connection: Connection[Any], meter: Meter, code: str, given: str | None
) -> tuple[Register, str]:
    """The register of a code, and the unit of the message's value."""
    try:
        usual = Obis.parse(code).unit
        source = given or usual
        if source is None:
            raise _UnusableError(Reason.UNIT, f"{code} has no usual unit and the message names none")
        if unit(source).dimension != unit(usual or source).dimension:
            raise _UnusableError(Reason.UNIT, f"{code} is measured in {usual}, not in {source}")
        register = meter.registers.get(code)
        if register is None:
            if len(meter.registers) >= MAX_REGISTERS:
                raise _UnusableError(Reason.OBIS, f"the meter has {MAX_REGISTERS} registers already")
            register = meter.add(connection, code, source)
    except ObisError as error:
        raise _UnusableError(Reason.OBIS, str(error)) from None
    except UnitError as error:
        raise _UnusableError(Reason.UNIT, str(error)) from None
    return register, source


def _columns(rows: _Rows) -> Columns:
    """Arrays of the rows whose value a register can hold; the others become problems."""
    numbers = np.array(rows.numbers, dtype=np.float64)
    good = in_range(numbers)
    for row in np.flatnonzero(~good).tolist():
        detail = f"{rows.numbers[row]} is outside the range of a register"
        rows.problem(rows.origins[row], Reason.RANGE, rows.codes[row], detail)
    values = wire_array_to_micro(np.where(good, numbers, 0.0))
    for row, source, target in rows.conversions:
        if good[row]:
            converted = _converted(rows, row, int(values[row]), source, target)
            good[row] = converted is not None
            values[row] = 0 if converted is None else converted
    codes = rows.codes if good.all() else [rows.codes[row] for row in np.flatnonzero(good)]
    return Columns(
        register_ids=np.array(rows.registers, dtype=np.int32)[good],
        measured_at=np.array(rows.instants, dtype=np.int64)[good] * 1_000,
        values=values[good],
        status=np.array(rows.status, dtype=np.int16)[good],
        origins=np.array(rows.origins, dtype=np.int32)[good],
        codes=codes,
    )


def _converted(rows: _Rows, row: int, micro: int, source: str, target: str) -> int | None:
    """Micro-units of `target`, or None with a problem where nothing but rounding would give one."""
    origin, code = rows.origins[row], rows.codes[row]
    try:
        converted = convert_micro(micro, source, target)
    except UnitError as error:
        rows.problem(origin, Reason.UNIT, code, str(error))
        return None
    if converted is None:
        detail = f"{rows.numbers[row]} {source} is not a whole number of millionths of {target}"
        rows.problem(origin, Reason.UNIT, code, detail)
        return None
    if abs(converted) >= LIMIT:
        detail = f"{rows.numbers[row]} {source} is outside the range of a register in {target}"
        rows.problem(origin, Reason.RANGE, code, detail)
        return None
    return converted


def _refuse_values(rows: _Rows, origins: list[Origin], refusals: list[list[Refusal]]) -> None:
    for (origin, reason), details in rows.problems.items():
        refusals[origins[origin].message].append(refuse_values(origins[origin], reason, details))


def _unknown_gateway(directory: Directory, message: Decoded, topic: Topic, batch: Batch) -> Refusal:
    utility = directory.utility(topic.utility)
    who = f"the utility {topic.utility}" if utility is None else f"gateway {topic.gateway} of {topic.utility}"
    detail = f"{who} is not registered"
    return refuse_batch(message.text, message.payload, batch, Reason.UNKNOWN_GATEWAY, detail)


def _readout_problem(
    readout: WireReadout, topic: Topic, gateway: KnownGateway, meter: Meter | None
) -> tuple[Reason, str]:
    if meter is None:
        return Reason.UNKNOWN_METER, f"{readout.meter} is not registered at {topic.utility}"
    if not meter.known.read_by(gateway):
        return Reason.WRONG_GATEWAY, f"{readout.meter} is read by another gateway than {topic.gateway}"
    at = from_milliseconds(readout.at).isoformat()
    return Reason.INSTANT, f"{at} is before the year 2000, or more than a day ahead"
