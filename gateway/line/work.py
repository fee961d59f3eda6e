"""Work that a line is asked to do once beside its polls: read now, search, set a clock, start anew."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Protocol

from drivers.driver import Driver
from gateway.line.polled_meter import PolledMeter
from telemetry.readout import Readout


class PolledLine(Protocol):
    """`LinePoller` as its work and the commands see it."""

    @property
    def name(self) -> str: ...
    @property
    def meters(self) -> Sequence[PolledMeter]: ...
    def submit(self, work: "LineWork") -> None: ...
    def read_now(self, meter: str) -> list[Readout]: ...
    def find(self, meter: str) -> PolledMeter: ...
    def restart(self) -> None: ...


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
