"""The balance of buildings: what a house used against its flats, day by day, and what drifts as findings."""

import random
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

import numpy as np
import psycopg
import pytest

from ingest.validation import drain
from ingest.validation.buildings import count
from metering.registry.document import parse
from store.postgres.arrays import microseconds
from store.postgres.database import connect
from store.readings.raw import insert, mark_for_validation
from store.registry import apply
from store.validation.balance_days import BalanceDayRow, balance_days, balances
from store.validation.judgement import registers_of

ZONE = ZoneInfo("Europe/Berlin")
FIRST = date(2026, 1, 5)
WATER = "8-0:1.0.0"
HOUR = timedelta(hours=1)
LITRE = 1_000

TOWN = """
[[utilities]]
code = "town"
name = "Town"
time_zone = "Europe/Berlin"
sites = [
    { code = "house", name = "Lake Street 5" },
    { code = "left", name = "Left", parent = "house" },
    { code = "flat-1", parent = "left" }, { code = "flat-2", parent = "left" },
    { code = "flat-3", parent = "house" },
]
"""
METER = """
[[utilities.meters]]
code = "KAM-{n}"
medium = "cold water"
registers = [{{ obis = "8-0:1.0.0", unit = "{unit}", interval = "PT12H" }}]
[[utilities.service_points]]
code = "{site}-cw"
medium = "cold water"
site = "{site}"
installations = [{{ meter = "KAM-{n}", valid_from = 2026-01-01T00:00:00, multiplier = "{multiplier}" }}]
"""
FLATS = (1, 2, 3)  # the house is KAM-0

Shows = Callable[[int, datetime], Decimal]


@pytest.fixture
def town(database: str) -> Iterator[psycopg.Connection]:
    """A house of three flats, one counting in litres, one behind a converter."""
    meters = METER.format(n=0, site="house", unit="m3", multiplier=1)
    for n, unit, multiplier in ((1, "m3", 1), (2, "L", 1), (3, "m3", 10)):
        meters += METER.format(n=n, site=f"flat-{n}", unit=unit, multiplier=multiplier)
    with connect(database) as connection:
        connection.autocommit = True
        apply(connection, parse(TOWN + meters))
        yield connection


def midnight(day: int) -> datetime:
    """That of the first day and so many days on."""
    there = FIRST + timedelta(days=day)
    return datetime(there.year, there.month, there.day, tzinfo=ZONE).astimezone(UTC)


def used(flat: int, instant: datetime) -> Decimal:
    """Cubic metres that a flat had used by an instant: 240 litres a day for the first one."""
    return Decimal((instant - midnight(0)) // timedelta(seconds=1)) / 86400 * Decimal("0.24") * flat


def shows(flat: int, instant: datetime) -> Decimal:
    if flat == 0:
        return sum((used(n, instant) for n in FLATS), Decimal()) * Decimal("1.05") + 500
    return 500 + used(flat, instant) * {1: 1, 2: 1000, 3: Decimal("0.1")}[flat]


def read(town: psycopg.Connection, meter: int, instants: list[datetime], shown: Shows = shows) -> None:
    row = town.execute(
        "select r.id from registers r join meters m on m.id = r.meter_id where m.code = %s", (f"KAM-{meter}",)
    ).fetchone()
    assert row is not None
    times = np.array([microseconds(at) for at in instants], dtype=np.int64)
    values = np.array([int(shown(meter, at) * 1_000_000) for at in instants], dtype=np.int64)
    ids = np.full(len(times), row[0], dtype=np.int32)
    with town.transaction():
        insert(town, ids, times, values, np.zeros(len(times), dtype=np.int16))
        town.execute("update readings set received_at = measured_at")
        mark_for_validation(town, ids, times)


def hours(first: int, end: int, every: int = 1, *, minutes: int = 0) -> list[datetime]:
    """From the first midnight to the last one, both included."""
    length = int((midnight(end) - midnight(first)) / HOUR)
    late = timedelta(minutes=minutes)
    return [midnight(first) + n * HOUR + late for n in range(0, length + 1, every)]


def counted(town: psycopg.Connection, now: datetime | None = None) -> None:
    drain(town)
    while count(town, now or midnight(400)):
        pass


def days(town: psycopg.Connection) -> list[BalanceDayRow]:
    return balance_days(town, 1, FIRST, FIRST + timedelta(days=400), site="house", medium=8)


def findings(town: psycopg.Connection) -> list[tuple[str, datetime, datetime | None]]:
    return town.execute(
        """
        select f.kind, f.started_at, f.ended_at from findings f join registers r on r.id = f.register_id
        join meters m on m.id = r.meter_id where f.kind like 'balance.%' and m.code = 'KAM-0' order by 2
        """
    ).fetchall()


def test_a_meter_of_the_house_is_known_to_have_others_of_its_medium_behind_it(
    town: psycopg.Connection,
) -> None:
    heat = METER.replace("cold water", "heat").replace("8-0:1.0.0", "6-0:1.0.0").replace("-cw", "-heat")
    apply(town, parse(TOWN + heat.format(n=9, site="house", unit="kW.h", multiplier=1)))
    found = {row.meter: (row.house, row.submetered) for row in registers_of(town, [0])}
    assert found == {"KAM-0": (True, True), "KAM-9": (True, False)} | {
        f"KAM-{flat}": (False, False) for flat in FLATS
    }


def test_a_day_of_a_house_is_the_sum_of_its_flats_and_what_is_lost(town: psycopg.Connection) -> None:
    for meter in range(4):
        read(town, meter, hours(0, 3))
    counted(town)
    assert [row.day for row in days(town)] == [FIRST + timedelta(days=n) for n in range(3)]
    day = days(town)[1]
    assert (day.points, day.reporting, day.estimated, day.missing) == (3, 3, 0, 0)
    assert (day.house, day.flats, day.difference) == (1512 * LITRE, 1440 * LITRE, 72 * LITRE)
    (whole,) = balances(town, 1, FIRST, FIRST + timedelta(days=2))
    assert (whole.site_name, whole.days, whole.difference) == ("Lake Street 5", 3, 3 * 72 * LITRE)
    assert (whole.points, whole.reporting, whole.flat_days, whole.uncertain_share) == (3, 3, 9, 0.0)
    assert balances(town, 1, FIRST, FIRST, site="left") == []


def test_a_meter_between_house_and_flats_is_left_out_and_what_lies_behind_it_counts(
    town: psycopg.Connection,
) -> None:
    """The left wing has a meter of its own: its flats are those that are compared."""
    apply(town, parse(TOWN + METER.format(n=7, site="left", unit="m3", multiplier=1)))
    for meter in (0, 1, 2, 3):
        read(town, meter, hours(0, 2))
    read(town, 7, hours(0, 2), lambda _, at: used(1, at) + used(2, at))
    counted(town)
    assert [(row.flats, row.points) for row in days(town)] == [(1440 * LITRE, 3)] * 2
    left = balances(town, 1, FIRST, FIRST, site="left")
    assert [(row.house, row.flats, row.difference) for row in left] == [(720 * LITRE, 720 * LITRE, 0)]


def test_a_day_counts_once_it_is_over(town: psycopg.Connection) -> None:
    for meter in range(4):
        read(town, meter, hours(0, 2))
    counted(town, midnight(2) + timedelta(minutes=20))
    assert len(days(town)) == 1
    counted(town, midnight(2) + timedelta(minutes=40))
    assert len(days(town)) == 2


def test_a_day_that_is_known_well_is_counted_again_an_hour_after_it_was_touched(
    town: psycopg.Connection,
) -> None:
    """Each poll of a day touches the one before."""
    for meter in range(4):
        read(town, meter, hours(0, 2))
    counted(town)
    read(town, 1, [midnight(2) + HOUR])
    drain(town)
    row = town.execute("select max(marked_at) from balance_queue").fetchone()
    assert row is not None
    at = row[0] + timedelta(minutes=80)  # with half an hour's grace
    assert count(town, at) == 2  # the day itself and the next one, of which nothing was known
    assert count(town, at) == 0
    assert count(town, at + timedelta(minutes=20)) == 1


def test_readings_beside_midnight_are_interpolated_and_a_long_gap_is_an_estimate(
    town: psycopg.Connection,
) -> None:
    for meter in (0, 1, 3):
        read(town, meter, hours(0, 7, minutes=20))
    read(town, 2, [at for at in hours(0, 7, minutes=20) if not midnight(2) < at < midnight(4) + HOUR])
    counted(town)
    told = [(row.reporting, row.estimated, row.missing) for row in days(town)]
    assert days(town)[0].day == FIRST + timedelta(days=1)  # before the first reading nothing is known
    assert told == [(2, 1, 0)] * 4 + [(3, 0, 0)] * 2
    assert [row.flats for row in days(town)] == pytest.approx([1440 * LITRE] * 6, abs=2)
    (whole,) = balances(town, 1, FIRST + timedelta(days=1), FIRST + timedelta(days=6))
    assert (whole.flat_days, whole.estimated, whole.missing) == (18, 4, 0)
    assert whole.uncertain_share == pytest.approx(4 / 18)


def test_beyond_what_may_be_bridged_a_flat_is_missing_and_what_it_used_is_in_the_difference(
    town: psycopg.Connection,
) -> None:
    for meter in (0, 1, 2):
        read(town, meter, hours(0, 6))
    read(town, 3, [at for at in hours(0, 6) if not midnight(1) < at < midnight(5)])
    counted(town)
    day = days(town)[2]
    assert (day.reporting, day.missing, day.flats) == (2, 1, 720 * LITRE)
    assert day.difference == 792 * LITRE


def test_an_exchanged_meter_and_its_fitters_readings_make_one_day(town: psycopg.Connection) -> None:
    for meter in (0, 2, 3):
        read(town, meter, hours(0, 3))
    noon = midnight(1) + 12 * HOUR
    read(town, 1, [at for at in hours(0, 3) if at <= noon])
    swapped = METER.format(n=9, site="flat-1", unit="m3", multiplier=1).partition("installations")[0]
    old = 'meter = "KAM-1", valid_from = 2026-01-01T00:00:00, valid_to = 2026-01-06T12:00:00'
    new = 'meter = "KAM-9", valid_from = 2026-01-06T12:00:00'
    values = [f'{end}_values = {{ "{WATER}" = "{value}" }}' for end, value in (("end", 500.36), ("start", 7))]
    installed = f"installations = [{{ {old}, {values[0]} }}, {{ {new}, {values[1]} }}]"
    apply(town, parse(TOWN + swapped + installed))
    read(town, 9, [at for at in hours(0, 3) if at > noon], lambda _, at: 7 + used(1, at) - used(1, noon))
    counted(town)
    assert [(row.flats, row.reporting) for row in days(town)] == [(1440 * LITRE, 3)] * 3


def test_a_glitch_that_validation_found_makes_no_day(town: psycopg.Connection) -> None:
    for meter in (0, 2, 3):
        read(town, meter, hours(0, 4))
    read(town, 1, hours(0, 4), lambda n, at: Decimal(0) if at == midnight(2) else shows(n, at))
    counted(town)
    assert [row.flats for row in days(town)] == pytest.approx([1440 * LITRE] * 4, abs=2)


def leaking(since: int, until: int) -> Shows:
    """A house whose pipe before the flats loses 480 litres a day for a while."""

    def shown(meter: int, instant: datetime) -> Decimal:
        lost = min(max(instant, midnight(since)), midnight(until)) - midnight(since)
        return shows(meter, instant) + Decimal(lost // timedelta(seconds=1)) / 86400 * Decimal("0.48")

    return shown


def test_a_loss_before_the_flats_is_one_event_that_opens_goes_on_and_closes(town: psycopg.Connection) -> None:
    for meter in FLATS:
        read(town, meter, hours(0, 110, 12))
    for end, expected in ((65, []), (80, [("balance.drift", midnight(70), None)])):
        read(town, 0, hours(0, end, 12), leaking(70, 90))
        counted(town, midnight(end) + HOUR)
        assert findings(town) == expected
    before = town.execute("select id from findings where kind = 'balance.drift'").fetchall()
    read(town, 0, hours(0, 110, 12), leaking(70, 90))
    counted(town)
    assert findings(town) == [("balance.drift", midnight(70), midnight(90))]
    assert town.execute("select id from findings where kind = 'balance.drift'").fetchall() == before
    row = town.execute("select evidence from findings where kind = 'balance.drift'").fetchone()
    assert row is not None
    assert (row[0]["days"], row[0]["lost"], row[0]["usual_share"]) == (
        20,
        "9.106",
        "4.8 %",
    )  # an hour less in spring
    assert row[0]["estimated_share"] == "0.0 %"


def test_the_order_of_arrival_leaves_the_same_days_and_findings(town: psycopg.Connection) -> None:
    shown = leaking(70, 90)
    pieces = [(meter, n) for meter in range(4) for n in range(0, 100, 10)]
    kept = []
    for seed in range(2):
        for table in ("balance_days", "balance_queue", "findings", "marks", "readings"):
            town.execute(f"delete from {table}")
        shuffled = random.Random(seed)
        shuffled.shuffle(pieces)
        for meter, first in pieces:
            read(town, meter, hours(first, first + 10, 12), shown if meter == 0 else shows)
            if shuffled.random() < 0.3:
                counted(town)
        counted(town)
        kept.append((days(town), findings(town)))
    assert kept[0] == kept[1]
    assert len(kept[0][0]) == 100
    assert len(kept[0][1]) == 1
