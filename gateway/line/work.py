"""What a line is asked to do once beside its polls: read a meter now, search, set a clock, start anew."""

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING

from drivers.driver import Driver

if TYPE_CHECKING:
    from gateway.line.poller import LinePoller


class LineWork(ABC):
    """Handed to `LinePoller.submit`; has the line to itself, on its thread, between two exchanges."""

    @abstractmethod
    def run(self, driver: Driver, poller: "LinePoller") -> None:
        """Do it, and tell whoever asked. What is raised is given to `failed`."""

    @abstractmethod
    def failed(self, error: Exception) -> None:
        """It could not be done, or was not begun before the line was stopped (LineStoppedError)."""


class LineStoppedError(Exception):
    """The line was stopped or removed before this was its turn; `line` names it."""

    def __init__(self, line: str) -> None:
        super().__init__(f"line {line!r} was stopped before this was done; ask again")
        self.line = line
