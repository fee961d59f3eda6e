"""What the registry says, kept between messages, and asked again when a name is not known.

A meter is often registered moments before its first reading arrives, so nothing is refused on the word of an
old copy. A name that the registry does not know is remembered for a few seconds, so that a gateway that keeps
reporting a foreign meter does not make us read the registry with every message.
"""

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from psycopg import Connection

from store.registry import KnownGateway, KnownMeter, RegistrySnapshot, add_register, lookup
from telemetry.obis import Obis
from telemetry.topics import Topic

_KEPT = 60.0  # seconds until changes of what is known (a meter moved to another gateway) are noticed
_ABSENT = 5.0  # seconds for which a name stays unknown without asking again
_MAX_ABSENT = 10_000


@dataclass(frozen=True, slots=True)
class Register:
    """Where a value goes, and the unit that it is kept in."""

    id: int
    unit: str


class Meter:
    """A meter with its registers. `usual`, OBIS to register id, has those of the code's usual unit."""

    __slots__ = ("id", "known", "registers", "usual")

    def __init__(self, known: KnownMeter) -> None:
        self.known = known
        self.id = known.meter_id
        self.registers: dict[str, Register] = {}
        self.usual: dict[str, int] = {}
        for obis, register in known.registers.items():
            self._keep(obis, Register(register.register_id, register.unit))

    def add(self, connection: Connection[Any], obis: str, unit: str) -> Register:
        """The register of a code that this meter has not reported before; `obis` and `unit` were checked."""
        added = add_register(connection, self.id, obis, unit)
        return self._keep(obis, Register(added.register_id, added.unit))

    def _keep(self, obis: str, register: Register) -> Register:
        self.registers[obis] = register
        if Obis.parse(obis).unit == register.unit:
            self.usual[obis] = register.id
        return register


class Directory:
    """Gateways and meters by name. Not thread-safe; one for each ingester."""

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        self._snapshot: RegistrySnapshot | None = None
        self._taken = 0.0
        self._meters: dict[tuple[str, str], Meter] = {}
        self._absent: dict[tuple[str, str, str], float] = {}

    def forget(self) -> None:
        """Ask anew: registers were added by a transaction that came to nothing."""
        self._snapshot = None
        self._meters.clear()

    def prepare(self, connection: Connection[Any], names: Iterable[tuple[Topic, Iterable[str]]]) -> None:
        """Make sure of all that will be asked: the topics of messages, and the meters that each reports."""
        now = self._monotonic()
        wanted = {(t.utility, t.gateway, meter) for t, meters in names for meter in ("", *meters)}
        if self._snapshot is None or now - self._taken > _KEPT:
            self._read(connection, now)
        missing = self._missing(wanted)
        if any(now - self._absent.get(name, -_ABSENT) >= _ABSENT for name in missing):
            self._read(connection, now)
            if len(self._absent) > _MAX_ABSENT:
                self._absent.clear()
            self._absent.update(dict.fromkeys(self._missing(missing), now))

    def utility(self, code: str) -> int | None:
        """The id of a utility; None where it is not registered."""
        return self._current.utilities.get(code)

    def gateway(self, topic: Topic) -> KnownGateway | None:
        """The gateway of a topic; None where it is not registered."""
        return self._current.gateways.get((topic.utility, topic.gateway))

    def meter(self, utility: str, code: str) -> Meter | None:
        """The meter of a utility; None where it is not registered."""
        key = (utility, code)
        meter = self._meters.get(key)
        if meter is None:
            known = self._current.meters.get(key)
            if known is None:
                return None
            meter = self._meters[key] = Meter(known)
        return meter

    @property
    def _current(self) -> RegistrySnapshot:
        assert self._snapshot is not None, "prepare() comes first"
        return self._snapshot

    def _read(self, connection: Connection[Any], now: float) -> None:
        self._snapshot = lookup(connection)
        self._taken = now
        self._meters.clear()

    def _missing(self, wanted: Iterable[tuple[str, str, str]]) -> list[tuple[str, str, str]]:
        """Those that would be refused by what is known now; an empty meter asks for the gateway alone."""
        snapshot = self._current
        missing = []
        for utility, code, name in wanted:
            gateway = snapshot.gateways.get((utility, code))
            meter = snapshot.meters.get((utility, name)) if name else None
            if gateway is None or (name and (meter is None or not meter.read_by(gateway))):
                missing.append((utility, code, name))
        return missing
