"""Where the values of a readout go: worked out once for each form of readout, then kept by the directory."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
from psycopg import Connection

from ingest.receive.decode import Decoded
from ingest.receive.directory import Directory, Key, Meter, Plan, Register
from ingest.receive.quarantine import QuarantineReason, Refusal, refuse_batch, refuse_readout
from telemetry.obis import Obis, ObisError
from telemetry.topics import Topic
from telemetry.units import UnitError, unit
from telemetry.wire import Batch, WireReadout

MAX_REGISTERS = 1_000  # of one meter; more is not a meter
UNUSED = -1  # instead of a register, a meter or a gateway


@dataclass(frozen=True, slots=True)
class Conversion:
    """A value that comes in another unit than its register's."""

    readout: int
    place: int
    source: str
    target: str


@dataclass(slots=True)
class Problems:
    """What is wrong with single values, gathered by readout, and which of them are to be converted."""

    found: dict[tuple[int, QuarantineReason], dict[str, str]] = field(default_factory=dict)  # -> code: detail
    conversions: list[Conversion] = field(default_factory=list)

    def add(self, readout: int, reason: QuarantineReason, code: str, detail: str) -> None:
        """Say what is wrong with one value."""
        self.found.setdefault((readout, reason), {})[code] = detail


@dataclass(frozen=True, slots=True)
class Draft:
    """A micro-batch while it is resolved. `refusals` are by message, all else by readout.

    `message_of` (int64) is the message of each, `strange` (bool) whether its instant cannot be right, `plans`
    where it goes, None until `complete` has worked it out.
    """

    messages: Sequence[Decoded]
    readouts: Sequence[WireReadout]
    message_of: npt.NDArray[np.int64]
    strange: npt.NDArray[np.bool_]
    keys: Sequence[Key]
    plans: list[Plan | None]
    problems: Problems
    refusals: list[list[Refusal]]


class _UnusableError(Exception):
    """Why a value has no register."""

    def __init__(self, reason: QuarantineReason, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason


def unused(readout: WireReadout, meter_id: int = UNUSED, gateway_id: int = UNUSED) -> Plan:
    """The plan of a readout none of whose values is taken; without a meter, its telegram is not either."""
    return Plan(meter_id, gateway_id, (UNUSED,) * len(readout.values))


def complete(connection: Connection[Any], directory: Directory, draft: Draft) -> None:
    """Fill in the plans that are missing, asking the registry; those without problem are kept."""
    new = [place for place, plan in enumerate(draft.plans) if plan is None]
    if not new:
        return
    wanted: dict[Topic, set[str]] = {}
    for place in new:
        wanted.setdefault(_topic(draft, place), set()).add(draft.readouts[place].meter)
    directory.learn(connection, wanted)
    refused: set[int] = set()  # messages of gateways that are not known: one refusal for all of each
    for place in new:
        index, readout = int(draft.message_of[place]), draft.readouts[place]
        known = directory.plans.get(draft.keys[place])
        if known is not None:  # of a readout of the same form before it
            draft.plans[place] = known
            continue
        topic, message, draft.plans[place] = _topic(draft, place), draft.messages[index], unused(readout)
        assert message.batch is not None, "a message with readouts has a batch"
        gateway = directory.gateway(topic)
        if gateway is None:
            if index not in refused:
                draft.refusals[index].append(unknown_gateway(directory, message, topic, message.batch))
            refused.add(index)
            continue
        meter = directory.meter(topic.utility, readout.meter)
        if meter is None or not meter.known.read_by(gateway):
            reason, detail = meter_problem(readout.meter, topic, meter)
            refusal = refuse_readout(message.text, message.batch, readout, reason, detail)
            draft.refusals[index].append(refusal)
            continue
        if draft.strange[place]:  # refused by the caller; it shall add no register
            draft.plans[place] = unused(readout, meter.id, gateway.gateway_id)
            continue
        registers, direct = _registers_of(connection, place, meter, readout, draft.problems)
        plan = draft.plans[place] = Plan(meter.id, gateway.gateway_id, registers)
        if direct:
            directory.keep(draft.keys[place], plan)


def unknown_gateway(directory: Directory, message: Decoded, topic: Topic, batch: Batch) -> Refusal:
    """The refusal of a whole message."""
    utility = directory.utility(topic.utility)
    who = f"the utility {topic.utility}" if utility is None else f"gateway {topic.gateway} of {topic.utility}"
    detail = f"{who} is not registered"
    return refuse_batch(message.text, message.payload, batch, QuarantineReason.UNKNOWN_GATEWAY, detail)


def meter_problem(code: str, topic: Topic, meter: Meter | None) -> tuple[QuarantineReason, str]:
    """Why nothing of this meter is taken from this gateway."""
    if meter is None:
        return QuarantineReason.UNKNOWN_METER, f"{code} is not registered at {topic.utility}"
    return QuarantineReason.WRONG_GATEWAY, f"{code} is read by another gateway than {topic.gateway}"


def _topic(draft: Draft, place: int) -> Topic:
    topic = draft.messages[int(draft.message_of[place])].topic
    assert topic is not None, "a message with readouts has a topic"
    return topic


def _registers_of(
    connection: Connection[Any], place: int, meter: Meter, readout: WireReadout, problems: Problems
) -> tuple[tuple[int, ...], bool]:
    """The register of each value of a readout, and whether all go there as they are."""
    registers: list[int] = []
    direct = True
    for code in readout.values:
        try:
            register, source = _register(connection, meter, code, readout.units.get(code))
        except _UnusableError as problem:
            problems.add(place, problem.reason, code, str(problem))
            registers.append(UNUSED)
            direct = False
            continue
        if source != register.unit:
            problems.conversions.append(Conversion(place, len(registers), source, register.unit))
            direct = False
        registers.append(register.id)
    return tuple(registers), direct


def _register(
    connection: Connection[Any], meter: Meter, code: str, given: str | None
) -> tuple[Register, str]:
    """The register of a code, and the unit of the message's value."""
    try:
        usual = Obis.parse(code).unit
        source = given or usual
        if source is None:
            raise _UnusableError(
                QuarantineReason.UNIT, f"{code} has no usual unit and the message names none"
            )
        if unit(source).dimension != unit(usual or source).dimension:
            raise _UnusableError(QuarantineReason.UNIT, f"{code} is measured in {usual}, not in {source}")
        register = meter.registers.get(code)
        if register is None:
            if len(meter.registers) >= MAX_REGISTERS:
                raise _UnusableError(
                    QuarantineReason.OBIS, f"the meter has {MAX_REGISTERS} registers already"
                )
            register = meter.add(connection, code, source)
    except ObisError as error:
        raise _UnusableError(QuarantineReason.OBIS, str(error)) from None
    except UnitError as error:
        raise _UnusableError(QuarantineReason.UNIT, str(error)) from None
    return register, source
