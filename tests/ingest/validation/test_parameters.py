"""Parameters of rules: the narrower and the later one counts, from its day on, and what was set stays."""

from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from anomaly.boundary.stuck import StuckParameters
from anomaly.catalogue import parameters_of
from anomaly.detectors.electricity import ElectricityParameters
from anomaly.detectors.heat import HeatParameters
from anomaly.detectors.rates import SpikeParameters
from anomaly.detectors.usage import SeasonalParameters
from anomaly.detectors.water import LeakParameters
from anomaly.input.series import DAY
from anomaly.parameters import ParameterSet
from ingest.validation.parameters import ParameterError, Parameters, altered, check
from store.postgres.database import connect
from store.validation.rule_parameters import ParameterRow, set_parameter
from telemetry.obis import Obis
from tests.support.town import Town

WATER, POWER = Obis.parse("8-0:1.0.0"), Obis.parse("1-0:1.8.0")
START = datetime(2026, 6, 1, tzinfo=UTC)
HOUR = timedelta(hours=1)
JUNE = date(2026, 6, 1)


def row(
    name: str, value: str, *, medium: int | None = None, obis: Obis | None = None, since: date = JUNE
) -> tuple[Any, ...]:
    return 1, medium, None if obis is None else str(obis), name, value, since, "anna", "because"


def rules(*rows: tuple[Any, ...], obis: Obis = WATER, on: date = JUNE) -> ParameterSet:
    given_ = [ParameterRow(number, *each) for number, each in enumerate(rows)]
    return Parameters(given_).of(1, obis, on)


def test_without_rows_the_built_in_rules_are_in_force() -> None:
    assert rules() == parameters_of(WATER)


def test_a_parameter_is_in_force_from_its_day_on() -> None:
    later = row("leak.days", "5", since=date(2026, 7, 1))
    before, after = (
        rules(later, on=day).get(LeakParameters) for day in (date(2026, 6, 30), date(2026, 7, 1))
    )
    assert before
    assert after
    assert (before.days, after.days) == (3, 5)


def test_the_narrower_one_counts_whenever_it_was_set() -> None:
    rows = (
        row("spike.third", "7", obis=WATER),
        row("spike.third", "6", medium=8),
        row("spike.third", "5"),
    )
    of_water, of_power = rules(*rows).get(SpikeParameters), rules(*rows, obis=POWER).get(SpikeParameters)
    assert of_water
    assert of_power
    assert (of_water.third, of_power.third) == (7.0, 5.0)


def test_default_takes_back_what_its_scope_had_set_and_nothing_else() -> None:
    rows = (row("spike", "off"), row("spike", "off", medium=8), row("spike", "default", medium=8))
    assert rules(*rows).get(SpikeParameters) is None
    assert rules(*rows, row("spike", "default")).get(SpikeParameters) == parameters_of(WATER).get(
        SpikeParameters
    )


def test_a_rule_is_switched_off_and_on_as_a_whole() -> None:
    assert rules(row("leak", "off"), row("leak.days", "5")).get(LeakParameters) is None
    switched = rules(row("seasonal", "on"), row("seasonal.hours", "6")).get(SeasonalParameters)
    assert switched
    assert switched.hours == 6


def test_other_utilities_parameters_are_none_of_ours() -> None:
    theirs = ParameterRow(1, 2, None, None, "leak", "off", JUNE, "ben", "because")
    assert Parameters([theirs]).of(1, WATER, JUNE) == parameters_of(WATER)


def test_durations_and_lists_are_written_as_people_write_them() -> None:
    assert rules(row("stuck.rest", "35d")).always(StuckParameters).rest == 35 * DAY
    heat = altered(parameters_of(Obis.parse("6-0:1.0.0")), "heat.summer", "7,8").get(HeatParameters)
    assert heat
    assert heat.summer == (7, 8)
    power = altered(parameters_of(POWER), "electricity.theft.down", "0.5").get(ElectricityParameters)
    assert power
    assert power.theft.down == 0.5
    assert power.theft.days == 7


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("leek.days", "5"),
        ("leak.dayz", "5"),
        ("leak.days", "many"),
        ("leak.days", "-1"),
        ("leak.days.hours", "1"),
        ("stuck", "off"),
        ("leak", "maybe"),
        ("unit", "m3"),
        ("leak.rests", "perhaps"),
        ("leak.dayz", "default"),
    ],
)
def test_what_no_rule_can_take_is_refused_with_advice(name: str, value: str) -> None:
    with pytest.raises(ParameterError) as refused:
        check(name, value)
    assert refused.value.advice


@given(st.text(max_size=30), st.text(max_size=10))
def test_any_words_are_taken_or_refused(name: str, value: str) -> None:
    with suppress(ParameterError):
        check(name, value)


@pytest.fixture
def town(database: str) -> Iterator[Town]:
    with connect(database) as connection:
        yield Town(connection, time_zone="UTC")


def test_readings_before_the_day_are_judged_by_the_old_parameters(town: Town) -> None:
    """Two days of sevenfold use; from August on ten times the usual is wanted before it is said."""
    used = dict.fromkeys(range(90), 200) | {40: 1_400, 75: 1_400}  # litres a day
    readings, total = {}, 0
    for day, litres in used.items():
        for hour in range(24):
            readings[START + (24 * day + hour) * HOUR] = f"{total / 1000:.3f}"
            total += litres // 24 if hour < 12 else 0
    town.meter("AAA-1", readings)
    town.judge()

    def high_days() -> list[datetime]:
        rows = town.connection.execute(
            "select started_at from findings where kind = 'high_low.high' order by 1"
        ).fetchall()
        town.connection.commit()
        return [at for (at,) in rows]

    both = [START + timedelta(days=40), START + timedelta(days=75)]
    assert high_days() == both
    set_from(town, "high_low.high", "10", date(2026, 8, 1))
    assert high_days() == both[:1]


def leaks(town: Town) -> list[tuple[datetime, datetime | None, str]]:
    rows = town.connection.execute(
        "select started_at, ended_at, severity from findings where kind = 'leak' order by 1"
    ).fetchall()
    town.connection.commit()
    return rows


def set_from(town: Town, name: str, value: str, day: date) -> None:
    row = town.connection.execute("select id from utilities").fetchone()
    assert row is not None
    set_parameter(
        town.connection,
        row[0],
        medium=8,
        obis=None,
        name=name,
        value=value,
        valid_from=day,
        author="anna",
        reason="because",
    )
    town.judge()


def test_an_event_that_goes_on_at_the_change_is_judged_by_the_new_parameters_from_there(town: Town) -> None:
    """A tap of ten litres an hour from the fortieth day to the sixtieth."""
    readings, total = {}, 0
    for hour in range(90 * 24):
        readings[START + hour * HOUR] = f"{total / 1000:.3f}"
        total += 8 * (hour % 24 >= 6) + 10 * (40 <= hour // 24 < 60)
    town.meter("AAA-1", readings)
    town.judge()
    begun, over = START + timedelta(days=39, hours=6), START + timedelta(days=60)
    assert leaks(town) == [(begun, over, "warning")]
    louder, off, on = (date(2026, 7, day) for day in (15, 20, 25))
    set_from(town, "leak.alarm", "9000", louder)
    assert leaks(town) == [(begun, over, "alarm")]
    set_from(town, "leak", "off", off)
    assert leaks(town) == [(begun, datetime(2026, 7, 20, tzinfo=UTC), "alarm")]
    set_from(town, "leak", "on", on)
    assert leaks(town) == [
        (begun, datetime(2026, 7, 20, tzinfo=UTC), "alarm"),
        (datetime(2026, 7, 25, tzinfo=UTC), over, "alarm"),
    ]
