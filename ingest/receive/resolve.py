"""Readouts of many messages with the route of each: meter, gateway and registers that its names stand for.

A route is worked out once for each *form* of readout and kept by the directory. What has none is a refusal of
just that: a value's problem leaves the other values of its readout, and a readout's problem the others of its
message.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, islice, repeat
from operator import attrgetter
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt
from psycopg import Connection

from ingest.receive.decode import Decoded
from ingest.receive.directory import UNUSED, Directory, Key, MeterRoutes, ReadoutRoute, unrouted
from ingest.receive.instants import problem_of, strange
from ingest.receive.missed import resolve_missed
from ingest.receive.quarantine import (
    QuarantineReason,
    RefusedPart,
    meter_problem,
    refuse_readout,
    unknown_gateway,
)
from ingest.receive.value_routes import UnusableValueError, register_of
from store.readings.misses import MissedPoll
from telemetry.topics import Topic
from telemetry.wire import WireReadout

_at = attrgetter("at")
_values = attrgetter("values")
_meter = attrgetter("meter")
_units = attrgetter("units")


@dataclass(frozen=True, slots=True)
class Conversion:
    """A value that comes in another unit than its register's."""

    readout: int
    place: int
    source: str
    target: str


@dataclass(frozen=True, slots=True)
class Resolved:
    """A micro-batch with what the registry says of it.

    By readout: `message_of` (int64), `instants` (int64, milliseconds since 1970) and `routes`; a route
    without a meter is that of a readout that is refused. By message: `utilities` (ids; None: not known) and
    `refusals`. `problems` are those of single values, {(readout, reason): {code: detail}}. `missed` are
    (message, poll).
    """

    messages: Sequence[Decoded]
    readouts: Sequence[WireReadout]
    message_of: npt.NDArray[np.int64]
    instants: npt.NDArray[np.int64]
    routes: list[ReadoutRoute]
    conversions: list[Conversion]
    problems: dict[tuple[int, QuarantineReason], dict[str, str]]
    utilities: Sequence[int | None]
    refusals: list[list[RefusedPart]]
    missed: list[tuple[int, MissedPoll]]

    def code(self, readout: int, place: int) -> str:
        """The code of a readout's value by its place."""
        return next(islice(self.readouts[readout].values, place, None))

    def problem(self, readout: int, reason: QuarantineReason, code: str, detail: str) -> None:
        """Note what is wrong with one value."""
        self.problems.setdefault((readout, reason), {})[code] = detail

    def refuse(self, readout: int, reason: QuarantineReason, detail: str) -> None:
        """Refuse a whole readout."""
        self._refuse(readout, self.readouts[readout], reason, detail)

    def refuse_values(self, readout: int, reason: QuarantineReason, details: Mapping[str, str]) -> None:
        """Refuse those values of a readout that `details` names: {code: what is wrong}."""
        whole = self.readouts[readout]
        part = msgspec.structs.replace(
            whole,
            values={code: whole.values[code] for code in details},
            units={code: name for code, name in whole.units.items() if code in details},
        )
        self._refuse(readout, part, reason, "; ".join(dict.fromkeys(details.values()))[:1_000])

    def _refuse(self, readout: int, part: WireReadout, reason: QuarantineReason, detail: str) -> None:
        index = int(self.message_of[readout])
        message = self.messages[index]
        assert message.batch is not None, "a message with readouts has a batch"
        self.refusals[index].append(refuse_readout(message.text, message.batch, part, reason, detail))


def resolve(
    connection: Connection[Any], directory: Directory, messages: Sequence[Decoded], now: int
) -> Resolved:
    """The routes of readouts and missed polls at `now` (milliseconds); registers that are new are added.

    Raises psycopg.Error where the database fails.
    """
    directory.refresh(connection)
    sizes = [len(message.batch.readouts) if message.batch else 0 for message in messages]
    readouts = list(chain.from_iterable(message.batch.readouts for message in messages if message.batch))
    message_of = np.repeat(np.arange(len(messages)), sizes)
    keys = _keys(messages, sizes, readouts)
    known = list(map(directory.routes.get, keys))
    new = [readout for readout, route in enumerate(known) if route is None]
    directory.learn(connection, _wanted(messages, readouts, message_of, new))
    resolved = Resolved(
        messages,
        readouts,
        message_of,
        instants=np.fromiter(map(_at, readouts), np.int64, len(readouts)),
        routes=[route or unrouted(readouts[readout]) for readout, route in enumerate(known)],
        conversions=[],
        problems={},
        utilities=[directory.utility(message.topic) for message in messages],
        refusals=[list(message.refusals) for message in messages],
        missed=[],
    )
    doubtful = strange(resolved.instants, now)
    _route_new(connection, directory, resolved, [(readout, keys[readout]) for readout in new], doubtful)
    for readout in np.flatnonzero(doubtful).tolist():
        if resolved.routes[readout].meter_id != UNUSED:
            resolved.routes[readout] = unrouted(readouts[readout])
            resolved.refuse(readout, QuarantineReason.INSTANT, problem_of(readouts[readout].at))
    for index, polls, refused in resolve_missed(directory, messages, now):
        resolved.missed.extend((index, poll) for poll in polls)
        resolved.refusals[index] += refused
    return resolved


def _keys(messages: Sequence[Decoded], sizes: Sequence[int], readouts: Sequence[WireReadout]) -> list[Key]:
    texts = chain.from_iterable(
        repeat(message.text, size) for message, size in zip(messages, sizes, strict=True)
    )
    units = map(tuple, map(dict.items, map(_units, readouts)))
    return list(zip(texts, map(_meter, readouts), map(tuple, map(_values, readouts)), units, strict=True))


def _wanted(
    messages: Sequence[Decoded],
    readouts: Sequence[WireReadout],
    message_of: npt.NDArray[np.int64],
    new: Sequence[int],
) -> dict[Topic, set[str]]:
    """The names to ask the registry for: meters of readouts without a route, and of missed polls."""
    wanted: dict[Topic, set[str]] = {}
    for readout in new:
        topic = messages[int(message_of[readout])].topic
        assert topic is not None, "a message with readouts has a topic"
        wanted.setdefault(topic, set()).add(readouts[readout].meter)
    for message in messages:
        if message.topic and message.batch and message.batch.missed:
            meters = wanted.setdefault(message.topic, set())
            meters.update(miss.meter for miss in message.batch.missed)
    return wanted


def _route_new(
    connection: Connection[Any],
    directory: Directory,
    resolved: Resolved,
    new: Sequence[tuple[int, Key]],
    doubtful: npt.NDArray[np.bool_],
) -> None:
    """Work out the routes that are not known; a readout that gets none is refused."""
    refused: set[int] = set()  # messages of gateways that are not known: one refusal for all of each
    for readout, key in new:
        index, meter_id = int(resolved.message_of[readout]), resolved.readouts[readout].meter
        message = resolved.messages[index]
        topic, batch = message.topic, message.batch
        assert topic is not None, "a message with readouts has a topic"
        assert batch is not None, "and a batch"
        gateway = directory.gateway(topic)
        meter = directory.meter(topic.utility, meter_id)
        if (known := directory.routes.get(key)) is not None:  # of a readout of the same form before it
            resolved.routes[readout] = known
        elif gateway is None:
            if index not in refused:
                utility = resolved.utilities[index]
                resolved.refusals[index].append(
                    unknown_gateway(message.text, message.payload, topic, batch, utility)
                )
            refused.add(index)
        elif meter is None or not meter.known.read_by(gateway):
            resolved.refuse(readout, *meter_problem(meter_id, topic, meter))
        elif doubtful[readout]:  # it shall add no register
            resolved.refuse(readout, QuarantineReason.INSTANT, problem_of(resolved.readouts[readout].at))
        else:
            registers, direct = _registers(connection, meter, resolved, readout)
            route = resolved.routes[readout] = ReadoutRoute(meter.id, gateway.gateway_id, registers)
            if direct:
                directory.keep(key, route)


def _registers(
    connection: Connection[Any], meter: MeterRoutes, resolved: Resolved, readout: int
) -> tuple[tuple[int, ...], bool]:
    """The register of each value of a readout, and whether all values go there as they are."""
    registers: list[int] = []
    direct = True
    whole = resolved.readouts[readout]
    for code in whole.values:
        try:
            register, source = register_of(connection, meter, code, whole.units.get(code))
        except UnusableValueError as problem:
            resolved.problem(readout, problem.reason, code, str(problem))
            registers.append(UNUSED)
            direct = False
            continue
        if source != register.unit:
            resolved.conversions.append(Conversion(readout, len(registers), source, register.unit))
            direct = False
        registers.append(register.id)
    return tuple(registers), direct
