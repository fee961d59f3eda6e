"""A day of 252 meters in virtual time: the broker away, three kills, a full disk; every poll is known of."""

import random
from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from drivers.driver import Target
from drivers.errors import GarbledAnswerError, NoAnswerError
from gateway.buffer import Buffer, BufferFullError
from gateway.poller import LinePoller
from gateway.schedule import parse_schedule
from gateway.source import Monotonic
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

    def __init__(self, path: Path) -> None:
        self.path = path
        self.rng = random.Random(1)
        self.now = BEGIN + timedelta(seconds=1)
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

    def start(self) -> None:
        self.buffer = Buffer(self.path, lambda: self.now, monotonic=self.monotonic)
        # a kill takes nothing that the system was given (power cuts are test_buffer's): 24,000 syncs less
        self.buffer._disk.connection.execute("pragma synchronous = off")
        self.buffers.append(self.buffer)
        alive = self.buffer.last_alive()
        kept_since = self.buffer.kept_since(alive) if alive else {}
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
            [(Target(address, name), SCHEDULE) for address, name in names.items()],
            wire,
            driver,
            self.keep,
            clock=clock,
            synchronised=lambda: True,
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


@pytest.mark.expects_log("meter is gone")
@pytest.mark.expects_log("readouts cannot be kept")
@pytest.mark.expects_log("line is too slow")  # after the first attempts at the dead
def test_every_due_poll_of_a_day_is_a_stored_reading_or_a_recorded_miss(tmp_path: Path) -> None:
    gateway = Gateway(tmp_path / "buffer.sqlite")
    begin = gateway.now
    for kill in KILLS:
        gateway.live_until(kill)
        gateway.now += DOWN
        gateway.start()
    gateway.live_until(after(24))
    gateway.now += timedelta(minutes=1)
    gateway.send()
    for buffer in gateway.buffers:
        buffer.close()

    taken = timedelta(seconds=READ_SECONDS)
    accounts = Counter((meter, SCHEDULE.latest(at - taken)) for meter, at in gateway.stored)
    accounts.update((meter, slot) for meter, slot, _ in gateway.missed)
    meters = [Gateway.meter(line, n) for line in range(LINES) for n in range(METERS_OF_A_LINE)]
    due = {(meter, slot) for meter in meters for slot in SCHEDULE.between(begin, after(23.75))}
    assert len(due) == LINES * METERS_OF_A_LINE * 95
    assert {account: count for account, count in accounts.items() if count != 1} == {}
    assert due == set(accounts) - {(meter, after(24)) for meter in meters}
    reasons = Counter(reason for meter, _, reason in gateway.missed if meter not in gateway.dead)
    assert set(reasons) == {"garbled", "not running", "backing off"}
    assert reasons["not running"] > 2 * LINES * METERS_OF_A_LINE
