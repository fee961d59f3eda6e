"""What a readout is planned with is what it takes on the wire."""

import pytest

from bench.line.optical import measure
from drivers.driver import Target
from drivers.errors import DriverError
from drivers.line import SerialSettings
from drivers.optical.codec.dataset import decode_sets
from drivers.optical.codec.telegram import Identification
from drivers.optical.master import OpticalDriver
from drivers.optical.virtual import VirtualOpticalMeter
from drivers.optical.virtual_programming import ProgrammingMode
from drivers.simulated import SimulatedLine
from drivers.tcp_line import TcpLine
from tests.drivers.optical.meters import EMH, NOW, answers, driver_of, programmable
from tests.drivers.optical.pushing import PUSHED, VirtualPushingMeter

SETS = decode_sets(b"0.0.0(0012345678)1.8.0(005432.1*kWh)")


def test_an_unread_meter_is_planned_with_the_usual_readout() -> None:
    driver = driver_of(VirtualOpticalMeter(EMH, SETS))
    assert driver.readout_time(Target("")) == pytest.approx(3.10, abs=0.005)
    assert driver.readout_time(Target("12345678")) == pytest.approx(3.10 + 8 / 30, abs=0.005)
    assert driver.line.now() == 0.0
    slow = OpticalDriver(TcpLine("192.0.2.1", 1, SerialSettings(300, 7, "E", 1)), lambda: NOW)
    assert slow.readout_time(Target("")) == pytest.approx(51.5, abs=0.1)


@pytest.mark.parametrize("baud", ["5", "4", "E", "X"], ids=["mode C 9600", "mode C 4800", "mode B", "mode A"])
@pytest.mark.parametrize("maker", ["LGZ", "LGz"])
def test_a_meter_that_was_read_is_planned_with_its_own_figures(maker: str, baud: str) -> None:
    driver = driver_of(VirtualOpticalMeter(Identification(maker, baud, "ZMD"), SETS))
    driver.read(Target(""))
    assert driver.readout_time(Target("")) == pytest.approx(driver.line.now(), abs=1e-6)
    assert driver.readout_time(Target("7")) != pytest.approx(driver.line.now(), abs=1e-6)


def test_registers_are_planned_one_by_one() -> None:
    target = Target("", profile="iec-registers")
    driver = driver_of(programmable(ProgrammingMode(answers("C.1.0(1)1.8.0(5*kWh)"))))
    assert driver.readout_time(target) > 5.0
    driver.read(target)
    planned, begun = driver.readout_time(target), driver.line.now()
    driver.read(target)
    assert planned == pytest.approx(driver.line.now() - begun, rel=0.03)  # the break comes after the figures


def test_a_pushing_meter_is_planned_with_the_wait_for_two_telegrams() -> None:
    target = Target("", profile="iec-push")
    line = SimulatedLine(VirtualPushingMeter(EMH, SETS, period=4.0), PUSHED)
    driver = OpticalDriver(line, lambda: NOW)
    assert driver.readout_time(target) > 10.0
    driver.read(target)
    assert driver.readout_time(target) == pytest.approx(line.now())


def test_sessions_take_the_time_that_their_telegrams_take() -> None:
    measurements = list(measure())
    assert len(measurements) == 3
    assert [one.name for one in measurements if not one.reached] == []


def test_an_unknown_profile_has_no_time() -> None:
    with pytest.raises(DriverError, match="device address"):
        driver_of(VirtualOpticalMeter(EMH, SETS)).readout_time(Target("a/b"))
    with pytest.raises(DriverError, match="no optical profile"):
        driver_of(VirtualOpticalMeter(EMH, SETS)).readout_time(Target("", profile="x"))
