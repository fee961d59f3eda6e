"""Driver: what the gateway asks of every protocol, which is to read this meter now.

A driver is one protocol's master on one line. It lives as long as the line's thread, and keeps the session
state of its meters (M-Bus FCB bits, blocks that a Modbus meter refused, the baud of an optical head).
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, tzinfo
from typing import ClassVar

from drivers.errors import DriverError, UnsupportedError
from drivers.line import Line, SerialSettings
from telemetry.readout import Readout

Clock = Callable[[], datetime]  # the present, aware, UTC


class IdentityError(DriverError):
    """Another meter answered than the one that is configured at this address."""

    advice = "a meter was swapped or readdressed: record it in the registry and update the configuration"

    def __init__(self, expected: str, found: str) -> None:
        super().__init__(f"expected {expected}, but {found} answered")
        self.expected = expected
        self.found = found


class UnnamedError(DriverError):
    """The meter answered, but neither it nor the configuration says who it is."""

    advice = "write the meter's id in the configuration, as it is printed on the meter"

    def __init__(self, message: str, maker: str = "NEW") -> None:
        super().__init__(message)
        self.maker = maker  # where at least that is known


@dataclass(frozen=True, slots=True)
class Target:
    """Meter on a line, as the configuration names it.

    `address` in the protocol's own form ("5", "1", "" for the only meter of an optical head). `meter` is the
    expected meter id: compared where the protocol carries an identity, and the only source where it carries
    none (Modbus). `time_zone` is the meter's local time, for dates in telegrams. `timeout` in seconds,
    None for the protocol's own. `key` is the meter's AES-128 key (16 bytes), `password` what it asks for
    before it opens; neither is ever shown.
    """

    address: str
    meter: str | None = None
    profile: str | None = None
    time_zone: tzinfo = UTC
    timeout: float | None = None
    retries: int = 2
    key: bytes | None = field(default=None, repr=False)
    password: str | None = field(default=None, repr=False)


@dataclass(slots=True)
class Tally:
    """Tally of a driver's exchanges on the wire since it was made; the health message tells it.

    An exchange is one request with its answer. `retries` counts requests that were sent again, `timeouts`
    those that nobody answered, `garbled` answers whose checksum was wrong or that were no telegrams.
    """

    exchanges: int = 0
    retries: int = 0
    timeouts: int = 0
    garbled: int = 0


@dataclass(frozen=True, slots=True)
class SearchScope:
    """Scope of a search. Empty sequences: where the protocol's meters usually are.

    `settings` are tried one after the other; `addresses` are in the protocol's own form ("5", "1-247").
    `timeout` in seconds for each question, None for the protocol's own.
    """

    settings: Sequence[SerialSettings] = ()
    addresses: Sequence[str] = ()
    timeout: float | None = None


@dataclass(frozen=True, slots=True)
class Found:
    """A meter that a search met: how to reach it, and who it says it is (None where it does not say)."""

    address: str
    settings: SerialSettings
    meter: str | None = None
    profile: str | None = None
    description: str = ""


@dataclass(frozen=True, slots=True)
class SearchProgress:
    """Progress of a search: `done` of `total` steps (total may grow), and what it looks at now."""

    done: int
    total: int
    what: str


@dataclass(frozen=True, slots=True)
class Suspicion:
    """Suspicion of a search: no meter it could name, a collision, noise; `advice` says what to try."""

    address: str
    settings: SerialSettings
    what: str
    advice: str = ""


SearchEvent = Found | SearchProgress | Suspicion


class Driver(ABC):
    """Master of one protocol on one line."""

    protocol: ClassVar[str]

    def __init__(self, line: Line, clock: Clock) -> None:
        self.line = line
        self.clock = clock
        self.tally = Tally()

    @abstractmethod
    def read(self, target: Target) -> list[Readout]:
        """Exchange telegrams with the meter and decode them.

        The first readout is the present; further ones are values that the meter kept at earlier instants
        (set days), with `Status.HISTORICAL`. Raises DriverError.
        """

    def search(self, scope: SearchScope) -> Iterator[SearchEvent]:
        """Look for meters on the line, telling what is met as it is met. Ends with the line as it was.

        Raises LineError, and UnsupportedError where the protocol has no way to search.
        """
        where = ", ".join(scope.addresses) or "a line"
        raise UnsupportedError(f"{self.protocol} has no way to search {where} for meters")

    def readout_time(self, target: Target) -> float:
        """Seconds of wire time that one readout of a meter is planned with on this line. No I/O.

        Raises DriverError for a target that cannot be read (an unknown profile).
        """
        raise UnsupportedError(f"{self.protocol} cannot tell how long {target.address!r} takes")

    def only_listens(self, target: Target) -> bool:  # noqa: ARG002 - some protocols do so by the meter
        """True where the meter sends when it wants, so that `readout_time` is the longest wait for it."""
        return False

    def load_profile(self, target: Target, since: datetime, until: datetime) -> list[Readout]:
        """The periods of the meter's load profile that end from `since` to `until` (aware), oldest first.

        Each is a readout at its own instant, with `Status.HISTORICAL`. Raises DriverError; UnsupportedError
        where the protocol or the meter has no load profile.
        """
        period = f"{since.isoformat()} to {until.isoformat()}"
        raise UnsupportedError(f"{self.protocol} reads no load profile of {target.address!r} ({period})")

    def set_clock(self, target: Target, instant: datetime) -> None:
        """Set the meter's clock to an aware instant, shown in the meter's local time.

        Raises DriverError; UnsupportedError where the protocol or the meter has no way to do it.
        """
        raise UnsupportedError(f"{self.protocol} cannot set the clock of {target.address!r} to {instant}")
