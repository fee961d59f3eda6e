"""The reader against the virtual meter: levels of security, losses, profiles, clocks, heads, real lines."""

import logging
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.bus import VirtualBus
from drivers.catalogue import default_settings, open_driver, open_line
from drivers.dlms import virtual_objects as made
from drivers.dlms.apdu import GetRequest, SetRequest, encode_apdu
from drivers.dlms.association import AccessError, LoginError
from drivers.dlms.clock import ClockStatus, encode_date_time
from drivers.dlms.data import Data, Tag, array, octet_string, structure
from drivers.dlms.hdlc import Address, Frame, Kind, Parameters
from drivers.dlms.master import DlmsDriver
from drivers.dlms.objects import CLOCK, DEVICE_NAME, ERROR_REGISTER, OBJECT_LIST, SERIAL_NUMBER
from drivers.dlms.opening import HEAD
from drivers.dlms.security import Keys
from drivers.dlms.server import Access, Objects
from drivers.dlms.virtual import DIRECT, VirtualDlmsMeter, VirtualHead
from drivers.driver import Found, IdentityError, Progress, Scope, Suspicion, Target
from drivers.errors import (
    DecodeError,
    DriverError,
    GarbledAnswerError,
    MeterError,
    NoAnswerError,
    UnsupportedError,
)
from drivers.host import PtyMeterHost, TcpMeterHost, Wiring
from drivers.line import SerialSettings, Transmission, VirtualMeter
from drivers.optical.telegram import Identification
from drivers.simulated import SimulatedLine
from telemetry.readout import Quantity
from telemetry.status import Status
from tests.drivers.dlms.household import (
    BERLIN,
    LOAD_BEGINS,
    MAXIMUM,
    METER,
    NOW,
    PRESENT,
    household,
    months,
    rows,
)

KEY = bytes(range(16)) + bytes(range(0x20, 0x30))
PASSWORD = "open sesame"
PUBLIC = Target("16/1", time_zone=BERLIN)
LOW = Target("32/1", time_zone=BERLIN, password=PASSWORD)
HIGH = Target("1/1", time_zone=BERLIN, key=KEY)
CLOSED = Access(password=PASSWORD.encode(), keys=Keys.parse(KEY), public=True, writable=frozenset({CLOCK}))
OPEN = Access(writable=frozenset({CLOCK}))


class Moving:
    """A clock that a test moves."""

    def __init__(self, now: datetime = NOW) -> None:
        self.now = now

    def __call__(self) -> datetime:
        return self.now


def driver_of(
    meter: VirtualMeter, clock: Callable[[], datetime] = lambda: NOW, settings: SerialSettings = DIRECT
) -> DlmsDriver:
    return DlmsDriver(SimulatedLine(meter, settings), clock, random=lambda count: bytes(range(1, count + 1)))


def wh(value: int) -> Quantity:
    return Quantity(value * 1000, "kW.h")


def meter_of(objects: Objects | None = None, access: Access = OPEN, **options: object) -> VirtualDlmsMeter:
    return VirtualDlmsMeter(objects or household(), access=access, **options)  # type: ignore[arg-type] # tests


@pytest.mark.parametrize(
    ("target", "access"), [(PUBLIC, OPEN), (LOW, CLOSED), (HIGH, CLOSED)], ids=["none", "password", "keys"]
)
def test_a_readout_gives_the_present_and_what_the_meter_kept(target: Target, access: Access) -> None:
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
    meter = meter_of(access=access, parameters=Parameters(size, size), longest=longest)
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


def test_a_new_billing_period_is_told_on_the_next_local_day() -> None:
    clock, ends = Moving(), months()
    objects = household(clock)
    objects |= made.profile("0-0:98.1.0", _columns(objects), lambda: rows(ends))
    driver = driver_of(meter_of(objects), clock)
    assert len(driver.read(PUBLIC)) == 2 + len(ends)
    clock.now = datetime(2026, 11, 30, 23, 5, tzinfo=UTC)  # five past midnight in Berlin
    ends.append((datetime(2026, 11, 30, 23, tzinfo=UTC), 99_000_000, 1_000))
    _, closed = driver.read(PUBLIC)
    assert (closed.at, closed.values["1-0:1.8.0"]) == (ends[-1][0], Quantity(99_000_000_000, "kW.h"))
    assert len(driver.read(PUBLIC)) == 1
    clock.now += timedelta(days=1)
    assert len(driver.read(PUBLIC)) == 1  # nothing new, though the last period was given once more


def _columns(objects: Objects) -> list[object]:
    from tests.drivers.dlms.household import EXPORT, IMPORT

    return [CLOCK, IMPORT, EXPORT]


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
    objects = dict(made.identity("HSP", "1")) | made.register("1-0:1.8.0", Data(Tag.UNSIGNED, 1), 0, 30)
    driver = driver_of(meter_of(objects))
    assert driver.read(PUBLIC)[0].values == {"1-0:1.8.0": Quantity(1000, "kW.h")}
    with pytest.raises(AccessError, match="no load profile"):
        driver.load_profile(PUBLIC, NOW, NOW)


def test_times_that_a_profile_leaves_out_are_a_period_later() -> None:
    first = octet_string(encode_date_time(LOAD_BEGINS, BERLIN))
    invalid = octet_string(encode_date_time(LOAD_BEGINS, BERLIN, ClockStatus.INVALID))
    null, value = Data(Tag.NULL), Data(Tag.LONG64_UNSIGNED, 5)
    entries = array(
        structure(null, value, null),  # nobody knows when
        structure(first, value, null),
        structure(null, value, null),
        structure(null, null, null),
        structure(invalid, value, null),
        structure(null, value, null),
    )
    objects = household()
    objects |= made.profile("1-0:99.1.0", _columns(objects), entries, 900)
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
        driver_of(meter_of(access=Access())).set_clock(PUBLIC, NOW)


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


@pytest.mark.parametrize("error", [Data(Tag.OCTET_STRING, b"\0\x40"), Data(Tag.UNSIGNED, 1)])
def test_an_error_register_is_a_status_of_the_readout(error: Data) -> None:
    objects = household() | {ERROR_REGISTER: error}
    assert driver_of(meter_of(objects)).read(PUBLIC)[0].status == Status.PERMANENT_ERROR
    objects[ERROR_REGISTER] = Data(Tag.OCTET_STRING, b"\0\0")
    assert driver_of(meter_of(objects)).read(PUBLIC)[0].status == Status(0)


@pytest.mark.parametrize("expected", [METER, "HSP-12345678"])
def test_the_expected_meter_keeps_the_name_the_configuration_gives_it(expected: str) -> None:
    assert driver_of(meter_of()).read(replace(PUBLIC, meter=expected))[0].meter == expected


def test_a_meter_that_was_swapped_is_noticed_and_learned_anew() -> None:
    meter = meter_of()
    driver = driver_of(meter)
    driver.read(replace(PUBLIC, meter=METER))
    meter.server.objects = dict(made.identity("HSPH2", "777")) | made.register(
        "1-0:2.8.0", Data(Tag.UNSIGNED, 9), 3, 30
    )
    for _ in range(2):
        with pytest.raises(IdentityError, match="HSP-777"):
            driver.read(replace(PUBLIC, meter=METER))
    [readout] = driver.read(replace(PUBLIC, meter="HSP-777"))
    assert readout.values == {"1-0:2.8.0": Quantity(9_000_000, "kW.h")}


def test_a_meter_that_does_not_say_who_it_is_needs_a_configured_id() -> None:
    objects = {name: one for name, one in household().items() if name not in (DEVICE_NAME, SERIAL_NUMBER)}
    assert driver_of(meter_of(objects)).read(replace(PUBLIC, meter="HSP-5"))[0].meter == "HSP-5"
    with pytest.raises(DriverError, match="does not say who"):
        driver_of(meter_of(objects)).read(PUBLIC)


@pytest.mark.parametrize(
    ("device", "serial", "meter"),
    [
        (octet_string(b"ISK1030700000123"), Data(Tag.VISIBLE_STRING, b"12345 "), "ISK-12345"),
        (octet_string(b"ISK1030700000123"), Data(Tag.DOUBLE_LONG_UNSIGNED, 4711), "ISK-4711"),
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


@pytest.mark.parametrize(
    "target",
    [
        PUBLIC,
        replace(LOW, password="wrong"),
        replace(HIGH, key=bytes(32)),
        replace(HIGH, key=KEY[:16] + bytes(16)),
    ],
    ids=["nothing", "a wrong password", "wrong keys", "a wrong authentication key"],
)
def test_who_may_not_log_in_is_told_without_a_secret(
    target: Target, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    driver = driver_of(meter_of(access=replace(CLOSED, public=False)))
    with pytest.raises(LoginError, match="does not accept") as caught:
        driver.read(target)
    told = str(caught.value) + caught.value.advice + caplog.text + repr(target) + repr(driver)
    for secret in ("wrong", PASSWORD, KEY.hex(), KEY[:16].hex(), repr(KEY), repr(KEY[:16])):
        assert secret not in told.replace("wrong ones", "").replace("wrong count", "")
    assert driver.line.settings == DIRECT


def test_a_key_of_another_length_is_refused_before_anything_is_sent() -> None:
    driver = driver_of(meter_of(access=CLOSED))
    with pytest.raises(DriverError, match="16 bytes") as caught:
        driver.read(replace(HIGH, key=b"secret"))
    assert "secret" not in str(caught.value)
    assert driver.tally.exchanges == 0


def test_the_invocation_counter_goes_on_where_the_meter_saw_it_last() -> None:
    meter = meter_of(access=CLOSED)
    for _ in range(2):  # a driver that was restarted knows nothing
        driver = driver_of(meter)
        for _ in range(2):
            assert driver.read(HIGH)[0].values == PRESENT


def test_without_a_public_counter_the_clock_gives_one_that_grows() -> None:
    meter = meter_of(access=replace(CLOSED, public=False))
    assert driver_of(meter).read(HIGH)[0].values == PRESENT
    assert driver_of(meter, lambda: NOW + timedelta(minutes=15)).read(HIGH)[0].values == PRESENT


def test_a_counter_that_the_meter_does_not_take_is_asked_for_anew() -> None:
    meter = meter_of(access=CLOSED)
    driver = driver_of(meter)
    driver.read(HIGH)
    driver_of(meter).read(HIGH)  # another client with the same keys goes ahead
    with pytest.raises(LoginError):
        driver.read(HIGH)
    assert driver.read(HIGH)[0].values == PRESENT


class Lossy:
    """Between master and meter: what is said number `lost` by either of them is lost or damaged."""

    def __init__(self, meter: VirtualMeter, lost: int, flaw: Callable[[bytes], bytes], *, asks: bool) -> None:
        self.meter = meter
        self.lost = lost
        self.flaw = flaw
        self.asks = asks
        self.count = 0

    def hear(self, data: bytes, settings: SerialSettings) -> list[Transmission]:
        self.count += 1
        hit = self.count == self.lost
        said = self.meter.hear(self.flaw(data) if hit and self.asks else data, settings)
        if hit and not self.asks:
            return [replace(one, data=self.flaw(one.data)) for one in said]
        return said


def flawed(data: bytes) -> bytes:
    return data[:-4] + bytes((data[-4] ^ 1,)) + data[-3:]


@pytest.mark.parametrize("asks", [True, False], ids=["a request", "an answer"])
@pytest.mark.parametrize(
    "flaw", [lambda data: b"", flawed, lambda data: data[:8]], ids=["gone", "bad", "cut"]
)
def test_whatever_is_lost_once_the_readout_is_whole(flaw: Callable[[bytes], bytes], asks: bool) -> None:
    for lost in (1, 2, 3, 5, 9, 20, 26):
        meter = meter_of(parameters=Parameters(128, 40))
        driver = driver_of(Lossy(meter, lost, flaw, asks=asks))
        present, *kept = driver.read(PUBLIC)
        assert present.values == PRESENT
        assert len(kept) == len(months()) + 1
        assert driver.tally.retries == 1
        assert driver.tally.timeouts + driver.tally.garbled == 1


class Listening:
    """Notes every APDU that a meter's server is given."""

    def __init__(self, meter: VirtualDlmsMeter) -> None:
        self.apdus: list[bytes] = []
        self._handle = meter.server.handle
        meter.server.handle = self.handle  # type: ignore[method-assign]

    def handle(self, apdu: bytes) -> bytes:
        self.apdus.append(apdu)
        return self._handle(apdu)


@pytest.mark.parametrize("asks", [True, False])
def test_a_clock_is_never_set_twice_whichever_frame_is_lost(asks: bool) -> None:
    for lost in range(1, 12):
        meter = meter_of()
        driver = driver_of(meter)
        driver.read(PUBLIC)
        heard = Listening(meter)
        driver.line.meter = Lossy(meter, lost, lambda data: b"", asks=asks)  # type: ignore[attr-defined]
        driver.set_clock(PUBLIC, NOW)
        request = encode_apdu(SetRequest(CLOCK, octet_string(encode_date_time(NOW, BERLIN))))
        assert heard.apdus.count(request) == 1


class Saying:
    """Says the same to everything."""

    def __init__(self, said: bytes) -> None:
        self.said = said

    def hear(self, data: bytes, settings: SerialSettings) -> list[Transmission]:
        return [Transmission(self.said)] if self.said else []


def test_silence_is_no_answer_after_every_retry() -> None:
    driver = driver_of(Saying(b""))
    with pytest.raises(NoAnswerError, match="server 1 on simulated"):
        driver.read(replace(PUBLIC, retries=1, timeout=0.5))
    assert (driver.tally.exchanges, driver.tally.timeouts, driver.tally.retries) == (2, 2, 1)


@pytest.mark.parametrize("noise", [b"\x7e\xa0\x00noise", bytes(range(64)) * 40])
def test_noise_is_garbled(noise: bytes) -> None:
    driver = driver_of(Saying(noise))
    with pytest.raises(GarbledAnswerError, match="no frame") as caught:
        driver.read(replace(PUBLIC, retries=0))
    assert caught.value.received == noise
    assert driver.tally.garbled == 1


@pytest.mark.parametrize("kind", [Kind.DISCONNECTED_MODE, Kind.FRAME_REJECT])
def test_a_meter_that_refuses_the_link_is_told_apart(kind: Kind) -> None:
    refusal = Frame(Address(16), Address(1), kind).encode()
    with pytest.raises(MeterError, match="answered") as caught:
        driver_of(Saying(refusal)).read(PUBLIC)
    assert caught.value.retry


class Answering(VirtualDlmsMeter):
    """A meter whose server gives fixed answers after the log-in."""

    def __init__(self, answer: bytes | None, log_in: bytes | None = None) -> None:
        super().__init__(household())
        handle = self.server.handle

        def handled(apdu: bytes) -> bytes:
            fixed = log_in if apdu[0] == 0x60 else answer
            return handle(apdu) if fixed is None else fixed

        self.server.handle = handled  # type: ignore[method-assign]


@pytest.mark.parametrize(
    "answer",
    ["c401c1", "c50100", "c402c1000000000500 0100", "cc0101", "c401c100", "c401c1001605ff"],
    ids=["cut", "of another service", "another block", "ciphered", "no value", "more than a value"],
)
def test_an_answer_that_breaks_the_rules_is_a_decode_error(answer: str) -> None:
    with pytest.raises(DecodeError):
        driver_of(Answering(bytes.fromhex(answer))).read(PUBLIC)


@pytest.mark.parametrize("refusal", ["d80101", "0e010600", "c401c10103"])
def test_refusals_of_every_kind_are_meter_errors(refusal: str) -> None:
    with pytest.raises(MeterError):
        driver_of(Answering(bytes.fromhex(refusal))).read(replace(PUBLIC, meter=METER))


@pytest.mark.parametrize(
    ("answer", "error"),
    [("d80101", LoginError), ("0e010600", LoginError), ("6100", DecodeError), ("6203800100", DecodeError)],
)
def test_refused_log_ins_are_told(answer: str, error: type[DriverError]) -> None:
    with pytest.raises(error):
        driver_of(Answering(None, bytes.fromhex(answer))).read(PUBLIC)


class Replaying(VirtualDlmsMeter):
    """Somebody in between: ciphered answers are replaced once the meter proved itself."""

    def __init__(self, replace_with: Callable[[list[bytes]], bytes]) -> None:
        super().__init__(household(), access=CLOSED)
        handle, said = self.server.handle, []

        def handled(apdu: bytes) -> bytes:
            answer = handle(apdu)
            if answer[0] in (0xCC, 0xDB):
                said.append(answer)
                if len(said) > 2:
                    return replace_with(said)
            return answer

        self.server.handle = handled  # type: ignore[method-assign]


@pytest.mark.parametrize(
    ("replaced", "text"),
    [
        (lambda said: said[-2], "an old answer"),
        (lambda said: said[-1][:-1] + bytes((said[-1][-1] ^ 1,)), "tag is wrong"),
        (lambda said: bytes.fromhex("c401c1000600000001"), "without protection"),
    ],
    ids=["replayed", "altered", "unprotected"],
)
def test_answers_that_are_not_the_meters_are_not_believed(
    replaced: Callable[[list[bytes]], bytes], text: str
) -> None:
    with pytest.raises(DecodeError, match=text):
        driver_of(Replaying(replaced)).read(HIGH)


def test_meters_on_one_wire_answer_to_their_physical_addresses() -> None:
    meters = [
        meter_of(
            dict(made.identity("HSP", str(lower)))
            | made.register("1-0:1.8.0", Data(Tag.UNSIGNED, lower), 3, 30),
            address=Address(1, lower),
        )
        for lower in (17, 18)
    ]
    driver = driver_of(VirtualBus(meters))
    for address, lower in (("16/1/18", 18), ("16/1/17", 17), ("16/1/18:4", 18)):
        [readout] = driver.read(Target(address))
        assert readout.meter == f"HSP-{lower}"
        assert readout.values == {"1-0:1.8.0": Quantity(lower * 1_000_000, "kW.h")}
    with pytest.raises(NoAnswerError):
        driver.read(Target("16/1/19", retries=0))


def test_a_planned_readout_takes_about_as_long_as_a_real_one() -> None:
    driver = driver_of(meter_of(reaction=0.1))
    unknown = driver.readout_time(PUBLIC)
    driver.read(PUBLIC)
    begun = driver.line.now()
    driver.read(PUBLIC)
    assert driver.readout_time(PUBLIC) == pytest.approx(driver.line.now() - begun, rel=0.15)
    assert driver.readout_time(PUBLIC) < unknown < driver_of(meter_of(), settings=HEAD).readout_time(PUBLIC)
    with pytest.raises(DriverError, match="no DLMS address"):
        driver.readout_time(Target("x"))


def test_a_search_names_a_lone_meter_once_and_leaves_the_line_as_it_was() -> None:
    driver = driver_of(meter_of())
    driver.line.configure(SerialSettings(2400))
    events = list(driver.search(Scope(settings=[SerialSettings(2400), DIRECT])))
    assert [one for one in events if isinstance(one, Found)] == [
        Found("16/1", DIRECT, METER, description="DLMS")
    ]
    assert [one for one in events if isinstance(one, Progress)][-1].done == 10
    assert driver.line.settings == DIRECT
    assert driver.read(PUBLIC)[0].values == PRESENT


def test_a_search_tells_meters_that_want_a_password_and_noise() -> None:
    scope = Scope(addresses=["16/1"])
    events = list(driver_of(meter_of(access=replace(CLOSED, public=False))).search(scope))
    assert events[1] == Found("16/1", DIRECT, description="DLMS; asks for a password or key")
    events = list(driver_of(Saying(b"\x7e\xa0 noise")).search(scope))
    assert [type(one) for one in events] == [Progress, Suspicion, Progress]
    events = list(driver_of(Answering(bytes.fromhex("c401c1"))).search(scope))
    assert isinstance(events[1], Found)
    assert events[1].meter is None


IDENTIFICATION = Identification("LGz", "5", "\\2ZMD310")


@pytest.mark.parametrize("confirms", [True, False])
@pytest.mark.parametrize("manufacturer", ["LGz", "LGZ"])
def test_an_optical_head_is_opened_by_mode_e(manufacturer: str, confirms: bool) -> None:
    head = VirtualHead(meter_of(), replace(IDENTIFICATION, manufacturer=manufacturer), confirms=confirms)
    driver = driver_of(head, settings=HEAD)
    for _ in range(2):
        assert driver.read(PUBLIC)[0].values == PRESENT
        assert driver.line.settings == HEAD


def test_a_head_without_mode_e_is_told() -> None:
    for identification in (replace(IDENTIFICATION, type="ZMD310"), replace(IDENTIFICATION, baud="X")):
        with pytest.raises(UnsupportedError, match="mode E"):
            driver_of(VirtualHead(meter_of(), identification), settings=HEAD).read(PUBLIC)
    with pytest.raises(NoAnswerError, match="sign-on"):
        driver_of(Saying(b""), settings=HEAD).read(PUBLIC)
    for noise in (b"\xff/LG", bytes(4096)):
        with pytest.raises(GarbledAnswerError, match="no identification"):
            driver_of(Saying(noise), settings=HEAD).read(PUBLIC)


def test_a_head_behind_a_serial_server_is_not_possible() -> None:
    line = open_line("tcp://127.0.0.1:1", HEAD)
    with pytest.raises(UnsupportedError, match="cannot change its speed"):
        open_driver("dlms", line, lambda: NOW).read(PUBLIC)


@given(st.lists(st.binary(max_size=40), max_size=6), st.booleans())
def test_a_virtual_meter_bears_any_apdus_and_bytes(heard: list[bytes], log_in: bool) -> None:
    meter = meter_of(access=CLOSED if log_in else OPEN)
    for data in heard:
        meter.hear(data, DIRECT)
        meter.hear(Frame(Address(1), Address(16), Kind.SET_NORMAL_RESPONSE_MODE, data).encode(), DIRECT)
        meter.hear(Frame(Address(1), Address(16), Kind.INFORMATION, b"\xe6\xe6\0" + data).encode(), DIRECT)
        meter.server.handle(data)
        meter.server.handle(encode_apdu(GetRequest(OBJECT_LIST)) + data)
    assert meter.hear(b"", SerialSettings(2400)) == []


@pytest.mark.parametrize(
    "wiring",
    [
        Wiring(time_scale=0),
        Wiring(time_scale=0, echo=True),
        Wiring(piece=7, piece_gap=0.001),
        Wiring(stray=b"\x7e\x00"),
    ],
    ids=str,
)
@pytest.mark.parametrize("kind", [PtyMeterHost, TcpMeterHost])
def test_meters_are_read_over_real_lines(kind: type[PtyMeterHost], wiring: Wiring) -> None:
    fast = replace(default_settings("dlms"), baud=115200)
    meter = meter_of(access=CLOSED, settings=fast, reaction=0.0)
    with kind(meter, fast, wiring) as host:
        line = open_line(host.spec, fast)
        assert open_driver("dlms", line, lambda: NOW).read(HIGH)[0].values == PRESENT
        line.close()
