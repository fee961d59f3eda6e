"""A configuration from afar is validated, tried, kept or taken back, and never locks the gateway out."""

import logging
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gateway.config.document import GatewayConfig
from gateway.config.file import load_config
from gateway.remote.configuration import TRIAL_SECONDS, RemoteConfiguration
from gateway.remote.configuration_files import ConfigurationFiles, configuration_to_run
from telemetry.wire import DesiredConfig, encode
from tests.gateway.conftest import HandClock

HEAD = """
utility = "stadtwerke"
gateway = "gw-7"
time_zone = "Europe/Berlin"

[mqtt]
host = "127.0.0.1"

[buffer]
path = "buffer.sqlite"
"""
LINE = """
[[line]]
name = "{name}"
port = "{port}"
protocol = "mbus"

[[line.meter]]
address = {address}
"""
INSTALLED = HEAD + LINE.format(name="basement", port="/dev/ttyUSB0", address=5)
WANTED = HEAD + LINE.format(name="basement", port="/dev/ttyUSB0", address=6)
MOVED = HEAD + LINE.format(name="cellar", port="/dev/ttyUSB0", address=5)


class FakeSite:
    """A gateway whose lines answer as the test says."""

    def __init__(self, config: GatewayConfig, version: str) -> None:
        self.config = config
        self.config_version = version
        self.answers: dict[str, bool | None] = {"basement": True}
        self.applied: list[GatewayConfig] = []
        self.refuses: Exception | None = None

    def apply(self, config: GatewayConfig) -> None:
        if self.refuses:
            raise self.refuses
        self.applied.append(config)
        self.config = config
        self.answers = {line.name: None for line in config.line}

    def answering(self) -> Mapping[str, bool | None]:
        return self.answers


class Desk:
    """One process of a gateway, as far as its configuration goes."""

    def __init__(self, path: Path, clock: HandClock) -> None:
        self.told: list[tuple[str, str, str]] = []
        self.site = FakeSite(*configuration_to_run(path))
        self.configs = RemoteConfiguration(self.site, ConfigurationFiles(path), self.tell, clock.monotonic)

    def tell(
        self,
        id: str,  # noqa: A002 - the contract's own word
        state: str,
        detail: str = "",
        result: Mapping[str, Any] | None = None,
    ) -> None:
        self.told.append((id, state, detail))

    def send(self, version: str, toml: str) -> None:
        self.configs.receive(encode(DesiredConfig(version, toml)))

    @property
    def states(self) -> list[tuple[str, str]]:
        return [(version, state) for version, state, _ in self.told]

    @property
    def addresses(self) -> list[str]:
        return [meter.address for line in self.site.config.line for meter in line.meter]


@pytest.fixture
def installed(tmp_path: Path) -> Path:
    path = tmp_path / "gateway.toml"
    path.write_text(INSTALLED)
    return path


@pytest.fixture
def start(installed: Path, clock: HandClock) -> Callable[[], Desk]:
    return lambda: Desk(installed, clock)


def test_it_is_applied_and_kept_when_the_meters_answer_and_runs_after_a_restart(
    start: Callable[[], Desk], installed: Path
) -> None:
    desk = start()
    desk.send("v2", WANTED)
    assert (desk.states, desk.addresses) == ([("v2", "running")], ["6"])
    desk.configs.watch()
    assert desk.states == [("v2", "running")], "too early to say"
    desk.site.answers = {"basement": True}
    desk.configs.watch()
    assert desk.states == [("v2", "running"), ("v2", "done")]
    assert desk.site.config_version == "v2"
    assert installed.read_text() == INSTALLED

    after = start()
    assert (after.addresses, after.site.config_version) == (["6"], "v2")
    after.send("v2", WANTED)  # the broker's retained copy
    assert (after.states, after.site.applied) == ([("v2", "done")], [])


@pytest.mark.expects_log("desired configuration taken back")
def test_it_is_taken_back_when_a_line_that_answered_does_not_and_never_tried_again(
    start: Callable[[], Desk],
) -> None:
    desk = start()
    desk.send("v2", WANTED)
    desk.site.answers = {"basement": False}
    desk.configs.watch()
    assert (desk.states, desk.addresses) == ([("v2", "running"), ("v2", "failed")], ["5"])
    assert "no meter answers any more on basement (/dev/ttyUSB0)" in desk.told[-1][2]
    assert desk.site.config_version == ""
    desk.send("v2", WANTED)
    assert len(desk.told) == 2, "said once"

    after = start()
    after.send("v2", WANTED)
    assert (after.addresses, after.states, after.site.applied) == (["5"], [("v2", "failed")], [])
    after.send("v3", WANTED)
    assert after.states[-1] == ("v3", "running"), "a new version is a new try"


@pytest.mark.expects_log("desired configuration taken back")
def test_a_line_is_known_by_its_port_when_it_gets_another_name(start: Callable[[], Desk]) -> None:
    desk = start()
    desk.send("v2", MOVED)
    desk.site.answers = {"cellar": False}
    desk.configs.watch()
    assert desk.states[-1] == ("v2", "failed")


def test_a_line_that_was_silent_before_need_not_answer(start: Callable[[], Desk]) -> None:
    desk = start()
    desk.site.answers = {"basement": False}
    desk.send("v2", WANTED)
    desk.configs.watch()
    assert desk.states[-1] == ("v2", "done")


def test_a_line_that_is_asked_too_seldom_is_not_waited_for_for_ever(
    start: Callable[[], Desk], clock: HandClock
) -> None:
    desk = start()
    desk.send("v2", WANTED)
    clock.advance(TRIAL_SECONDS)
    desk.configs.watch()
    assert desk.told[-1] == ("v2", "done", "it runs; not asked yet: basement")


@pytest.mark.expects_log("desired configuration refused")
def test_all_problems_are_named_at_once_and_nothing_is_applied(start: Callable[[], Desk]) -> None:
    desk = start()
    desk.send("v2", WANTED.replace('"mbus"', '"mbuss"').replace("Berlin", "Atlantis"))
    ((version, state, detail),) = desk.told
    assert (version, state, desk.site.applied) == ("v2", "failed", [])
    assert "protocol 'mbuss' is not known" in detail
    assert "time_zone 'Europe/Atlantis' is not known" in detail
    desk.send("v2", WANTED.replace('"mbus"', '"mbuss"').replace("Berlin", "Atlantis"))
    assert len(desk.told) == 1, "the retained copy comes again with every connection"


@pytest.mark.expects_log("desired configuration refused")
@pytest.mark.parametrize(
    ("change", "to", "reason"),
    [
        ('"stadtwerke"', '"another"', "utility must be as in the installer's file"),
        ('"gw-7"', '"gw-8"', "gateway must be"),
        ('"127.0.0.1"', '"broker.evil.example"', "mqtt must be"),
        ("[buffer]", "[remote]\nset_clock = true\n[buffer]", "remote must be"),
        ("address = 5", 'address = 5\nkey_file = "/etc/hostname"', "secrets of meters"),
        ("address = 5", 'address = 5\npassword_file = "../secret"', "secrets of meters"),
        ("address = 5", 'address = 5\npassword_file = "gateway.toml"', "secrets of meters"),
    ],
)
def test_what_could_lock_the_gateway_out_or_give_its_files_away_is_refused(
    start: Callable[[], Desk], change: str, to: str, reason: str
) -> None:
    desk = start()
    desk.send("v2", INSTALLED.replace(change, to))
    ((_, state, detail),) = desk.told
    assert state == "failed"
    assert reason in detail
    assert desk.site.applied == []


@pytest.mark.expects_log("desired configuration refused")
def test_what_the_running_gateway_cannot_change_is_refused_for_good(start: Callable[[], Desk]) -> None:
    desk = start()
    desk.site.refuses = ValueError("buffer cannot be changed while the gateway runs")
    desk.send("v2", WANTED)
    assert desk.told == [("v2", "failed", "buffer cannot be changed while the gateway runs")]
    after = start()
    after.send("v2", WANTED)
    assert (after.states, after.site.applied) == ([("v2", "failed")], [])


def test_a_configuration_that_the_gateway_does_not_survive_is_tried_twice_at_the_most(
    start: Callable[[], Desk],
) -> None:
    for _ in range(2):
        dying = start()
        dying.send("v2", WANTED)
        assert dying.states == [("v2", "running")]
    after = start()
    assert after.addresses == ["5"]
    after.send("v2", WANTED)
    assert after.states == [("v2", "failed")]
    assert "the gateway stopped while this was tried" in after.told[0][2]


@pytest.mark.expects_log("desired configuration taken back")
def test_a_newer_one_takes_the_place_of_one_that_is_being_tried(start: Callable[[], Desk]) -> None:
    desk = start()
    desk.send("v2", WANTED)
    desk.send("v3", MOVED)
    desk.site.answers = {"cellar": True}
    desk.configs.watch()
    assert desk.states == [("v2", "running"), ("v2", "failed"), ("v3", "running"), ("v3", "done")]


def test_an_empty_text_leads_back_to_the_installers_file(start: Callable[[], Desk]) -> None:
    desk = start()
    desk.send("v2", WANTED)
    desk.site.answers = {"basement": True}
    desk.configs.watch()
    desk.send("v3", "")
    desk.site.answers = {"basement": True}
    desk.configs.watch()
    assert desk.states[-1] == ("v3", "done")
    assert (desk.addresses, desk.site.config_version) == (["5"], "")
    assert start().addresses == ["5"]


@pytest.mark.expects_log("remote configuration cannot be used")
def test_a_kept_one_that_cannot_be_used_any_more_gives_way_to_the_installers(
    start: Callable[[], Desk], installed: Path
) -> None:
    desk = start()
    desk.send("v2", WANTED)
    desk.site.answers = {"basement": True}
    desk.configs.watch()
    kept = installed.with_name("gateway.toml.remote")
    kept.write_text(kept.read_text().replace('"mbus"', '"m-bus"'))
    after = start()
    assert (after.addresses, after.site.config_version) == (["5"], "")


def test_what_is_kept_is_readable_by_people_and_by_this_user_only(
    start: Callable[[], Desk], installed: Path
) -> None:
    desk = start()
    desk.send("v2", WANTED)
    desk.site.answers = {"basement": True}
    desk.configs.watch()
    kept = installed.with_name("gateway.toml.remote")
    assert kept.read_text() == '# {"version":"v2"}\n' + WANTED
    assert kept.stat().st_mode & 0o777 == 0o600
    assert load_config(kept).line[0].meter[0].address == "6"
    assert not installed.with_name("gateway.toml.refused").exists()


@pytest.mark.expects_log("remote configuration cannot be read")
def test_a_kept_one_that_cannot_be_read_gives_way_to_the_installers(
    start: Callable[[], Desk], installed: Path
) -> None:
    for content in (b"", b"# {]\n", b"\xff\xfe", b'# {"version": 7}\n'):
        installed.with_name("gateway.toml.remote").write_bytes(content)
        assert start().addresses == ["5"]


@pytest.mark.expects_log("desired configuration refused")
@pytest.mark.parametrize(
    "setting", ['key = "hunter2"', 'key = ["hunter2"]', 'password = ["hunter2"]', 'pass = "hunter2"']
)
def test_a_secret_that_is_wrong_is_not_repeated(
    start: Callable[[], Desk], setting: str, caplog: pytest.LogCaptureFixture
) -> None:
    desk = start()
    desk.send("v2", INSTALLED.replace("address = 5", f"address = 5\n{setting}"))
    assert desk.states == [("v2", "failed")]
    said = [desk.told[0][2], *(str(record.__dict__) for record in caplog.records)]
    assert not [text for text in said if "hunter2" in text]


@pytest.mark.expects_log("desired configuration refused")
def test_brackets_without_end_are_refused(start: Callable[[], Desk]) -> None:
    desk = start()
    desk.send("v2", "a = " + "[" * 100_000)
    assert desk.states == [("v2", "failed")]


@pytest.mark.expects_log("desired configuration cannot be read")
@pytest.mark.expects_log("desired configuration refused")
@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    payload=st.binary(max_size=200)
    | st.builds(
        lambda version, toml: encode(DesiredConfig(version, toml)),
        st.text(max_size=64),
        st.text(max_size=80)
        | st.builds(lambda cut, more: WANTED[:cut] + more, st.integers(0, len(WANTED)), st.text(max_size=9)),
    )
)
def test_whatever_comes_on_the_topic_raises_nothing(
    start: Callable[[], Desk], caplog: pytest.LogCaptureFixture, payload: bytes
) -> None:
    caplog.set_level(logging.CRITICAL)
    start().configs.receive(payload)
