"""Searches: who is met, what is only suspected, and what the line looks like afterwards."""

import random
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from drivers.bus import VirtualBus
from drivers.driver import Found, SearchProgress, SearchScope, Target
from drivers.errors import DriverError
from drivers.host import PtyMeterHost, TcpMeterHost, Wiring
from drivers.line import SerialSettings, Transmission
from drivers.mbus.address import Secondary
from drivers.mbus.codec.frame import LongFrame
from drivers.mbus.master import MBusDriver
from drivers.mbus.virtual import VirtualMBusMeter
from drivers.serial_line import SerialLine
from drivers.tcp_line import TcpLine
from tests.drivers.mbus.awkward_wire import AwkwardWire
from tests.drivers.mbus.wire import (
    BUSY,
    LINE_SETTINGS,
    NOW,
    Tap,
    bus_of,
    driver_on,
    found,
    searched,
    suspicions,
    telegram,
)


def one(address: int, serial: str, **options: object) -> VirtualMBusMeter:
    return VirtualMBusMeter(address, [telegram(4, serial=serial)], **options)  # type: ignore[arg-type]


# primary addresses


def test_every_primary_address_is_asked_and_those_that_answer_are_found() -> None:
    tap = Tap(VirtualBus([one(1, "00000001"), one(77, "00000077"), one(250, "00000250")]))
    driver = driver_on(tap)
    assert found(searched(driver)) == [
        Found("1", LINE_SETTINGS, "KAM-00000001", None, "heat (outlet)"),
        Found("77", LINE_SETTINGS, "KAM-00000077", None, "heat (outlet)"),
        Found("250", LINE_SETTINGS, "KAM-00000250", None, "heat (outlet)"),
    ]
    assert len(tap.sent) == 250
    assert driver.tally.timeouts == 0  # whoever is not there has not failed


def test_what_is_found_can_be_read() -> None:
    driver = driver_on(bus_of(["12345678", "A234567B", "12345679"]))
    for event in found(searched(driver, "secondary", "1-3")):
        assert driver.read(Target(event.address))[0].meter == event.meter


def test_two_meters_at_a_primary_address_are_suspected_with_advice() -> None:
    twins = VirtualBus([one(5, "11111111", reaction=0.02), one(5, "22222222", reaction=0.15)])
    events = searched(driver_on(twins), "4-6")
    assert found(events) == []
    (suspicion,) = suspicions(events)
    assert suspicion.address == "5"
    assert "address taken" in suspicion.advice


def test_two_meters_found_by_their_ids_that_share_a_primary_address_are_told() -> None:
    twins = VirtualBus([one(5, "11111111", reaction=0.02), one(5, "22222222", reaction=0.15)])
    events = searched(driver_on(twins), "secondary")
    assert {event.meter for event in found(events)} == {"KAM-11111111", "KAM-22222222"}
    (suspicion,) = suspicions(events)
    assert suspicion.address == "5"
    assert suspicion.what == "KAM-11111111 and KAM-22222222 share the primary address 5"
    assert "address taken" in suspicion.advice


def test_a_second_meter_with_a_short_late_answer_is_not_overheard() -> None:
    short = LongFrame(0x08, 5, 0x78, b"\x0f\x01").encode()
    twins = VirtualBus(
        [VirtualMBusMeter(5, [short], reaction=0.01), VirtualMBusMeter(5, [short], reaction=0.12)]
    )
    events = searched(driver_on(twins), "5")
    assert found(events) == []
    assert len(suspicions(events)) == 1


def test_a_meter_that_answers_as_another_address_is_suspected() -> None:
    events = searched(driver_on(VirtualMBusMeter(7, [telegram(4)], keep_address=True)), "7")
    assert found(events) == []
    assert [event.what for event in suspicions(events)] == ["a meter that calls itself 5"]


def test_a_meter_that_is_busy_is_found_without_a_name() -> None:
    (event,) = found(searched(driver_on(VirtualMBusMeter(5, [BUSY])), "5"))
    assert (event.address, event.meter) == ("5", None)


def test_a_passing_disturbance_is_no_suspicion() -> None:
    tap = Tap(one(5, "11111111"), lambda n, data: data[:-1] + b"\0" if n == 1 else data)
    events = searched(driver_on(tap), "5")
    assert [event.meter for event in found(events)] == ["KAM-11111111"]
    assert suspicions(events) == []


# secondary addresses


def test_a_single_meter_is_found_by_the_first_mask() -> None:
    tap = Tap(one(5, "06855817"))
    (event,) = found(searched(driver_on(tap), "secondary"))
    assert event == Found("068558172D2C0804", LINE_SETTINGS, "KAM-06855817", None, "heat (outlet)")
    assert len(tap.sent) == 3  # link reset, selection, request


@settings(max_examples=40)
@given(
    serials=st.sets(
        st.text("0123456789ABCDE", min_size=8, max_size=8)
        | st.from_regex(r"1234567[0-9A-E]", fullmatch=True),
        max_size=12,
    ),
    seed=st.integers(0, 2**32),
)
def test_every_meter_is_found_whatever_its_digits_and_reaction_time(serials: set[str], seed: int) -> None:
    rng = random.Random(seed)
    bus = VirtualBus(
        one(1 + n, serial, reaction=rng.uniform(11 / 2400, 330 / 2400 + 0.05))
        for n, serial in enumerate(sorted(serials))
    )
    events = searched(driver_on(bus), "secondary")
    assert sorted(event.address[:8] for event in found(events)) == sorted(serials)
    assert suspicions(events) == []


def test_meters_of_one_kind_that_react_at_the_same_moment_are_all_found() -> None:
    serials = [f"{n * 7919 % 10**8:08d}" for n in range(1, 25)]
    bus = VirtualBus(one(1 + n, serial, reaction=0.03) for n, serial in enumerate(serials))
    events = searched(driver_on(bus), "secondary")
    assert sorted(event.address[:8] for event in found(events)) == sorted(serials)


def test_the_same_digits_are_told_apart_by_medium_version_and_maker() -> None:
    kinds = [("KAM", 8, 0x04), ("KAM", 8, 0x07), ("ELS", 8, 0x07), ("KAM", 9, 0x07), ("ELS", 7, 0x04)]
    bus = VirtualBus(
        VirtualMBusMeter(
            1 + n,
            [telegram(4, serial="12345678", maker=maker, version=version, medium=medium)],
            reaction=0.01 + 0.03 * n,
        )
        for n, (maker, version, medium) in enumerate(kinds)
    )
    events = searched(driver_on(bus), "secondary")
    got = {(event.meter, event.address[12:]) for event in found(events)}
    assert got == {(f"{maker}-12345678", f"{version:02X}{medium:02X}") for maker, version, medium in kinds}
    assert suspicions(events) == []


def test_the_same_digits_medium_and_version_are_told_apart_by_common_makers() -> None:
    bus = VirtualBus(
        VirtualMBusMeter(1 + n, [telegram(4, serial="12345678", maker=maker)], reaction=0.01 + 0.05 * n)
        for n, maker in enumerate(("KAM", "ELS"))
    )
    events = searched(driver_on(bus), "secondary")
    assert sorted(event.meter or "" for event in found(events)) == ["ELS-12345678", "KAM-12345678"]
    assert suspicions(events) == []


def test_meters_that_nothing_tells_apart_are_suspected() -> None:
    bus = VirtualBus([one(1, "12345678", reaction=0.01), one(2, "12345678", reaction=0.1)])
    events = searched(driver_on(bus), "12345678")
    assert found(events) == []
    assert [event.what for event in suspicions(events)] == ["meters that nothing tells apart"]


def test_the_digit_f_cannot_be_asked_for_and_is_suspected() -> None:
    bus = VirtualBus([one(1, "1234567F", reaction=0.01), one(2, "12345678", reaction=0.1)])
    events = searched(driver_on(bus), "secondary")
    assert [event.meter for event in found(events)] == ["KAM-12345678"]
    (suspicion,) = suspicions(events)
    assert "a meter with F among its digits" in suspicion.advice


def test_a_mask_limits_the_search_to_its_part() -> None:
    driver = driver_on(bus_of(["06850001", "06850002", "99990001"]))
    assert {event.meter for event in found(searched(driver, "0685FFFF"))} == {"KAM-06850001", "KAM-06850002"}
    assert [event.meter for event in found(searched(driver, "KAM-99990001"))] == ["KAM-99990001"]


def test_a_meter_slower_than_the_standard_is_found_with_a_longer_timeout() -> None:
    bus = VirtualBus([one(1, "11111111", reaction=1.1), one(2, "22222222", reaction=0.05)])
    slow = searched(driver_on(bus), "secondary", timeout=1.3)
    assert {event.meter for event in found(slow)} == {"KAM-11111111", "KAM-22222222"}


def test_a_late_e5_is_not_taken_for_the_answer_to_the_next_mask() -> None:
    """The slower meter's E5 comes while the next masks are asked: it must not become a meter of theirs."""
    bus = VirtualBus([one(1, "11111111", reaction=0.30), one(2, "11111112"), one(3, "11111113")])
    events = searched(driver_on(bus), "secondary")
    met = {event.meter for event in found(events)}
    assert {"KAM-11111112", "KAM-11111113"} <= met <= {f"KAM-1111111{n}" for n in (1, 2, 3)}
    for event in found(events):
        assert event.meter == f"KAM-{event.address[:8]}"


def test_noise_invents_no_meter() -> None:
    rng = random.Random(7)
    wire = AwkwardWire(bus_of(["06855817", "11111111", "11111112"]), noise=0.01, rng=rng)
    events = searched(driver_on(wire), "secondary")
    assert {event.meter for event in found(events)} <= {"KAM-06855817", "KAM-11111111", "KAM-11111112"}


def test_a_line_that_never_falls_silent_ends_a_search_all_the_same() -> None:
    class Jabber:
        def hear(self, data: bytes, settings: SerialSettings) -> list[Transmission]:
            return [Transmission(b"\x55" * 3000)]

    events = searched(driver_on(Jabber()), "5", "secondary")
    assert found(events) == []
    assert [event.what for event in suspicions(events)] == [
        "answers that are no telegram",
        "noise on every question",
    ]


def test_progress_grows_to_its_total() -> None:
    events = searched(driver_on(bus_of(["11111111", "22222222", "22222223"])), "1-3", "secondary")
    steps = [event for event in events if isinstance(event, SearchProgress)]
    assert [step.done for step in steps] == list(range(len(steps)))
    assert all(step.done <= step.total for step in steps)
    assert (steps[-1].done, steps[-1].what) == (steps[-1].total, "the end")
    assert steps[0].what == "address 1 at 2400 8E1"


# speeds


def test_several_speeds_are_tried_in_order_and_told() -> None:
    bauds = [replace(LINE_SETTINGS, baud=baud) for baud in (300, 2400, 9600)]
    bus = VirtualBus([one(1, "11111111", settings=bauds[2]), one(2, "22222222", settings=bauds[0])])
    driver = driver_on(bus)
    events = found(searched(driver, "1-2", "secondary", settings=bauds))
    assert [(event.meter, event.settings.baud) for event in events] == [
        *[("KAM-22222222", 300)] * 2,
        *[("KAM-11111111", 9600)] * 2,
    ]
    assert driver.line.settings == LINE_SETTINGS


def test_a_search_that_is_given_up_leaves_the_line_as_it_was() -> None:
    driver = driver_on(bus_of(["11111111"]))
    events = driver.search(SearchScope(settings=[replace(LINE_SETTINGS, baud=300)]))
    next(events)
    assert driver.line.settings.baud == 300
    events.close()  # type: ignore[attr-defined]
    assert driver.line.settings == LINE_SETTINGS


@pytest.mark.parametrize("address", ["five", "251", "1-251", "0685", "-"])
def test_what_cannot_be_searched_says_so(address: str) -> None:
    with pytest.raises(DriverError, match=r"search|end at 250"):
        searched(driver_on(VirtualBus([])), address)


# real lines

FAST = SerialSettings(38400, 8, "E", 1)
SERIALS = ["06855817", "1111111A", "11111112"]


def test_a_search_on_a_pty_tells_collisions_from_echoes_and_pieces() -> None:
    with PtyMeterHost(
        bus_of(SERIALS), FAST, Wiring(time_scale=0.2, echo=True, piece=5, stray=b"\xff")
    ) as host:
        line = SerialLine(host.spec, FAST)
        events = searched(MBusDriver(line, lambda: NOW), "1-3", "1111111F", timeout=0.25)
        line.close()
    assert [event.address for event in found(events)][:3] == ["1", "2", "3"]
    assert {event.meter for event in found(events)[3:]} == {"KAM-1111111A", "KAM-11111112"}
    assert suspicions(events) == []


def test_a_serial_server_that_keeps_its_speed_is_said_to() -> None:
    with TcpMeterHost(bus_of(SERIALS), FAST, Wiring(time_scale=0.2)) as host:
        line = TcpLine("127.0.0.1", host.port, FAST)
        events = searched(MBusDriver(line, lambda: NOW), "2", settings=[LINE_SETTINGS, FAST], timeout=0.25)
        line.close()
    assert [event.what for event in suspicions(events)] == ["this line cannot change its speed"]
    assert [event.meter for event in found(events)] == ["KAM-1111111A"]


def test_an_address_can_be_written_in_four_ways() -> None:
    full = Secondary("06855817", 0x2C2D, 8, 4)
    driver = driver_on(VirtualMBusMeter(5, [telegram(4)]))
    for text in ("5", "06855817", "KAM-06855817", "kam-06855817", "068558172D2C0804", str(full)):
        assert driver.read(Target(text))[0].meter == "KAM-06855817"
