"""Addresses, speeds and resets: asked for, acknowledged, confirmed."""

from dataclasses import replace
from datetime import date
from decimal import Decimal

import pytest

from drivers.bus import VirtualBus
from drivers.driver import IdentityError, Target
from drivers.errors import DriverError, NoAnswerError, UnsupportedError
from drivers.host import PtyMeterHost
from drivers.line import SerialSettings, Transmission
from drivers.mbus.codec import vif
from drivers.mbus.codec.encode import date_record, record
from drivers.mbus.codec.header import Header
from drivers.mbus.codec.telegram import encode_telegram
from drivers.mbus.commissioning import (
    AddressTakenError,
    application_reset,
    set_address,
    switch_baud,
)
from drivers.mbus.master import MBusDriver
from drivers.mbus.virtual import VirtualMBusMeter
from drivers.serial_line import SerialLine
from tests.drivers.mbus.wire import LINE_SETTINGS, NOW, Tap, counter, driver_on, telegram

SET_TO_9 = bytes.fromhex("68 06 06 68 73 05 51 01 7A 09 4D 16")


def read(driver: MBusDriver, address: str) -> str:
    return driver.read(Target(address))[0].meter


# primary address


@pytest.mark.parametrize("address", ["5", "06855817"])
def test_a_new_primary_address_is_given_and_confirmed(address: str) -> None:
    meter = counter(5, "06855817")
    driver = driver_on(VirtualBus([meter, counter(6, "11111111")]))
    read(driver, address)
    set_address(driver, Target(address), 9)
    assert meter.address == 9
    assert read(driver, "9") == "KAM-06855817"
    with pytest.raises(NoAnswerError):
        driver.read(Target("5", retries=0))


def test_a_new_primary_address_is_sent_as_the_standard_says() -> None:
    tap = Tap(counter(5, "06855817"))
    set_address(driver_on(tap), Target("5"), 9)
    assert SET_TO_9 in tap.sent


@pytest.mark.parametrize("answer", ["a meter", "noise"])
def test_an_address_that_somebody_answers_at_is_refused(answer: str) -> None:
    meter = counter(5, "06855817")
    tap = Tap(
        VirtualBus([meter, counter(9, "11111111")]),
        lambda n, data: b"\x01\x02" if answer == "noise" and len(data) > 1 and data[5] == 9 else data,
    )
    with pytest.raises(AddressTakenError, match="address 9 is taken") as raised:
        set_address(driver_on(tap), Target("5"), 9)
    assert meter.address == 5
    assert "address taken" in raised.value.advice
    assert SET_TO_9 not in tap.sent


@pytest.mark.parametrize("new", [0, 251, 254, -1])
def test_only_an_address_of_a_meter_can_be_given(new: int) -> None:
    tap = Tap(counter(5, "06855817"))
    with pytest.raises(DriverError, match="no primary address to give"):
        set_address(driver_on(tap), Target("5"), new)
    assert tap.sent == []


def test_an_address_that_the_meter_does_not_take_is_an_error() -> None:
    class Deaf(VirtualMBusMeter):
        """Acknowledges, and keeps its address."""

        @property
        def address(self) -> int:
            return 5

        @address.setter
        def address(self, value: int) -> None:
            pass

    with pytest.raises(NoAnswerError, match="address 9"):
        set_address(driver_on(Deaf(5, [telegram(4)])), Target("5"), 9)


def test_another_meter_at_the_new_address_is_an_identity_error() -> None:
    late = counter(9, "11111111")
    late.alive = False
    meter = counter(5, "06855817")

    class Arrives(Tap):
        def hear(self, data: bytes, settings: SerialSettings) -> list[Transmission]:
            if data == SET_TO_9:
                late.alive = True
                return [Transmission(b"\xe5", 0.01)]
            return super().hear(data, settings)

    with pytest.raises(IdentityError, match="expected KAM-06855817, but KAM-11111111 answered"):
        set_address(driver_on(Arrives(VirtualBus([meter, late]))), Target("5"), 9)


def test_setting_an_address_takes_no_set_day_from_the_next_readout() -> None:
    data = record(vif.ENERGY, Decimal(4), "kW.h", storage=1) + date_record(date(2026, 10, 31), storage=1)
    meter = VirtualMBusMeter(5, [encode_telegram(5, Header("06855817", "KAM", 8, 0x04), data)])
    driver = driver_on(meter)
    set_address(driver, Target("5"), 9)
    _, set_day = driver.read(Target("9"))
    assert set_day.values["6-0:1.0.0"].micro == 4_000_000


# speed


def test_a_meter_and_the_line_change_to_another_speed() -> None:
    meter = VirtualMBusMeter(5, [telegram(4)], settings=LINE_SETTINGS)
    driver = driver_on(meter)
    switch_baud(driver, Target("5"), 9600)
    assert driver.line.settings == meter.settings == replace(LINE_SETTINGS, baud=9600)
    assert read(driver, "5") == "KAM-06855817"


def test_the_speed_is_acknowledged_at_the_old_one() -> None:
    tap = Tap(VirtualMBusMeter(5, [telegram(4)], settings=LINE_SETTINGS))
    switch_baud(driver_on(tap), Target("5"), 300)
    assert bytes.fromhex("68 03 03 68 73 05 B8 30 16") in tap.sent


def test_a_meter_that_stays_at_its_speed_leaves_the_line_there_too() -> None:
    class Stays(VirtualMBusMeter):
        def hear(self, data: bytes, settings: SerialSettings) -> list[Transmission]:
            answers = super().hear(data, settings)
            self.settings = LINE_SETTINGS
            return answers

    driver = driver_on(Stays(5, [telegram(4)], settings=LINE_SETTINGS))
    with pytest.raises(NoAnswerError, match="acknowledged 9600 Bd, but cannot be read") as raised:
        switch_baud(driver, Target("5", retries=0), 9600)
    assert "2400 Bd again" in raised.value.advice
    assert driver.line.settings == LINE_SETTINGS
    assert read(driver, "5") == "KAM-06855817"


def test_a_speed_that_m_bus_has_no_code_for_is_refused() -> None:
    with pytest.raises(UnsupportedError, match="115200 Bd"):
        switch_baud(driver_on(counter(5, "06855817")), Target("5"), 115200)


def test_the_speed_of_a_real_port_is_changed() -> None:
    meter = VirtualMBusMeter(5, [telegram(4)], settings=replace(LINE_SETTINGS, baud=9600))
    with PtyMeterHost(meter, LINE_SETTINGS) as host:
        line = SerialLine(host.spec, replace(LINE_SETTINGS, baud=9600))
        driver = MBusDriver(line, lambda: NOW)
        switch_baud(driver, Target("5", timeout=1.0), 38400)
        assert driver.read(Target("5", timeout=1.0))[0].meter == "KAM-06855817"
        line.close()
    assert line.settings.baud == 38400


# application reset


@pytest.mark.parametrize(("subcode", "sent"), [(None, b""), (0x10, b"\x10")])
def test_an_application_reset_carries_its_subcode_and_is_acknowledged(
    subcode: int | None, sent: bytes
) -> None:
    meter = counter(5, "06855817")
    application_reset(driver_on(meter), Target("5"), subcode)
    assert meter.resets == [sent]


def test_a_command_that_is_not_acknowledged_is_repeated_then_an_error() -> None:
    tap = Tap(counter(5, "06855817"), lambda n, data: b"" if n > 1 else data)
    driver = driver_on(tap)
    with pytest.raises(NoAnswerError):
        application_reset(driver, Target("5"))
    assert len(tap.sent) == 1 + 3
    assert (driver.tally.exchanges, driver.tally.retries, driver.tally.timeouts) == (4, 2, 3)
