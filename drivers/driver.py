"""What the gateway asks of every protocol: read this meter now.

A driver is one protocol's master on one line. It lives as long as the line's thread, and keeps the session
state of its meters (M-Bus FCB bits, blocks that a Modbus meter refused, the baud of an optical head).
"""

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo
from typing import ClassVar

from drivers.errors import DriverError
from drivers.line import Line
from telemetry.readout import Readout

Clock = Callable[[], datetime]  # the present, aware, UTC


class IdentityError(DriverError):
    """Another meter answered than the one that is configured at this address."""

    advice = "a meter was swapped or readdressed: record it in the registry and update the configuration"

    def __init__(self, expected: str, found: str) -> None:
        super().__init__(f"expected {expected}, but {found} answered")
        self.expected = expected
        self.found = found


@dataclass(frozen=True, slots=True)
class Target:
    """One meter on a line, as the configuration names it.

    `address` in the protocol's own form ("5", "1", "" for the only meter of an optical head). `meter` is the
    expected meter id: compared where the protocol carries an identity, and the only source where it carries
    none (Modbus). `time_zone` is the meter's local time, for dates in telegrams. `timeout` in seconds,
    None for the protocol's own.
    """

    address: str
    meter: str | None = None
    profile: str | None = None
    time_zone: tzinfo = UTC
    timeout: float | None = None
    retries: int = 2


class Driver(ABC):
    """One protocol's master on one line."""

    protocol: ClassVar[str]

    def __init__(self, line: Line, clock: Clock) -> None:
        self.line = line
        self.clock = clock

    @abstractmethod
    def read(self, target: Target) -> list[Readout]:
        """Exchange telegrams with the meter and decode them.

        The first readout is the present; further ones are values that the meter kept at earlier instants
        (set days), with `Status.HISTORICAL`. Raises DriverError.
        """
