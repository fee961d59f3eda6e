"""A proposed configuration can be checked as it stands, whatever a scan has met."""

import tomllib
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from drivers.driver import Driver, Found, SearchEvent, SearchProgress, SearchScope, Suspicion
from drivers.errors import GarbledAnswerError, LineError, UnsupportedError
from drivers.line import SerialSettings
from drivers.modbus.profile_file import profile_names
from gateway.config.document import GatewayConfig
from gateway.config.file import load_config
from hesper.installer import scan as scan_module
from hesper.installer.advice import suspected, trouble
from hesper.installer.proposal import Heading, propose
from hesper.installer.scan import ScanOrder, SearchOutcome, scan

PLAIN = SerialSettings(9600, 8, "N", 1)
EVEN = SerialSettings(2400, 8, "E", 1)
HEADING = Heading("aurora", "gw-7", "Europe/Berlin")
PORT = "/dev/ttyUSB0"


def wanted(transport: str | None = None, *protocols: str) -> ScanOrder:
    return ScanOrder(PORT, protocols or ("modbus", "mbus"), SearchScope(), transport)


def checked(text: str | None) -> GatewayConfig:
    assert text is not None
    with TemporaryDirectory() as folder:
        file = Path(folder) / "gateway.toml"
        file.write_text(text, "utf-8")
        return load_config(file)


founds = st.builds(
    Found,
    address=st.one_of(st.integers(1, 247).map(str), st.sampled_from(["0", "255"])),
    settings=st.sampled_from([PLAIN, EVEN]),
    meter=st.one_of(st.none(), st.sampled_from(["EAS-22001234", "ABB-1"])),
    profile=st.one_of(st.none(), st.sampled_from(profile_names())),
    description=st.text(max_size=30),
)


@settings(max_examples=40)
@given(st.lists(founds, max_size=6, unique_by=lambda found: (found.address, found.settings)))
def test_any_modbus_meters_make_a_configuration_or_none(found: list[Found]) -> None:
    text = propose(wanted(), [SearchOutcome("modbus", found)], HEADING)
    usable = [one for one in found if one.profile and 1 <= int(one.address) <= 247]
    if text is None:
        assert not usable
        return
    config = checked(text)
    assert config.line[0].meter
    assert {one.address for one in config.line[0].meter} <= {one.address for one in usable}
    assert len({one.meter for one in config.line[0].meter}) == len(config.line[0].meter)


def test_the_setting_of_most_meters_is_the_lines_and_the_others_are_told() -> None:
    outcomes = [
        SearchOutcome("modbus", [Found("9", PLAIN, profile="eastron-sdm630")]),
        SearchOutcome("mbus", [Found(address, EVEN, f"KAM-{address}") for address in ("1", "2")]),
    ]
    text = propose(wanted(), outcomes, HEADING)
    config = checked(text)
    assert (config.line[0].protocol, str(config.line[0].serial_settings)) == ("mbus", "2400 8E1")
    assert [one.meter for one in config.line[0].meter] == ["KAM-1", "KAM-2"]
    assert "# Also found, by modbus at 9600 8N1: 9." in (text or "")
    assert config.time_zone.key == "Europe/Berlin"


def test_addresses_that_are_no_small_numbers_stay_texts() -> None:
    found = [Found("", EVEN), Found("06855817", EVEN), Found("5", EVEN)]
    text = propose(wanted(), [SearchOutcome("optical", found)], HEADING)
    assert text is not None
    rows = tomllib.loads(text)["line"][0]["meter"]
    assert [row.get("address") for row in rows] == [None, "06855817", 5]


def test_a_meter_that_is_met_twice_is_configured_once() -> None:
    found = [Found("5", EVEN, "KAM-1"), Found("6", EVEN, "KAM-1")]
    assert [
        one.address
        for one in checked(propose(wanted(), [SearchOutcome("mbus", found)], HEADING)).line[0].meter
    ] == ["5"]


def test_a_line_without_a_usable_meter_proposes_nothing() -> None:
    assert (
        propose(wanted(), [SearchOutcome("modbus", [Found("5", PLAIN)]), SearchOutcome("mbus")], HEADING)
        is None
    )


class Script(Driver):
    """A protocol whose search meets what the test wants."""

    protocol = "fake"
    events: tuple[SearchEvent | Exception, ...] = ()

    def read(self, target: object) -> list[object]:  # type: ignore[override]  # never asked
        raise AssertionError

    def search(self, scope: SearchScope) -> Iterator[SearchEvent]:
        for event in self.events:
            if isinstance(event, Exception):
                raise event
            yield event


@pytest.fixture
def scripted(monkeypatch: pytest.MonkeyPatch) -> dict[str, tuple[SearchEvent | Exception, ...]]:
    """What each protocol's search meets."""
    script: dict[str, tuple[SearchEvent | Exception, ...]] = {}

    def open_driver(protocol: str, line: object, clock: object, **options: object) -> Driver:
        driver = Script(line, clock)  # type: ignore[arg-type]
        driver.events = script[protocol]
        return driver

    monkeypatch.setattr(scan_module, "open_driver", open_driver)
    return script


def outcomes_of(*protocols: str) -> list[SearchOutcome]:
    outcomes: list[SearchOutcome] = []
    for _ in scan(wanted(None, *protocols), outcomes, lambda: pytest.fail("nobody asks for the time")):
        continue
    return outcomes


def test_all_protocols_are_searched_in_turn_whatever_befalls_one(
    scripted: dict[str, tuple[SearchEvent | Exception, ...]],
) -> None:
    scripted["mbus"] = (UnsupportedError("no way"),)
    scripted["modbus"] = (
        SearchProgress(0, 1, "unit 1"),
        Found("1", PLAIN),
        GarbledAnswerError("noise", b"x"),
    )
    scripted["optical"] = (Suspicion("", PLAIN, "noise"), Found("", PLAIN, "ISK-1"))
    mbus, modbus, optical = outcomes_of("mbus", "modbus", "optical")
    assert mbus.trouble
    assert mbus.trouble.kind == "not possible"
    assert (len(modbus.found), modbus.trouble and modbus.trouble.kind) == (1, "garbled answer")
    assert (len(optical.found), len(optical.suspicions), optical.trouble) == (1, 1, None)


def test_a_lost_line_ends_the_scan(scripted: dict[str, tuple[SearchEvent | Exception, ...]]) -> None:
    scripted["mbus"] = (Found("1", EVEN), LineError("unplugged"))
    scripted["modbus"] = (Found("1", PLAIN),)
    [mbus] = outcomes_of("mbus", "modbus")
    assert mbus.trouble
    assert (len(mbus.found), mbus.trouble.kind) == (1, "line")


def test_a_drivers_own_advice_comes_first_and_a_suspicions_too() -> None:
    own = trouble(GarbledAnswerError("noise", b"", advice="turn the head around"), "optical")
    assert own.steps[0] == "turn the head around"
    assert len(own.steps) > 1
    assert suspected(Suspicion("5", PLAIN, "a collision", "divide the line")).steps == ("divide the line",)
    assert suspected(Suspicion("", PLAIN, "noise")).what == "the line: noise"
    assert own.text().splitlines()[1] == "  1. turn the head around"
