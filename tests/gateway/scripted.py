"""A line without a wire and a driver that does what the test says: for the gateway's own rules."""

import random
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta, tzinfo
from pathlib import Path
from typing import Any

from drivers.driver import Driver, Target
from drivers.line import Line, SerialSettings
from gateway.buffer.buffer import BufferFailedError
from gateway.buffer.source import Monotonic
from gateway.clock.kernel import ClockReference, Synchronised
from gateway.line.polled_meter import PolledMeter
from gateway.line.poller import LinePoller
from gateway.schedule import parse_schedule
from telemetry.readout import Quantity, Readout
from telemetry.status import Status
from telemetry.wire import Miss, from_milliseconds
from tests.gateway.conftest import BEGIN, HandClock

QUARTER = 900.0


class SetClock(HandClock):
    """A wall clock that can be set, beside a monotonic one that goes on."""

    def __init__(self, now: datetime = BEGIN) -> None:
        super().__init__(now)
        self.elapsed = 0.0

    def monotonic(self) -> float:
        return self.elapsed

    def advance(self, seconds: float) -> None:
        super().advance(seconds)
        self.elapsed += seconds

    def set(self, now: datetime) -> None:
        self.now = now


class SilentLine(Line):
    """No wire at all: the scripted driver does not use it, except for its clock."""

    def __init__(self, clock: HandClock) -> None:
        self.name = "silent"
        self.settings = SerialSettings()
        self.clock = clock
        self.closed = 0

    def now(self) -> float:
        return self.clock.monotonic()

    def wait(self, seconds: float) -> None:
        self.clock.advance(seconds)

    def send(self, data: bytes) -> None: ...

    def receive(self, timeout: float) -> bytes:
        return b""

    def discard(self) -> None: ...

    def configure(self, settings: SerialSettings) -> None: ...

    def close(self) -> None:
        self.closed += 1


class ScriptedDriver(Driver):
    """Answers after `seconds`; what stands in `errors` under an address is raised instead, after `patience`.

    Each attempt that fails takes that long again for every retry. `during` is called in mid-exchange.
    """

    protocol = "scripted"

    def __init__(self, line: Line, clock: Callable[[], datetime], seconds: float = 1.0) -> None:
        super().__init__(line, clock)
        self.seconds = seconds
        self.patience = seconds
        self.errors: dict[str, Exception] = {}
        self.reads: list[tuple[str, datetime]] = []
        self.attempts: list[tuple[str, int]] = []
        self.profiles: list[tuple[str, datetime, datetime]] = []
        self.historical = False
        self.meter_clock: Callable[[datetime], datetime | None] = lambda _: None
        self.during: Callable[[str], None] = lambda _: None

    def read(self, target: Target) -> list[Readout]:
        self.reads.append((target.address, self.clock()))
        self.attempts.append((target.address, 1 + target.retries))
        self.tally.exchanges += 1
        self.during(target.address)
        if error := self.errors.get(target.address):
            self.line.wait(self.patience * (1 + target.retries))
            raise error
        self.line.wait(self.seconds)
        values = {"8-0:1.0.0": Quantity(1_000_000, "m3")}
        at = self.clock()
        present = Readout(target.meter or "", at, values, clock=self.meter_clock(at))
        kept = Readout(target.meter or "", BEGIN - timedelta(days=30), values, Status.HISTORICAL)
        return [present, kept] if self.historical else [present]

    def load_profile(self, target: Target, since: datetime, until: datetime) -> list[Readout]:
        self.profiles.append((target.address, since, until))
        if error := self.errors.get("profile"):
            raise error
        self.line.wait(self.seconds)
        quarter = timedelta(minutes=15)
        periods = [since + n * quarter for n in range((until - since) // quarter + 1)]
        values = {"1-0:1.8.0": Quantity(1_000_000, "kW.h")}
        return [Readout(target.meter or "", at, values, Status.HISTORICAL) for at in periods]


class Bench:
    """A poller of meters "1" to "n" and all that stands around it. Further options are the poller's own."""

    def __init__(
        self,
        clock: HandClock,
        meters: int,
        schedule: str | Sequence[str] = "15min",
        seconds: float = 1.0,
        zone: tzinfo = UTC,
        **options: Any,
    ) -> None:
        self.clock = clock
        self.kept: list[Readout] = []
        self.misses: list[Miss] = []
        self.held: list[tuple[Monotonic, Readout | Miss]] = []  # what came without a set clock
        self.full = False
        self.synchronised = True
        self.line = SilentLine(clock)
        self.driver = ScriptedDriver(self.line, clock, seconds)
        self.meters = [
            (Target(str(n), f"KAM-0000000{n}", time_zone=zone), parse_schedule(schedule, zone))
            for n in range(1, meters + 1)
        ]
        self.poller = self.new_poller(**options)

    def new_poller(
        self,
        *,
        min_intervals: Mapping[str, timedelta] | None = None,
        load_profiles: Sequence[str] = (),
        synchronised: Synchronised | None = None,
        **options: Any,
    ) -> LinePoller:
        """`min_intervals` and `load_profiles` by the meter's address."""
        meters = [
            PolledMeter(
                target,
                schedule,
                "basement",
                (min_intervals or {}).get(target.address, timedelta(0)),
                target.address in load_profiles,
            )
            for target, schedule in self.meters
        ]
        reference = synchronised or (lambda: self.synchronised)
        if not isinstance(reference, ClockReference):
            reference = ClockReference(reference)
        settings: dict[str, Any] = {
            "clock": self.clock,
            "reference": reference,
            "rng": random.Random(1),
            **options,
        }
        self.poller = LinePoller("basement", meters, self.line, self.driver, self.keep, **settings)
        return self.poller

    def keep(
        self,
        readouts: Sequence[Readout],
        misses: Sequence[Miss] = (),
        *,
        unsynchronised: Monotonic | None = None,
    ) -> None:
        if self.full:
            raise BufferFailedError(Path("buffer.sqlite"), "database or disk is full")
        self.kept.extend(readouts)
        self.misses.extend(misses)
        if unsynchronised:
            self.held.extend((unsynchronised, entry) for entry in (*readouts, *misses))

    def run_until(self, seconds: float) -> None:
        """Poll until that many monotonic seconds, moving the clock by what the poller says."""
        while (left := seconds - self.clock.monotonic()) > 0:
            wait = self.poller.poll()
            if wait > 0:
                self.clock.advance(max(0.001, min(wait, left)))

    def reads_of(self, address: str) -> list[float]:
        """Seconds after BEGIN at which the meter was asked."""
        return [(at - BEGIN).total_seconds() for asked, at in self.driver.reads if asked == address]

    def misses_of(self, address: str) -> list[tuple[float, str]]:
        """Slots of the meter that were missed, in seconds after BEGIN, and why."""
        return [
            ((from_milliseconds(miss.at) - BEGIN).total_seconds(), str(miss.reason))
            for miss in self.misses
            if miss.meter == f"KAM-0000000{address}"
        ]
