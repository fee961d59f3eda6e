"""A configuration is changed while the gateway runs: what did not change goes on, what stays is known."""

import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from drivers.driver import Driver
from drivers.errors import LineError, NoAnswerError
from gateway.config.document import GatewayConfig, LineConfig
from gateway.config.file import load_config
from gateway.line.poller import LinePoller
from gateway.line.work import LineStoppedError, LineWork, PolledLine
from gateway.lines import PolledLines
from gateway.schedule import parse_schedule
from tests.gateway.conftest import BEGIN, HandClock
from tests.gateway.scripted import QUARTER, Bench, SetClock

HEAD = """
utility = "stadtwerke"
gateway = "gw-7"
time_zone = "{zone}"
mqtt.host = "127.0.0.1"
buffer.path = "buffer.sqlite"
"""
LINE = """
[[line]]
name = "{name}"
port = "/dev/{name}"
protocol = "mbus"
schedule = "{schedule}"
meter = [{{ address = 1, meter = "KAM-0000000{meter}" }}]
"""

Configured = Callable[..., GatewayConfig]


@pytest.fixture
def configured(tmp_path: Path) -> Configured:
    """A gateway with a line for each (name, schedule)."""

    def build(*lines: tuple[str, str], zone: str = "UTC") -> GatewayConfig:
        text = HEAD.format(zone=zone)
        for number, (name, schedule) in enumerate(lines, start=1):
            text += LINE.format(name=name, schedule=schedule, meter=number)
        path = tmp_path / "gateway.toml"
        path.write_text(text, "utf-8")
        return load_config(path)

    return build


class Building:
    """Makes pollers on lines without a wire, and remembers them."""

    def __init__(self) -> None:
        self.built: list[LinePoller] = []
        self.broken = False

    def __call__(self, config: GatewayConfig, line: LineConfig) -> LinePoller:
        if self.broken:
            raise ValueError("cannot be built")
        bench = Bench(HandClock(), 1)
        bench.poller.name = line.name
        self.built.append(bench.poller)
        return bench.poller


@pytest.fixture
def building() -> Building:
    return Building()


@pytest.fixture
def running(building: Building, configured: Configured) -> Iterator[PolledLines]:
    lines = PolledLines(configured(("basement", "15min"), ("roof", "15min")), building)
    lines.start()
    yield lines
    lines.stop()


def threads() -> dict[str, threading.Thread]:
    return {each.name: each for each in threading.enumerate() if each.name.startswith("line ")}


def test_a_line_that_did_not_change_is_not_disturbed_and_a_changed_one_begins_anew(
    running: PolledLines, building: Building, configured: Configured
) -> None:
    before = threads()
    running.apply(configured(("basement", "15min"), ("roof", "1h")))
    after = threads()
    assert after["line basement"] is before["line basement"]
    assert after["line roof"] is not before["line roof"]
    assert [poller.name for poller in building.built] == ["basement", "roof", "roof"]
    assert list(running.pollers) == [building.built[0], building.built[2]]


def test_lines_come_and_go_and_keep_the_order_of_the_file(
    running: PolledLines, configured: Configured
) -> None:
    running.apply(configured(("attic", "15min"), ("basement", "15min")))
    assert [poller.name for poller in running.pollers] == ["attic", "basement"]
    assert sorted(threads()) == ["line attic", "line basement"]


def test_another_time_zone_changes_every_line(
    running: PolledLines, building: Building, configured: Configured
) -> None:
    running.apply(configured(("basement", "15min"), ("roof", "15min"), zone="Europe/Berlin"))
    assert len(building.built) == 4


def test_what_cannot_be_built_changes_nothing(
    running: PolledLines, building: Building, configured: Configured
) -> None:
    before, config = threads(), running.config
    building.broken = True
    with pytest.raises(ValueError, match="cannot be built"):
        running.apply(configured(("basement", "1h"), ("attic", "15min")))
    assert threads() == before
    assert running.config is config


class Waiting(LineWork):
    def __init__(self) -> None:
        self.begun = threading.Event()
        self.go_on = threading.Event()
        self.error: Exception | None = None

    def run(self, driver: Driver, line: PolledLine) -> None:
        self.begun.set()
        assert self.go_on.wait(10)

    def failed(self, error: Exception) -> None:
        self.error = error


def test_a_line_is_stopped_between_exchanges_and_what_waited_is_refused(
    running: PolledLines, configured: Configured
) -> None:
    first, second = Waiting(), Waiting()
    (_, roof) = running.pollers
    roof.submit(first)
    roof.submit(second)
    assert first.begun.wait(10)
    threading.Timer(0.1, first.go_on.set).start()
    running.apply(configured(("basement", "15min")))
    assert first.error is None
    assert isinstance(second.error, LineStoppedError)


def test_a_change_that_waits_for_a_long_exchange_keeps_nobody_else_waiting(
    running: PolledLines, configured: Configured
) -> None:
    scan = Waiting()
    running.pollers[1].submit(scan)
    assert scan.begun.wait(10)
    change = threading.Thread(target=running.apply, args=[configured(("basement", "15min"), ("roof", "1h"))])
    change.start()
    try:
        for _ in range(3):
            running.revive()
            assert [poller.name for poller in running.pollers] == ["basement", "roof"]
    finally:
        scan.go_on.set()
        change.join(10)
    assert scan.error is None
    assert threads()["line roof"].is_alive()


@pytest.mark.expects_log("meter is gone")
def test_meters_keep_what_is_known_of_them_under_a_new_configuration(clock: HandClock) -> None:
    clock.advance(1)
    old = Bench(clock, 2)
    old.driver.errors["2"] = NoAnswerError("silence")
    old.run_until(2 * QUARTER + 60)
    new = Bench(clock, 2, schedule="30min")
    new.driver.errors["2"] = NoAnswerError("silence")
    new.poller.take_over([old.poller])
    assert new.poller.meter_health() == old.poller.meter_health()
    assert new.driver.reads == []
    new.run_until(4 * QUARTER + 60)
    assert new.reads_of("1") == [4 * QUARTER]
    assert [attempts for address, attempts in new.driver.attempts if address == "2"] == [1]


def test_a_slot_that_is_due_at_the_change_is_read_afterwards(clock: HandClock) -> None:
    clock.advance(1)
    old = Bench(clock, 1)
    old.run_until(QUARTER - 1)
    clock.advance(2)
    new = Bench(clock, 1)
    new.poller.take_over([old.poller])
    new.run_until(QUARTER + 60)
    assert len(new.kept) == 1
    assert old.misses == new.misses == []


@pytest.mark.parametrize("time_came", [False, True])
def test_meters_of_a_line_without_time_are_not_read_twice_for_a_change(time_came: bool) -> None:
    clock = SetClock(datetime(2024, 3, 1, 12, 7, tzinfo=UTC))
    old = Bench(clock, 1, synchronised=lambda: False)
    old.run_until(60)
    if time_came:
        clock.set(datetime(2026, 11, 22, 10, 50, tzinfo=UTC))
    new = Bench(clock, 1, synchronised=lambda: time_came)
    new.poller.take_over([old.poller])
    new.run_until(60 + QUARTER)
    (read,) = new.reads_of("1")
    shown = BEGIN + timedelta(seconds=read)
    assert (shown.hour, shown.minute) == ((11, 0) if time_came else (12, 22))


@pytest.mark.expects_log("readouts cannot be kept")
def test_what_the_buffer_could_not_take_is_not_lost_with_the_line(clock: HandClock) -> None:
    clock.advance(1)
    old = Bench(clock, 1)
    old.full = True
    old.run_until(QUARTER + 60)
    new = Bench(clock, 1)
    new.poller.take_over([old.poller])
    new.poller.poll()
    assert [readout.at for readout in new.kept] == [datetime(2026, 11, 22, 10, 15, 1, tzinfo=UTC)]


@pytest.mark.expects_log("meter is gone")
def test_whether_a_line_answers_is_known_after_its_next_round(clock: HandClock) -> None:
    clock.advance(1)
    line = Bench(clock, 2)
    assert line.poller.round_answered() is None
    line.driver.errors["1"] = NoAnswerError("silence")
    line.run_until(QUARTER + 0.5)
    assert line.poller.round_answered() is None, "one of two may still answer"
    line.run_until(QUARTER + 60)
    assert line.poller.round_answered() is True
    line.poller.begin_round()
    assert line.poller.round_answered() is None
    line.driver.errors["2"] = NoAnswerError("silence")
    line.run_until(2 * QUARTER + 60)
    assert line.poller.round_answered() is False
    line.poller.begin_round()
    line.driver.errors.clear()
    clock.advance(timedelta(hours=1).total_seconds())
    line.poller.poll()
    assert line.poller.round_answered() is True


@pytest.mark.expects_log("meter is gone")
@pytest.mark.parametrize(("schedule", "polls"), [("15min", 2), ("1h", 1)])
def test_one_lost_poll_does_not_condemn_a_line_that_is_polled_often(
    clock: HandClock, schedule: str, polls: int
) -> None:
    clock.advance(1)
    line = Bench(clock, 1, schedule=schedule)
    period = parse_schedule(schedule, UTC).period.total_seconds()
    line.driver.errors["1"] = NoAnswerError("silence")
    for poll in range(1, polls + 1):
        assert line.poller.round_answered() is None
        line.run_until(poll * period + 60)
    assert line.poller.round_answered() is False
    line.driver.errors.clear()
    line.run_until((polls + 2) * period + 60)
    assert line.poller.round_answered() is True


@pytest.mark.expects_log("line is down")
def test_a_port_that_is_busy_for_a_moment_does_not_condemn_its_line(clock: HandClock) -> None:
    clock.advance(1)
    line = Bench(clock, 1)
    line.driver.errors["1"] = LineError("the serial server still serves the client before")
    line.run_until(QUARTER + 0.5)
    assert line.poller.line_health().down
    assert line.poller.round_answered() is None
    line.run_until(QUARTER + 60)
    assert line.poller.round_answered() is False
    line.driver.errors.clear()
    line.run_until(2 * QUARTER + 60)
    assert line.poller.round_answered() is True
