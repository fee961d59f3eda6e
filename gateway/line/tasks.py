"""Tasks of a line, done between two exchanges: read meters now, search, restart, set a clock.

A task answers for itself: what it gives while it runs, once when it is done, once when it failed. Reading a
whole line is done meter by meter, so that polls that are due have their turn in between.
"""

from abc import abstractmethod
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import closing
from dataclasses import asdict
from datetime import datetime
from typing import Any

from drivers.driver import Clock, Driver, Found, SearchEvent, SearchScope, Suspicion
from drivers.errors import DriverError, LineError
from gateway.line.work import LineWork, PolledLine
from telemetry.micro import to_wire
from telemetry.readout import Readout

SCAN_SECONDS = 900.0  # then a search gives the line back, with what it has found
_PROGRESS_SECONDS = 5.0
_MOST_FOUND = 250
_MOST_VALUES = 50  # meters whose values a reply tells; all are kept like any reading

Answer = Callable[[str, str, Mapping[str, Any]], None]  # state, detail, result


class ExpiredError(Exception):
    """Command whose time was over before its turn came."""

    def __init__(self) -> None:
        super().__init__("expired")


class LineTask(LineWork):
    """A command's work on one line."""

    def __init__(self, answer: Answer, expired: Callable[[], bool]) -> None:
        self.answer = answer
        self._expired = expired
        self._begun = False

    def run(self, driver: Driver, line: PolledLine) -> None:
        """Begin only in time; what has begun is finished."""
        if not self._begun and self._expired():
            raise ExpiredError
        self._begun = True
        self.work(driver, line)

    @abstractmethod
    def work(self, driver: Driver, line: PolledLine) -> None:
        """Do it. Raises DriverError."""

    def failed(self, error: Exception) -> None:
        advice = error.advice if isinstance(error, DriverError) else ""
        self.answer("failed", f"{error}; {advice}" if advice else str(error), {})


class ReadNow(LineTask):
    """These meters of the line, one after the other, beside their schedule; their readouts are kept."""

    def __init__(self, answer: Answer, expired: Callable[[], bool], meters: Sequence[str]) -> None:
        super().__init__(answer, expired)
        self._left = list(meters)
        self._readouts = 0
        self._values: dict[str, dict[str, Any]] = {}
        self._failures: dict[str, str] = {}

    def work(self, driver: Driver, line: PolledLine) -> None:  # noqa: ARG002 - the line asks it
        meter = self._left.pop(0)
        try:
            readouts = line.read_now(meter)
        except LineError:
            raise  # the others would fail, too, and the poller has to know
        except DriverError as error:
            self._failures[meter] = str(error)
            if not self._left and not self._readouts:  # the only one, or none of them
                raise
        else:
            self._readouts += len(readouts)
            if readouts and len(self._values) < _MOST_VALUES:
                self._values[readouts[0].meter] = _told(readouts[0])
        if self._left:
            line.submit(self)
            return
        result: dict[str, Any] = {"readouts": self._readouts, "values": self._values}
        if self._failures:
            result["failed"] = self._failures
        self.answer("done", f"{self._readouts} readouts, {len(self._failures)} meters failed", result)


class Scan(LineTask):
    """Search the line for meters, telling the progress.

    It has the line for itself, but not for ever, and not when readings of midnight are due.
    """

    def work(self, driver: Driver, line: PolledLine) -> None:
        begun = told = driver.line.now()
        found: list[dict[str, str]] = []
        suspicions: list[dict[str, str]] = []
        ended = ""
        with closing(_search(driver)) as events:
            for event in events:
                now = driver.line.now()
                if isinstance(event, Found):
                    found.append(_found(event))
                elif isinstance(event, Suspicion):
                    suspicions.append({"address": event.address, "what": event.what, "advice": event.advice})
                elif now - told >= _PROGRESS_SECONDS:
                    told = now
                    progress = f"{event.done} of {event.total}: {event.what}"
                    self.answer("running", progress, {"meters": len(found)})
                if ended := self._must_end(driver, line, now - begun, len(found) + len(suspicions)):
                    break
        result = {"found": found, "suspicions": suspicions, "complete": not ended}
        self.answer("done", f"{len(found)} meters found{ended and '; ended early: '}{ended}", result)

    def _must_end(self, driver: Driver, line: PolledLine, seconds: float, events: int) -> str:
        """Why the search cannot go on; empty if it can."""
        if seconds > SCAN_SECONDS:
            return f"it took {seconds:.0f} s"
        if events >= _MOST_FOUND:
            return "there is more than a reply can hold"
        if any(meter.billing and meter.slot <= driver.clock() for meter in line.meters):
            return "the readings of midnight are due"
        return ""


class RestartLine(LineTask):
    """Close the port and open it again, and try the meters that are gone at once."""

    def work(self, driver: Driver, line: PolledLine) -> None:  # noqa: ARG002 - the line has it
        line.restart()
        self.answer("done", f"line {line.name} begins anew", {})


class SetClock(LineTask):
    """Set a meter's clock to the gateway's."""

    def __init__(self, answer: Answer, expired: Callable[[], bool], meter: str, clock: Clock) -> None:
        super().__init__(answer, expired)
        self._meter = meter
        self._clock = clock

    def work(self, driver: Driver, line: PolledLine) -> None:
        target = line.find(self._meter).target
        instant: datetime = self._clock()
        driver.set_clock(target, instant)
        self.answer("done", f"clock of {self._meter} set", {"instant": instant.isoformat()})


def _search(driver: Driver) -> Generator[SearchEvent, None, None]:
    """Closed early, it lets the driver leave the line as it was."""
    yield from driver.search(SearchScope())


def _told(readout: Readout) -> dict[str, Any]:
    """Values with their units, as a person would write them."""
    values = {obis: f"{to_wire(quantity.micro)} {quantity.unit}" for obis, quantity in readout.values.items()}
    return {"at": readout.at.isoformat(), "status": readout.status.labels(), "values": values}


def _found(found: Found) -> dict[str, str]:
    told = {**asdict(found), "settings": str(found.settings)}
    return {name: text for name, text in told.items() if text}
