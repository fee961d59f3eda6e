"""Mode D: listening to meters that speak by themselves, on a virtual clock, over a pty and over TCP."""

from collections.abc import Callable
from datetime import UTC, datetime

import pytest

from drivers.catalogue import open_driver, open_line
from drivers.driver import Target
from drivers.errors import DecodeError, GarbledAnswerError, NoAnswerError, UnsupportedError
from drivers.host import PtyMeterHost, TcpMeterHost
from drivers.line import SerialSettings, Transmission
from drivers.optical.codec.dataset import DataSet, decode_sets
from drivers.optical.codec.telegram import Identification
from telemetry.readout import Quantity
from telemetry.status import Status
from tests.drivers.optical.meters import NOW, driver_of
from tests.drivers.optical.pushing import PUSHED, VirtualPushingMeter

# the form in which EasyMeter's Q3D sends, every two seconds, at 9600 Bd
Q3D = Identification("ESY", "5", "Q3DA1004 V3.02")
SETS = (
    b"1-0:0.0.0*255(0272031312565)\r\n1-0:1.8.0*255(00000003.4562*kWh)\r\n"
    b"1-0:21.7.0*255(000040.34*W)\r\n0-0:96.1.255*255(1ESY1162131612)\r\n"
)
DIRECT = SerialSettings(9600, 7, "E", 1)
TARGET = Target("", meter="ESY-1ESY1162131612", profile="iec-push")


def counting(*values: str) -> Callable[[], list[DataSet]]:
    """Readouts with one counter value after the other, the last one for ever."""
    left = list(values)
    return lambda: decode_sets(
        SETS.replace(b"00000003.4562", (left.pop(0) if left[1:] else left[0]).encode())
    )


@pytest.mark.parametrize("settings", [PUSHED, DIRECT], ids=str)
def test_a_pushed_readout_is_taken_when_the_next_confirms_it(settings: SerialSettings) -> None:
    meter = VirtualPushingMeter(Q3D, counting("3.4562", "3.4563", "3.4564"), settings=settings)
    driver = driver_of(meter, settings)
    [readout] = driver.read(TARGET)
    assert readout.meter == "ESY-1ESY1162131612"
    assert readout.values == {
        "1-0:1.8.0": Quantity(3_456_300, "kW.h"),
        "1-0:21.7.0": Quantity(40_340_000, "W"),
    }
    assert readout.status == Status(0)
    assert readout.raw.startswith(b"/ESY5Q3DA1004 V3.02\r\n\r\n1-0:0.0.0")
    assert readout.raw.endswith(b"!\r\n")
    length = len(readout.raw) * settings.character_time
    assert driver.line.now() == pytest.approx(2 * meter.period + length, abs=1e-6)
    assert readout.at == driver.clock()
    assert driver.tally.exchanges == 2


@pytest.mark.parametrize(
    "values",
    [
        ("7.4562", "3.4563", "3.4564"),  # runs back
        ("3.4562", "7.4563", "3.4564", "3.4565"),  # jumps, and runs back
        ("x", "3.4563", "3.4564"),  # not even there
    ],
)
def test_a_damaged_digit_is_never_believed(values: tuple[str, ...]) -> None:
    driver = driver_of(VirtualPushingMeter(Q3D, counting(*values)), PUSHED)
    assert driver.read(TARGET)[0].values["1-0:1.8.0"].micro in (3_456_400, 3_456_500)


def test_telegrams_that_never_agree_are_garbled() -> None:
    driver = driver_of(VirtualPushingMeter(Q3D, counting("9", "1", "8", "2", "7")), PUSHED)
    with pytest.raises(GarbledAnswerError, match="none confirms"):
        driver.read(TARGET)


def test_listening_begins_in_the_middle_of_a_telegram() -> None:
    driver = driver_of(VirtualPushingMeter(Q3D, counting("3")), PUSHED)
    driver.line.wait(2.3)
    assert driver.read(TARGET)[0].values["1-0:1.8.0"] == Quantity(3_000_000, "kW.h")
    driver.line.wait(3600.0)  # what has waited in the port is not of now
    at = driver.line.now()
    driver.read(TARGET)
    assert 4.0 <= driver.line.now() - at < 8.0


def test_a_meter_of_mode_d_at_another_speed_is_garbled_with_advice() -> None:
    driver = driver_of(VirtualPushingMeter(Q3D, counting("3"), settings=DIRECT), PUSHED)
    with pytest.raises(GarbledAnswerError) as caught:
        driver.read(TARGET)
    assert "9600 7E1" in caught.value.advice
    assert driver.tally.garbled == 1


def test_silence_is_no_answer() -> None:
    class Silent:
        def hear(self, data: bytes, settings: SerialSettings) -> list[Transmission]:
            return []

    driver = driver_of(Silent(), PUSHED)
    with pytest.raises(NoAnswerError, match="sent nothing for 15 s"):
        driver.read(TARGET)
    assert driver.tally.timeouts == 1


def test_a_telegram_that_is_no_readout_is_a_decode_error() -> None:
    class Broken(VirtualPushingMeter):
        def push(self, settings: SerialSettings) -> Transmission:
            said = super().push(settings)
            return Transmission(said.data.replace(b"*kWh)", b"*kWh"), 0.0, said.settings)

    with pytest.raises(DecodeError):
        driver_of(Broken(Q3D, counting("3")), PUSHED).read(TARGET)


def test_a_meter_that_only_speaks_is_not_asked() -> None:
    driver = driver_of(VirtualPushingMeter(Q3D, counting("3")), PUSHED)
    with pytest.raises(UnsupportedError, match="only speaks"):
        driver.load_profile(TARGET, NOW, NOW)
    assert driver.line.now() == 0.0


@pytest.mark.parametrize("kind", [PtyMeterHost, TcpMeterHost])
def test_a_pushed_readout_comes_over_real_lines(kind: type[PtyMeterHost]) -> None:
    meter = VirtualPushingMeter(Q3D, counting("3.4562"), period=0.1, settings=DIRECT)
    with kind(meter, DIRECT) as host:
        line = open_line(host.spec, DIRECT)
        [readout] = open_driver("optical", line, lambda: datetime.now(UTC)).read(TARGET)
        line.close()
    assert readout.values["1-0:1.8.0"] == Quantity(3_456_200, "kW.h")
