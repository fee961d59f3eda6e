"""A search of one line in all protocols, one after the other."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass, field

from drivers.catalogue import open_driver, open_line
from drivers.driver import Clock, Found, SearchEvent, SearchProgress, SearchScope, Suspicion
from drivers.errors import DriverError, LineError
from drivers.protocol import protocol_named
from hesper.installer.advice import Trouble, suspected, trouble


@dataclass(slots=True)
class SearchOutcome:
    """Outcome of the search in one protocol; `trouble` is why it did not come to its end.

    `has_settings`: not on Modbus TCP, which has no serial line.
    """

    protocol: str
    found: list[Found] = field(default_factory=list)
    suspicions: list[Suspicion] = field(default_factory=list)
    trouble: Trouble | None = None
    has_settings: bool = True

    def as_json(self) -> dict[str, object]:
        """For a program."""
        return {
            "protocol": self.protocol,
            "found": [
                {**asdict(one), "settings": str(one.settings) if self.has_settings else None}
                for one in self.found
            ],
            "suspicions": [
                {"address": one.address, "settings": str(one.settings), **suspected(one).as_json()}
                for one in self.suspicions
            ],
            "trouble": self.trouble.as_json() if self.trouble else None,
        }


@dataclass(frozen=True, slots=True)
class ScanOrder:
    """Scan of a port, in these protocols, each within the same scope."""

    port: str
    protocols: Sequence[str]
    scope: SearchScope
    transport: str | None = None


def driver_options(protocol: str, transport: str | None) -> Mapping[str, object]:
    """Options of the protocol's driver beside line and clock; a transport only where it has several."""
    return {"transport": transport} if transport and "transport" in protocol_named(protocol).options else {}


def scan(wanted: ScanOrder, outcomes: list[SearchOutcome], clock: Clock) -> Iterator[tuple[str, SearchEvent]]:
    """Search, and tell every event with its protocol as it comes; `outcomes` fills meanwhile.

    What stops one protocol's search is its outcome's trouble, and the next is tried, unless the line itself
    has failed.
    """
    for protocol in wanted.protocols:
        by_tcp = driver_options(protocol, wanted.transport).get("transport") == "tcp"
        outcome = SearchOutcome(protocol, has_settings=not by_tcp)
        outcomes.append(outcome)
        try:
            for event in _search(wanted, protocol, clock):
                match event:
                    case Found():
                        outcome.found.append(event)
                    case Suspicion():
                        outcome.suspicions.append(event)
                    case SearchProgress():
                        pass
                yield protocol, event
        except DriverError as error:
            outcome.trouble = trouble(error, protocol)
            if isinstance(error, LineError):
                return


def _search(wanted: ScanOrder, protocol: str, clock: Clock) -> Iterator[SearchEvent]:
    settings = wanted.scope.settings[0] if wanted.scope.settings else protocol_named(protocol).settings
    with closing(open_line(wanted.port, settings)) as line:
        driver = open_driver(protocol, line, clock, **driver_options(protocol, wanted.transport))
        yield from driver.search(wanted.scope)
