"""The poller of one line: aligned, fair, sparing with the dead, and quiet in the log."""

import itertools
import logging
from collections.abc import Callable, Iterator

import pytest

from drivers.driver import IdentityError
from drivers.errors import (
    DecodeError,
    DriverError,
    GarbledAnswerError,
    LineError,
    MeterError,
    NoAnswerError,
    UnsupportedError,
)
from telemetry.wire import MissReason
from tests.gateway.conftest import HandClock
from tests.gateway.scripted import QUARTER, Bench


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
    assert {miss.reason for miss in line.misses} == {MissReason.LINE_BUSY}
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
    assert line.misses_of("2")[:4] == [
        (QUARTER, "no answer"),
        (2 * QUARTER, "no answer"),
        (3 * QUARTER, "backing off"),
        (4 * QUARTER, "no answer"),
    ]
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
    assert line.poller.line_health().down
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
    assert line.misses_of("2") == [(QUARTER * slot, "line down") for slot in (1, 2, 3, 4)]


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


@pytest.mark.expects_log("meter is gone")
@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (NoAnswerError("silence"), "no answer"),
        (GarbledAnswerError("noise", b"\x00"), "garbled"),
        (MeterError("busy", 1, retry=True), "refused"),
        (UnsupportedError("no such thing"), "refused"),
        (DecodeError("rubbish"), "not understood"),
        (IdentityError("KAM-00000001", "KAM-00000009"), "not understood"),
    ],
)
def test_a_poll_that_failed_is_a_miss_with_its_reason(
    bench: Callable[..., Bench], error: DriverError, reason: str
) -> None:
    line = bench(1)
    line.driver.errors["1"] = error
    line.run_until(QUARTER + 10)
    assert line.misses_of("1") == [(QUARTER, reason)]
    assert line.kept == []


def test_health_tells_what_the_driver_counted_and_the_share_of_the_wire(bench: Callable[..., Bench]) -> None:
    line = bench(2, seconds=45.0)
    line.poller.line_health()
    line.driver.tally.retries, line.driver.tally.timeouts, line.driver.tally.garbled = 3, 2, 1
    line.run_until(2 * QUARTER - 2)
    health = line.poller.line_health()
    assert (health.exchanges, health.retries, health.timeouts, health.crc_errors) == (2, 3, 2, 1)
    assert (health.errors, health.down) == (0, False)
    assert health.utilisation == pytest.approx(90 / 1797, abs=1e-3)
    first, second = line.poller.meter_health()
    assert (first.failures, first.last_success) == (0, 1_795_342_545_000)
    assert second.last_success == 1_795_342_590_000
    assert line.poller.line_health().utilisation == 0.0, "a new period"


@pytest.mark.expects_log("meter is gone")
def test_health_tells_which_meter_fails(bench: Callable[..., Bench]) -> None:
    line = bench(2)
    line.driver.errors["1"] = NoAnswerError("silence")
    line.run_until(QUARTER + 10)
    failed, well = line.poller.meter_health()
    assert (failed.failures, failed.last_success) == (1, None)
    assert (well.failures, well.last_success) == (0, 1_795_342_504_000)
    assert line.poller.line_health().errors == 1


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
    assert line.misses_of("1") == [(QUARTER, "not understood")]
