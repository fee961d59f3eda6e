"""Work that a line is asked to do once beside its polls: read now, search, set a clock, start anew."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Protocol

from drivers.driver import Driver
from gateway.line.polled_meter import PolledMeter
from telemetry.readout import Readout


class PolledLine(Protocol):
    """Line as its work and the commands see it, on its poller's thread unless it is said otherwise."""

    @property
    def name(self) -> str: ...
    @property
    def meters(self) -> Sequence[PolledMeter]: ...

    def submit(self, work: "LineWork") -> None:
        """Have this done between two exchanges, after what was submitted before. Thread-safe."""
        ...

    def read_now(self, meter: str) -> list[Readout]:
        """Read a meter, by id or address, beside its schedule, and keep the readouts. Raises DriverError."""
        ...

    def find(self, meter: str) -> PolledMeter:
        """The meter of this id or address. Raises DriverError."""
        ...

    def restart(self) -> None:
        """Close the port, to be opened at once, and try the meters that are gone."""
        ...


class LineWork(ABC):
    """Work handed to `PolledLine.submit`; has the line to itself, on its thread, between two exchanges."""

    @abstractmethod
    def run(self, driver: Driver, line: PolledLine) -> None:
        """Do it, and tell whoever asked. What is raised is given to `failed`."""

    @abstractmethod
    def failed(self, error: Exception) -> None:
        """It could not be done, or was not begun before the line was stopped (LineStoppedError)."""


class LineStoppedError(Exception):
    """The line was stopped or removed before this was its turn; `line` names it."""

    def __init__(self, line: str) -> None:
        super().__init__(f"line {line!r} was stopped before this was done; ask again")
        self.line = line
