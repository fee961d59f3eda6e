"""A command is done once, in time, between two exchanges, and answered; no payload does any harm."""

import logging
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from drivers.driver import Found, SearchEvent, SearchProgress, SearchScope, Suspicion, Target
from drivers.errors import LineError, NoAnswerError
from drivers.line import SerialSettings
from gateway.buffer.buffer import BufferFailedError
from gateway.config.document import GatewayConfig, RemoteConfig
from gateway.line.poller import LinePoller
from gateway.line.tasks import SCAN_SECONDS
from gateway.remote.commands import KNOWN, Commands
from gateway.remote.redacted import NotShownError
from telemetry.wire import Command, Reply, encode, from_milliseconds, to_milliseconds
from tests.gateway.conftest import HandClock
from tests.gateway.scripted import Bench


class Desk:
    """A gateway with one line, `basement`, of three meters; `work` lets the line's thread have its turns."""

    def __init__(self, clock: HandClock, allowed: RemoteConfig) -> None:
        self.clock = clock
        self.bench = Bench(clock, 3)
        self.replies: list[Reply] = []
        self.clock_is_right = True
        self.text: str | None = "utility = 1"
        self.config = GatewayConfig.model_validate(
            {
                "utility": "stadtwerke",
                "gateway": "gw-7",
                "time_zone": "UTC",
                "mqtt": {"host": "localhost"},
                "buffer": {"path": "buffer.sqlite"},
                "line": [{"name": "basement", "port": "/dev/ttyUSB0", "protocol": "mbus", "meter": []}],
            }
        )
        self.commands = Commands(
            self,
            allowed,
            self.replies.append,
            clock=clock,
            monotonic=clock.monotonic,
            clock_is_right=lambda: self.clock_is_right,
            shown=self.shown,
            send_again=self.send_again,
        )

    def shown(self) -> tuple[str, str]:
        if self.text is None:
            raise NotShownError("a configuration is being tried")
        return self.text, "12"

    def send_again(self, since: datetime) -> int:
        self.since = since
        if since.year < 2000:
            raise BufferFailedError(Path("buffer.sqlite"), "disk full")
        return 42

    def poller(self, line_name: str) -> LinePoller:
        return {"basement": self.bench.poller}[line_name]

    def send(self, command: str, **more: Any) -> None:
        self.commands.receive(encode(Command(more.pop("id", "c1"), command, **more)))

    def work(self) -> None:
        for _ in range(10):
            self.bench.poller.poll()

    @property
    def states(self) -> list[tuple[str, str]]:
        return [(reply.id, reply.state) for reply in self.replies]


@pytest.fixture
def desk(clock: HandClock) -> Iterator[Desk]:
    clock.advance(1)
    built = Desk(clock, RemoteConfig(set_clock=True))
    yield built
    built.commands.close()


def test_read_now_reads_a_meter_keeps_the_readout_and_tells_its_values(desk: Desk) -> None:
    desk.send("read-now", meter="KAM-00000002")
    assert (desk.states, desk.bench.driver.reads) == ([("c1", "running")], [])
    desk.work()
    assert [address for address, _ in desk.bench.driver.reads] == ["2"]
    assert len(desk.bench.kept) == 1
    done = desk.replies[-1]
    assert (done.id, done.state, done.result["readouts"]) == ("c1", "done", 1)
    assert done.result["values"]["KAM-00000002"]["values"] == {"8-0:1.0.0": "1.0 m3"}


def test_read_now_reads_a_whole_line_and_a_due_poll_has_its_turn_in_between(
    desk: Desk, clock: HandClock
) -> None:
    clock.advance(900)
    desk.bench.driver.errors["3"] = NoAnswerError("no answer from 3")
    desk.send("read-now", line="basement")
    logging.getLogger("gateway").setLevel(logging.CRITICAL)
    try:
        desk.work()
    finally:
        logging.getLogger("gateway").setLevel(logging.NOTSET)
    done = desk.replies[-1]
    assert (done.state, done.result["readouts"]) == ("done", 2)
    assert done.result["failed"] == {"KAM-00000003": "no answer from 3"}
    asked = [address for address, _ in desk.bench.driver.reads]
    assert asked == ["1", "2", "2", "3", "3"], "asked for and due by turns; 1 had been read within its slot"


def test_show_config_gives_what_runs_and_its_version_or_says_why_not(desk: Desk) -> None:
    desk.send("show-config")
    assert desk.replies[-1].result == {"version": "12", "toml": "utility = 1"}
    desk.text = None
    desk.send("show-config", id="c2")
    assert (desk.states[-1], desk.replies[-1].detail) == (("c2", "failed"), "a configuration is being tried")


def test_a_readout_beside_the_schedule_counts_as_a_poll(desk: Desk) -> None:
    desk.send("read-now", meter="KAM-00000001")
    desk.work()
    desk.bench.driver.errors["1"] = NoAnswerError("no answer from 1")
    desk.send("read-now", id="c2", meter="KAM-00000001")
    desk.work()
    health = desk.bench.poller.meter_health()[0]
    assert (health.polls, health.errors, health.failures) == (2, 1, 0)


def test_a_meter_that_does_not_answer_is_a_command_that_failed_with_advice(desk: Desk) -> None:
    desk.bench.driver.errors["2"] = NoAnswerError("no answer from 2")
    desk.send("read-now", line="basement", meter="2")
    desk.work()
    assert desk.replies[-1].state == "failed"
    assert desk.replies[-1].detail.startswith("no answer from 2; check the address")


def search(self: object, scope: SearchScope) -> Iterator[SearchEvent]:
    slow = SerialSettings(300)
    yield SearchProgress(1, 3, "address 1")
    yield Found("1", slow, "KAM-00000001", description="water")
    self.line.wait(6)  # type: ignore[attr-defined]  # a driver
    yield SearchProgress(2, 3, "address 2")
    yield Suspicion("2", slow, "two meters answer", "give one another address")
    yield Found("3", slow)


def test_scan_tells_its_progress_and_what_it_found(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(type(desk.bench.driver), "search", search)
    desk.send("scan", line="basement")
    desk.work()
    assert [reply.state for reply in desk.replies] == ["running", "running", "done"]
    assert desk.replies[1].detail == "2 of 3: address 2"
    assert desk.replies[2].result == {
        "found": [
            {"address": "1", "meter": "KAM-00000001", "settings": "300 8N1", "description": "water"},
            {"address": "3", "settings": "300 8N1"},
        ],
        "suspicions": [{"address": "2", "what": "two meters answer", "advice": "give one another address"}],
        "complete": True,
    }


def test_a_search_without_end_gives_the_line_back(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    restored: list[str] = []

    def endless(self: Any, scope: SearchScope) -> Iterator[SearchEvent]:
        try:
            while True:
                self.line.wait(10)
                yield SearchProgress(1, 2, "still here")
        finally:
            restored.append("settings")

    monkeypatch.setattr(type(desk.bench.driver), "search", endless)
    desk.send("scan", line="basement")
    begun = desk.clock.monotonic()
    desk.bench.poller.poll()
    assert desk.clock.monotonic() - begun == pytest.approx(SCAN_SECONDS, abs=20)
    assert desk.replies[-1].result["complete"] is False
    assert restored == ["settings"]


def test_a_search_makes_way_for_the_readings_of_midnight(
    clock: HandClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock.advance(14 * 3600 - 30)  # half a minute before midnight
    desk = Desk(clock, RemoteConfig())

    def slow(self: Any, scope: SearchScope) -> Iterator[SearchEvent]:
        for address in range(100):
            self.line.wait(10)
            yield SearchProgress(address, 100, f"address {address}")

    monkeypatch.setattr(type(desk.bench.driver), "search", slow)
    desk.send("scan", line="basement")
    desk.bench.poller.poll()
    assert clock.monotonic() <= 14 * 3600 + 10
    assert desk.replies[-1].detail == "0 meters found; ended early: the readings of midnight are due"
    desk.work()
    assert len(desk.bench.driver.reads) == 3


@pytest.mark.expects_log("line is down")
def test_a_line_that_fails_under_a_command_is_known_to_be_down(desk: Desk) -> None:
    desk.bench.driver.errors["1"] = LineError("the port is gone")
    desk.send("read-now", line="basement")
    desk.work()
    assert desk.replies[-1].state == "failed"
    assert desk.bench.poller.line_health().down
    assert [address for address, _ in desk.bench.driver.reads] == ["1"]


def test_a_driver_that_cannot_search_says_so(desk: Desk) -> None:
    desk.send("scan", line="basement")
    desk.work()
    assert desk.replies[-1].state == "failed"
    assert "has no way to search" in desk.replies[-1].detail


def test_restart_line_gives_the_port_back_and_begins_anew(desk: Desk) -> None:
    desk.send("restart-line", line="basement")
    desk.work()
    assert desk.states == [("c1", "running"), ("c1", "done")]
    assert desk.bench.line.closed == 1


def test_set_clock_gives_a_meter_the_gateways_time(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    set_to: list[tuple[str, datetime]] = []

    def set_clock(_: object, target: Target, instant: datetime) -> None:
        set_to.append((target.address, instant))

    monkeypatch.setattr(type(desk.bench.driver), "set_clock", set_clock)
    desk.send("set-clock", meter="KAM-00000003")
    desk.work()
    assert set_to == [("3", desk.clock())]
    assert desk.replies[-1].state == "done"
    desk.clock_is_right = False
    desk.send("set-clock", meter="KAM-00000003", id="c2")
    assert desk.replies[-1].detail == "the gateway's own clock is not synchronised"


def test_set_clock_needs_the_installers_leave(clock: HandClock) -> None:
    desk = Desk(clock, RemoteConfig())
    desk.send("set-clock", meter="KAM-00000003")
    assert "set-clock is not allowed here" in desk.replies[-1].detail


def test_log_level_lasts_an_hour(desk: Desk, clock: HandClock) -> None:
    logger = logging.getLogger("gateway")
    before = logger.level
    desk.send("log-level", level="debug")
    assert (desk.replies[-1].state, logger.level) == ("done", logging.DEBUG)
    clock.advance(3600)
    desk.commands.watch()
    assert logger.level == before
    desk.send("log-level", level="loud", id="c2")
    assert desk.replies[-1].detail == "unknown level 'loud'; known: debug, info, warning, error"


def test_a_command_that_comes_twice_is_done_once_and_answered_again(desk: Desk) -> None:
    for _ in range(2):
        desk.send("read-now", meter="KAM-00000001")
    desk.work()
    desk.send("read-now", meter="KAM-00000001")
    assert len(desk.bench.driver.reads) == 1
    assert [reply.state for reply in desk.replies] == ["running", "running", "done", "done"]


def test_a_command_whose_time_is_over_is_not_begun(desk: Desk, clock: HandClock) -> None:
    late, soon = to_milliseconds(clock()) - 1, to_milliseconds(clock()) + 500
    desk.send("read-now", meter="KAM-00000001", expires_at=late)
    assert desk.replies[-1].detail == "expired"
    desk.send("read-now", meter="KAM-00000001", expires_at=soon, id="c2")
    clock.advance(1)  # the line has other things to do
    desk.work()
    assert desk.states == [("c1", "failed"), ("c2", "running"), ("c2", "failed")]
    assert desk.replies[-1].detail == "expired"
    assert desk.bench.driver.reads == []


def test_a_command_of_a_line_that_is_stopped_is_answered(desk: Desk) -> None:
    desk.send("read-now", meter="KAM-00000001")
    desk.bench.poller.close()
    assert desk.replies[-1].state == "failed"
    assert "stopped" in desk.replies[-1].detail


@pytest.mark.parametrize(
    ("command", "more", "detail"),
    [
        ("reboot", {}, f"unknown command 'reboot'; known: {', '.join(KNOWN)}"),
        ("scan", {"line": "attic"}, "there is no line 'attic'; known: basement"),
        ("read-now", {}, "there is no line ''; known: basement"),
        ("read-now", {"meter": "KAM-9"}, "there is no meter 'KAM-9' on any line"),
        ("read-now", {"meter": "1"}, "there is no meter '1' on any line"),
        ("set-clock", {}, "set-clock needs a meter"),
    ],
)
def test_what_cannot_be_done_is_refused_with_what_is_possible(
    desk: Desk, command: str, more: dict[str, str], detail: str
) -> None:
    desk.send(command, **more)
    assert [(reply.state, reply.detail) for reply in desk.replies] == [("failed", detail)]


def test_more_than_so_many_commands_a_minute_are_refused(clock: HandClock) -> None:
    desk = Desk(clock, RemoteConfig(commands_per_minute=2))
    for n in range(3):
        desk.send("restart-line", line="basement", id=f"c{n}")
    assert desk.states == [("c0", "running"), ("c1", "running"), ("c2", "failed")]
    assert desk.replies[-1].detail == "too many commands; at most 2 a minute are taken"
    clock.advance(60)
    desk.send("restart-line", line="basement", id="c3")
    assert desk.states[-1] == ("c3", "running")


@pytest.mark.expects_log("command cannot be read")
@settings(max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    payload=st.binary(max_size=300)
    | st.builds(
        lambda id_, command, line, meter, level: encode(Command(id_, command, line, meter, level)),
        st.text(min_size=1, max_size=80),
        st.sampled_from(KNOWN) | st.text(max_size=70),
        st.sampled_from(["", "basement"]) | st.text(max_size=70),
        st.sampled_from(["", "KAM-00000001"]) | st.text(max_size=70),
        st.text(max_size=70),
    )
)
def test_whatever_comes_on_the_topic_raises_nothing(
    desk: Desk, payload: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.CRITICAL)
    desk.clock.advance(10)
    desk.commands.receive(payload)
    desk.bench.poller.poll()


@pytest.mark.expects_log("command cannot be read")
def test_a_command_of_unreasonable_size_is_not_even_read(desk: Desk) -> None:
    desk.send("read-now", meter="x" * 60, id="c" * 5000)
    assert desk.replies == []


@pytest.mark.parametrize(
    ("since", "state", "detail"),
    [
        (1_795_305_660_000, "done", "42 readouts and missed polls are sent again"),
        (None, "failed", "send-again needs an instant (since)"),
        (0, "failed", "the buffer buffer.sqlite cannot be used: disk full"),
    ],
)
def test_what_was_sent_is_sent_again_from_an_instant_on(
    desk: Desk, since: int | None, state: str, detail: str
) -> None:
    desk.send("send-again", since=since)
    (reply,) = desk.replies
    assert reply.state == state
    assert reply.detail.startswith(detail)
    if state == "done":
        assert (desk.since, reply.result) == (from_milliseconds(1_795_305_660_000), {"entries": 42})
