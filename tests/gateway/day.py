"""A day of a gateway with 252 meters in virtual time: the broker is away for six hours, the disk is full.

`python -m tests.gateway.day BUFFER START` lives it from START on (ISO 8601) as a process that can be killed:
with a disk that refuses to grow the buffer, and a JSON line on standard output for each minute and for what
was sent, before it is acknowledged.
"""

import json
import logging
import random
import resource
import signal
import sys
from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

from drivers.driver import Target
from drivers.errors import GarbledAnswerError, NoAnswerError
from gateway.buffer.buffer import Buffer, BufferFailedError, BufferFullError
from gateway.buffer.source import Monotonic, SourceError
from gateway.clock.kernel import ClockReference, trusted_clock
from gateway.line.polled_meter import LOOKBACK, PolledMeter
from gateway.line.poller import LinePoller
from gateway.schedule import parse_schedule
from telemetry.readout import Readout
from telemetry.wire import Miss, from_milliseconds
from tests.gateway.conftest import BEGIN, HandClock
from tests.gateway.scripted import ScriptedDriver, SilentLine

LINES, METERS_OF_A_LINE, DEAD_OF_A_LINE = 4, 63, 2
READ_SECONDS = 0.6  # so a pass takes 38 s, and longer with meters that fail
SCHEDULE = parse_schedule("15min", UTC)


def after(hours: float, seconds: float = 0) -> datetime:
    return BEGIN + timedelta(hours=hours, seconds=seconds)


AWAY = after(3), after(9)  # the broker
FULL = after(8), after(9, 500)  # the disk
KILLS = [after(1, 20), after(8.5, 20), after(14, 3)]  # in the middle of a pass; with a full disk; at midnight
DOWN = timedelta(minutes=20)


class Gateway:
    """The parts of a gateway that survive a kill, and those that do not. Each line has its own time."""

    def __init__(self, path: Path, now: datetime = BEGIN + timedelta(seconds=1)) -> None:
        self.path = path
        self.rng = random.Random(str(now))
        self.now = now
        self.stored: set[tuple[str, datetime]] = set()
        self.missed: set[tuple[str, datetime, str]] = set()
        self.dead = [self.meter(line, n) for line in range(LINES) for n in range(DEAD_OF_A_LINE)]
        self.buffers: list[Buffer] = []  # of processes that were killed: nothing was closed
        self.start()

    def monotonic(self) -> float:
        return (self.now - BEGIN).total_seconds()

    @staticmethod
    def meter(line: int, number: int) -> str:
        return f"KAM-{line}{number:07}"

    def open(self) -> Buffer:
        buffer = Buffer(self.path, lambda: self.now, monotonic=self.monotonic)
        # what was given to the system outlives a process (power cuts are test_buffer_damage's): a day has
        # 24,000 commits
        buffer._disk.connection.execute("pragma synchronous = off")
        return buffer

    def start(self) -> None:
        self.buffer = self.open()
        self.buffers.append(self.buffer)
        alive = self.buffer.last_alive()
        kept_since = self.buffer.kept_since(alive - LOOKBACK) if alive else {}
        self.clocks = [HandClock(self.now) for _ in range(LINES)]
        self.pollers = [
            self.line(number, clock, last_alive=alive, kept_since=kept_since)
            for number, clock in enumerate(self.clocks)
        ]

    def line(self, number: int, clock: HandClock, **earlier: object) -> LinePoller:
        wire = SilentLine(clock)
        driver = ScriptedDriver(wire, clock, READ_SECONDS)
        names = {str(n): self.meter(number, n) for n in range(METERS_OF_A_LINE)}

        def fail_now_and_then(address: str) -> None:
            driver.errors.pop(address, None)
            if names[address] in self.dead:
                driver.errors[address] = NoAnswerError("silence")
            elif self.rng.random() < 0.01:
                driver.errors[address] = GarbledAnswerError("noise", b"\0")

        driver.during = fail_now_and_then
        return LinePoller(
            f"line {number}",
            [
                PolledMeter(Target(address, name), SCHEDULE, f"line {number}")
                for address, name in names.items()
            ],
            wire,
            driver,
            self.keep,
            clock=clock,
            reference=ClockReference(trusted_clock),
            rng=self.rng,
            **earlier,  # type: ignore[arg-type]
        )

    def keep(
        self,
        readouts: Sequence[Readout],
        misses: Sequence[Miss] = (),
        *,
        unsynchronised: Monotonic | None = None,
    ) -> None:
        if FULL[0] <= self.now < FULL[1]:
            raise BufferFullError(self.path, "its disk has 0 bytes left")
        self.buffer.append(readouts, misses, unsynchronised=unsynchronised)

    def live_until(self, end: datetime) -> None:
        watch_at = self.now
        while self.now < end:
            if self.now >= watch_at:
                watch_at += timedelta(minutes=1)
                self.watch()
            (clock, poller) = min(zip(self.clocks, self.pollers, strict=True), key=lambda each: each[0].now)
            wait = poller.poll()
            clock.advance(min(max(wait, 0.0), 20.0))
            self.now = min(clock.now for clock in self.clocks)

    def watch(self) -> None:
        accounted = [poller.accounted_until for poller in self.pollers]
        if known := [instant for instant in accounted if instant is not None]:
            self.buffer.note_alive(min(known))
        if not AWAY[0] <= self.now < AWAY[1]:
            self.send()

    def send(self) -> None:
        while batches := self.buffer.next_batches(50):
            for batch in batches:
                self.stored |= {(wire.meter, from_milliseconds(wire.at)) for wire in batch.readouts}
                self.missed |= {(m.meter, from_milliseconds(m.at), m.reason) for m in batch.missed}
                self.buffer.acknowledge(batch.epoch, {batch.batch: None})


class KillableGateway(Gateway):
    """The same with a disk of the system's, telling on standard output what it does."""

    def open(self) -> Buffer:
        while True:  # as a supervisor does, once a minute
            self._limit_disk()
            try:
                return super().open()
            except BufferFailedError:
                self.now += timedelta(minutes=1)

    def keep(
        self,
        readouts: Sequence[Readout],
        misses: Sequence[Miss] = (),
        *,
        unsynchronised: Monotonic | None = None,
    ) -> None:
        self._limit_disk()
        try:
            self.buffer.append(readouts, misses, unsynchronised=unsynchronised)
        except BufferFailedError:
            tell(refused=len(readouts))
            raise

    def watch(self) -> None:
        self._limit_disk()
        tell(now=self.now.isoformat())
        with suppress(SourceError):  # as publisher and health do: tried again
            super().watch()

    def send(self) -> None:
        while batches := self.buffer.next_batches(50):
            for batch in batches:
                tell(
                    readouts=[(wire.meter, wire.at) for wire in batch.readouts],
                    missed=[(miss.meter, miss.at, miss.reason) for miss in batch.missed],
                )
                self.buffer.acknowledge(batch.epoch, {batch.batch: None})

    def _limit_disk(self) -> None:
        """While the disk is full, neither the buffer's file nor its log grows beyond the smaller of them."""
        _, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
        limit = hard
        if FULL[0] <= self.now < FULL[1]:
            log = self.path.with_name(f"{self.path.name}-wal")
            limit = min(part.stat().st_size for part in (self.path, log) if part.exists())
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, hard))


def tell(**facts: object) -> None:
    sys.stdout.write(json.dumps(facts) + "\n")
    sys.stdout.flush()


def main(path: str, start: str) -> None:
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)  # an error of the write instead
    logging.disable(logging.CRITICAL)  # the log is the other test's
    gateway = KillableGateway(Path(path), datetime.fromisoformat(start))
    gateway.live_until(after(24))
    gateway.now += timedelta(minutes=1)
    gateway.send()
    tell(now=gateway.now.isoformat())


if __name__ == "__main__":
    main(*sys.argv[1:])
