"""Directory of the names in messages: asked of the registry once, kept, and asked again for what is new.

A meter is often registered moments before its first reading arrives, so nothing is refused on the word of
an old answer. A name that the registry does not know is remembered for a few seconds, so that a gateway that
keeps reporting a foreign meter does not make us ask with every message.

What repeats is a *route*: the registers of one meter's readout, found by its gateway, its meter and its codes
in one step. Whoever has a route needs no more answers.
"""

import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from psycopg import Connection

from store.registry import KnownGateway, KnownMeter, add_register, lookups
from telemetry.topics import Topic
from telemetry.wire import WireReadout

_KEPT = 60.0  # seconds until changes of what is known (a meter moved to another gateway) are noticed
_ABSENT = 5.0  # seconds for which a name stays unknown without asking again
_MAX_ABSENT = 10_000
_MAX_METERS = 50_000  # kept with all their registers: those without a route, and those that just got one
_MAX_ROUTES = 1_000_000  # about 300 bytes each

UNUSED = -1  # instead of a register, a meter or a gateway

Key = tuple[
    str, str, tuple[str, ...], tuple[tuple[str, str], ...]
]  # topic, meter, codes, units of the readout
_Absence = tuple[str, str, str]  # utility, gateway, meter; the empty meter stands for the gateway itself


@dataclass(frozen=True, slots=True)
class RegisterRoute:
    """Register that a value goes to, and the unit that it is kept in."""

    id: int
    unit: str


@dataclass(frozen=True, slots=True)
class ReadoutRoute:
    """Registers that the values of a readout go to, in their order; `UNUSED` for one that is not taken."""

    meter_id: int
    gateway_id: int
    registers: tuple[int, ...]


def unrouted(readout: WireReadout) -> ReadoutRoute:
    """The route of a readout that is refused: no value of it is taken, nor its telegram."""
    return ReadoutRoute(UNUSED, UNUSED, (UNUSED,) * len(readout.values))


class MeterRoutes:
    """A meter with its registers by OBIS."""

    __slots__ = ("id", "known", "registers")

    def __init__(self, known: KnownMeter) -> None:
        self.known = known
        self.id = known.meter_id
        self.registers = {
            obis: RegisterRoute(each.register_id, each.unit) for obis, each in known.registers.items()
        }

    def add(self, connection: Connection[Any], obis: str, unit: str) -> RegisterRoute:
        """The register of a code that this meter has not reported before; `obis` and `unit` were checked."""
        added = add_register(connection, self.id, obis, unit)
        register = self.registers[obis] = RegisterRoute(added.register_id, added.unit)
        return register


class Directory:
    """Gateways and meters by name. Not thread-safe; one for each ingester."""

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        self.routes: dict[Key, ReadoutRoute] = {}
        self._utilities: dict[str, int] = {}
        self._gateways: dict[lookups.Name, KnownGateway] = {}
        self._meters: dict[lookups.Name, MeterRoutes] = {}
        self._absent: dict[_Absence, float] = {}
        self._fingerprint: Mapping[str, int | None] | None = None
        self._checked = 0.0

    def forget(self) -> None:
        """Ask anew: registers were added by a transaction that came to nothing."""
        self._fingerprint = None
        self.routes.clear()
        self._gateways.clear()
        self._meters.clear()

    def refresh(self, connection: Connection[Any]) -> None:
        """Forget what is out of date. To be called first thing in a transaction."""
        now = self._monotonic()
        if self._fingerprint is not None and now - self._checked <= _KEPT:
            return
        current = lookups.fingerprint(connection)
        if current != self._fingerprint:
            self.forget()
        self._fingerprint, self._checked = current, now
        self._utilities = lookups.utilities(connection)

    def learn(self, connection: Connection[Any], wanted: Mapping[Topic, Iterable[str]]) -> None:
        """Make sure of what will be asked: the gateways of topics, and the meters that each reports."""
        now = self._monotonic()
        missing = [
            (topic.utility, topic.gateway, meter)
            for topic, meters in wanted.items()
            for meter in ("", *meters)
        ]
        ask = [
            absence
            for absence in self._refusable(missing)
            if now - self._absent.get(absence, -_ABSENT) >= _ABSENT
        ]
        if not ask:
            return
        if len(self._meters) > _MAX_METERS:
            self._meters.clear()
        self._utilities = lookups.utilities(connection)
        self._gateways |= lookups.gateways(connection, {(utility, gateway) for utility, gateway, _ in ask})
        found = lookups.meters(connection, {(utility, meter) for utility, _, meter in ask if meter})
        self._meters |= {name: MeterRoutes(known) for name, known in found.items()}
        if len(self._absent) > _MAX_ABSENT:
            self._absent.clear()
        self._absent.update(dict.fromkeys(self._refusable(ask), now))

    def utility(self, topic: Topic | None) -> int | None:
        """The id of a topic's utility; None where it is not registered, or there is no topic."""
        return None if topic is None else self._utilities.get(topic.utility)

    def gateway(self, topic: Topic) -> KnownGateway | None:
        """The gateway of a topic that was learned; None where it is not registered."""
        return self._gateways.get((topic.utility, topic.gateway))

    def meter(self, utility: str, code: str) -> MeterRoutes | None:
        """The meter of a utility that was learned; None where it is not registered."""
        return self._meters.get((utility, code))

    def keep(self, key: Key, route: ReadoutRoute) -> None:
        """Use `route` for every readout of this form from now on."""
        if len(self.routes) >= _MAX_ROUTES:
            self.routes.clear()
        self.routes[key] = route

    def _refusable(self, absences: Iterable[_Absence]) -> list[_Absence]:
        """Those that would be refused by what is known now."""
        refused = []
        for utility, code, name in absences:
            gateway = self._gateways.get((utility, code))
            meter = self._meters.get((utility, name)) if name else None
            if gateway is None or (name and (meter is None or not meter.known.read_by(gateway))):
                refused.append((utility, code, name))
        return refused
