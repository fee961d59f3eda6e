"""A meter's clock: forms of date and time, hours that occur twice, and setting it."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.driver import Target
from drivers.errors import MeterError, UnsupportedError
from drivers.line import SerialSettings, Transmission
from drivers.optical.codec.dataset import decode_sets
from drivers.optical.codec.instants import clock_instant, date_like, stamp, time_like
from drivers.optical.codec.registers import clock
from drivers.optical.codec.telegram import DataBlock, Frame, ProgrammingCommand
from drivers.optical.master import OpticalDriver
from drivers.optical.virtual_programming import ProgrammingMode, VirtualClock
from tests.drivers.optical.meters import BERLIN, EKT, NOW, Listening, answers, driver_of, programmable

FORMS = [
    ("261122", "130000"),
    ("0261122", "0130000"),
    ("26-11-22", "13:00:00"),
    ("2026-11-22", "13:00:00"),
    ("2261122", "2120000"),
    ("00.22.11.26", "13:00:00"),
]
instants = st.integers(10**9, 3 * 10**9).map(lambda second: datetime.fromtimestamp(second, UTC))


@pytest.mark.parametrize(("date", "time"), FORMS)
def test_the_forms_of_a_clock_are_understood_and_written_alike(date: str, time: str) -> None:
    assert clock_instant(date, time, BERLIN, NOW) == NOW
    assert (date_like(date, NOW, BERLIN), time_like(time, NOW, BERLIN)) == (date, time)


@given(instants, st.sampled_from(FORMS), st.sampled_from(["Europe/Berlin", "Asia/Kolkata", "UTC"]))
def test_what_is_written_is_what_is_read(at: datetime, form: tuple[str, str], zone: str) -> None:
    date, time = date_like(form[0], at, ZoneInfo(zone)), time_like(form[1], at, ZoneInfo(zone))
    assert date is not None
    assert time is not None
    assert clock_instant(date, time, ZoneInfo(zone), at) == at


@given(
    st.text(st.sampled_from("0123456789:-.s "), max_size=13),
    st.text(st.sampled_from("0123456789:"), max_size=9),
)
def test_any_text_is_a_clock_or_none(date: str, time: str) -> None:
    shown = clock_instant(date, time, BERLIN, NOW)
    assert shown is None or shown.tzinfo is UTC


@pytest.mark.parametrize(
    ("date", "time"), [("261322", "130000"), ("", "130000"), ("261122", "1300"), ("soon", "now")]
)
def test_what_is_no_date_or_time_is_none(date: str, time: str) -> None:
    assert clock_instant(date, time, BERLIN, NOW) is None


@pytest.mark.parametrize(
    "near", [datetime(2026, 10, 25, 0, 31, tzinfo=UTC), datetime(2026, 10, 25, 1, 29, tzinfo=UTC)]
)
def test_an_hour_that_occurs_twice_is_the_nearer_one(near: datetime) -> None:
    assert clock_instant("261025", "023000", BERLIN, near) == near.replace(minute=30)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("0.9.1(130000)0.9.2(261122)", NOW),
        ("1-0:0.9.1*255(130000)1-0:0.9.2*255(261122)", NOW),
        ("0.9.1(130000)", None),
        ("0.9.1(130000)0.9.2*05(261122)", None),  # of a closed period
        ("0.9.1()0.9.2()", None),
    ],
)
def test_the_clock_is_in_two_registers_of_the_readout(text: str, shown: datetime | None) -> None:
    assert clock(decode_sets(text.encode()), BERLIN, NOW) == shown


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("0.9.2(261122)0.9.1(000000)", 0),  # the date was read before midnight, the time after
        ("0.9.1(235959)0.9.2(261123)", -1),  # and the other way round
        ("0.9.2(261123)0.9.1(000000)", 0),
        ("0.9.2(261122)0.9.1(235930)", -30),
        ("0.9.2(261122)0.9.1(000130)", 90 - 86_400),  # no longer midnight: a day behind
    ],
)
def test_a_clock_that_is_read_at_midnight_shows_the_nearer_day(text: str, seconds: int) -> None:
    midnight = datetime(2026, 11, 22, 23, tzinfo=UTC)
    assert clock(decode_sets(text.encode()), BERLIN, midnight) == midnight + timedelta(seconds=seconds)


def test_a_stamp_of_a_load_profile_tells_the_season() -> None:
    assert stamp(datetime(2013, 1, 31, 7, tzinfo=UTC), BERLIN) == "01301310800"  # the example of LEM's manual
    assert stamp(datetime(2026, 7, 1, 10, tzinfo=UTC), BERLIN) == "12607011200"


class Pretending(VirtualClock):
    """Says that it was set (or not), and never is."""

    says = True

    def set(self, register: str, text: str) -> bool:
        return self.says


class Refusing(Pretending):
    says = False


def meter_and_driver(
    like: tuple[str, str] = ("000000", "000000"), drift: float = 0.0, kind: type[VirtualClock] = VirtualClock
) -> tuple[VirtualClock, OpticalDriver, Listening]:
    drivers: list[OpticalDriver] = []
    its = kind(
        lambda: NOW + timedelta(seconds=drivers[0].line.now()),
        BERLIN,
        drift=timedelta(seconds=drift),
        like=like,
    )
    listening = Listening(programmable(ProgrammingMode(answers("C.1.0(1)"), password="12345678", clock=its)))
    drivers.append(driver_of(listening))
    return its, drivers[0], listening


TARGET = Target("", time_zone=BERLIN, password="12345678")


@pytest.mark.parametrize("like", FORMS)
@pytest.mark.parametrize("drift", [-7200.0, 41.3, 90_000.0])
def test_the_clock_is_set_to_the_second_in_the_meters_own_form(like: tuple[str, str], drift: float) -> None:
    its, driver, listening = meter_and_driver(like, drift)
    driver.set_clock(TARGET, NOW)  # what the session takes is added
    assert abs(its.drift) < timedelta(seconds=0.001)
    assert any(b"W1\x020.9.1(" in data for data in listening.heard)
    [readout] = driver.read_registers(TARGET, ["C.1.0", "0.9.1", "0.9.2"])
    assert readout.clock is not None
    assert abs(readout.clock - readout.at) <= timedelta(seconds=1)


def test_a_clock_is_not_set_while_the_day_changes() -> None:
    its, driver, _ = meter_and_driver()
    midnight = datetime(2026, 11, 22, 23, 0, tzinfo=UTC)
    driver.set_clock(TARGET, midnight - timedelta(seconds=4))
    assert abs(
        its.present() - (midnight - timedelta(seconds=4) + timedelta(seconds=driver.line.now()))
    ) < timedelta(seconds=0.001)


def test_a_time_that_was_lost_on_the_way_is_written_anew_and_not_repeated() -> None:
    its, driver, listening = meter_and_driver(drift=60.0)
    lost: list[bytes] = []
    hear = listening.virtual.hear

    class Losing:
        def hear(self, data: bytes, settings: SerialSettings) -> list[Transmission]:
            if b"W1\x020.9.1" in data and not lost:
                lost.append(data)
                return []
            return hear(data, settings)

    listening.virtual = Losing()
    driver.set_clock(TARGET, NOW)
    written = [data for data in listening.heard if b"W1\x020.9.1" in data]
    assert len(written) == 2
    assert written[0] != written[1]
    assert abs(its.drift) < timedelta(seconds=0.001)


def test_without_the_password_the_clock_is_not_set() -> None:
    its, driver, _ = meter_and_driver(drift=60.0)
    with pytest.raises(MeterError, match="error 04") as caught:
        driver.set_clock(Target("", time_zone=BERLIN), NOW)
    assert "password" in caught.value.advice
    assert its.drift == timedelta(seconds=60)


def test_a_meter_that_shows_another_time_afterwards_is_told() -> None:
    _, driver, _ = meter_and_driver(drift=60.0, kind=Pretending)
    with pytest.raises(MeterError, match="but shows 261122") as caught:
        driver.set_clock(TARGET, NOW)
    assert "time zone" in caught.value.advice


def test_a_refused_time_is_a_meter_error() -> None:
    _, driver, _ = meter_and_driver(kind=Refusing)
    with pytest.raises(MeterError) as caught:
        driver.set_clock(TARGET, NOW)
    assert caught.value.code == 11


def test_a_clock_in_a_form_that_nobody_knows_is_left_alone() -> None:
    mode = ProgrammingMode(answers("0.9.1(13h00)0.9.2(22 Nov)"))
    with pytest.raises(UnsupportedError, match="22 Nov"):
        driver_of(programmable(mode)).set_clock(Target(""), NOW)
    with pytest.raises(UnsupportedError, match="not documented"):
        driver_of(programmable(mode, EKT)).set_clock(Target("", profile="energomera"), NOW)


def test_a_write_that_is_answered_by_data_is_no_acknowledgement() -> None:
    class Telling(ProgrammingMode):
        def hear(self, frame: Frame) -> Frame | None:
            is_write = isinstance(frame, ProgrammingCommand) and frame.name == "W1"
            return DataBlock(b"0.9.2(261122)") if is_write else super().hear(frame)

    mode = Telling(answers("0.9.1(130000)0.9.2(261122)"))
    with pytest.raises(MeterError, match=r"did not acknowledge the new 0\.9\.2"):
        driver_of(programmable(mode)).set_clock(Target(""), NOW)
