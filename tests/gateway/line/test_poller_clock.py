"""A line without the time: it reads at once and at its distances, and is dated when the time comes."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest

from drivers.errors import NoAnswerError
from gateway.buffer.source import Monotonic
from gateway.clock.kernel import ClockReference
from telemetry.readout import Readout
from telemetry.status import Status
from telemetry.wire import Miss
from tests.gateway.conftest import BEGIN
from tests.gateway.scripted import QUARTER, Bench, SetClock

PAST = datetime(2024, 3, 1, 12, 7, tzinfo=UTC)  # where a Pi begins whose clock nobody has set
TRUE = datetime(2026, 11, 22, 10, 50, tzinfo=UTC)


@pytest.fixture
def unset() -> Callable[..., Bench]:
    """A line whose clock is not set yet."""

    def build(meters: int = 1, **options: object) -> Bench:
        clock = SetClock(PAST)
        synchronised = [False]
        line = Bench(clock, meters, synchronised=lambda: synchronised[0], boot="this boot", **options)

        def time_comes(now: datetime) -> None:
            clock.set(now)
            synchronised[0] = True

        line.time_comes = time_comes  # type: ignore[attr-defined]  # this fixture's own
        return line

    return build


def set_time(line: Bench, now: datetime) -> None:
    line.time_comes(now)  # type: ignore[attr-defined]  # see `unset`


def test_without_time_a_line_reads_at_once_and_then_at_the_distance_of_its_schedule(
    unset: Callable[..., Bench],
) -> None:
    line = unset()
    line.run_until(2 * QUARTER + 60)
    assert [at - PAST for _, at in line.driver.reads] == [timedelta(seconds=QUARTER * n) for n in (0, 1, 2)]


def test_what_is_read_without_time_carries_its_instant_on_the_monotonic_clock(
    unset: Callable[..., Bench],
) -> None:
    line = unset()
    line.driver.historical = True
    line.run_until(60)
    present, kept = line.kept
    assert present.status == Status.UNSYNCHRONISED
    assert kept.status == Status.HISTORICAL, "the meter's own instants are its own"
    assert [monotonic for monotonic, _ in line.held] == [Monotonic("this boot", 1.0)] * 2


@pytest.mark.expects_log("meter is gone")
def test_what_is_missed_without_time_can_be_dated_too(unset: Callable[..., Bench]) -> None:
    line = unset(2)
    line.driver.errors["2"] = NoAnswerError("silence")
    line.run_until(QUARTER + 60)
    misses = [(monotonic.seconds, entry) for monotonic, entry in line.held if isinstance(entry, Miss)]
    assert [seconds for seconds, _ in misses] == [0.0, QUARTER]


def test_steps_of_a_clock_that_is_not_set_mean_nothing(unset: Callable[..., Bench]) -> None:
    line = unset()
    line.run_until(60)
    assert isinstance(line.clock, SetClock)
    line.clock.set(PAST + timedelta(days=99))
    line.run_until(QUARTER + 60)
    line.clock.set(PAST - timedelta(days=99))
    line.run_until(2 * QUARTER + 60)
    taken = [monotonic.seconds for monotonic, _ in line.held]
    assert taken == [1.0, QUARTER + 1, 2 * QUARTER + 1]
    assert line.misses == []


def test_when_the_time_comes_the_schedule_goes_on_without_a_double_read(unset: Callable[..., Bench]) -> None:
    line = unset()
    line.run_until(QUARTER + 60)
    set_time(line, TRUE)
    line.run_until(QUARTER + 60 + 30 * 60)
    assert [at for _, at in line.driver.reads][2:] == [
        datetime(2026, 11, 22, 11, 0, tzinfo=UTC),
        datetime(2026, 11, 22, 11, 15, tzinfo=UTC),
    ]
    assert [readout.status for readout in line.kept[2:]] == [Status(0), Status(0)]
    assert len(line.held) == 2
    assert line.misses == []


@pytest.mark.parametrize("read_first", [True, False])
def test_a_readout_during_which_the_time_comes_is_dated_at_once(
    unset: Callable[..., Bench], read_first: bool
) -> None:
    line = unset()

    def during(_: str) -> None:
        line.clock.advance(3)
        set_time(line, TRUE)

    line.driver.during = during
    if read_first:  # the driver took the time of the readout before the clock was set
        read = line.driver.read
        line.driver.clock = lambda: PAST
        assert read is not None
    line.poller.poll()
    (readout,) = line.kept
    assert abs(readout.at - TRUE) <= timedelta(seconds=3)
    assert readout.status in (Status.CLOCK_CORRECTED, Status(0))
    assert (readout.status == Status.CLOCK_CORRECTED) is read_first
    assert line.held == []


def test_a_battery_meter_is_not_read_at_each_start_without_time(unset: Callable[..., Bench]) -> None:
    line = unset(schedule="1h", min_intervals={"1": timedelta(hours=1)})
    line.run_until(3600 - 1)
    assert line.driver.reads == []
    line.run_until(3600 + 60)
    assert len(line.driver.reads) == 1
    set_time(line, datetime(2026, 11, 22, 10, 59, tzinfo=UTC))
    line.run_until(3600 * 3)
    assert [at for _, at in line.driver.reads][1:] == [datetime(2026, 11, 22, 12, 0, tzinfo=UTC)]
    assert [miss.reason for miss in line.misses] == ["resting"]


def test_a_clock_that_was_set_and_has_lost_its_reference_is_followed_on(unset: Callable[..., Bench]) -> None:
    clock = SetClock(BEGIN + timedelta(seconds=1))
    line = Bench(clock, 1, synchronised=ClockReference(lambda: False, was_set=True))
    line.run_until(QUARTER + 60)
    assert [at for _, at in line.driver.reads] == [BEGIN + timedelta(seconds=QUARTER)]
    assert [readout.status for readout in line.kept] == [Status.UNSYNCHRONISED]
    assert line.held == []


def test_a_clock_that_nobody_sets_is_followed_in_the_end() -> None:
    clock = SetClock(PAST)
    reference = ClockReference(lambda: False)
    line = Bench(clock, 1, synchronised=reference)
    line.run_until(QUARTER + 60)
    reference.give_up()
    line.run_until(3 * QUARTER)
    assert [at.minute for _, at in line.driver.reads] == [7, 22, 30, 45]
    assert line.kept[-1].status == Status.UNSYNCHRONISED
    assert len(line.held) == 2
    assert line.poller.accounted_until is None, "what it shows may be any date at all"


def test_a_clock_that_is_set_forward_misses_no_slot_and_back_waits_for_none() -> None:
    clock = SetClock()
    clock.advance(10)
    line = Bench(clock, 1)
    line.poller.poll()
    clock.set(datetime(2027, 6, 1, 12, 7, tzinfo=UTC))
    line.poller.poll()
    assert len(line.driver.reads) == 1
    clock.set(datetime(2026, 12, 1, 12, 7, tzinfo=UTC))
    assert line.poller.poll() == pytest.approx(8 * 60)
    clock.set(datetime(2026, 12, 1, 12, 15, 1, tzinfo=UTC))
    line.poller.poll()
    assert len(line.driver.reads) == 2
    assert line.misses == []


def test_slots_of_the_time_in_which_the_gateway_did_not_run_are_told_when_the_time_comes(
    unset: Callable[..., Bench],
) -> None:
    line = unset(last_alive=datetime(2026, 11, 22, 9, 59, tzinfo=UTC))
    line.run_until(300)
    set_time(line, TRUE)  # so it was started at 10:45
    line.poller.poll()
    assert line.misses_of("1") == [(QUARTER * n, "not running") for n in range(4)]


@pytest.mark.parametrize(("schedule", "told"), [("15min", 7 * 96), ("10s", 1000), ("midnight", 7)])
def test_a_long_absence_is_told_for_a_week_and_a_thousand_slots_of_each_meter(
    schedule: str, told: int
) -> None:
    clock = SetClock()
    clock.advance(1)
    line = Bench(clock, 2, schedule, last_alive=BEGIN - timedelta(days=30))
    line.poller.poll()
    assert (len(line.misses_of("1")), line.misses_of("2")) == (told, []), "one meter at a time"
    line.poller.poll()
    assert len(line.misses_of("2")) == told
    last, reason = line.misses_of("1")[-1]
    assert reason == "not running"
    assert last == {"15min": 0.0, "10s": 0.0, "midnight": -10 * 3600.0}[schedule]


@pytest.mark.expects_log("meter's clock is wrong")
def test_a_meters_clock_is_compared_and_told_once_wrong_and_once_right(
    caplog: pytest.LogCaptureFixture,
) -> None:
    clock = SetClock()
    clock.advance(1)
    line = Bench(clock, 1)
    drift = [100.0]
    line.driver.meter_clock = lambda at: at + timedelta(seconds=drift[0])
    with caplog.at_level("INFO"):
        for quarter, seconds in enumerate((100.0, -130.0, -140.0, 90.0), start=1):
            drift[0] = seconds
            line.run_until(QUARTER * quarter + 60)
            assert line.poller.meter_health()[0].clock_drift == seconds
    assert [record.getMessage() for record in caplog.records] == [
        "meter's clock is wrong",
        "meter's clock is right",
    ]


def test_a_meters_clock_is_not_compared_with_one_that_is_not_set(unset: Callable[..., Bench]) -> None:
    line = unset()
    line.driver.meter_clock = lambda at: TRUE
    line.run_until(60)
    assert line.poller.meter_health()[0].clock_drift is None
    assert isinstance(line.kept[0], Readout)
