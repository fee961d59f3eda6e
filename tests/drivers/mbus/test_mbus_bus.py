"""The virtual bus: selection, collisions in time, noise, meters that are slow, die and return."""

import random
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.bus import VirtualBus
from drivers.driver import SearchProgress, Target
from drivers.errors import DriverError, GarbledAnswerError, NoAnswerError
from drivers.line import SerialSettings, Transmission
from drivers.mbus.address import Secondary, parse_address
from drivers.mbus.codec import vif
from drivers.mbus.codec.encode import date_record, record
from drivers.mbus.codec.header import Header
from drivers.mbus.codec.telegram import encode_telegram
from drivers.mbus.link import MEDIAN_ANSWER
from drivers.mbus.master import TYPICAL_REACTION
from drivers.mbus.virtual import VirtualMBusMeter
from tests.drivers.mbus.awkward_wire import AwkwardWire
from tests.drivers.mbus.wire import (
    LINE_SETTINGS,
    NKE,
    NKE_SELECTED,
    REQ_FCB_1,
    Tap,
    bus_of,
    counter,
    driver_on,
    searched,
    telegram,
)

CHARACTER = LINE_SETTINGS.character_time
SELECT_ALL = Secondary().selection()


class Says:
    """Says the same whatever it hears."""

    def __init__(self, data: bytes, delay: float) -> None:
        self.said = Transmission(data, delay)

    def hear(self, data: bytes, settings: SerialSettings) -> list[Transmission]:
        return [self.said]


def mixed(*said: tuple[bytes, float], settings: SerialSettings = LINE_SETTINGS) -> list[Transmission]:
    return VirtualBus(Says(data, delay) for data, delay in said).hear(b"", settings)


# collisions


def test_equal_answers_at_the_same_moment_look_like_one() -> None:
    assert mixed((b"\xe5", 0.01), (b"\xe5", 0.01)) == [Transmission(b"\xe5", 0.01)]


def test_different_answers_at_the_same_moment_read_0_where_any_of_them_does() -> None:
    (heard,) = mixed((b"\x0f", 0.01), (b"\x33", 0.01))
    assert heard.data == b"\x03"


def test_answers_that_do_not_overlap_arrive_one_after_the_other() -> None:
    assert mixed((b"\xe5", 0.1), (b"\xe5", 0.01)) == [Transmission(b"\xe5", 0.01), Transmission(b"\xe5", 0.1)]


@pytest.mark.parametrize("bits", [1, 3, 5, 8])
def test_answers_that_overlap_in_part_are_noise(bits: int) -> None:
    heard = mixed((b"\xe5", 0.01), (b"\xe5", 0.01 + bits / 2400))
    assert b"".join(one.data for one in heard) not in (b"\xe5", b"\xe5\xe5")


def test_the_head_of_the_earlier_answer_survives_until_the_later_one_begins() -> None:
    early, late = telegram(4, serial="11111111"), telegram(4, serial="22222222")
    heard = mixed((early, 0.01), (late, 0.01 + 20 * CHARACTER))
    assert heard[0].data[:20] == early[:20]
    assert heard[0].data[:40] != early[:40]


@pytest.mark.parametrize("settings", [LINE_SETTINGS, SerialSettings(9600), SerialSettings(300, 7, "E", 1)])
def test_what_collides_with_itself_is_received_whatever_the_frame(settings: SerialSettings) -> None:
    data = bytes(range(128))
    (heard,) = mixed((data, 0.01), (data, 0.01), settings=settings)
    assert heard.data == data


def test_two_meters_at_one_address_collide_however_they_react() -> None:
    for delay in (0.0, 0.004, 0.05, 0.1):
        twins = VirtualBus(
            VirtualMBusMeter(5, [telegram(4, serial=serial)], reaction=0.01 + n * delay)
            for n, serial in enumerate(("11111111", "22222222"))
        )
        with pytest.raises(GarbledAnswerError, match="no telegram"):
            driver_on(twins).read(Target("5", retries=0))


# selection


def test_every_meter_that_matches_is_selected_and_every_other_one_no_longer() -> None:
    bus = bus_of(["11111111", "22222222"])
    assert len(bus.hear(SELECT_ALL, LINE_SETTINGS)) == 2
    assert len(bus.hear(Secondary("1FFFFFFF").selection(), LINE_SETTINGS)) == 1
    (answer,) = bus.hear(bytes.fromhex("10 7B FD 78 16"), LINE_SETTINGS)
    assert answer.data == bus.meters[0].hear(bytes.fromhex("10 7B 01 7C 16"), LINE_SETTINGS)[0].data


@pytest.mark.parametrize(
    ("mask", "matches"),
    [
        ("FFFFFFFFFFFFFFFF", True),
        ("0685A81FFFFFFFFF", True),
        ("0685A8172D2C0804", True),
        ("0685A8172D2CFFFF", True),
        ("FFFFFFFFFFFFFF04", True),
        ("1685A817FFFFFFFF", False),
        ("0685A8172D2C0805", False),
        ("0685A8172D2C0904", False),
        ("0685A8172D2D0804", False),
    ],
)
def test_a_mask_matches_digit_by_digit_and_field_by_field(mask: str, matches: bool) -> None:
    asked = parse_address(mask)
    assert isinstance(asked, Secondary)
    assert Secondary("0685A817", 0x2C2D, 8, 4).matches(asked) is matches
    assert str(asked) == mask
    assert Secondary.decode(asked.encode()) == asked


def test_snd_nke_to_253_ends_a_selection() -> None:
    bus = bus_of(["11111111"])
    bus.hear(SELECT_ALL, LINE_SETTINGS)
    assert [one.data for one in bus.hear(bytes.fromhex("10 40 FD 3D 16"), LINE_SETTINGS)] == [b"\xe5"]
    assert bus.hear(bytes.fromhex("10 7B FD 78 16"), LINE_SETTINGS) == []


# meters that live and die


@pytest.mark.parametrize("address", ["5", "06855817"])
def test_a_meter_that_dies_and_returns_is_read_again(address: str) -> None:
    meter = counter(5, "06855817")
    driver = driver_on(VirtualBus([meter, counter(6, "11111111")]))
    assert driver.read(Target(address))[0].meter == "KAM-06855817"
    meter.alive = False
    for _ in range(2):
        with pytest.raises(NoAnswerError):
            driver.read(Target(address))
    assert driver.read(Target("6"))[0].meter == "KAM-11111111"
    meter.alive = True
    assert driver.read(Target(address))[0].meter == "KAM-06855817"


def test_a_meter_that_stays_dead_costs_the_line_less_than_one_that_just_died() -> None:
    driver = driver_on(VirtualBus([]))

    def cost() -> float:
        begun = driver.line.now()
        with pytest.raises(NoAnswerError):
            driver.read(Target("5"))
        return driver.line.now() - begun

    assert cost() == pytest.approx(4 * (5 * CHARACTER + 330 / 2400 + 1.05))
    assert cost() == pytest.approx(2 * (5 * CHARACTER + 330 / 2400 + 1.05))


def test_a_meter_that_was_silent_and_acknowledges_again_gets_its_retries() -> None:
    meter = counter(5, "06855817")
    meter.alive = False
    tap = Tap(meter, lambda n, data: b"" if n == 6 else data)
    driver = driver_on(tap)
    with pytest.raises(NoAnswerError):
        driver.read(Target("5"))
    meter.alive = True
    assert len(driver.read(Target("5"))) == 1
    assert len(tap.sent) == 7


def test_noise_costs_repetitions_but_no_reading() -> None:
    wire = AwkwardWire(counter(5, "06855817"), noise=0.004, rng=random.Random(1))
    driver = driver_on(wire)
    read = [next(iter(driver.read(Target("5", retries=9))[0].values.values())).micro for _ in range(60)]
    assert read == [4_000_000 * n for n in range(1, 61)]  # each once, none twice, in spite of the noise
    assert driver.tally.garbled > 0
    assert driver.tally.retries == driver.tally.garbled + driver.tally.timeouts


def test_the_tally_counts_what_happened_on_the_wire() -> None:
    tap = Tap(counter(5, "06855817"), {2: b"", 3: b"\x01\x02\x03"}.get)
    driver = driver_on(tap)
    driver.read(Target("5"))
    tally = driver.tally
    assert (tally.exchanges, tally.retries, tally.timeouts, tally.garbled) == (4, 2, 1, 1)


# what a readout takes, and what the meter's clock shows


def test_a_readout_is_planned_with_the_median_answer_until_the_meters_own_is_known() -> None:
    driver = driver_on(counter(5, "06855817"))
    target = Target("5")
    fixed = 5 * CHARACTER + 11 / 2400 + TYPICAL_REACTION
    assert driver.readout_time(target) == pytest.approx(fixed + MEDIAN_ANSWER * CHARACTER)
    assert driver.readout_time(target) == pytest.approx(0.426 + TYPICAL_REACTION, abs=0.001)
    driver.read(target)
    assert driver.readout_time(target) == pytest.approx(fixed + len(telegram(4)) * CHARACTER)


def test_a_secondary_readout_is_planned_with_its_selection() -> None:
    driver = driver_on(VirtualBus([]))
    more = driver.readout_time(Target("06855817")) - driver.readout_time(Target("5"))
    assert more == pytest.approx((17 + 1) * CHARACTER + 11 / 2400 + TYPICAL_REACTION)


def test_a_chain_is_planned_with_all_its_telegrams() -> None:
    driver = driver_on(VirtualMBusMeter(5, [telegram(1, more=True), telegram(2)]))
    driver.read(Target("5"))
    size = len(telegram(1, more=True)) + len(telegram(2))
    expected = 2 * (5 * CHARACTER + 11 / 2400 + TYPICAL_REACTION) + size * CHARACTER
    assert driver.readout_time(Target("5")) == pytest.approx(expected)


def reading(*data: bytes) -> VirtualMBusMeter:
    energy = record(vif.ENERGY, Decimal(5), "kW.h")
    return VirtualMBusMeter(5, [encode_telegram(5, Header("1", "KAM", 8, 4), energy + b"".join(data))])


def test_the_meters_own_clock_is_told_in_its_time_zone() -> None:
    shown = datetime(2026, 7, 1, 14, 30, tzinfo=ZoneInfo("Europe/Berlin"))
    (readout,) = driver_on(reading(date_record(shown))).read(Target("5", time_zone=ZoneInfo("Europe/Berlin")))
    assert readout.clock == datetime(2026, 7, 1, 12, 30, tzinfo=UTC)
    assert readout.clock.utcoffset() == timedelta(hours=2)


def test_a_date_without_a_time_or_of_a_set_day_is_no_clock() -> None:
    shown = datetime(2026, 7, 1, 14, 30, tzinfo=UTC)
    meter = reading(date_record(shown.date()), date_record(shown, storage=1))
    assert driver_on(meter).read(Target("5"))[0].clock is None


# a request in pieces


def test_a_request_that_arrives_in_pieces_is_obeyed() -> None:
    meter = counter(5, "06855817")
    answers = [meter.hear(bytes((byte,)), LINE_SETTINGS) for byte in REQ_FCB_1]
    assert [len(said) for said in answers] == [0, 0, 0, 0, 1]


# whoever is selected


def test_a_meter_that_lost_its_selection_is_selected_again_in_the_same_readout() -> None:
    meter = counter(5, "06855817")
    driver = driver_on(meter)
    driver.read(Target("06855817"))
    meter.hear(NKE_SELECTED, LINE_SETTINGS)  # its supply failed for a moment
    assert driver.read(Target("06855817"))[0].meter == "KAM-06855817"


def test_a_meter_that_keeps_its_selection_when_another_one_is_selected_is_reset() -> None:
    class Clinging(VirtualMBusMeter):
        def hear(self, data: bytes, settings: SerialSettings) -> list[Transmission]:
            foreign = data[6:7] == b"\x52" and data != Secondary("11111111").selection()
            return [] if foreign else super().hear(data, settings)

    clinging = Clinging(1, [telegram(4, serial="11111111")])
    driver = driver_on(VirtualBus([clinging, counter(2, "22222222")]))
    for serial in ("11111111", "22222222", "11111111", "22222222"):
        assert driver.read(Target(serial))[0].meter == f"KAM-{serial}"


def test_a_damaged_telegram_within_a_chain_is_asked_for_again_by_secondary_address_too() -> None:
    chain = [telegram(1, more=True), telegram(2)]
    tap = Tap(
        VirtualBus([VirtualMBusMeter(1, chain), counter(2, "22222222")]),
        lambda n, data: data[:-1] + b"\0" if n == 8 else data,
    )
    driver = driver_on(tap)
    driver.read(Target("06855817"))
    driver.read(Target("22222222"))
    (readout,) = driver.read(Target("06855817"))
    assert sorted(readout.values) == ["6-0:1.0.1", "6-0:1.0.2"]
    assert driver.tally.garbled == 1


# whatever bytes come


@given(st.lists(st.binary(max_size=40), max_size=6))
def test_a_virtual_meter_survives_arbitrary_bytes(pieces: list[bytes]) -> None:
    meter = counter(5, "06855817")
    for piece in pieces:
        meter.hear(piece, LINE_SETTINGS)
    meter.hear(bytes(300), LINE_SETTINGS)  # whatever was begun is over
    meter.settings, meter.address = None, 5
    assert [one.data for one in meter.hear(NKE, LINE_SETTINGS)] == [b"\xe5"]


@given(
    st.lists(st.binary(min_size=1, max_size=60), min_size=1, max_size=8), st.sampled_from(["5", "06855817"])
)
def test_a_master_gets_readouts_or_driver_errors_whatever_answers(answers: list[bytes], address: str) -> None:
    class Anything:
        def __init__(self) -> None:
            self.said = 0

        def hear(self, data: bytes, settings: SerialSettings) -> list[Transmission]:
            self.said += 1
            return [Transmission(answers[self.said % len(answers)], 0.01)]

    driver = driver_on(Anything())
    with suppress(DriverError):
        assert driver.read(Target(address))
    events = searched(driver, "1-3", "0685581F")
    assert isinstance(events[-1], SearchProgress)
