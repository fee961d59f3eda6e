"""Logging in, losing frames, and answers that break the rules or are not the meter's."""

import logging
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.dlms.association import LoginError
from drivers.dlms.codec.apdu import SetRequest, encode_apdu
from drivers.dlms.codec.clock import encode_date_time
from drivers.dlms.codec.data import octet_string
from drivers.dlms.codec.hdlc import Frame, HdlcAddress, HdlcControl, HdlcParameters, decode_frame
from drivers.dlms.codec.objects import CLOCK
from drivers.dlms.master import DlmsDriver
from drivers.dlms.virtual import DIRECT, VirtualDlmsMeter
from drivers.driver import Target
from drivers.errors import (
    DecodeError,
    DriverError,
    GarbledAnswerError,
    LineError,
    MeterError,
    NoAnswerError,
)
from drivers.line import SerialSettings, Transmission, VirtualMeter
from drivers.simulated import SimulatedLine
from tests.drivers.dlms.household import (
    BERLIN,
    CLOSED,
    HIGH,
    KEY,
    LOW,
    METER,
    NOW,
    PASSWORD,
    PRESENT,
    PUBLIC,
    Answering,
    Saying,
    driver_of,
    household,
    meter_of,
    months,
)


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


def test_a_meter_that_is_deaf_to_the_public_client_is_read_all_the_same() -> None:
    meter = meter_of(access=CLOSED)
    driver = driver_of(Deaf(meter, HdlcAddress(16)))
    assert driver.read(replace(HIGH, retries=0))[0].values == PRESENT
    silent = driver_of(Saying(b""))
    with pytest.raises(NoAnswerError):
        silent.read(replace(HIGH, retries=0))
    assert silent.tally.exchanges == 2  # the public client, then this one: no log-in without a link


class Deaf:
    """Does not hear one client."""

    def __init__(self, meter: VirtualMeter, client: HdlcAddress) -> None:
        self.meter = meter
        self.client = client

    def hear(self, data: bytes, settings: SerialSettings) -> list[Transmission]:
        return [] if decode_frame(data).source == self.client else self.meter.hear(data, settings)


@pytest.mark.parametrize("now", [datetime(1970, 1, 1, tzinfo=UTC), NOW])
def test_a_clock_that_was_never_set_gives_a_counter_too(now: datetime) -> None:
    meter = meter_of(access=replace(CLOSED, public=False))
    assert driver_of(meter, lambda: now).read(HIGH)[0].values["1-0:1.8.0"] == PRESENT["1-0:1.8.0"]


def test_a_key_whose_counters_are_used_up_is_told() -> None:
    meter = meter_of(access=CLOSED)
    meter.server.clients_counter = 0xFFFF_FFFE
    with pytest.raises(LoginError, match="used up"):
        driver_of(meter).read(HIGH)


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
        meter = meter_of(parameters=HdlcParameters(128, 40))
        driver = driver_of(Lossy(meter, lost, flaw, asks=asks))
        present, *kept = driver.read(PUBLIC)
        assert present.values == PRESENT
        assert len(kept) == len(months()) + 1
        assert driver.tally.retries == 1
        assert driver.tally.timeouts + driver.tally.garbled == 1


def test_billing_periods_that_were_not_told_for_a_failure_are_told_the_next_time() -> None:
    for lost in range(2, 30):
        driver = driver_of(Lossy(meter_of(), lost, lambda data: b"", asks=True))
        told = []
        for _ in range(2):
            try:
                told += driver.read(replace(PUBLIC, retries=0))
            except NoAnswerError:
                continue
        assert len([one for one in told if one.status]) == len(months()) + 1


def test_a_line_that_is_lost_at_the_end_takes_nothing_away() -> None:
    class Breaking(SimulatedLine):
        def send(self, data: bytes) -> None:
            if decode_frame(data).kind is HdlcControl.DISCONNECT:
                raise LineError("unplugged")
            super().send(data)

    driver = DlmsDriver(Breaking(meter_of(), DIRECT), lambda: NOW)
    assert len(driver.read(PUBLIC)) == len(months()) + 2


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


class Late:
    """Answer number `late` comes so late that it has been asked for again."""

    def __init__(self, meter: VirtualMeter, late: int, seconds: float) -> None:
        self.meter = meter
        self.late = late
        self.seconds = seconds
        self.count = 0

    def hear(self, data: bytes, settings: SerialSettings) -> list[Transmission]:
        self.count += 1
        said = self.meter.hear(data, settings)
        return [replace(one, delay=self.seconds) for one in said] if self.count == self.late else said


@pytest.mark.parametrize("seconds", [1.99, 2.01, 2.5])
def test_a_late_answer_is_not_taken_for_the_next_one(seconds: float) -> None:
    undisturbed = driver_of(meter_of())
    undisturbed.read(PUBLIC)
    for late in range(2, 27):
        driver = driver_of(Late(meter_of(), late, seconds))
        present, *kept = driver.read(PUBLIC)
        assert present.values == PRESENT
        assert len(kept) == len(months()) + 1
        assert driver.tally.exchanges <= undisturbed.tally.exchanges + 1


class Chatty:
    """A meter on whose wire another one talks, too."""

    def __init__(self, meter: VirtualMeter, stranger: Frame) -> None:
        self.meter = meter
        self.stranger = stranger

    def hear(self, data: bytes, settings: SerialSettings) -> list[Transmission]:
        return [Transmission(self.stranger.encode()), *self.meter.hear(data, settings)]


@pytest.mark.parametrize(
    "stranger",
    [
        Frame(HdlcAddress(16), HdlcAddress(2), HdlcControl.DISCONNECTED_MODE),
        Frame(HdlcAddress(17), HdlcAddress(1), HdlcControl.DISCONNECTED_MODE),
        Frame(HdlcAddress(1), HdlcAddress(16), HdlcControl.INFORMATION, b"another master"),
        Frame(HdlcAddress(16), HdlcAddress(1), HdlcControl.INFORMATION, b"an old answer", send=7),
    ],
    ids=["another server", "another client", "another master", "an old answer"],
)
def test_the_frames_of_others_are_passed_over(stranger: Frame) -> None:
    clock_of_it = driver_of(Chatty(meter_of(dict(list(household().items())[:4])), stranger))
    assert clock_of_it.read(PUBLIC)[0].values == {"1-0:1.8.0": PRESENT["1-0:1.8.0"]}


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


@pytest.mark.parametrize("kind", [HdlcControl.DISCONNECTED_MODE, HdlcControl.FRAME_REJECT])
def test_a_meter_that_refuses_the_link_is_told_apart(kind: HdlcControl) -> None:
    refusal = Frame(HdlcAddress(16), HdlcAddress(1), kind).encode()
    with pytest.raises(MeterError, match="answered") as caught:
        driver_of(Saying(refusal)).read(PUBLIC)
    assert caught.value.retry


@pytest.mark.parametrize(
    "answer",
    ["c401c1", "c50100", "c402c1000000000500 0100", "cc0101", "c401c100", "c401c1001605ff"],
    ids=["cut", "of another service", "another block", "ciphered", "no value", "more than a value"],
)
def test_an_answer_that_breaks_the_rules_is_a_decode_error(answer: str) -> None:
    with pytest.raises(DecodeError):
        driver_of(Answering(bytes.fromhex(answer))).read(PUBLIC)


@given(st.binary(max_size=40), st.sampled_from(["after the log-in", "to the log-in", "framed", "raw"]))
def test_whatever_a_meter_says_only_driver_errors_come_of_it(said: bytes, when: str) -> None:
    link = Frame(HdlcAddress(16), HdlcAddress(1), HdlcControl.INFORMATION, b"\xe6\xe7\0" + said).encode()
    meter: VirtualMeter = {
        "after the log-in": Answering(said),
        "to the log-in": Answering(None, said),
        "framed": Saying(link),
        "raw": Saying(said),
    }[when]
    with pytest.raises(DriverError):
        driver_of(meter).read(replace(PUBLIC, retries=0))


@given(st.integers(0, 40), st.integers(0, 120), st.integers(1, 255), st.booleans())
def test_whatever_a_meter_says_wrong_only_driver_errors_come_of_it(
    turn: int, position: int, flip: int, hides: bool
) -> None:
    meter = meter_of()
    meter.server.hides_objects = hides
    handle, count = meter.server.handle, iter(range(1000))

    def altered(apdu: bytes) -> bytes:
        answer = bytearray(handle(apdu))
        if next(count) == turn:
            answer[position % len(answer)] ^= flip
        return bytes(answer)

    meter.server.handle = altered  # type: ignore[method-assign]
    try:
        assert driver_of(meter).read(PUBLIC)
    except DriverError:
        return


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
