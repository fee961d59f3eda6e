"""Searching a line for meters: who is there, at which speed, and what to try where the answer is none."""

from collections.abc import Sequence
from typing import TypeVar

import pytest

from drivers.bus import VirtualBus
from drivers.driver import Found, SearchProgress, SearchScope, Suspicion, Target
from drivers.errors import DriverError
from drivers.host import TcpMeterHost
from drivers.line import SerialSettings, Transmission, VirtualMeter
from drivers.optical.codec.dataset import decode_sets
from drivers.optical.codec.telegram import BlockCheck, Identification, encode_block
from drivers.optical.master import OpticalDriver
from drivers.optical.virtual import OPTICAL, VirtualOpticalMeter
from drivers.tcp_line import TcpLine
from tests.drivers.optical.meters import EKT, NOW, driver_of
from tests.drivers.optical.pushing import VirtualPushingMeter

WHO = Identification("LGZ", "5", "ZMD310AT.B")
SETS = decode_sets(b"0.0.0(0012345678)1.8.0(005432.1*kWh)")
RS485 = SerialSettings(9600, 7, "E", 1)
_Event = TypeVar("_Event")
EVERYWHERE = SearchScope()


def found(
    meter: VirtualMeter, scope: SearchScope = EVERYWHERE, settings: SerialSettings = OPTICAL
) -> list[object]:
    driver = driver_of(meter, settings)
    events = list(driver.search(scope))
    assert driver.line.settings == settings
    return events


def only(kind: type[_Event], events: Sequence[object]) -> list[_Event]:
    return [one for one in events if isinstance(one, kind)]


def test_the_only_meter_of_a_head_is_found_and_named() -> None:
    events = found(VirtualOpticalMeter(WHO, SETS))
    assert only(Found, events) == [
        Found("", OPTICAL, "LGZ-0012345678", "iec", "LGZ ZMD310AT.B, mode C, offers 9600 Bd")
    ]
    assert only(Suspicion, events) == []
    steps = only(SearchProgress, events)
    assert [step.done for step in steps] == list(range(len(steps)))
    assert {step.total for step in steps} == {steps[-1].done}


def test_what_was_found_can_be_read() -> None:
    driver = driver_of(VirtualOpticalMeter(WHO, SETS))
    [one] = only(Found, list(driver.search(SearchScope())))
    assert driver.read(Target(one.address, one.meter, one.profile))[0].meter == one.meter


def test_a_meter_of_energomera_is_known_by_its_maker_and_read_with_its_check() -> None:
    meter = VirtualOpticalMeter(
        EKT, decode_sets(b"SNUMB(00123456)ET0PE(1.5)"), check=BlockCheck.SUM, sign_on=RS485
    )
    [one] = only(Found, found(meter))
    assert (one.meter, one.profile, one.settings) == ("EKT-00123456", "energomera", RS485)


def test_several_meters_on_a_wire_collide_and_are_found_by_their_addresses() -> None:
    bus = VirtualBus(
        VirtualOpticalMeter(
            Identification("LGZ", "5", kind),
            decode_sets(f"1.8.0({address}*kWh)".encode()),
            address=address,
            sign_on=RS485,
        )
        for kind, address in (("ZMD310AT", "71"), ("ZMG405CR", "72"))
    )
    events = found(bus, SearchScope((RS485,), ("70-73",)))
    assert [(one.address, one.meter) for one in only(Found, events)] == [("71", "LGZ-71"), ("72", "LGZ-72")]
    [collision] = only(Suspicion, events)
    assert collision.address == ""
    assert "addresses" in collision.advice


def test_a_meter_that_speaks_by_itself_is_overheard() -> None:
    meter = VirtualPushingMeter(Identification("ESY", "5", "Q3DA1004"), SETS, settings=RS485)
    events = found(meter)
    assert Found("", RS485, "ESY-0012345678", "iec-push", "ESY Q3DA1004, mode D") in events


class Saying:
    """Answers everything with the same bytes."""

    def __init__(self, data: bytes) -> None:
        self.data = data

    def hear(self, data: bytes, settings: SerialSettings) -> list[Transmission]:
        return [Transmission(self.data, 0.2)]


def test_an_identification_with_parity_in_its_eighth_bit_is_told_as_the_wrong_frame() -> None:
    with_parity = bytes(byte | (byte.bit_count() % 2) << 7 for byte in WHO.encode())
    [suspicion] = only(
        Suspicion, found(Saying(with_parity), SearchScope((SerialSettings(9600, 8, "N", 1),)))
    )[:1]
    assert "7E1" in suspicion.advice


def test_a_meter_that_speaks_sml_is_told_as_such() -> None:
    [suspicion] = only(Suspicion, found(Saying(b"\x1b\x1b\x1b\x1b\x01\x01\x01\x01"), SearchScope((OPTICAL,))))
    assert "protocol sml" in suspicion.advice


def test_a_meter_whose_readout_cannot_be_read_is_suspicious_and_told_by_its_identification() -> None:
    class Odd(VirtualOpticalMeter):
        def hear(self, data: bytes, settings: SerialSettings) -> list[Transmission]:
            said = super().hear(data, settings)
            block = encode_block(b"1.8.0(1*kWh)\r\n", BlockCheck.SUM)
            return [
                Transmission(block, one.delay, one.settings) if one.data[:1] == b"\x02" else one
                for one in said
            ]

    events = found(Odd(WHO, SETS), SearchScope((OPTICAL,)))
    assert only(Found, events) == []
    [suspicion] = only(Suspicion, events)
    assert "LGZ ZMD310AT.B" in suspicion.what
    assert "block check" in suspicion.what


def test_a_meter_without_a_serial_number_is_found_without_a_name() -> None:
    meter = VirtualOpticalMeter(Identification("LGZ", "5", "\\2ZMD"), decode_sets(b"1.8.0(1*kWh)"))
    [one] = only(Found, found(meter, SearchScope((OPTICAL,))))
    assert (one.meter, one.profile) == (None, "iec")
    assert "also DLMS/COSEM" in one.description


def test_a_damaged_pushed_telegram_is_suspicious() -> None:
    class Broken(VirtualPushingMeter):
        def push(self, settings: SerialSettings) -> Transmission:
            return Transmission(b"/ESY5Q3D\r\n\r\n1.8.0(1\r\n!\r\n", 0.0, self.settings)

    events = found(Broken(WHO, SETS, settings=RS485), SearchScope((RS485,)))
    assert any("damaged" in one.advice for one in only(Suspicion, events))


def test_more_addresses_than_can_be_called_are_refused() -> None:
    with pytest.raises(DriverError, match="too many addresses"):
        found(Saying(b""), SearchScope((OPTICAL,), ("1-99999999",)))


def test_an_empty_line_ends_the_search_with_nothing() -> None:
    class Silent:
        def hear(self, data: bytes, settings: SerialSettings) -> list[Transmission]:
            return []

    assert only(SearchProgress, events := found(Silent(), SearchScope((OPTICAL,), ("1",), 0.5))) == events
    with pytest.raises(DriverError, match="device address"):
        found(Silent(), SearchScope((OPTICAL,), ("a/b",)))


def test_a_meter_of_mode_b_that_the_line_cannot_follow_is_told_with_advice() -> None:
    meter = VirtualOpticalMeter(Identification("ISK", "D", "MT171"), SETS, sign_on=RS485, reaction=0.02)
    with TcpMeterHost(meter, RS485) as host:
        line = TcpLine("127.0.0.1", host.port, RS485)
        events = list(OpticalDriver(line, lambda: NOW).search(SearchScope(timeout=0.2)))
        line.close()
    [suspicion, *_] = only(Suspicion, events)
    assert "4800 Bd" in suspicion.advice


def test_a_line_that_cannot_switch_is_searched_at_its_own_speed() -> None:
    meter = VirtualOpticalMeter(WHO, SETS, sign_on=RS485, reaction=0.02)
    with TcpMeterHost(meter, RS485) as host:
        line = TcpLine("127.0.0.1", host.port, RS485)
        events = list(OpticalDriver(line, lambda: NOW).search(SearchScope(timeout=0.2)))
        line.close()
    assert [(one.settings, one.meter) for one in only(Found, events)] == [(RS485, "LGZ-0012345678")]
