"""Load profiles are fetched when nobody is due: once a day, and after an outage what is missing."""

import random
from datetime import UTC, datetime, timedelta, tzinfo
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest

from drivers.driver import Target
from drivers.errors import LineError, MeterError
from drivers.optical.codec.dataset import decode_sets
from drivers.optical.master import OpticalDriver
from drivers.optical.virtual import OPTICAL
from drivers.optical.virtual_programming import ProgrammingMode, VirtualLoadProfile
from drivers.simulated import SimulatedLine
from gateway.clock.kernel import ClockReference, trusted_clock
from gateway.line.polled_meter import PolledMeter
from gateway.line.poller import LinePoller
from gateway.schedule import parse_schedule
from telemetry.readout import Readout
from telemetry.status import Status
from tests.drivers.optical.meters import programmable
from tests.gateway.conftest import BEGIN, HandClock
from tests.gateway.scripted import Bench

BERLIN = ZoneInfo("Europe/Berlin")
HOUR = 3600.0
QUARTER = timedelta(minutes=15)


def bench(clock: HandClock, meters: int = 1, zone: tzinfo = UTC, **options: object) -> Bench:
    clock.advance(1)
    return Bench(clock, meters, zone=zone, load_profiles=["1"], **options)


def periods(line: Bench) -> list[datetime]:
    return sorted({one.at for one in line.kept if Status.HISTORICAL in one.status})


def test_the_day_that_is_over_is_fetched_after_midnight_and_only_once(clock: HandClock) -> None:
    line = bench(clock, zone=BERLIN)
    midnight = datetime(2026, 11, 23, tzinfo=BERLIN).astimezone(UTC)
    line.run_until((midnight - BEGIN).total_seconds() - 1)
    assert line.driver.profiles == []
    line.run_until((midnight - BEGIN).total_seconds() + 60)
    day = midnight - timedelta(days=1)
    assert [(since, until) for _, since, until in line.driver.profiles] == [
        (day + timedelta(hours=hours), day + timedelta(hours=hours + 6)) for hours in (0, 6, 12, 18)
    ]
    assert periods(line) == [day + n * QUARTER for n in range(97)]
    line.run_until((midnight - BEGIN).total_seconds() + 12 * HOUR)
    assert len(line.driver.profiles) == 4


def test_what_passed_while_the_gateway_did_not_run_is_fetched_at_its_start(clock: HandClock) -> None:
    line = bench(clock, last_alive=BEGIN - timedelta(hours=30))
    line.run_until(60)
    found = periods(line)
    assert found[0] == BEGIN - timedelta(hours=54), "the day before may not have been fetched yet"
    assert found[-1] > BEGIN - QUARTER
    assert max(b - a for a, b in pairwise(found)) <= QUARTER


def test_an_absence_is_made_up_for_as_far_back_as_its_misses_are_told(clock: HandClock) -> None:
    line = bench(clock, last_alive=BEGIN - timedelta(days=400))
    line.run_until(60)
    assert line.driver.profiles[0][1] == BEGIN + timedelta(seconds=1) - timedelta(days=7)


def test_readings_of_midnight_and_polls_come_first(clock: HandClock) -> None:
    line = bench(clock, 5, last_alive=BEGIN - timedelta(hours=1), seconds=20.0)
    midnight = (datetime(2026, 11, 23, tzinfo=UTC) - BEGIN).total_seconds()
    line.run_until(midnight + 600)
    reads = [at for _, at in line.driver.reads if at >= datetime(2026, 11, 23, tzinfo=UTC)]
    assert [at - reads[0] for at in reads] == [timedelta(seconds=20 * n) for n in range(5)]
    assert {miss.reason for miss in line.misses} <= {"not running"}


def test_nothing_is_begun_shortly_before_midnight(clock: HandClock) -> None:
    clock.advance((datetime(2026, 11, 22, 23, 58, 30, tzinfo=UTC) - BEGIN).total_seconds())
    line = Bench(clock, 1, load_profiles=["1"], last_alive=BEGIN)
    line.run_until((datetime(2026, 11, 23, tzinfo=UTC) - BEGIN).total_seconds() - 1)
    assert line.driver.profiles == []
    line.run_until((datetime(2026, 11, 23, tzinfo=UTC) - BEGIN).total_seconds() + 60)
    assert line.driver.profiles


@pytest.mark.expects_log("load profile cannot be read")
def test_a_meter_that_refuses_is_told_once_and_asked_again_an_hour_later(
    clock: HandClock, caplog: pytest.LogCaptureFixture
) -> None:
    line = bench(clock, last_alive=BEGIN - timedelta(hours=1))
    line.driver.errors["profile"] = MeterError("the meter says (ER23)", 23)
    line.run_until(3 * HOUR - 60)
    assert len(line.driver.profiles) == 3
    assert len(line.misses) == 4, "the hour before the start; no poll suffers"
    assert [record.message for record in caplog.records].count("load profile cannot be read") == 1
    del line.driver.errors["profile"]
    line.run_until(4 * HOUR)
    assert periods(line)


@pytest.mark.expects_log("line is down")
def test_a_line_that_is_lost_meanwhile_loses_no_period(clock: HandClock) -> None:
    line = bench(clock, last_alive=BEGIN - timedelta(hours=1))
    line.driver.errors["profile"] = LineError("unplugged")
    line.run_until(5)
    del line.driver.errors["profile"]
    line.run_until(HOUR)
    assert line.driver.profiles[0] == line.driver.profiles[-5]
    assert periods(line)[0] == BEGIN - timedelta(hours=25)


def test_another_configuration_goes_on_where_the_one_before_stood(clock: HandClock) -> None:
    line = bench(clock, last_alive=BEGIN - timedelta(hours=1))
    line.run_until(60)
    asked = len(line.driver.profiles)
    assert asked > 0
    before = line.poller
    after = line.new_poller(load_profiles=["1"])
    after.take_over([before])
    line.run_until(HOUR)
    assert len(line.driver.profiles) == asked


def test_a_real_driver_tells_the_day_of_an_optical_meter_after_its_reading_of_midnight() -> None:
    begin = datetime(2026, 11, 20, 22, 50, tzinfo=UTC)  # 23:50 in Berlin
    quarters = [begin - timedelta(hours=24) + n * QUARTER for n in range(97)]
    rows = [(at + timedelta(minutes=10), (f"{1000 + n}.25",)) for n, at in enumerate(quarters)]
    mode = ProgrammingMode(
        {"C.1.0": "C.1.0(03878504)"}, load_profile=VirtualLoadProfile([("1.8.0", "kWh")], rows, BERLIN)
    )
    sets = decode_sets(b"0.0.0(03878504)\r\n1.8.0(001100.25*kWh)\r\n")
    line = SimulatedLine(programmable(mode, sets=sets), OPTICAL)

    def clock() -> datetime:
        return begin + timedelta(seconds=line.now())

    kept: list[Readout] = []
    poller = LinePoller(
        "optical",
        [
            PolledMeter(
                Target("", time_zone=BERLIN), parse_schedule("15min", BERLIN), "optical", load_profile=True
            )
        ],
        line,
        OpticalDriver(line, clock),
        lambda readouts, misses=(), *, unsynchronised=None: kept.extend(readouts),
        clock=clock,
        reference=ClockReference(trusted_clock),
        rng=random.Random(1),
    )
    while line.now() < 1200:
        line.wait(poller.poll())
    historical = [one for one in kept if Status.HISTORICAL in one.status]
    assert kept[0] not in historical, "the reading of midnight came first"
    assert {one.at for one in historical} == {at for at, _ in rows}
    assert {one.meter for one in kept} == {"EMH-03878504"}
