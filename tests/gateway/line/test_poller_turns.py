"""Whose turn it is: midnight, then what was asked for, then ordinary polls; and batteries have their rest."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest

from drivers.driver import Driver
from drivers.errors import DriverError, LineError, NoAnswerError
from gateway.line.polled_meter import TooSoonError
from gateway.line.work import LineStoppedError, LineWork, PolledLine
from telemetry.readout import Readout
from tests.gateway.conftest import HandClock
from tests.gateway.scripted import QUARTER, Bench, SetClock

HOUR = 3600.0
MIDNIGHT = 14 * HOUR  # after BEGIN, in UTC


class Job(LineWork):
    """Takes `seconds` of the line; keeps when it ran, or why it did not."""

    def __init__(self, seconds: float = 5.0, action: Callable[[PolledLine], object] = lambda _: None) -> None:
        self.seconds = seconds
        self.action = action
        self.ran_at: datetime | None = None
        self.result: object = None
        self.error: Exception | None = None

    def run(self, driver: Driver, line: PolledLine) -> None:
        self.ran_at = driver.clock()
        self.result = self.action(line)
        driver.line.wait(self.seconds)

    def failed(self, error: Exception) -> None:
        self.error = error


def order(bench: Bench, jobs: list[Job]) -> str:
    """What had the line, one after the other: addresses of meters, and j for a job."""
    events = [(at, address) for address, at in bench.driver.reads]
    events += [(job.ran_at, "j") for job in jobs if job.ran_at]
    return "".join(name for _, name in sorted(events))


def test_midnight_goes_before_what_was_asked_for_and_that_before_ordinary_polls(clock: HandClock) -> None:
    clock.advance(1)
    line = Bench(clock, 3)
    jobs = [Job(), Job()]
    line.run_until(QUARTER - 1)
    clock.advance(1)
    for job in jobs:
        line.poller.submit(job)
    line.run_until(2 * QUARTER - 1)
    assert order(line, jobs) == "j1j23", "after a job, a poll has its turn"
    line.run_until(MIDNIGHT - 1)
    line.driver.reads.clear()
    clock.advance(1)
    jobs = [Job(), Job()]
    for job in jobs:
        line.poller.submit(job)
    line.run_until(MIDNIGHT + 60)
    assert order(line, jobs) == "123jj"


def test_a_stream_of_jobs_delays_polls_but_starves_none(clock: HandClock) -> None:
    clock.advance(1)
    line = Bench(clock, 5, schedule="1min")
    jobs = [Job(seconds=5.0) for _ in range(1000)]
    for job in jobs:
        line.poller.submit(job)
    line.run_until(HOUR)
    assert line.misses == [], "30 seconds of every minute are enough for five meters"
    assert all(len(line.reads_of(str(n))) == 59 for n in range(1, 6))


def test_an_exchange_is_never_interrupted(clock: HandClock) -> None:
    clock.advance(1)
    line = Bench(clock, 2, seconds=30.0)
    job = Job()
    line.driver.during = lambda address: line.poller.submit(job) if address == "1" else None
    line.run_until(QUARTER + 40)
    assert job.ran_at is not None
    assert job.ran_at.minute * 60 + job.ran_at.second == QUARTER + 30


@pytest.mark.expects_log("line is too slow")
def test_a_slow_line_reads_midnight_of_all_meters_before_anything_else(clock: HandClock) -> None:
    clock.advance(1)
    line = Bench(clock, 5, seconds=400.0)  # a pass takes 2000 s, a slot comes every 900 s
    line.run_until(MIDNIGHT + 2 * HOUR)
    after = [address for address, at in line.driver.reads if at >= datetime(2026, 11, 23, tzinfo=UTC)]
    assert sorted(after[:5]) == ["1", "2", "3", "4", "5"]


@pytest.mark.expects_log("line is down")
def test_midnight_is_made_up_for_first_when_a_line_comes_back(clock: HandClock) -> None:
    clock.advance(1)
    line = Bench(clock, 2)
    line.run_until(MIDNIGHT - 60)
    for address in ("1", "2"):
        line.driver.errors[address] = LineError("unplugged")
    line.run_until(MIDNIGHT + QUARTER + 60)
    line.driver.errors.clear()
    job = Job()
    line.driver.reads.clear()
    line.poller.submit(job)
    job.ran_at = None
    line.run_until(MIDNIGHT + QUARTER + 200)
    assert (MIDNIGHT, "line down") in line.misses_of("1")
    assert len(line.reads_of("1")) == len(line.reads_of("2")) == 1


@pytest.mark.expects_log("meter is gone")
def test_a_dead_meter_is_asked_once_without_retries_but_at_midnight_with_all(clock: HandClock) -> None:
    clock.advance(1)
    line = Bench(clock, 1, schedule="1h")
    line.driver.errors["1"] = NoAnswerError("silence")
    line.run_until(MIDNIGHT + 60)
    assert [attempts for _, attempts in line.driver.attempts] == [3] + [1] * 12 + [3]


@pytest.mark.expects_log("meter is gone")
def test_midnight_is_tried_while_a_meter_is_backing_off(clock: HandClock) -> None:
    clock.advance(1)
    line = Bench(clock, 2)
    line.driver.errors["1"] = NoAnswerError("silence")
    line.run_until(MIDNIGHT + 600)
    assert line.reads_of("1")[-1] == MIDNIGHT + 1, "after the living one"
    assert line.reads_of("2")[-1] == MIDNIGHT


@pytest.mark.expects_log("meter is gone")
def test_an_attempt_at_a_dead_meter_waits_until_the_others_are_read(clock: HandClock) -> None:
    clock.advance(1)
    line = Bench(clock, 3)
    line.driver.errors["1"] = NoAnswerError("silence")
    line.run_until(2 * QUARTER + 60)
    assert order(line, [])[-3:] == "231"


@pytest.mark.expects_log("meter is gone")
@pytest.mark.expects_log("line is too slow")  # by the first attempt with its retries
def test_an_attempt_at_a_dead_meter_takes_nobodys_slot(clock: HandClock) -> None:
    clock.advance(1)
    line = Bench(clock, 5, schedule="10s", seconds=1.0)
    line.driver.patience = 7.0  # with 4 s for the living ones, 6 s are left of every slot
    line.driver.errors["5"] = NoAnswerError("silence")
    line.run_until(HOUR)
    assert len(line.reads_of("5")) >= 8, "it is tried nevertheless, after a slot of waiting"
    lost = [reason for address in "1234" for _, reason in line.misses_of(address)]
    assert len(lost) <= 4, "only to the first attempt, when it was not known to be dead"


@pytest.mark.expects_log("meter is gone")
@pytest.mark.expects_log("line is too slow")
def test_on_a_line_that_is_always_busy_dead_meters_are_tried_and_cost_little(clock: HandClock) -> None:
    clock.advance(1)
    line = Bench(clock, 9, schedule="10s", seconds=3.0)
    line.driver.errors["8"] = line.driver.errors["9"] = NoAnswerError("silence")
    line.run_until(2 * HOUR)
    assert 8 <= len(line.reads_of("8")) <= 12
    assert line.poller.line_health().utilisation > 0.99
    spent = sum(attempts for address, attempts in line.driver.attempts if address in "89") * 3.0
    assert spent < 0.02 * 2 * HOUR


def test_a_meter_is_read_now_and_its_readouts_are_kept(clock: HandClock) -> None:
    clock.advance(1)
    line = Bench(clock, 2)
    job = Job(action=lambda poller: poller.read_now("KAM-00000002"))
    line.poller.submit(job)
    line.run_until(10)
    (readout,) = line.kept
    assert job.result == [readout]
    assert line.poller.meter_health()[1].last_success is not None
    line.run_until(QUARTER + 10)
    assert line.misses == []
    assert len(line.kept) == 3, "its slot is read as ever"


def test_a_readout_that_was_asked_for_serves_a_slot_that_is_due(clock: HandClock) -> None:
    clock.advance(1)
    line = Bench(clock, 1)
    line.run_until(QUARTER - 1)
    clock.advance(1)
    line.poller.submit(Job(action=lambda poller: poller.read_now("1")))
    line.run_until(2 * QUARTER - 1)
    assert len(line.kept) == 1
    assert line.misses == []


def test_what_cannot_be_done_is_told_to_whom_it_was_asked_by(clock: HandClock) -> None:
    line = Bench(clock, 1)
    unknown = Job(action=lambda poller: poller.read_now("KAM-00000009"))
    line.poller.submit(unknown)
    line.poller.poll()
    assert isinstance(unknown.error, DriverError)
    assert unknown.error.advice == "its meters are KAM-00000001"
    waiting = Job()
    line.poller.submit(waiting)
    line.poller.close()
    assert isinstance(waiting.error, LineStoppedError)


@pytest.mark.expects_log("line is down")
def test_a_restarted_line_is_opened_at_once(clock: HandClock) -> None:
    clock.advance(1)
    line = Bench(clock, 1, seconds=0.0)
    line.driver.errors["1"] = LineError("unplugged")
    line.run_until(QUARTER + 300)
    line.driver.errors.clear()
    line.poller.submit(Job(seconds=0.0, action=lambda poller: poller.restart()))
    before = len(line.driver.reads)
    line.poller.poll()
    line.poller.poll()
    assert len(line.driver.reads) == before + 1


def battery(clock: HandClock, schedule: str, rest: timedelta) -> Bench:
    return Bench(clock, 1, schedule, min_intervals={"1": rest})


@pytest.mark.parametrize(
    ("schedule", "after"),
    [
        ("midnight", 10.0),  # it may have been read just before this process began
        ("midnight", MIDNIGHT - 1800),  # midnight would be too soon afterwards
        ("midnight", MIDNIGHT + 1800),
        ("1h", 2.5 * HOUR),  # its schedule takes all that its battery gives
    ],
)
def test_a_battery_meter_is_not_read_more_often_than_it_may_be(
    clock: HandClock, schedule: str, after: float
) -> None:
    clock.advance(1)
    line = battery(clock, schedule, timedelta(hours=1))
    line.run_until(after)
    job = Job(action=lambda poller: poller.read_now("1"))
    line.poller.submit(job)
    before = len(line.driver.reads)
    line.run_until(after + 10)
    assert isinstance(job.error, TooSoonError)
    assert "may be read once in 1:00:00" in str(job.error)
    assert len(line.driver.reads) == before


def test_a_battery_meter_is_read_when_asked_for_in_time(clock: HandClock) -> None:
    clock.advance(1)
    line = battery(clock, "midnight", timedelta(hours=1))
    line.run_until(2 * HOUR)
    jobs = [Job(action=lambda poller: poller.read_now("1")) for _ in range(2)]
    for job in jobs:
        line.poller.submit(job)
    line.run_until(MIDNIGHT + 60)
    assert jobs[0].error is None
    assert isinstance(jobs[1].error, TooSoonError)
    assert line.reads_of("1") == [2 * HOUR, MIDNIGHT]
    assert isinstance(jobs[0].result, list)
    assert isinstance(jobs[0].result[0], Readout)


def test_a_slot_that_comes_too_soon_for_a_battery_is_recorded() -> None:
    clock = SetClock()
    clock.advance(1)
    line = Bench(clock, 1, "1h", min_intervals={"1": timedelta(hours=1)})
    line.run_until(HOUR + 60)
    clock.set(clock.now - timedelta(minutes=20))
    line.run_until(3 * HOUR)
    assert line.misses_of("1") == [(HOUR, "resting")], "11:00 came a second time, 20 minutes later"
    assert line.reads_of("1") == [HOUR, 2 * HOUR]


def test_lines_begin_their_slots_one_after_the_other(clock: HandClock) -> None:
    clock.advance(1)
    line = Bench(clock, 1, stagger=timedelta(milliseconds=500))
    line.run_until(2 * QUARTER + 10)
    assert line.reads_of("1") == [QUARTER + 0.5, 2 * QUARTER + 0.5]
    assert line.misses == []
