"""Probes: a family is recognised by what its registers show, and profiles say whom they cannot tell apart."""

from collections.abc import Mapping
from datetime import UTC, datetime

import pytest

from drivers.bus import VirtualBus
from drivers.errors import NoAnswerError
from drivers.line import SerialSettings
from drivers.modbus.blocks import RegisterBlock
from drivers.modbus.encoding import pattern
from drivers.modbus.framing import Transport
from drivers.modbus.master import ModbusDriver
from drivers.modbus.profile import Memory, ModbusProfile, WordSpan, placed
from drivers.modbus.profile_file import ProfileError, load_profile, parse_profile, profile_names
from drivers.modbus.search import recognised
from drivers.modbus.virtual import RegisterMeter
from drivers.simulated import SimulatedLine

NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
NAMES = profile_names()
PROFILES = {name: load_profile(name) for name in NAMES}
Words = Mapping[tuple[int, int], int]

SMALL = """
protocol = "modbus"
title = "A meter"
source = "https://example.org/meter.pdf"
registers = [
  { obis = "1-0:32.7.0", address = 0, unit = "V", encoding = "uint16", scale = 0.1, sentinels = [0xFFFF] },
  { obis = "1-0:14.7.0", address = 1, unit = "Hz", encoding = "uint16", scale = 0.01 },
]
[probe]
checks = [
  { obis = "1-0:32.7.0", low = 80, high = 300 },
  { obis = "1-0:14.7.0", low = 49.5, high = 50.5 },
]
"""


def driver_of(words: Words, transport: Transport = Transport.RTU) -> tuple[ModbusDriver, RegisterMeter]:
    meter = RegisterMeter(7, lambda: words, transport=transport)
    return ModbusDriver(SimulatedLine(meter, SerialSettings()), lambda: NOW, transport=transport), meter


def probe(driver: ModbusDriver, unit: int, profile: ModbusProfile, timeout: float | None = None) -> bool:
    """Whether the family's probe recognises the meter at a unit id, asked over the wire."""

    def ask(span: WordSpan) -> Memory | None:
        answer = driver.exchange.ask(unit, RegisterBlock((span,)), pause=profile.pause, timeout=timeout)
        return None if answer.exception is not None else placed(span, list(answer.registers))

    return recognised(profile, ask)


class _ZeroElsewhere(dict[tuple[int, int], int]):
    """A memory that answers 0 at every address that it has no register at."""

    def __contains__(self, key: object) -> bool:
        return True

    def __missing__(self, key: tuple[int, int]) -> int:
        return 0


def kinds_of_meter(name: str) -> list[Words]:
    """A meter of the family that refuses what it lacks, and one that answers 0 there."""
    words = PROFILES[name].golden[0].words
    return [words, _ZeroElsewhere(words)]


METERS = {name: kinds_of_meter(name) for name in NAMES}


@pytest.mark.parametrize("name", NAMES)
def test_a_meter_is_recognised_as_its_own_family_and_those_declared(name: str) -> None:
    mine = PROFILES[name].probe
    assert mine is not None
    passing = {
        other
        for other, kinds in METERS.items()
        for words in kinds
        if probe(driver_of(words)[0], 7, PROFILES[name])
    }
    assert passing == {name} | mine.shared
    assert all(probe(driver_of(words)[0], 7, PROFILES[name]) for words in METERS[name])


@pytest.fixture(scope="module")
def silent() -> list[dict[tuple[int, int], int]]:
    """Meters whose every register shows the same, as those do that have no value."""
    return [
        {(function, at): shown for function in (3, 4) for at in range(0x10000)}
        for shown in (0, 0xFFFF, 0x7FFF, 0x8000)
    ]


@pytest.mark.parametrize("name", NAMES)
def test_nobody_is_recognised_in_registers_that_show_nothing(
    silent: list[dict[tuple[int, int], int]], name: str
) -> None:
    for words in silent:
        assert not probe(driver_of(words)[0], 7, PROFILES[name])


def test_all_checks_must_hold_and_the_first_that_fails_ends_the_questions() -> None:
    profile = parse_profile(SMALL, "small")
    driver, meter = driver_of({(4, 0): 2302, (4, 1): 5002})
    assert probe(driver, 7, profile)
    driver, meter = driver_of({(4, 0): 2302, (4, 1): 6000})
    assert not probe(driver, 7, profile)
    driver, meter = driver_of({(4, 0): 5002, (4, 1): 5002})
    assert not probe(driver, 7, profile)
    assert [(one.address, one.count) for one in meter.requests] == [(0, 1)]


def test_the_bounds_belong_to_the_range() -> None:
    profile = parse_profile(SMALL, "small")
    for shown, expected in ((4949, False), (4950, True), (5050, True), (5051, False)):
        assert probe(driver_of({(4, 0): 2302, (4, 1): shown})[0], 7, profile) is expected


def test_not_available_recognises_nobody() -> None:
    assert not probe(driver_of({(4, 0): 0xFFFF, (4, 1): 5002})[0], 7, parse_profile(SMALL, "small"))
    [high, low] = pattern(0x7FC00000, 2, PROFILES["eastron-sdm120"].registers[0].word_order)
    assert not probe(driver_of({(4, 0): high, (4, 1): low})[0], 7, PROFILES["eastron-sdm120"])


def test_a_refusal_is_an_answer_and_silence_is_not() -> None:
    profile = parse_profile(SMALL, "small")
    assert not probe(driver_of({})[0], 7, profile)
    driver = ModbusDriver(SimulatedLine(VirtualBus([]), SerialSettings()), lambda: NOW)
    with pytest.raises(NoAnswerError):
        probe(driver, 7, profile, timeout=0.2)


def test_meters_on_modbus_tcp_are_recognised_too() -> None:
    driver, _ = driver_of(PROFILES["siemens-pac2200"].golden[0].words, Transport.TCP)
    assert probe(driver, 7, PROFILES["siemens-pac2200"])
    assert not probe(driver, 7, PROFILES["eastron-sdm630"])


def test_a_profile_without_a_probe_recognises_nobody() -> None:
    profile = parse_profile(SMALL.split("[probe]", maxsplit=1)[0], "small")
    assert not probe(driver_of({(4, 0): 2302, (4, 1): 5002})[0], 7, profile)


@pytest.mark.parametrize(
    ("find", "put", "complaint"),
    [
        (
            '{ obis = "1-0:32.7.0", low',
            '{ obis = "1-0:52.7.0", low',
            "probe of 1-0:52.7.0: .*no such register",
        ),
        ("low = 80", "low = 301", "probe of 1-0:32.7.0: no value lies between 301 and 300"),
        ("low = 49.5", 'low = "some"', "probe of 1-0:14.7.0"),
        ("low = 49.5", "lowest = 49.5", "lowest"),
    ],
)
def test_a_wrong_probe_is_named(find: str, put: str, complaint: str) -> None:
    assert find in SMALL
    with pytest.raises(ProfileError, match=f"profile small.*{complaint}"):
        parse_profile(SMALL.replace(find, put), "small")
