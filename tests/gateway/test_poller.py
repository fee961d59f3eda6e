"""The poller of one line: aligned, fair, sparing with the dead, and quiet in the log."""

import itertools
import logging
import random
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from drivers.driver import Driver, IdentityError, Target
from drivers.errors import DriverError, LineError, MeterError, NoAnswerError
from drivers.line import Line, SerialSettings
from gateway.buffer import BufferFailedError
from gateway.poller import LinePoller
from gateway.schedule import parse_schedule
from telemetry.readout import Quantity, Readout
from telemetry.status import Status
from tests.gateway.conftest import BEGIN, HandClock

QUARTER = 900.0


class SilentLine(Line):
    """No wire at all: the scripted driver below does not use it, except for its clock."""

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
    """Answers after `seconds`; what stands in `errors` under an address is raised instead.

    Faults of the gateway's own rules are what is tested here, so no protocol stands in between.
    """

    protocol = "scripted"

    def __init__(self, line: Line, clock: HandClock, seconds: float = 1.0) -> None:
        super().__init__(line, clock)
        self.seconds = seconds
        self.errors: dict[str, Exception] = {}
        self.reads: list[tuple[str, datetime]] = []
        self.historical = False

    def read(self, target: Target) -> list[Readout]:
        self.reads.append((target.address, self.clock()))
        self.line.wait(self.seconds)
        if error := self.errors.get(target.address):
            raise error
        values = {"8-0:1.0.0": Quantity(1_000_000, "m3")}
        present = Readout(target.meter or "", self.clock(), values)
        kept = Readout(target.meter or "", BEGIN - timedelta(days=30), values, Status.HISTORICAL)
        return [present, kept] if self.historical else [present]


class Bench:
    """A poller of meters "1" to "n" and all that stands around it."""

    def __init__(self, clock: HandClock, meters: int, schedule: str = "15min", seconds: float = 1.0) -> None:
        self.clock = clock
        self.line = SilentLine(clock)
        self.driver = ScriptedDriver(self.line, clock, seconds)
        self.kept: list[Readout] = []
        self.full = False
        self.synchronised = True
        self.poller = LinePoller(
            "basement",
            [
                (Target(str(n), f"KAM-0000000{n}"), parse_schedule(schedule, UTC))
                for n in range(1, meters + 1)
            ],
            self.line,
            self.driver,
            self.keep,
            clock=clock,
            synchronised=lambda: self.synchronised,
            rng=random.Random(1),
        )

    def keep(self, readouts: Sequence[Readout]) -> None:
        if self.full:
            raise BufferFailedError(Path("buffer.sqlite"), "database or disk is full")
        self.kept.extend(readouts)

    def run_until(self, seconds: float) -> None:
        """Poll until that many seconds after BEGIN, moving the clock by what the poller says."""
        end = BEGIN + timedelta(seconds=seconds)
        while self.clock.now < end:
            wait = self.poller.poll()
            if wait > 0:
                self.clock.advance(max(0.001, min(wait, (end - self.clock.now).total_seconds())))

    def reads_of(self, address: str) -> list[float]:
        """Seconds after BEGIN at which the meter was asked."""
        return [(at - BEGIN).total_seconds() for asked, at in self.driver.reads if asked == address]


@pytest.fixture
def bench(clock: HandClock) -> Callable[..., Bench]:
    clock.advance(1)  # just after a slot

    def build(meters: int, schedule: str = "15min", seconds: float = 1.0) -> Bench:
        return Bench(clock, meters, schedule, seconds)

    return build


@pytest.fixture(autouse=True)
def informed(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    with caplog.at_level(logging.INFO):
        yield


def said(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records]


def test_meters_are_read_at_their_slots_one_after_the_other(bench: Callable[..., Bench]) -> None:
    line = bench(3)
    line.run_until(2 * QUARTER + 10)
    assert line.reads_of("1") == [900, 1800]
    assert line.reads_of("2") == [901, 1801]
    assert line.reads_of("3") == [902, 1802]
    assert len(line.kept) == 6


def test_a_new_process_waits_for_the_next_slot(bench: Callable[..., Bench]) -> None:
    line = bench(1)
    assert line.poller.poll() == pytest.approx(QUARTER - 1)
    assert line.driver.reads == []


@pytest.mark.expects_log("line is too slow")
def test_a_slow_line_skips_slots_serves_all_meters_and_says_so_once(
    bench: Callable[..., Bench], caplog: pytest.LogCaptureFixture
) -> None:
    line = bench(5, seconds=400.0)  # a pass takes 2000 s, a slot comes every 900 s
    line.run_until(QUARTER * 40)
    counts = [len(line.reads_of(str(n))) for n in range(1, 6)]
    assert max(counts) - min(counts) <= 1, "nobody is starved"
    assert sum(counts) == len(line.driver.reads) >= 85, "the line is never idle"
    assert said(caplog) == ["line is too slow for its schedule, slots are skipped"]
    line.driver.seconds = 1.0
    line.run_until(QUARTER * 43)
    assert said(caplog)[1:] == ["line keeps up again"]


@pytest.mark.expects_log("meter is gone")
def test_a_dead_meter_is_asked_at_growing_distances_and_told_once(
    bench: Callable[..., Bench], caplog: pytest.LogCaptureFixture
) -> None:
    line = bench(2)
    line.driver.errors["2"] = NoAnswerError("no answer from 2")
    line.run_until(6 * 3600)
    gaps = [
        later - earlier for earlier, later in zip(line.reads_of("2"), line.reads_of("2")[1:], strict=False)
    ]
    assert [round(gap / QUARTER) for gap in gaps] == [1, 2, 4, 4, 4, 4]
    assert len(line.reads_of("1")) == 23, "the living one is not disturbed"
    assert said(caplog) == ["meter is gone"]
    assert caplog.records[0].__dict__["advice"].startswith("check the address")
    line.driver.errors.clear()
    line.run_until(8 * 3600)
    assert said(caplog) == ["meter is gone", "meter is back"]
    assert line.poller.meter_health()[1].failures == 0


@pytest.mark.expects_log("meter is gone")
def test_a_dead_meter_with_a_quick_schedule_is_asked_at_least_once_an_hour(
    bench: Callable[..., Bench],
) -> None:
    line = bench(1, schedule="10s", seconds=0.1)
    line.driver.errors["1"] = NoAnswerError("no answer from 1")
    line.run_until(12 * 3600)
    reads = line.reads_of("1")
    gaps = [round((later - earlier) / 10) for earlier, later in itertools.pairwise(reads)]
    assert gaps[:9] == [1, 2, 4, 8, 16, 32, 64, 128, 256]
    assert set(gaps[9:]) == {360}


@pytest.mark.expects_log("line is down")
def test_a_lost_line_is_closed_tried_again_and_no_meters_failure(
    bench: Callable[..., Bench], caplog: pytest.LogCaptureFixture
) -> None:
    line = bench(2, seconds=0.0)
    for address in ("1", "2"):
        line.driver.errors[address] = LineError("the converter was unplugged")
    line.run_until(QUARTER + 600)
    attempts = [at for _, at in line.driver.reads]
    gaps = [(later - earlier).total_seconds() for earlier, later in itertools.pairwise(attempts)]
    assert 0.5 <= gaps[0] <= 1.0
    assert all(30 <= gap <= 60 for gap in gaps[6:])
    assert line.line.closed == len(attempts)
    assert [meter.failures for meter in line.poller.meter_health()] == [0, 0]
    line.driver.errors.clear()
    line.run_until(QUARTER + 700)
    assert {readout.meter for readout in line.kept} == {"KAM-00000001", "KAM-00000002"}
    assert said(caplog) == ["line is down", "line is back"]


@pytest.mark.expects_log("line is down")
def test_slots_missed_while_the_line_was_down_are_not_called_slowness(
    bench: Callable[..., Bench], caplog: pytest.LogCaptureFixture
) -> None:
    line = bench(3)
    for address in ("1", "2", "3"):
        line.driver.errors[address] = LineError("gone")
    line.run_until(QUARTER * 5)
    line.driver.errors.clear()
    line.run_until(QUARTER * 7)
    assert said(caplog) == ["line is down", "line is back"]


@pytest.mark.expects_log("readouts cannot be kept")
def test_what_the_buffer_cannot_take_is_held_until_it_can(
    bench: Callable[..., Bench], caplog: pytest.LogCaptureFixture
) -> None:
    line = bench(2)
    line.full = True
    line.run_until(QUARTER * 2 + 10)
    assert line.kept == []
    line.full = False
    line.run_until(QUARTER * 2 + 20)
    assert len(line.kept) == 4
    assert said(caplog) == ["readouts cannot be kept", "readouts are kept again"]


def test_readouts_of_an_unsynchronised_clock_are_marked_but_the_meters_own_instants_are_not(
    bench: Callable[..., Bench],
) -> None:
    line = bench(1)
    line.driver.historical = True
    line.synchronised = False
    line.run_until(QUARTER + 10)
    line.synchronised = True
    line.run_until(QUARTER * 2 + 10)
    assert [readout.status for readout in line.kept] == [
        Status.UNSYNCHRONISED,
        Status.HISTORICAL,
        Status(0),
        Status.HISTORICAL,
    ]


def test_a_clock_that_is_set_forward_misses_no_slot_and_back_waits_for_none(
    clock: HandClock, bench: Callable[..., Bench], caplog: pytest.LogCaptureFixture
) -> None:
    line = bench(1)
    wall, line.line.now = clock, lambda: steady[0]  # type: ignore[method-assign]  # the two clocks part here
    steady = [10.0]
    line.poller.poll()
    wall.now = datetime(2027, 6, 1, 12, 7, tzinfo=UTC)
    line.poller.poll()
    assert len(line.driver.reads) == 1
    wall.now = datetime(2026, 12, 1, 12, 7, tzinfo=UTC)
    assert line.poller.poll() == pytest.approx(8 * 60)
    wall.now = datetime(2026, 12, 1, 12, 15, 1, tzinfo=UTC)
    line.poller.poll()
    assert len(line.driver.reads) == 2
    assert said(caplog) == []


@pytest.mark.expects_log("meter is gone")
@pytest.mark.parametrize(
    ("error", "timeouts", "errors"),
    [
        (NoAnswerError("silence"), 1, 0),
        (MeterError("busy", 1, retry=True), 0, 1),
        (IdentityError("KAM-00000001", "KAM-00000009"), 0, 1),
    ],
)
def test_health_tells_exchanges_failures_and_the_share_of_the_wire(
    bench: Callable[..., Bench], error: DriverError, timeouts: int, errors: int
) -> None:
    line = bench(2, seconds=45.0)
    line.poller.line_health()
    line.run_until(QUARTER - 1)
    line.driver.errors["1"] = error
    line.run_until(2 * QUARTER - 1)
    health = line.poller.line_health()
    assert (health.exchanges, health.timeouts, health.errors) == (2, timeouts, errors)
    assert health.utilisation == pytest.approx(90 / 1798, abs=1e-3)
    failed, well = line.poller.meter_health()
    assert (failed.failures, failed.last_success) == (1, None)
    assert (well.failures, well.last_success) == (0, 1_795_342_590_000)
    assert line.poller.line_health().utilisation == 0.0, "a new period"


def test_a_fault_that_no_driver_foresaw_does_not_meet_the_same_meter_for_ever(
    bench: Callable[..., Bench],
) -> None:
    line = bench(2)
    line.driver.errors["1"] = ZeroDivisionError("a bug of ours")
    line.run_until(QUARTER - 1)
    line.clock.advance(2)
    with pytest.raises(ZeroDivisionError):
        line.poller.poll()
    line.run_until(QUARTER + 10)
    assert [readout.meter for readout in line.kept] == ["KAM-00000002"]
