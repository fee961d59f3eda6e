"""Every slot is accounted for once: by a readout or by a miss, whatever meters, line, disk and process do."""

import random
from collections import Counter
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.driver import Driver
from drivers.errors import DecodeError, GarbledAnswerError, LineError, MeterError, NoAnswerError
from gateway.buffer.source import Monotonic
from gateway.line.polled_meter import LOOKBACK
from gateway.line.work import LineWork, PolledLine
from telemetry.readout import Readout
from telemetry.wire import Miss, from_milliseconds
from tests.gateway.conftest import BEGIN, HandClock
from tests.gateway.scripted import Bench

ERRORS = [
    NoAnswerError("silence"),
    GarbledAnswerError("noise", b"\0"),
    MeterError("busy", 1),
    DecodeError("rubbish"),
    LineError("unplugged"),
]
ANNOUNCED = ("meter is gone", "line is too slow", "line is down", "readouts cannot be kept")


class Job(LineWork):
    def __init__(self, seconds: float) -> None:
        self.seconds = seconds

    def run(self, driver: Driver, line: PolledLine) -> None:
        driver.line.wait(self.seconds)

    def failed(self, error: Exception) -> None: ...


class Trouble(Bench):
    """A line on which everything fails now and then, for a while; `alive` is what a dead process leaves."""

    def __init__(
        self, rng: random.Random, meters: int, schedule: str | Sequence[str], seconds: float
    ) -> None:
        self.rng = rng
        self.alive: datetime | None = None
        clock = HandClock(BEGIN + timedelta(seconds=rng.uniform(0, 3600)))
        super().__init__(clock, meters, schedule, seconds)
        self.driver.during = self._let_fail

    def keep(
        self,
        readouts: Sequence[Readout],
        misses: Sequence[Miss] = (),
        *,
        unsynchronised: Monotonic | None = None,
    ) -> None:
        self.full = self.rng.random() < (0.9 if self.full else 0.02)
        super().keep(readouts, misses, unsynchronised=unsynchronised)

    def live_for(self, seconds: float) -> None:
        end = self.clock.monotonic() + seconds
        while (left := end - self.clock.monotonic()) > 0:
            if self.rng.random() < 0.02:
                self.poller.submit(Job(self.rng.uniform(1, 100)))
            wait = self.poller.poll()
            until = self.poller.accounted_until  # the buffer writes it once a minute
            if until and (self.alive is None or until - self.alive >= timedelta(minutes=1)):
                self.alive = until
            self.clock.advance(min(wait, left, 1.0 if wait < 5 else wait))

    def die(self, seconds: float) -> None:
        """A kill -9, and some time until the next process."""
        self.clock.advance(seconds)
        kept: dict[str, list[datetime]] = {}
        for name, at in (
            *((r.meter, r.at) for r in self.kept),
            *((m.meter, from_milliseconds(m.at)) for m in self.misses),
        ):
            if self.alive and at >= self.alive - LOOKBACK:
                kept.setdefault(name, []).append(at)
        self.driver.errors.clear()
        self.new_poller(last_alive=self.alive, kept_since=kept)

    def accounts(self) -> dict[str, Counter[datetime]]:
        """Of each meter, how often each slot was read or missed."""
        found: dict[str, Counter[datetime]] = {}
        for polled, (target, schedule) in zip(self.poller.meters, self.meters, strict=True):
            begun = [
                readout.at - timedelta(seconds=self.driver.seconds)
                for readout in self.kept
                if readout.meter == target.meter
            ]
            missed = [from_milliseconds(miss.at) for miss in self.misses if miss.meter == target.meter]
            found[polled.name] = Counter([*map(schedule.latest, begun), *missed])
        return found

    def _let_fail(self, address: str) -> None:
        if address in self.driver.errors:
            if self.rng.random() < 0.3:
                del self.driver.errors[address]
        elif self.rng.random() < 0.1:
            self.driver.errors[address] = self.rng.choice(ERRORS)


def due(line: Bench, begin: datetime) -> dict[str, list[datetime]]:
    """Of each meter, the slots that are over."""
    return {
        polled.name: list(schedule.between(begin, polled.slot - timedelta(microseconds=1)))
        for polled, (_, schedule) in zip(line.poller.meters, line.meters, strict=True)
    }


def settle(line: Trouble) -> None:
    """Let the disk take what is held."""
    line.full, line.rng = False, random.Random(0)
    line.rng.random = lambda: 1.0  # type: ignore[method-assign]  # nothing more fails
    line.clock.advance(60)
    line.poller.poll()


schedules: st.SearchStrategy[Any] = st.sampled_from(["1min", "5min", "15min", ["1h", "midnight"]])


@pytest.mark.expects_log(ANNOUNCED[0])
@pytest.mark.expects_log(ANNOUNCED[1])
@pytest.mark.expects_log(ANNOUNCED[2])
@pytest.mark.expects_log(ANNOUNCED[3])
@given(st.randoms(use_true_random=False), st.integers(1, 5), schedules, st.floats(0.1, 120))
def test_each_slot_is_one_readout_or_one_miss(
    rng: random.Random, meters: int, schedule: str | Sequence[str], seconds: float
) -> None:
    line = Trouble(random.Random(rng.random()), meters, schedule, seconds)
    begin = line.clock.now
    line.live_for(6 * 3600)
    settle(line)
    found = line.accounts()
    for meter, slots in due(line, begin).items():
        assert found[meter] == Counter(slots)


@pytest.mark.expects_log(ANNOUNCED[0])
@pytest.mark.expects_log(ANNOUNCED[1])
@pytest.mark.expects_log(ANNOUNCED[2])
@pytest.mark.expects_log(ANNOUNCED[3])
@given(st.randoms(use_true_random=False), st.integers(1, 5), schedules)
def test_a_killed_process_leaves_no_slot_that_is_not_accounted_for(
    rng: random.Random, meters: int, schedule: str | Sequence[str]
) -> None:
    line = Trouble(random.Random(rng.random()), meters, schedule, seconds=0.5)
    begin = line.clock.now
    for _ in range(3):
        line.live_for(line.rng.uniform(600, 7200))
        line.die(line.rng.uniform(1, 3600))
    line.live_for(3600)
    settle(line)
    found = line.accounts()
    for meter, slots in due(line, begin).items():
        assert set(found[meter]) == set(slots)
        twice = [slot for slot, count in found[meter].items() if count > 1]
        assert twice == []
