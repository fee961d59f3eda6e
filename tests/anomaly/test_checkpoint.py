"""A judgement from what is settled is the one from the beginning, whatever the series and its faults."""

from dataclasses import replace
from zoneinfo import ZoneInfo

import numpy as np
import numpy.typing as npt
import pytest

from anomaly.catalogue import parameters_of
from anomaly.input.block import Register
from anomaly.input.local_time import monday
from anomaly.input.series import DAY, HOUR
from anomaly.judge import examine
from bench.planted import FAULTS
from telemetry.obis import Obis
from telemetry.status import Status
from tests.conftest import NEEDS_SHARED, SHARED_DATA
from tests.support.blocks import LITRE, START, UNIT, Made, register
from tests.support.checkpoints import ZONE, Series, compare, made, settled_of
from tests.support.households import Household, households

DAYS = 150
METERS_OF_A_TOWN = 6
METERS = {  # registers that are compared with each other, and what a unit of use is in each
    "water": (("8-0:1.0.0", LITRE),),
    "electricity": (
        ("1-0:1.8.0", 30 * LITRE),
        ("1-0:1.8.1", 20 * LITRE),
        ("1-0:1.8.2", 10 * LITRE),
        ("1-0:2.8.0", 0),
        ("1-0:21.8.0", 10 * LITRE),
        ("1-0:41.8.0", 10 * LITRE),
        ("1-0:61.8.0", 10 * LITRE),
        ("1-0:16.7.0", LITRE),
    ),
    "heat": (("6-0:1.0.0", 100 * LITRE), ("6-0:2.0.0", 5 * LITRE), ("6-0:10.0.0", 1), ("6-0:11.0.0", 1)),
}
_HOURS = np.array([1, 0, 0, 0, 0, 3, 12, 14, 9, 5, 4, 4, 6, 5, 4, 4, 5, 8, 11, 12, 9, 7, 5, 3], float)


def town(random: np.random.Generator) -> list[Series]:
    """Some meters of all media with faults in many of them, hourly or every six hours."""
    series = []
    for number in range(METERS_OF_A_TOWN):
        every = HOUR if random.random() < 0.8 else 6 * HOUR
        times = (
            START
            + np.arange(DAYS * DAY // every, dtype=np.int64) * every
            + int(random.integers(0, 3600)) * 10**6
        )
        wave = random.poisson(np.resize(_HOURS, len(times)) * random.lognormal(0, 0.5))
        kept = random.random(len(times)) > random.choice([0, 0, 0.02])
        for obis, unit in METERS[str(random.choice(list(METERS)))]:
            facts = register(
                obis,
                f"KAM-{number}",
                interval=None if random.random() < 0.2 else every,
                max_rate=3 * UNIT if obis.startswith("8") and random.random() < 0.5 else None,
                verified_until=START + 70 * DAY if random.random() < 0.1 else None,
                capacity=10_000 * UNIT if random.random() < 0.2 else None,
            )
            if facts.kind.value == "gauge":
                values = random.integers(-UNIT if random.random() < 0.1 else 20 * UNIT, 60 * UNIT, len(times))
            else:
                values = 9_990 * UNIT + np.cumsum(np.asarray(wave, dtype=np.int64) * unit)
                values = _faulty(random, values, every, unit, facts.capacity)
            status = np.zeros(len(times), dtype=np.int64)
            if random.random() < 0.2:
                at = int(random.integers(0, len(times)))
                status[at : at + int(random.integers(1, 200))] = int(
                    random.choice([Status.POWER_LOW, Status.TAMPER])
                )
            series.append(
                Series.of(Made(facts, times, np.asarray(values, dtype=np.int64), status)).part(kept)
            )
    return series


def _faulty(
    random: np.random.Generator, values: npt.NDArray[np.int64], every: int, unit: int, capacity: int | None
) -> npt.NDArray[np.int64]:
    """A leak, a standstill, another level, a burst, glitches, jitter, reverse flow, resets, mix-ups."""
    for _ in range(int(random.integers(0, 4))):
        at = int(random.integers(1, len(values) - 1))
        last = at + int(random.integers(1, 40 * DAY // every))
        match int(random.integers(0, 9)):
            case 0:
                values[at:] += np.minimum(np.arange(len(values) - at), last - at) * 4 * unit
            case 1:
                values[last:] -= values[min(last, len(values) - 1)] - values[at]
                values[at:last] = values[at]
            case 2:
                values[at:] += (values[at:] - values[at]) * int(random.integers(1, 4))
            case 3:
                values[at : at + 3] = random.choice(np.array([0, int(values[at]) - 50 * UNIT]))
            case 4:
                values[at] -= unit
            case 5:
                back = np.minimum(np.arange(len(values) - at), 6) * 60 * unit
                values[at:] -= back
            case 6:
                values[at:] -= values[at]
            case 7:
                values[at:last:2] += 500 * UNIT
            case _:
                values[at:] += 700 * UNIT
    return values if capacity is None else values % capacity


@pytest.mark.parametrize("seed", range(10, 14))
def test_seeded_meters_of_all_media(seed: int) -> None:
    random = np.random.default_rng(seed)
    now = START + int(random.integers(50, 100)) * DAY + int(random.integers(0, 24)) * HOUR
    later = [now + round(days * DAY) for days in (0.5, 7, 8, 30)]
    assert compare(town(random), [now, *later]).registers > 0


@pytest.fixture(scope="module")
def year() -> list[Household]:
    if not SHARED_DATA.is_dir():
        pytest.skip(NEEDS_SHARED)
    return households(SHARED_DATA)


@pytest.mark.parametrize("seed", range(2))
def test_every_planted_fault_in_real_meters(year: list[Household], seed: int) -> None:
    random = np.random.default_rng(seed)
    code = Obis.parse("8-0:1.0.0")
    series = []
    for number, fault in enumerate(FAULTS * 2):
        home, other = (year[int(random.integers(0, len(year)))] for _ in range(2))
        try:
            planted = fault.plant(random, home.times, home.values, other.times, other.values)
            times, values = planted.times, planted.values
        except ValueError:  # read too seldom for that
            times, values = home.times, home.values
        facts = Register(
            str(number),
            code,
            unit="m3",
            max_rate=3_125_000,
            parameters=parameters_of(code, house=number % 5 == 0),
        )
        series.append(Series.of(Made(facts, times, values, np.zeros(len(times), dtype=np.int64))))
    now = min(int(each.times[0]) for each in series) + int(random.integers(100, 280)) * DAY
    later = [now + days * DAY for days in (1, 5, 9, 30)]
    assert compare(series, [now, *later], ZoneInfo("Europe/Madrid")).registers > 30


def test_a_leak_that_has_run_for_months_keeps_its_beginning() -> None:
    hours = np.tile([0] * 6 + [8] * 18, 150) + np.where(np.arange(150 * 24) >= 40 * 24, 6, 0)
    times = START + np.arange(len(hours), dtype=np.int64) * HOUR
    leaking = Series.of(
        Made(register(), times, np.cumsum(hours * LITRE), np.zeros(len(hours), dtype=np.int64))
    )
    now = START + 120 * DAY
    assert compare([leaking], [now + day * DAY for day in range(0, 20, 3)]).registers == 6
    (one,) = settled_of(examine(made([leaking], now, [None])), monday(now - 2 * DAY, ZONE))
    assert one is not None
    tail = examine(made([leaking], now + DAY, [one]))
    (leak,) = [each for each in tail.judged[0].findings if each.kind == "leak"]
    assert (leak.started_at, leak.ended_at) == (START + 39 * DAY + 5 * HOUR, None)
    assert len(tail.study.block.times) < 16 * 24


def test_no_cut_is_made_where_something_is_in_the_air() -> None:
    values = np.arange(80 * 24, dtype=np.int64) * 8 * LITRE
    times = START + np.arange(len(values), dtype=np.int64) * HOUR
    calm = Series.of(Made(register(), times, values, np.zeros(len(values), dtype=np.int64)))
    day = START // DAY + 70
    cut = START + 70 * DAY - HOUR  # Berlin is an hour ahead
    for readings_before, expected in ((1, False), (20, False), (200, True)):
        wrong = values.copy()
        wrong[np.searchsorted(times, cut) - readings_before] = 0
        found = examine(made([replace(calm, values=wrong)], int(times[-1]), [None])).settled([0], day)
        assert bool(found) is expected


def test_a_second_step_back_makes_a_register_doubtful() -> None:
    """It may have come back from where the first one led, however long ago that was."""
    values = 1_000 * UNIT + np.arange(100 * 24, dtype=np.int64) * 8 * LITRE
    times = START + np.arange(len(values), dtype=np.int64) * HOUR
    values[300:] += 5_000 * UNIT
    now = int(times[90 * 24])
    values[90 * 24 + 10 :] -= 5_000 * UNIT
    swapped = Series.of(Made(register(), times, values, np.zeros(len(values), dtype=np.int64)))
    (one,) = settled_of(examine(made([swapped], now, [None])), monday(now - 2 * DAY, ZONE))
    assert one is not None
    assert one.broken
    assert not examine(made([swapped], now + 5 * HOUR, [one])).doubtful.any()
    assert examine(made([swapped], now + 30 * HOUR, [one])).doubtful.all()
