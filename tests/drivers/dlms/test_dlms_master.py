"""What a readout of the virtual meter gives: registers, profiles, clock, identity."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from drivers.dlms.association import AccessError
from drivers.dlms.codec.apdu import GetRequest, encode_apdu
from drivers.dlms.codec.clock import ClockStatus, encode_date_time
from drivers.dlms.codec.data import NULL, Data, DataTag, array, encode_data, octet_string, structure
from drivers.dlms.codec.hdlc import HdlcParameters
from drivers.dlms.codec.objects import CLOCK, DEVICE_NAME, ERROR_REGISTER, OBJECT_LIST, SERIAL_NUMBER
from drivers.dlms.server import ServerAccess
from drivers.driver import IdentityError, Target
from drivers.errors import (
    DriverError,
)
from telemetry.readout import Quantity
from telemetry.status import Status
from tests.drivers.dlms import virtual_objects as made
from tests.drivers.dlms.household import (
    BERLIN,
    CLOSED,
    EXPORT,
    HIGH,
    IMPORT,
    LOAD_BEGINS,
    LOW,
    MAXIMUM,
    METER,
    NOW,
    OPEN,
    PRESENT,
    PUBLIC,
    driver_of,
    household,
    meter_of,
    months,
    rows,
)

COLUMNS = (CLOCK, IMPORT, EXPORT)


class Moving:
    """A clock that a test moves."""

    def __init__(self, now: datetime = NOW) -> None:
        self.now = now

    def __call__(self) -> datetime:
        return self.now


@pytest.mark.parametrize(
    ("target", "access"), [(PUBLIC, OPEN), (LOW, CLOSED), (HIGH, CLOSED)], ids=["none", "password", "keys"]
)
def test_a_readout_gives_the_present_and_what_the_meter_kept(target: Target, access: ServerAccess) -> None:
    present, *kept = driver_of(meter_of(access=access)).read(replace(target, meter=METER))
    assert (present.meter, present.at, present.status, present.clock) == (METER, NOW, Status(0), NOW)
    assert present.values == PRESENT
    expected = {
        instant: {
            "1-0:1.8.0": Quantity(imported * 1000, "kW.h"),
            "1-0:2.8.0": Quantity(exported * 1000, "kW.h"),
        }
        for instant, imported, exported in months()
    }
    expected[MAXIMUM] = {"1-0:1.6.0": PRESENT["1-0:1.6.0"]}
    assert {one.at: dict(one.values) for one in kept} == expected
    assert {one.status for one in kept} == {Status.HISTORICAL}
    assert [one.at for one in kept] == sorted(expected)


@pytest.mark.parametrize("target", [PUBLIC, HIGH], ids=["plain", "ciphered"])
@pytest.mark.parametrize("longest", [0xFFFF, 220, 90], ids=["whole", "long blocks", "short blocks"])
@pytest.mark.parametrize("size", [2030, 128, 31], ids=["long frames", "usual frames", "short frames"])
def test_long_answers_come_in_segments_and_blocks(size: int, longest: int, target: Target) -> None:
    access = CLOSED if target.key else OPEN
    meter = meter_of(access=access, parameters=HdlcParameters(size, size), longest=longest)
    present, *kept = driver_of(meter).read(target)
    assert present.values == PRESENT
    assert len(kept) == len(months()) + 1


def test_what_the_meter_has_is_asked_once() -> None:
    driver = driver_of(meter_of())
    driver.read(PUBLIC)
    first = driver.tally.exchanges
    [readout] = driver.read(PUBLIC)
    assert readout.values == PRESENT
    assert driver.tally.exchanges - first == 2 + 1 + len(PRESENT) + 1 + 1 + 1  # and capture time, clock, DISC


@pytest.mark.parametrize(("target", "access"), [(PUBLIC, OPEN), (HIGH, CLOSED)], ids=["plain", "ciphered"])
def test_every_raw_has_the_values_and_the_scalers_that_they_stand_on(
    target: Target, access: ServerAccess
) -> None:
    driver = driver_of(meter_of(access=access))
    first, *kept = driver.read(target)
    [second] = driver.read(target)
    scaler = encode_apdu(GetRequest(replace(IMPORT, number=3))) + bytes.fromhex("c401c1000202 0f00 161e")
    value = encode_apdu(GetRequest(IMPORT)) + bytes.fromhex("c401c10006") + (12_345_678).to_bytes(4, "big")
    for raw in (first.raw, second.raw, kept[0].raw):
        assert scaler in raw
        assert value in raw
    assert encode_data(rows(months())) in kept[0].raw
    assert encode_apdu(GetRequest(OBJECT_LIST)) not in first.raw
    assert len(kept[0].raw) < 2_000


def test_a_new_billing_period_is_told_on_the_next_local_day() -> None:
    clock, ends = Moving(), months()
    objects = household(clock)
    objects |= made.profile("0-0:98.1.0", COLUMNS, lambda: rows(ends))
    driver = driver_of(meter_of(objects), clock)
    assert len(driver.read(PUBLIC)) == 2 + len(ends)
    clock.now = datetime(2026, 11, 30, 23, 5, tzinfo=UTC)  # five past midnight in Berlin
    ends.append((datetime(2026, 11, 30, 23, tzinfo=UTC), 99_000_000, 1_000))
    _, closed = driver.read(PUBLIC)
    assert (closed.at, closed.values["1-0:1.8.0"]) == (ends[-1][0], Quantity(99_000_000_000, "kW.h"))
    assert len(driver.read(PUBLIC)) == 1
    clock.now += timedelta(days=1)
    assert len(driver.read(PUBLIC)) == 1  # nothing new, though the last period was given once more


def test_a_meter_that_knows_no_ranges_is_read_whole() -> None:
    meter = meter_of()
    meter.server.refuses_ranges = True
    assert len(driver_of(meter).read(PUBLIC)) == 2 + len(months())


def test_a_meter_that_hides_its_objects_is_asked_for_the_usual_ones() -> None:
    meter = meter_of()
    meter.server.hides_objects = True
    present, *kept = driver_of(meter).read(PUBLIC)
    usual = {code for code in PRESENT if code != "1-0:1.6.0"}  # an extended register is not guessed at
    assert set(present.values) == usual
    assert len(kept) == len(months())


def test_a_load_profile_is_read_by_range() -> None:
    driver = driver_of(meter_of())
    since = LOAD_BEGINS + timedelta(hours=12)
    read = driver.load_profile(PUBLIC, since, since + timedelta(hours=1))
    assert [one.at for one in read] == [since + timedelta(minutes=15 * place) for place in range(5)]
    assert read[0].values == {"1-0:1.8.0": Quantity(148_000, "kW.h"), "1-0:2.8.0": Quantity(48_000, "kW.h")}
    assert {one.status for one in read} == {Status.HISTORICAL}


def test_a_meter_without_a_load_profile_says_so() -> None:
    objects = dict(made.identity("HSP", "1")) | made.register("1-0:1.8.0", Data(DataTag.UNSIGNED, 1), 0, 30)
    driver = driver_of(meter_of(objects))
    assert driver.read(PUBLIC)[0].values == {"1-0:1.8.0": Quantity(1000, "kW.h")}
    with pytest.raises(AccessError, match="no load profile"):
        driver.load_profile(PUBLIC, NOW, NOW)


def test_times_that_a_profile_leaves_out_are_a_period_later() -> None:
    first = octet_string(encode_date_time(LOAD_BEGINS, BERLIN))
    invalid = octet_string(encode_date_time(LOAD_BEGINS, BERLIN, ClockStatus.INVALID))
    null, value = Data(DataTag.NULL), Data(DataTag.LONG64_UNSIGNED, 5)
    entries = array(
        structure(null, value, null),  # nobody knows when
        structure(first, value, null),
        structure(null, value, null),
        structure(null, null, null),
        structure(invalid, value, null),
        structure(null, value, null),
    )
    objects = household()
    objects |= made.profile("1-0:99.1.0", COLUMNS, entries, 900)
    meter = meter_of(objects)
    meter.server.refuses_ranges = True
    read = driver_of(meter).load_profile(PUBLIC, LOAD_BEGINS, NOW)
    assert [one.at for one in read] == [LOAD_BEGINS, LOAD_BEGINS + timedelta(minutes=15)]


@pytest.mark.parametrize("target", [PUBLIC, LOW, HIGH], ids=["none", "password", "keys"])
def test_the_clock_is_set_in_local_time(target: Target) -> None:
    meter = meter_of(access=OPEN if target is PUBLIC else CLOSED)
    instant = datetime(2026, 7, 1, 12, tzinfo=UTC)
    driver_of(meter).set_clock(target, instant)
    assert meter.server.objects[CLOCK] == octet_string(encode_date_time(instant, BERLIN))
    assert encode_date_time(instant, BERLIN)[5] == 14


def test_a_clock_that_may_not_be_set_is_said() -> None:
    with pytest.raises(AccessError, match="not allowed"):
        driver_of(meter_of(access=ServerAccess())).set_clock(PUBLIC, NOW)


def test_the_clock_of_another_meter_is_not_set() -> None:
    meter = meter_of()
    with pytest.raises(IdentityError):
        driver_of(meter).set_clock(replace(PUBLIC, meter="HSP-1"), NOW)
    assert callable(meter.server.objects[CLOCK])  # untouched


@pytest.mark.parametrize(
    ("raw", "clock"),
    [
        (encode_date_time(NOW, BERLIN), NOW),
        (encode_date_time(NOW, BERLIN, ClockStatus.INVALID), None),
        (b"\xff" * 12, None),
    ],
)
def test_a_clock_that_is_invalid_shows_nothing(raw: bytes, clock: datetime | None) -> None:
    objects = household() | made.clock(lambda: raw)
    assert driver_of(meter_of(objects)).read(PUBLIC)[0].clock == clock


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (Data(DataTag.OCTET_STRING, b"\0\x40"), Status.PERMANENT_ERROR),
        (Data(DataTag.OCTET_STRING, b"0"), Status.PERMANENT_ERROR),  # a byte with two bits, no digit
        (Data(DataTag.VISIBLE_STRING, b"00000040"), Status.PERMANENT_ERROR),
        (Data(DataTag.UNSIGNED, 1), Status.PERMANENT_ERROR),
        (Data(DataTag.BIT_STRING, "0010"), Status.PERMANENT_ERROR),
        (Data(DataTag.OCTET_STRING, b"\0\0"), Status(0)),
        (Data(DataTag.OCTET_STRING, b"00000000"), Status(0)),
        (Data(DataTag.VISIBLE_STRING, b"0"), Status(0)),
        (Data(DataTag.BIT_STRING, "0000"), Status(0)),
        (NULL, Status(0)),
    ],
)
def test_an_error_register_is_a_status_of_the_readout(error: Data, status: Status) -> None:
    objects = household() | {ERROR_REGISTER: error}
    assert driver_of(meter_of(objects)).read(PUBLIC)[0].status == status


@pytest.mark.parametrize("expected", [METER, "HSP-12345678"])
def test_the_expected_meter_keeps_the_name_the_configuration_gives_it(expected: str) -> None:
    assert driver_of(meter_of()).read(replace(PUBLIC, meter=expected))[0].meter == expected


def test_a_meter_that_was_swapped_is_noticed_and_learned_anew() -> None:
    meter = meter_of()
    driver = driver_of(meter)
    driver.read(replace(PUBLIC, meter=METER))
    meter.server.objects = dict(made.identity("HSPH2", "777")) | made.register(
        "1-0:2.8.0", Data(DataTag.UNSIGNED, 9), 3, 30
    )
    for _ in range(2):
        with pytest.raises(IdentityError, match="HSP-777"):
            driver.read(replace(PUBLIC, meter=METER))
    [readout] = driver.read(replace(PUBLIC, meter="HSP-777"))
    assert readout.values == {"1-0:2.8.0": Quantity(9_000_000, "kW.h")}


def test_a_swap_is_noticed_by_the_device_name_where_there_is_no_serial_number() -> None:
    meter = meter_of(household())
    del meter.server.objects[SERIAL_NUMBER]
    driver = driver_of(meter)
    assert driver.read(PUBLIC)[0].meter == "HSP-H00012345678"
    meter.server.objects[DEVICE_NAME] = octet_string(b"HSPH00012345679")
    with pytest.raises(IdentityError, match="345679"):
        driver.read(replace(PUBLIC, meter="HSP-H00012345678"))


def test_a_maximum_of_a_clock_that_was_never_set_is_not_told() -> None:
    unset = encode_date_time(datetime(2000, 1, 1, tzinfo=UTC), BERLIN)
    objects = household() | made.register("1-0:1.6.0", Data(DataTag.UNSIGNED, 0), 0, 27, captured=unset)
    assert len(driver_of(meter_of(objects)).read(PUBLIC)) == 1 + len(months())


def test_a_meter_that_does_not_say_who_it_is_needs_a_configured_id() -> None:
    objects = {name: one for name, one in household().items() if name not in (DEVICE_NAME, SERIAL_NUMBER)}
    assert driver_of(meter_of(objects)).read(replace(PUBLIC, meter="HSP-5"))[0].meter == "HSP-5"
    with pytest.raises(DriverError, match="does not say who"):
        driver_of(meter_of(objects)).read(PUBLIC)


@pytest.mark.parametrize(
    ("device", "serial", "meter"),
    [
        (octet_string(b"ISK1030700000123"), Data(DataTag.VISIBLE_STRING, b"12345 "), "ISK-12345"),
        (octet_string(b"ISK1030700000123"), Data(DataTag.DOUBLE_LONG_UNSIGNED, 4711), "ISK-4711"),
        (octet_string(b"LGZ" + bytes(4) + b"\x01"), octet_string(b"\x01\x02\xff"), "LGZ-0102FF"),
    ],
)
def test_serial_numbers_are_texts_numbers_or_bytes(device: Data, serial: Data, meter: str) -> None:
    objects = household() | {DEVICE_NAME: device, SERIAL_NUMBER: serial}
    assert driver_of(meter_of(objects)).read(PUBLIC)[0].meter == meter


def test_a_register_that_the_meter_refuses_is_left_out_and_nothing_else() -> None:
    meter = meter_of()
    driver = driver_of(meter)
    driver.read(PUBLIC)
    known = [one for one in meter.server.objects if one.name == bytes((1, 0, 16, 7, 0, 255))]
    for one in known:
        del meter.server.objects[one]
    assert set(PRESENT) - set(driver.read(PUBLIC)[0].values) == {"1-0:16.7.0"}


def test_a_meter_that_shows_nothing_is_an_error_and_no_empty_readout() -> None:
    with pytest.raises(AccessError, match="none of its registers"):
        driver_of(meter_of(access=replace(CLOSED, password=None))).read(replace(PUBLIC, meter=METER))
