"""The listener: golden telegrams, noise, silence, other meters, and real lines."""

from collections.abc import Callable, Iterable
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from drivers.catalogue import open_driver, open_line
from drivers.driver import Found, IdentityError, SearchProgress, SearchScope, Suspicion, Target
from drivers.errors import DecodeError, DriverError, GarbledAnswerError, NoAnswerError, UnsupportedError
from drivers.host import PtyMeterHost, TcpMeterHost, Wiring
from drivers.line import PushingMeter, SerialSettings, Transmission
from drivers.protocol import protocol_named
from drivers.simulated import SimulatedLine
from drivers.sml.master import SmlDriver
from drivers.sml.messages import (
    CloseResponse,
    ListEntry,
    ListResponse,
    Message,
    SmlTime,
    TimeKind,
    encode_message,
)
from drivers.sml.registers import identity, readout
from drivers.sml.server_id import meter_of
from drivers.sml.tlv import Integer
from drivers.sml.transport import enclose
from drivers.sml.virtual import VirtualSmlMeter, telegram
from telemetry.readout import Quantity
from telemetry.status import Status
from tests.drivers.sml.golden import GOLDEN, Golden

NOW = datetime(2026, 11, 24, 6, 30, tzinfo=UTC)
SML = protocol_named("sml").settings
SERVER = bytes.fromhex("0A014553590003A910AB")  # ESY, block 00, number 61411499
METER = "ESY-0061411499"
IMPORT = bytes((1, 0, 1, 8, 0, 255))
POWER = bytes((1, 0, 16, 7, 0, 255))


def energy(tenths: int, status: int | None = None) -> ListEntry:
    return ListEntry(IMPORT, Integer(tenths, 8), 30, -1, status)


class Playing:
    """Pushes one telegram after the other, the last one for ever."""

    def __init__(self, telegrams: Iterable[bytes], period: float = 1.0) -> None:
        self.telegrams = list(telegrams)
        self.period = period
        self.heard = b""

    def hear(self, data: bytes, settings: SerialSettings) -> list[Transmission]:
        self.heard += data
        return []

    def push(self, settings: SerialSettings) -> Transmission:
        return Transmission(self.telegrams.pop(0) if len(self.telegrams) > 1 else self.telegrams[0])


def driver_of(meter: PushingMeter, settings: SerialSettings = SML) -> SmlDriver:
    return SmlDriver(SimulatedLine(meter, settings), lambda: NOW)


def counting() -> VirtualSmlMeter:
    counted = iter(range(10_000))
    return VirtualSmlMeter(SERVER, lambda: [energy(next(counted))])


@pytest.mark.parametrize("golden", GOLDEN.values(), ids=list(GOLDEN))
def test_published_telegrams_are_read_to_the_digit(golden: Golden) -> None:
    meter = Playing([golden.telegram])
    [readout] = driver_of(meter).read(Target(""))
    assert readout.meter == golden.meter
    assert readout.values == golden.values
    assert (readout.at, readout.status, readout.clock) == (NOW, golden.status, golden.clock)
    assert readout.raw == golden.telegram
    assert meter.heard == b""  # nothing is ever sent


def test_the_newest_telegram_is_read_and_what_came_before_is_forgotten() -> None:
    driver = driver_of(counting())
    driver.line.wait(100.5)
    [readout] = driver.read(Target("", meter=METER))
    assert readout.values == {"1-0:1.8.0": Quantity(10_000, "kW.h")}  # the hundredth
    assert driver.line.now() == pytest.approx(101 + len(readout.raw) * SML.character_time)
    assert driver.tally.exchanges == 1


def test_a_read_that_begins_within_a_telegram_waits_for_the_next() -> None:
    driver = driver_of(counting())
    driver.line.wait(1.05)
    [readout] = driver.read(Target(""))
    assert readout.values["1-0:1.8.0"].micro == 100  # 0.1 W.h: the second telegram
    assert driver.tally.garbled == 0


def test_damaged_telegrams_are_counted_and_the_next_whole_one_is_read() -> None:
    whole = telegram(ListResponse(SERVER, (energy(7),)))
    damaged = whole[:60] + bytes((whole[60] ^ 1,)) + whole[61:]
    driver = driver_of(Playing([damaged, damaged, whole]))
    assert driver.read(Target(""))[0].raw == whole
    assert (driver.tally.garbled, driver.tally.exchanges) == (2, 1)


def test_silence_is_no_answer() -> None:
    driver = driver_of(Playing([b""], period=1000))
    with pytest.raises(NoAnswerError, match=r"within 3\.0 s") as caught:
        driver.read(Target("", timeout=3))
    assert "PIN" in caught.value.advice
    assert driver.line.now() == pytest.approx(3)
    assert driver.tally.timeouts == 1


def test_noise_is_garbled() -> None:
    driver = driver_of(Playing([b"\x1b\x00" * 20]))
    with pytest.raises(GarbledAnswerError, match="no whole telegram"):
        driver.read(Target(""))


def test_the_wrong_speed_is_garbled() -> None:
    class AtItsOwn(Playing):
        def push(self, settings: SerialSettings) -> Transmission:
            return replace(super().push(settings), settings=SML)

    whole = telegram(ListResponse(SERVER, (energy(7),)))
    with pytest.raises(GarbledAnswerError):
        driver_of(AtItsOwn([whole]), SerialSettings(2400)).read(Target(""))


def test_another_meter_than_the_expected_one_is_an_identity_error() -> None:
    with pytest.raises(IdentityError, match=METER):
        driver_of(counting()).read(Target("", meter="ESY-0061411498"))


def test_the_expected_meter_keeps_the_name_the_configuration_gives_it() -> None:
    assert driver_of(counting()).read(Target("", meter="ESY-61411499"))[0].meter == "ESY-61411499"


def test_of_several_lists_the_expected_meters_is_taken() -> None:
    other = bytes.fromhex("0A014553590000000001")
    lists = [ListResponse(other, (energy(1),)), ListResponse(SERVER, (energy(2),))]
    both = enclose(b"".join(encode_message(Message(b"\1", one)) for one in lists))
    for meter, tenths in ((METER, 2), ("ESY-0000000001", 1)):
        [readout] = driver_of(Playing([both])).read(Target("", meter=meter))
        assert readout.values == {"1-0:1.8.0": Quantity(tenths * 100, "kW.h")}


def test_a_meter_that_does_not_say_who_it_is_needs_a_configured_id() -> None:
    nameless = Playing([telegram(ListResponse(bytes(10), (energy(1),)))])
    assert driver_of(nameless).read(Target("", meter="ESY-1"))[0].meter == "ESY-1"
    with pytest.raises(DriverError, match="does not say who"):
        driver_of(nameless).read(Target(""))


def test_a_telegram_without_values_is_a_decode_error() -> None:
    empty = enclose(encode_message(Message(b"\1", CloseResponse())))
    with pytest.raises(DecodeError, match="no list"):
        driver_of(Playing([empty])).read(Target(""))
    driver = driver_of(Playing([enclose(b"\x76\x01\0")]))
    with pytest.raises(DecodeError):
        driver.read(Target(""))
    assert driver.tally.garbled == 1


def test_an_address_is_refused() -> None:
    for ask in (driver_of(counting()).read, driver_of(counting()).readout_time):
        with pytest.raises(DriverError, match="alone on its head"):
            ask(Target("1"))


def test_a_readout_is_planned_with_the_longest_pause_and_telegram() -> None:
    assert driver_of(counting()).readout_time(Target("")) == pytest.approx(4.9375)


def test_the_clock_of_a_meter_cannot_be_set() -> None:
    with pytest.raises(UnsupportedError):
        driver_of(counting()).set_clock(Target(""), NOW)


def test_a_search_finds_the_meter_at_the_usual_settings_and_leaves_the_line_as_it_was() -> None:
    before = SerialSettings(2400, 8, "E", 1)
    driver = driver_of(counting(), before)
    events = list(driver.search(SearchScope()))
    assert [one for one in events if isinstance(one, Found)] == [
        Found("", SML, METER, description="SML, 1 values")
    ]
    assert isinstance(events[0], SearchProgress)
    assert driver.line.settings == before


def test_a_search_tells_noise_from_silence() -> None:
    scope = SearchScope(settings=[SML, SerialSettings(19200)], timeout=2)
    noisy = list(driver_of(Playing([b"noise"])).search(scope))
    assert [type(one) for one in noisy] == [
        SearchProgress,
        Suspicion,
        SearchProgress,
        Suspicion,
        SearchProgress,
    ]
    silent = list(driver_of(Playing([b""])).search(scope))
    assert [type(one) for one in silent] == [SearchProgress] * 3


def shown(
    entries: Iterable[ListEntry], server: bytes = SERVER, time: SmlTime | None = None
) -> dict[str, Quantity]:
    values = ListResponse(server, tuple(entries), sensor_time=time)
    return dict(readout(values, METER, NOW, b"").values)


def test_only_known_codes_with_a_fitting_unit_become_values() -> None:
    entries = [
        ListEntry(IMPORT, Integer(5, 4), 27),  # energy in watts
        ListEntry(IMPORT, b"text", 30),
        ListEntry(IMPORT, Integer(5, 4)),
        ListEntry(IMPORT, Integer(10**18, 8), 30, 6),  # more than any register holds
        ListEntry(IMPORT[:5] + b"\x01", Integer(5, 4), 30),  # a billing period that nobody dates
        ListEntry(bytes((1, 0, 99, 99, 0, 255)), Integer(5, 4), 30),
        ListEntry(IMPORT, Integer(5, 4), 200),
    ]
    assert shown(entries) == {}


def test_megajoules_stay_joules_where_kilowatt_hours_are_no_decimals() -> None:
    assert shown([ListEntry(IMPORT, Integer(36, 4), 25)]) == {"1-0:1.8.0": Quantity(36_000_000, "J")}


def test_the_sign_of_dzg_power_is_mended_for_the_affected_numbers_only() -> None:
    power = ListEntry(POWER, Integer(-29912, 2, signed=True), 27, -2)
    for number, micro in (
        (41_999_999, -299_120_000),
        (42_000_000, 356_240_000),
        (48_999_999, 356_240_000),
        (55_000_000, 356_240_000),
        (59_000_000, -299_120_000),
    ):
        dzg = bytes.fromhex("0A01445A4700") + number.to_bytes(4, "big")
        assert shown([power], dzg) == {"1-0:16.7.0": Quantity(micro, "W")}
    whole = replace(power, value=Integer(-29912, 4, signed=True))  # four bytes are right
    assert shown([whole], bytes.fromhex("0A01445A470002820000")) == {
        "1-0:16.7.0": Quantity(-299_120_000, "W")
    }


@pytest.mark.parametrize(
    ("word", "status"),
    [
        (0x001C0104, Status(0)),
        (0x001C0304, Status.TAMPER),
        (0x00000404, Status.TAMPER),
        (0x001E0104, Status.PERMANENT_ERROR),
        (0x0282, Status(0)),  # an EDL21 meter's word, which means something else
        (None, Status(0)),
    ],
)
def test_the_status_word_of_fnn_meters_becomes_status_bits(word: int | None, status: Status) -> None:
    values = ListResponse(SERVER, (energy(1, word),))
    assert readout(values, METER, NOW, b"").status == status


def test_a_sensor_time_that_is_a_timestamp_is_the_meters_clock() -> None:
    def of(time: SmlTime) -> datetime | None:
        return readout(ListResponse(SERVER, (), sensor_time=time), METER, NOW, b"").clock

    assert of(SmlTime(TimeKind.TIMESTAMP, 1_764_000_000)) == datetime(2025, 11, 24, 16, 0, tzinfo=UTC)
    assert of(SmlTime(TimeKind.SECONDS_INDEX, 1_764_000_000)) is None


@pytest.mark.parametrize(
    ("server", "meter"),
    [
        ("0A0149534B00047A5544", "ISK-0075126084"),
        ("0901454D480100000009", "EMH-0100000009"),
        ("0649534B01027A20E68A", "ISK-01027A20E68A"),
        ("01A815986480020102", "EMH-02806498"),
        ("039FC8DE59A235", "XXX-039FC8DE59A235"),
        ("0A01000000000000000A", "XXX-0A01000000000000000A"),
        ("00000000000000000000", None),
        ("FF" * 40, None),
    ],
)
def test_server_ids_become_meter_ids(server: str, meter: str | None) -> None:
    assert meter_of(bytes.fromhex(server)) == meter


def test_the_manufacturers_entry_names_an_id_without_letters() -> None:
    name = ListEntry(bytes((129, 129, 199, 130, 3, 255)), b"EMH")
    assert identity(ListResponse(bytes.fromhex("04039FC8DE59A235"), (name,))) == "EMH-04039FC8DE59A235"
    garbage = replace(name, value=b"\xff\xfe\xfd")
    assert identity(ListResponse(bytes.fromhex("04039F"), (garbage,))) == "XXX-04039F"


def test_a_virtual_meter_is_deaf() -> None:
    assert counting().hear(b"/?!\r\n", SML) == []


@pytest.mark.parametrize("wiring", [Wiring(), Wiring(piece=11)], ids=str)
@pytest.mark.parametrize("host", [PtyMeterHost, TcpMeterHost])
def test_meters_are_read_over_real_lines(
    host: Callable[..., PtyMeterHost | TcpMeterHost], wiring: Wiring
) -> None:
    meter = VirtualSmlMeter(SERVER, [energy(123, 0x001C0104)], period=0.05)
    with host(meter, SML, wiring) as running:
        line = open_line(running.spec, SML)
        [readout] = open_driver("sml", line, lambda: NOW).read(Target("", meter=METER, timeout=5))
        line.close()
    assert readout.values == {"1-0:1.8.0": Quantity(12_300, "kW.h")}
