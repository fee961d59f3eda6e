"""The session rules people get burnt by, each by name, on the wire between our master and our virtual bus."""

import random
from collections import Counter
from collections.abc import Sequence
from decimal import Decimal

import pytest

from drivers.bus import VirtualBus
from drivers.driver import Target
from drivers.errors import MeterError, NoAnswerError
from drivers.line import VirtualMeter
from drivers.mbus.address import Secondary
from drivers.mbus.codec import vif
from drivers.mbus.codec.dif import Function
from drivers.mbus.codec.encode import record
from drivers.mbus.codec.header import Header
from drivers.mbus.codec.telegram import Telegram, decode, encode_telegram
from drivers.mbus.master import MAX_TELEGRAMS, MBusDriver
from drivers.mbus.virtual import VirtualMBusMeter
from tests.drivers.mbus.awkward_wire import AwkwardWire
from tests.drivers.mbus.wire import (
    BUSY,
    NKE,
    NKE_SELECTED,
    REQ_FCB_0,
    REQ_FCB_1,
    Tap,
    bus_of,
    counter,
    counting,
    driver_on,
    found,
    searched,
    suspicions,
    telegram,
)

SELECT_06855817 = bytes.fromhex("68 0B 0B 68 53 FD 52 17 58 85 06 FF FF FF FF 98 16")
REQ_SELECTED_FCB_1 = bytes.fromhex("10 7B FD 78 16")
REQ_SELECTED_FCB_0 = bytes.fromhex("10 5B FD 58 16")


def energies(driver: MBusDriver, address: str = "5") -> list[int]:
    (readout,) = driver.read(Target(address))
    return [quantity.micro // 1_000_000 for quantity in readout.values.values()]


# "After SND_NKE the first REQ_UD2 carries FCB=1; toggle only after a good answer; a repeat of the same FCB
# means 'send that again'. Keep FCB per meter (per secondary address, too)."


def test_after_snd_nke_the_first_req_ud2_carries_fcb_1() -> None:
    tap = Tap(VirtualMBusMeter(5, [telegram(4)]))
    driver_on(tap).read(Target("5"))
    assert tap.sent == [NKE, REQ_FCB_1]


def test_the_fcb_is_toggled_only_after_a_good_answer() -> None:
    tap = Tap(
        VirtualMBusMeter(5, counting("06855817")), lambda n, data: data[:-1] + b"\0" if n == 3 else data
    )
    driver = driver_on(tap)
    assert [energies(driver), energies(driver)] == [[4], [8]]
    assert tap.sent == [NKE, REQ_FCB_1, REQ_FCB_0, REQ_FCB_0]  # the third one came back damaged


def test_a_repeat_of_the_same_fcb_means_send_that_again() -> None:
    lost_once = Tap(VirtualMBusMeter(5, counting("06855817")), lambda n, data: b"" if n == 2 else data)
    assert energies(driver_on(lost_once)) == [4]  # not 8: the answer that was lost is the one that is read


def test_the_oldest_telegram_is_not_read_for_ever() -> None:
    driver = driver_on(VirtualMBusMeter(5, counting("06855817")))
    assert [energies(driver)[0] for _ in range(5)] == [4, 8, 12, 16, 20]


def test_fcb_is_kept_per_meter_and_per_secondary_address_too() -> None:
    tap = Tap(VirtualBus([counter(5, "06855817"), counter(6, "11111111")]))
    driver = driver_on(tap)
    assert energies(driver) == [4]
    assert energies(driver, "06855817") == [8]
    assert energies(driver) == [12]
    assert energies(driver, "06855817") == [16]
    assert [data for data in tap.sent if data[0] == 0x10] == [
        *(NKE, REQ_FCB_1),
        *(NKE_SELECTED, REQ_SELECTED_FCB_1),
        REQ_FCB_0,
        REQ_SELECTED_FCB_0,
    ]


def test_a_selection_ends_the_session_of_the_meter_selected_before() -> None:
    tap = Tap(VirtualBus([counter(1, "06855817"), counter(2, "11111111")]))
    driver = driver_on(tap)
    read = [energies(driver, serial)[0] for serial in ("06855817", "11111111", "06855817", "06855817")]
    assert read == [4, 4, 8, 12]
    requests = [data for data in tap.sent if data[1] in (0x5B, 0x7B)]
    assert requests == [*[REQ_SELECTED_FCB_1] * 3, REQ_SELECTED_FCB_0]


# "Multi-telegram: DIF 1F means more records follow in the next telegram (toggle FCB, ask again); DIF 0F/1F
# start manufacturer data."


@pytest.mark.parametrize("address", ["5", "06855817"])
def test_dif_1f_means_more_records_follow_toggle_the_fcb_and_ask_again(address: str) -> None:
    chain = [telegram(1, more=True), telegram(2, more=True), telegram(3)]
    tap = Tap(VirtualMBusMeter(5, chain))
    driver = driver_on(tap)
    assert energies(driver, address) == [1, 2, 3]
    assert [data[1] for data in tap.sent if data[1] in (0x5B, 0x7B)] == [0x7B, 0x5B, 0x7B]
    assert energies(driver, address) == [1, 2, 3]  # from the first one again


@pytest.mark.parametrize(("dif", "function"), [(0x0F, Function.MANUFACTURER), (0x1F, Function.MORE_FOLLOWS)])
def test_dif_0f_and_1f_start_manufacturer_data(dif: int, function: Function) -> None:
    data = record(vif.ENERGY, Decimal(5), "kW.h") + bytes((dif, 0x0C, 0x06, 0x99))
    answer = decode(encode_telegram(5, Header("06855817", "KAM", 8, 4), data))
    assert isinstance(answer, Telegram)
    assert [(one.function, one.raw) for one in answer.records[1:]] == [(function, b"\x0c\x06\x99")]


# "Secondary: SND_NKE to 253, select 68 0B 0B 68 53 FD 52 ..., wildcard nibble F, FF for man/ver/med; meters
# that match answer E5, then REQ_UD2 to 253. Any non-empty garbage is a collision, silence is nobody. The
# wildcard search must also try the hex digits A-F."


def test_a_secondary_readout_is_snd_nke_to_253_the_selection_and_req_ud2_to_253() -> None:
    tap = Tap(bus_of(["06855817", "06855818"]))
    (readout,) = driver_on(tap).read(Target("06855817", meter="KAM-06855817"))
    assert readout.meter == "KAM-06855817"
    assert tap.sent == [NKE_SELECTED, SELECT_06855817, REQ_SELECTED_FCB_1]


def test_silence_on_a_selection_is_nobody() -> None:
    with pytest.raises(NoAnswerError, match="address 0685581AFFFFFFFF does not answer"):
        driver_on(bus_of(["06855817"])).read(Target("0685581A"))
    assert found(searched(driver_on(VirtualBus([])), "secondary")) == []


def test_any_garbage_on_a_selection_is_a_collision() -> None:
    serials = ["12345678", "12345679", "92345678"]
    events = searched(driver_on(bus_of(serials)), "secondary")
    assert sorted(one.address[:8] for one in found(events)) == serials
    assert suspicions(events) == []


def test_two_e5_at_the_same_moment_look_like_one_and_are_a_collision_all_the_same() -> None:
    twins = VirtualBus(
        VirtualMBusMeter(n, [telegram(4, serial=serial)]) for n, serial in ((1, "12345678"), (2, "12345679"))
    )
    events = searched(driver_on(twins), "secondary")
    assert sorted(one.address[:8] for one in found(events)) == ["12345678", "12345679"]


def test_the_wildcard_search_tries_the_hex_digits_too() -> None:
    serials = ["0000000A", "0000000B", "00C0000B", "D000000B", "1234E678"]
    events = searched(driver_on(bus_of(serials)), "secondary")
    assert sorted(one.address[:8] for one in found(events)) == sorted(serials)
    assert suspicions(events) == []


# "Some USB converters echo what was sent: recognise and drop it. A converter can deliver a telegram in
# pieces or with stray bytes in front."


def awkward(meter: VirtualMeter) -> list[VirtualMeter]:
    return [
        AwkwardWire(meter, echo=True),
        AwkwardWire(meter, piece=3),
        AwkwardWire(meter, stray=b"\xff\x00"),
        AwkwardWire(meter, stray=b"\x68"),
        AwkwardWire(meter, echo=True, stray=b"\x00", piece=2),
    ]


@pytest.mark.parametrize("which", range(5))
@pytest.mark.parametrize("address", ["1", "06855817"])
def test_an_echo_pieces_and_stray_bytes_spoil_no_readout(which: int, address: str) -> None:
    driver = driver_on(awkward(bus_of(["06855817", "11111111"]))[which])
    assert energies(driver, address) == [4]
    assert driver.tally.retries == 0


@pytest.mark.parametrize("which", range(5))
@pytest.mark.parametrize("scope", ["1-4", "secondary"])
def test_an_echo_pieces_and_stray_bytes_are_no_collision_in_a_search(which: int, scope: str) -> None:
    driver = driver_on(awkward(bus_of(["06855817", "11111111", "11111112"]))[which])
    events = searched(driver, scope)
    assert sorted(one.meter or "" for one in found(events)) == [
        "KAM-06855817",
        "KAM-11111111",
        "KAM-11111112",
    ]
    assert suspicions(events) == []


# "Real meters need up to 1.1 s at 2400 Bd in spite of the standard: the timeout is per meter (profile),
# default from the formula."


@pytest.mark.parametrize("address", ["5", "06855817"])
def test_a_real_meter_may_need_1_1_seconds_at_2400_bd(address: str) -> None:
    driver = driver_on(VirtualMBusMeter(5, [telegram(4)], reaction=1.1))
    assert energies(driver, address) == [4]


def test_the_timeout_is_per_meter() -> None:
    bus = VirtualBus([VirtualMBusMeter(5, [telegram(4)], reaction=1.1)])
    with pytest.raises(NoAnswerError):
        driver_on(bus).read(Target("5", timeout=0.5, retries=0))
    driver = driver_on(VirtualBus([]))
    with pytest.raises(NoAnswerError):
        driver.read(Target("5", timeout=2.0, retries=0))
    assert driver.line.now() == pytest.approx(2 * 2.0 + 10 * 11 / 2400)


# "Battery meters limit reads a day: the schedule must not break that; the profile says it." The schedule is
# the gateway's; what the master owes it is one request for one readout.


def test_a_battery_meter_is_asked_once_for_a_readout() -> None:
    tap = Tap(VirtualMBusMeter(5, counting("06855817")))
    driver = driver_on(tap)
    for _ in range(4):
        driver.read(Target("5"))
    assert sum(data[1] in (0x5B, 0x7B) for data in tap.sent) == 4


def test_a_search_reads_no_battery_meter_twice() -> None:
    reads: Counter[str] = Counter()

    def meter(address: int, serial: str) -> VirtualMBusMeter:
        def answer() -> Sequence[bytes]:
            reads[serial] += 1
            return [telegram(4, serial=serial)]

        secondary = Secondary(serial, 0x2C2D, 8, 4)
        return VirtualMBusMeter(address, answer, reaction=0.005 + address * 0.012, secondary=secondary)

    serials = [f"{random.Random(n).randrange(10**8):08d}" for n in range(12)]
    bus = VirtualBus(meter(1 + n, serial) for n, serial in enumerate(serials))
    assert len(found(searched(driver_on(bus), "secondary"))) == 12
    assert set(reads.values()) == {1}


# "Meter error, not our error: CI 70 answers are application errors (busy: ask again later). Ten or more
# telegrams, or ones that repeat, end the readout with what was read."


def test_a_busy_meter_is_to_be_asked_again_later() -> None:
    answers = [[BUSY], [telegram(4)]]
    driver = driver_on(VirtualMBusMeter(5, lambda: answers.pop(0)))
    with pytest.raises(MeterError, match="busy") as raised:
        driver.read(Target("5"))
    assert raised.value.retry
    assert energies(driver) == [4]


def test_ten_telegrams_end_the_readout_with_what_was_read() -> None:
    tap = Tap(VirtualMBusMeter(5, [telegram(n, more=True) for n in range(40)]))
    (readout,) = driver_on(tap).read(Target("5"))
    assert len(tap.sent) == 1 + MAX_TELEGRAMS
    assert readout.meter == "KAM-06855817"


def test_telegrams_that_repeat_end_the_readout_with_what_was_read() -> None:
    assert energies(driver_on(VirtualMBusMeter(5, [telegram(4, more=True)]))) == [4]
