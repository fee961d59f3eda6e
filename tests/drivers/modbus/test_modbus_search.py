"""A search meets every meter, names its family, and says what it makes of what is no answer."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal

import pytest

from drivers.bus import VirtualBus, garbled
from drivers.driver import Found, SearchProgress, SearchScope, Suspicion, Tally, Target
from drivers.errors import DriverError, NoAnswerError
from drivers.line import SerialSettings, Transmission, VirtualMeter
from drivers.modbus.framing import MbapFraming, Transport
from drivers.modbus.master import ModbusDriver
from drivers.modbus.profile_file import load_profile, profile_names
from drivers.modbus.search import USUAL, unit_ids
from drivers.modbus.timing import silence
from drivers.modbus.virtual import RegisterMeter, VirtualModbusMeter
from drivers.simulated import SimulatedLine

NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
EVEN = SerialSettings(9600, 8, "E", 1)
PLAIN = SerialSettings(9600, 8, "N", 1)


class Tuned:
    """A meter that understands its own settings only; at others it is silent, or its answers are noise."""

    def __init__(self, meter: VirtualMeter, settings: SerialSettings, *, noisy: bool = False) -> None:
        self.meter, self.settings, self.noisy = meter, settings, noisy

    def hear(self, data: bytes, settings: SerialSettings) -> list[Transmission]:
        if settings == self.settings:
            return self.meter.hear(data, settings)
        said = self.meter.hear(data, settings) if self.noisy else []
        return [Transmission(garbled(one.data), one.delay) for one in said]


def family(unit: int, name: str, **options: object) -> RegisterMeter:
    """A meter of a family, showing its golden answers."""
    words = load_profile(name).golden[0].words
    return RegisterMeter(unit, lambda: words, **options)  # type: ignore[arg-type]


def driver_of(virtual: VirtualMeter, settings: SerialSettings = PLAIN, **options: str) -> ModbusDriver:
    return ModbusDriver(SimulatedLine(virtual, settings), lambda: NOW, **options)


def found(events: Sequence[object]) -> list[Found]:
    return [one for one in events if isinstance(one, Found)]


def test_every_meter_is_met_at_its_own_settings_and_named() -> None:
    bus = VirtualBus(
        [
            Tuned(family(3, "abb-a-b-series"), PLAIN),
            Tuned(family(21, "eastron-sdm630"), EVEN),
            Tuned(family(22, "dzg-dvh4013"), EVEN),
        ]
    )
    driver = driver_of(bus)
    events = list(driver.search(SearchScope(settings=(PLAIN, EVEN), addresses=("1-5", "20-23"))))
    assert [(one.address, one.settings, one.meter, one.profile) for one in found(events)] == [
        ("3", PLAIN, "ABB-3108845", "abb-a-b-series"),
        ("21", EVEN, "EAS-22001234", "eastron-sdm630"),
        ("22", EVEN, None, "dzg-dvh4013"),
    ]
    assert found(events)[1].description == (
        "Eastron SDM630 (v1, v2, MID and not MID); serial number 22001234; "
        "or eastron-sdm72v2, eastron-x96-1a, eastron-sdm120, eastron-sdm72"
    ), "what cannot be told apart is said"
    assert driver.line.settings == PLAIN, "the line is left as it was"


def test_progress_counts_every_unit_at_every_setting() -> None:
    events = list(driver_of(VirtualBus([])).search(SearchScope(settings=(PLAIN, EVEN), addresses=("1-3",))))
    assert [(one.done, one.total) for one in events if isinstance(one, SearchProgress)] == [
        (done, 6) for done in range(7)
    ]
    assert len(events) == 7


def test_a_search_that_is_given_up_leaves_the_line_as_it_was() -> None:
    driver = driver_of(VirtualBus([]))
    events = driver.search(SearchScope(settings=(EVEN,), addresses=("1-3",)))
    next(events)
    assert driver.line.settings == EVEN
    events.close()  # type: ignore[attr-defined]  # it is a generator
    assert driver.line.settings == PLAIN


def test_an_empty_scope_is_all_units_at_the_usual_settings() -> None:
    driver = driver_of(VirtualBus([Tuned(family(247, "abb-a-b-series"), USUAL[-1])]))
    events = list(driver.search(SearchScope(timeout=0.05)))
    assert [(one.address, one.settings) for one in found(events)] == [("247", USUAL[-1])]
    assert next(one.total for one in events if isinstance(one, SearchProgress)) == 247 * len(USUAL)


def test_two_meters_with_one_id_are_suspected_of_it() -> None:
    bus = VirtualBus([family(4, "abb-a-b-series"), family(9, "eastron-sdm630"), family(9, "abb-a-b-series")])
    events = list(driver_of(bus).search(SearchScope(settings=(PLAIN,), addresses=("1-10",))))
    assert [one.address for one in found(events)] == ["4"]
    [suspicion] = [one for one in events if isinstance(one, Suspicion)]
    assert (suspicion.address, suspicion.settings) == ("9", PLAIN)
    assert suspicion.advice.startswith("two meters share this unit id")


def test_noise_where_nobody_answers_well_is_suspected_of_wrong_settings() -> None:
    meter = Tuned(family(9, "eastron-sdm630"), EVEN, noisy=True)
    events = list(driver_of(meter).search(SearchScope(settings=(PLAIN,), addresses=("8-10",))))
    [suspicion] = [one for one in events if isinstance(one, Suspicion)]
    assert suspicion.address == "9"
    assert "not at this speed and parity" in suspicion.advice
    assert "A/B swapped?" in suspicion.advice


def test_one_damaged_answer_is_no_suspicion() -> None:
    class DamagedOnce:
        def __init__(self) -> None:
            self.meter, self.damaged = family(9, "abb-a-b-series"), False

        def hear(self, data: bytes, settings: SerialSettings) -> list[Transmission]:
            said = self.meter.hear(data, settings)
            if said and not self.damaged:
                self.damaged = True
                return [Transmission(garbled(one.data), one.delay) for one in said]
            return said

    events = list(driver_of(DamagedOnce()).search(SearchScope(settings=(PLAIN,), addresses=("9",))))
    assert [one.profile for one in found(events)] == ["abb-a-b-series"]
    assert not [one for one in events if isinstance(one, Suspicion)]


def test_a_device_of_no_known_family_is_met_all_the_same() -> None:
    thermometer = RegisterMeter(5, lambda: {(4, 0): 215})
    [thing] = found(list(driver_of(thermometer).search(SearchScope(settings=(PLAIN,), addresses=("5",)))))
    assert (thing.profile, thing.meter) == (None, None)
    assert "no family" in thing.description


def test_a_meter_that_is_silent_to_functions_it_lacks_is_met() -> None:
    class InputOnly(RegisterMeter):
        def hear(self, data: bytes, settings: SerialSettings) -> list[Transmission]:
            return super().hear(data, settings) if data[1] == 4 else []

    words = load_profile("eastron-sdm220").golden[0].words
    meter = InputOnly(5, lambda: words)
    [one] = found(list(driver_of(meter).search(SearchScope(settings=(PLAIN,), addresses=("5",)))))
    assert one.profile == "eastron-sdm120"
    assert "or eastron-sdm220, eastron-sdm230" in one.description


@pytest.mark.parametrize("name", profile_names())
def test_a_search_proposes_a_profile_that_reads_the_meter(name: str) -> None:
    profile = load_profile(name)
    settings = profile.settings or PLAIN
    driver = driver_of(family(7, name), settings)
    [one] = found(list(driver.search(SearchScope(settings=(settings,), addresses=("7",)))))
    assert one.profile is not None
    assert name in {one.profile, *one.description.replace(",", "").split()}
    target = Target("7", meter=f"XXX-{profile.golden[0].serial or 1}", profile=one.profile)
    assert driver.read(target)[0].values


@pytest.mark.parametrize(("addresses", "questions"), [(("1-100",), 200), ((), 247)])
def test_silence_costs_one_timeout_for_each_question(addresses: tuple[str, ...], questions: int) -> None:
    driver = driver_of(VirtualBus([]))
    list(driver.search(SearchScope(settings=(PLAIN,), addresses=addresses, timeout=0.2)))
    request = 8 * PLAIN.character_time
    assert driver.line.now() == pytest.approx(0.1 + questions * (0.2 + request))


def test_a_meter_that_may_need_a_pause_gets_one_until_it_is_known_to_need_none() -> None:
    def fastest(name: str) -> float:
        """The shortest silence before a request to a meter of that family, in a search for it."""
        driver = driver_of(family(7, name))
        heard: list[float] = []
        hear = driver.line.meter.hear  # type: ignore[attr-defined]  # a SimulatedLine has one

        def witness(data: bytes, settings: SerialSettings) -> list[Transmission]:
            said: list[Transmission] = hear(data, settings)
            heard.append(driver.line.now() - len(data) * settings.character_time)
            heard.append(
                driver.line.now() + sum(t.delay + len(t.data) * settings.character_time for t in said)
            )
            return said

        driver.line.meter.hear = witness  # type: ignore[attr-defined]
        list(driver.search(SearchScope(settings=(PLAIN,), addresses=("7",))))
        return min(sent - silent for silent, sent in zip(heard[1::2], heard[2::2], strict=False))

    assert fastest("eastron-sdm630") == pytest.approx(0.1)
    assert fastest("siemens-pac2200") == pytest.approx(silence(PLAIN))


def test_modbus_tcp_is_searched_at_no_settings_and_also_at_unit_0_and_255() -> None:
    meter = family(255, "siemens-pac2200", transport=Transport.TCP)
    driver = driver_of(meter, transport="tcp")
    events = list(driver.search(SearchScope(settings=(driver.line.settings,), addresses=("0", "255"))))
    assert [(one.address, one.profile) for one in found(events)] == [("255", "siemens-pac2200")]


@pytest.mark.parametrize("code", [10, 11])
def test_a_gateway_that_says_nobody_is_there_is_no_meter_and_costs_no_timeout(code: int) -> None:
    class Gateway:
        """Modbus TCP to a serial line, on which only unit 3 is."""

        def __init__(self) -> None:
            self.meter, self.framing = family(3, "abb-a-b-series", transport=Transport.TCP), MbapFraming()

        def hear(self, data: bytes, settings: SerialSettings) -> list[Transmission]:
            asked = self.framing.next_request(data)
            assert asked is not None
            if asked[0].unit == 3:
                return self.meter.hear(data, settings)
            return [Transmission(self.framing.refusal(asked[0], code))]

    driver = driver_of(Gateway(), transport="tcp")
    assert [one.address for one in found(list(driver.search(SearchScope())))] == ["3"]
    assert driver.line.now() < 247 * 0.11, "the pause between questions only"


def test_units_are_named_by_number_and_range() -> None:
    assert unit_ids(("5", "1-3", "2")) == [5, 1, 2, 3]
    assert unit_ids(()) == list(range(1, 248))
    for wrong in ("0", "248", "1-", "x", "3-300"):
        with pytest.raises(DriverError) as caught:
            unit_ids((wrong,))
        assert "1-247" in caught.value.advice


def test_the_tally_counts_exchanges_retries_timeouts_and_damage() -> None:
    driver = driver_of(VirtualModbusMeter(7, load_profile("eastron-sdm120"), {"1-0:1.8.0": Decimal(1)}))
    driver.read(Target("7", meter="EAS-1", profile="eastron-sdm120"))
    assert driver.tally == Tally(exchanges=3), "two blocks and the serial number"
    with pytest.raises(NoAnswerError):
        driver.read(Target("8", meter="EAS-1", profile="eastron-sdm120", retries=2))
    assert (driver.tally.exchanges, driver.tally.retries, driver.tally.timeouts) == (6, 2, 3)
    driver.line = SimulatedLine(Tuned(family(9, "eastron-sdm120"), EVEN, noisy=True), PLAIN)
    driver = ModbusDriver(driver.line, lambda: NOW)
    with pytest.raises(DriverError):
        driver.read(Target("9", meter="EAS-1", profile="eastron-sdm120", retries=1))
    assert (driver.tally.exchanges, driver.tally.retries, driver.tally.garbled) == (2, 1, 2)


def test_the_time_of_a_readout_is_told_before_it_is_read_and_follows_what_was_refused() -> None:
    profile = load_profile("eastron-sdm630")
    exact = [(4, range(register.address, register.end)) for register in profile.registers]
    meter = VirtualModbusMeter(7, profile, {}, spans=exact)
    driver = driver_of(meter, EVEN)
    target = Target("7", meter="EAS-1", profile="eastron-sdm630")
    two_blocks = driver.readout_time(target)
    assert driver.line.now() == 0, "no byte was sent"
    driver.read(target)
    seven_blocks = driver.readout_time(target)
    assert seven_blocks > two_blocks
    begun = driver.line.now()
    driver.read(target)
    assert driver.line.now() - begun == pytest.approx(seven_blocks)
    with pytest.raises(DriverError):
        driver.readout_time(replace(target, profile="nobody-x1"))
