"""The virtual building: one story, told by history, telegrams and restarts alike."""

from datetime import UTC, datetime, timedelta
from itertools import pairwise

import numpy as np
import pytest

from gateway.config.file import load_config
from hesper.demo.building import Building, BuildingMeter, build, month_start
from hesper.demo.faults import microseconds
from hesper.demo.gateway_config import gateway_config
from hesper.demo.history import History
from hesper.demo.meters import read_at
from hesper.demo.registry import registry_of
from hesper.demo.run import full_months
from hesper.demo.state import DemoState
from metering.registry.checks import check
from telemetry.obis import Medium
from telemetry.readout import Readout
from telemetry.status import Status
from telemetry.wire import Batch, Outcome, encode
from tests.telemetry.read_back import read_back

BORN = datetime(2026, 11, 22, 2, 50, tzinfo=UTC)


@pytest.fixture(scope="module")
def building() -> Building:
    return build(1, BORN)


def at_point(building: Building, point: str) -> BuildingMeter:
    return next(meter for meter in building.meters_now if meter.point == point)


def batches(history: History, limit: int = 7) -> list[Batch]:
    found: list[Batch] = []
    while handed := history.next_batches(limit):
        found += handed
    return found


def test_twenty_four_flats_and_their_house_meters(building: Building) -> None:
    assert len(building.meters_now) == 24 * 4 + 5
    assert len({meter.meter for meter in building.meters}) == len(building.meters) == 102  # one was swapped
    assert {meter.line for meter in building.meters} == {"water", "heat", "electricity", "optical"}


def test_the_same_seed_and_birth_tell_the_same_story_and_another_seed_another(building: Building) -> None:
    again, other = build(1, BORN), build(2, BORN)
    first = building.meters[0].value(BORN)
    assert again.meters[0].value(BORN) == first
    assert other.meters[0].value(BORN) != first


def test_counters_only_grow_but_for_the_planted_faults(building: Building) -> None:
    hours = np.arange(microseconds(building.begins), microseconds(BORN), 3_600_000_000, dtype=np.int64)
    falling = {meter.meter for meter in building.meters if (np.diff(meter.source.at(hours)) < 0).any()}
    swapped_in = {meter.meter for meter in building.meters if meter.installed_from is not None}
    planted = {fault.meter for fault in building.faults if fault.kind in {"glitch", "reset", "rollover"}}
    assert falling - swapped_in == planted


def test_a_house_meter_shows_what_the_flats_used_and_a_loss(building: Building) -> None:
    month = (month_start(BORN, 6), month_start(BORN, 5))
    flats = sum(
        meter.value(month[1]) - meter.value(month[0])
        for meter in building.meters_now
        if meter.point.startswith("flat")
        and meter.point.endswith(("-cw", "-hw"))
        and "19-cw" not in meter.point
    )
    rolled = at_point(building, "flat-19-cw")
    flats += (rolled.value(month[1]) - rolled.value(month[0])) % (10**rolled.digits * 1_000_000)
    house = at_point(building, "house-cw")
    used = house.value(month[1]) - house.value(month[0])
    assert used == pytest.approx(flats * 1.02, rel=0.001)


def test_a_leak_runs_through_the_house_meter_too(building: Building) -> None:
    night = BORN - timedelta(days=2), BORN - timedelta(days=1)
    leaking, house = at_point(building, "flat-07-cw"), at_point(building, "house-cw")
    (leak,) = [fault for fault in building.faults if fault.kind == "leak"]
    assert leak.meter == leaking.meter
    assert leaking.value(night[1]) - leaking.value(night[0]) > 24 * 14_000
    assert house.value(night[1]) - house.value(night[0]) > leaking.value(night[1]) - leaking.value(night[0])


def test_a_dead_meter_does_not_answer_and_an_expired_verification_is_known(building: Building) -> None:
    (dead,) = [fault.meter for fault in building.faults if fault.kind == "dead"]
    assert dead not in {meter.meter for meter in building.answering}
    assert dead in {meter.meter for meter in building.meters_now}
    expired = at_point(building, "flat-12-heat").verified_until
    assert expired is not None
    assert expired < BORN.date()


@pytest.mark.parametrize(
    "point", ["flat-01-cw", "flat-01-hw", "flat-02-heat", "flat-02-el", "house-el", "common-el"]
)
def test_a_driver_reads_from_the_telegram_what_the_model_shows(building: Building, point: str) -> None:
    meter = at_point(building, point)
    present, *earlier = read_at(meter, BORN)
    assert present.meter == meter.meter
    assert present.raw
    quantity = present.values[meter.obis]
    assert quantity.unit == meter.unit
    assert quantity.micro == meter.value(BORN)
    if meter.line in {"water", "heat"}:  # M-Bus meters keep the beginning of each month
        (kept,) = earlier
        assert (kept.at, kept.status) == (month_start(BORN), Status.HISTORICAL)
        assert kept.values[meter.obis].micro == meter.value(month_start(BORN))


def test_history_is_the_same_batches_each_time_with_rising_numbers(building: Building) -> None:
    since = BORN - timedelta(days=3)
    first = batches(History(building, since, BORN))
    again = batches(History(building, since, BORN), limit=1)
    assert [encode(batch) for batch in first] == [encode(batch) for batch in again]
    assert [batch.batch for batch in first] == list(range(1, len(first) + 1))
    instants = [readout.at for batch in first for readout in batch.readouts]
    assert min(instants) >= since.timestamp() * 1000
    assert max(instants) < BORN.timestamp() * 1000
    assert len(instants) == 3 * 24 * len(building.answering)


def test_a_month_begins_with_real_telegrams(building: Building) -> None:
    begin = month_start(BORN)
    history = History(building, begin, begin + timedelta(hours=2))
    readouts: list[Readout] = [read_back(one) for batch in batches(history) for one in batch.readouts]
    with_bytes = {readout.meter for readout in readouts if readout.raw}
    silent = {
        meter.meter
        for meter in building.meters_now
        if meter.silent and meter.silent[0] <= begin < meter.silent[1]
    }
    assert with_bytes == {meter.meter for meter in building.meters_now} - silent
    assert any(Status.HISTORICAL in readout.status for readout in readouts)


def test_history_is_finished_when_every_batch_is_acknowledged(building: Building) -> None:
    history = History(building, BORN - timedelta(hours=12), BORN)
    sent = batches(history)
    assert not history.finished.is_set()
    history.acknowledge("another epoch", {batch.batch: None for batch in sent})
    assert not history.finished.is_set()
    outcomes = {batch.batch: Outcome(batch.batch, stored=5, quarantined={"unit": 1}) for batch in sent}
    history.acknowledge(history.epoch, outcomes)
    history.acknowledge(history.epoch, outcomes)  # acknowledged twice, counted once
    assert history.finished.is_set()
    assert history.tally.stored == 5 * len(sent)
    assert history.trouble == {"unit": len(sent)}


def test_the_registry_and_the_gateway_configuration_follow_the_rules(building: Building) -> None:
    from pathlib import Path
    from tempfile import TemporaryDirectory

    check(registry_of(building))
    ports = {"water": 5001, "heat": 5002, "electricity": 5003}
    with TemporaryDirectory() as folder:
        place = Path(folder)
        (place / "gateway.toml").write_text(
            gateway_config(building, DemoState(1, BORN, None, ports), place, ("127.0.0.1", 1883), "15s")
        )
        config = load_config(place / "gateway.toml")
    assert sum(len(line.meter) for line in config.line) == 101


def test_heat_meters_show_the_water_that_carries_their_energy(building: Building) -> None:
    """Q = V x 1.163 kWh/(m3 K) x the cooling, in a flat as in the whole house, and nothing in summer."""
    for point in ("flat-02-heat", "house-heat"):
        meter = at_point(building, point)
        shown = read_at(meter, BORN)[0].values
        energy, volume, flow, back = (
            shown[code].micro for code in ("6-0:1.0.0", "6-0:2.0.0", "6-0:10.0.0", "6-0:11.0.0")
        )
        assert energy == pytest.approx(volume * 1.163 * (flow - back) / 1e6, rel=0.001)
        assert 40e6 < flow <= 60e6
        july = BORN.replace(month=7)
        assert meter.value(july) == meter.value(july - timedelta(days=20))
        assert read_at(meter, july)[0].values["6-0:10.0.0"] == read_at(meter, july)[0].values["6-0:11.0.0"]


def test_what_enters_the_house_is_what_its_parts_use_and_a_small_loss(building: Building) -> None:
    (utility,) = registry_of(building).utilities
    parts = {site.code for site in utility.sites if site.parent == "linden-street-4"}
    month = (month_start(BORN, 6), month_start(BORN, 5))
    used: dict[tuple[bool, Medium], int] = {}
    for point in utility.service_points:
        if point.code == "flat-19-cw":  # rolls over
            continue
        meter = at_point(building, point.code)
        where = point.site in parts, meter.medium
        used[where] = used.get(where, 0) + meter.value(month[1]) - meter.value(month[0])
    for medium, loss in ((Medium.COLD_WATER, 0.08), (Medium.HEAT, 0.07), (Medium.ELECTRICITY, 0.01)):
        assert 0 <= 1 - used[True, medium] / used[False, medium] < loss


def test_months_are_closed_up_to_the_present() -> None:
    months = full_months(build(1, BORN), BORN)
    assert months == 13
    assert full_months(build(1, BORN), BORN + timedelta(days=31)) == 14
    assert all(a > b for a, b in pairwise([month_start(BORN, back) for back in range(5)]))
