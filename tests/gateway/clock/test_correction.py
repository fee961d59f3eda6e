"""What was read without time is dated when it comes, and is sent undated only after an hour."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from gateway.buffer.buffer import Buffer
from gateway.buffer.source import SourceError
from gateway.clock.correction import ClockCorrection
from gateway.clock.kernel import ClockReference
from telemetry.readout import Readout
from telemetry.status import Status
from tests.gateway.scripted import Bench, SetClock
from tests.telemetry.read_back import read_back

PAST = datetime(2024, 3, 1, 12, 7, tzinfo=UTC)
TRUE = datetime(2026, 11, 22, 10, 50, tzinfo=UTC)


class Machine:
    """A Pi: its clock, the buffer on its card, and a line that is read every minute."""

    def __init__(self, buffer: Buffer, clock: SetClock) -> None:
        self.clock = clock
        self.synchronised = False
        self.buffer = buffer
        self.line = Bench(clock, 1, schedule="1min")
        self.start("first")

    def start(self, boot: str) -> None:
        reference = ClockReference(lambda: self.synchronised)
        self.line.keep = self.buffer.append  # type: ignore[method-assign]
        self.line.new_poller(synchronised=reference, boot=boot)
        self.timekeeping = ClockCorrection(
            reference, self.buffer, clock=self.clock, monotonic=self.clock.monotonic, boot=boot
        )

    def run_for(self, seconds: float) -> None:
        end = self.clock.monotonic() + seconds
        while self.clock.monotonic() < end:
            self.line.poller.poll()
            self.timekeeping.watch()
            self.clock.advance(1)

    def sent(self) -> list[Readout]:
        return [read_back(wire) for batch in self.buffer.next_batches(100) for wire in batch.readouts]


@pytest.fixture
def pi(tmp_path: Path) -> Iterator[Machine]:
    clock = SetClock(PAST)
    buffer = Buffer(tmp_path / "buffer.sqlite", clock, monotonic=clock.monotonic)
    yield Machine(buffer, clock)
    buffer.close()


@pytest.mark.expects_log("waits for the time")
@pytest.mark.expects_log("clock is not synchronised")
def test_what_was_read_without_time_is_sent_with_its_true_instant(pi: Machine) -> None:
    pi.run_for(150)
    assert pi.sent() == [], "nothing leaves while it cannot be dated"
    begun = TRUE - timedelta(seconds=pi.clock.monotonic())
    pi.clock.set(TRUE)
    pi.synchronised = True
    pi.run_for(5)
    corrected = pi.sent()
    assert [readout.status for readout in corrected] == [Status.CLOCK_CORRECTED] * 3
    taken = [(readout.at - begun).total_seconds() for readout in corrected]
    assert taken == pytest.approx([1, 61, 121], abs=2), "a readout ends a second after it begins"
    pi.run_for(60)
    assert [readout.status for readout in pi.sent()] == [Status(0)]


@pytest.mark.expects_log("waits for the time")
@pytest.mark.expects_log("clock is not synchronised")
def test_who_waits_in_vain_sends_what_is_read_as_it_is(pi: Machine) -> None:
    pi.run_for(3590)
    assert pi.sent() == []
    pi.run_for(100)
    late = pi.sent()
    assert len(late) >= 60
    assert {readout.status for readout in late} == {Status.UNSYNCHRONISED}
    pi.run_for(121)
    assert 1 <= len(pi.sent()) <= 3, "from then on nothing waits for more than a minute"


@pytest.mark.expects_log("waits for the time")
@pytest.mark.expects_log("clock is not synchronised")
def test_a_process_that_is_started_again_dates_what_the_one_before_has_read(pi: Machine) -> None:
    pi.run_for(70)
    pi.start("first")
    pi.clock.set(TRUE)
    pi.synchronised = True
    pi.run_for(5)
    assert [readout.status for readout in pi.sent()] == [Status.CLOCK_CORRECTED] * 2


@pytest.mark.expects_log("waits for the time")
@pytest.mark.expects_log("clock is not synchronised")
def test_what_was_read_in_an_earlier_boot_cannot_be_dated_and_is_sent_as_it_is(pi: Machine) -> None:
    pi.run_for(70)
    pi.clock.set(TRUE)
    pi.synchronised = True
    pi.start("second")
    pi.run_for(5)
    assert pi.sent() == []
    pi.run_for(62)
    statuses = [readout.status for readout in pi.sent()]
    assert statuses.count(Status.UNSYNCHRONISED) == 2


@pytest.mark.expects_log("waits for the time")
@pytest.mark.expects_log("clock is not synchronised")
@pytest.mark.expects_log("held readouts cannot be dated")
def test_a_buffer_that_fails_is_told_once_and_tried_again(
    pi: Machine, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def failing(boot: str, wall_at_monotonic_zero: datetime) -> None:
        raise SourceError("the disk is full")

    pi.run_for(10)
    pi.synchronised = True
    with monkeypatch.context() as patched:
        patched.setattr(pi.buffer, "synchronise", failing)  # a disk cannot be filled for one call
        pi.run_for(130)
    pi.run_for(62)
    assert Status.CLOCK_CORRECTED in [readout.status for readout in pi.sent()]
    assert [r.getMessage() for r in caplog.records].count("held readouts cannot be dated") == 1


@pytest.mark.expects_log("waits for the time")
def test_the_wait_is_told_with_its_end_and_what_ends_it_and_then_that_it_is_over(
    pi: Machine, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "gateway.clock")
    pi.run_for(30 * 60)
    begun, *reminded = caplog.records
    assert (begun.getMessage(), begun.__dict__["minutes_at_most"]) == (
        "waits for the time: what is read is held until the clock is set",
        60,
    )
    assert 'clock = "trusted"' in begun.__dict__["advice"]
    told = [
        (one.__dict__["minutes"], one.__dict__["held"], one.__dict__["minutes_at_most"]) for one in reminded
    ]
    assert told == [(10, 11, 50), (20, 21, 40)]
    pi.clock.set(TRUE)
    pi.synchronised = True
    pi.run_for(5)
    assert caplog.records[-1].getMessage() == "the wait for the time is over"
    assert not any("readings are marked" in str(one.__dict__) for one in caplog.records)
