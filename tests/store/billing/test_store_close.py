"""What a close reads and adds: usable readings beside an instant, versions, and one close at a time."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest

from metering.billing.case import Beside, BoundaryPlace, StoredReading
from store.billing import locks
from store.billing.locks import Doing, PeriodBusyError, lock_period
from store.billing.measured import stored_beside, usable_beside, utility
from store.postgres.database import connect
from tests.support.town import UTILITY, Town

START = datetime(2026, 6, 1, tzinfo=UTC)
HOUR = timedelta(hours=1)
CUBIC_METRE = 1_000_000


@pytest.fixture
def town(database: str) -> Iterator[Town]:
    with connect(database) as connection:
        yield Town(connection)


def reading(hour: int, *rules: str) -> StoredReading:
    return StoredReading(START + hour * HOUR, (100 + hour) * CUBIC_METRE, 0, rules)


def beside(town: Town, register: int, hours: float, reach: int = 100) -> Beside:
    instant = START + hours * HOUR
    (found,) = usable_beside(
        town.connection, [BoundaryPlace(register, instant, instant - reach * HOUR, instant + reach * HOUR)]
    )
    return found


def hourly(town: Town) -> int:
    register = town.meter("AAA-1", {START + n * HOUR: str(100 + n) for n in range(10)})
    town.judge()
    return register


def test_usable_readings_stand_on_both_sides_of_an_instant(town: Town) -> None:
    assert beside(town, hourly(town), 4.5) == (reading(4), reading(5))


def test_reading_at_the_instant_itself_is_on_both_sides(town: Town) -> None:
    assert beside(town, hourly(town), 4) == (reading(4), reading(4))


def test_readings_out_of_reach_do_not_count(town: Town) -> None:
    register = hourly(town)
    assert beside(town, register, 15, reach=5) == (None, None)
    assert beside(town, register, 14, reach=5) == (reading(9), None)


def test_readings_with_a_mark_against_them_are_passed_over_whoever_made_it(town: Town) -> None:
    register = hourly(town)
    town.connection.execute(
        """
        insert into marks (register_id, measured_at, rule, quality, usable, evidence, author)
        values (%(id)s, %(five)s, 'manual', 10, false, '{}', 'anna'),
               (%(id)s, %(four)s, 'reset', 10, true, '{}', 'validation')
        """,
        {"id": register, "five": START + 5 * HOUR, "four": START + 4 * HOUR},
    )
    assert beside(town, register, 4.5) == (reading(4), reading(6))
    place = BoundaryPlace(register, START + 4.5 * HOUR, START, START + 9 * HOUR)
    assert stored_beside(town.connection, [place]) == [(reading(4), reading(5, "manual"))]


def test_readings_that_nobody_judged_are_passed_over(town: Town) -> None:
    register = hourly(town)
    town.read("AAA-1", {START + 10 * HOUR: "110"})
    assert beside(town, register, 9.5) == (reading(9), None)
    town.judge()
    assert beside(town, register, 9.5) == (reading(9), reading(10))


def test_places_are_answered_in_their_order(town: Town) -> None:
    register = hourly(town)
    instants = [START + hours * HOUR for hours in (7, 2, 5)]
    places = [BoundaryPlace(register, instant, instant, instant) for instant in instants]
    assert [before for before, _ in usable_beside(town.connection, places)] == [
        reading(7),
        reading(2),
        reading(5),
    ]


def test_two_closes_of_one_period_come_one_after_the_other(
    town: Town, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(locks, "WAIT", timedelta(milliseconds=100))
    town_id = utility(town.connection, UTILITY).id
    lock_period(town.connection, town_id, "2026-10", Doing.DRAFTS, "anna")
    with connect(database) as second:
        with pytest.raises(PeriodBusyError, match="2026-10 has to wait: anna drafts 2026-10 right now"):
            lock_period(second, town_id, "2026-10", Doing.DRAFTS, "boris")
        lock_period(second, town_id, "2026-11", Doing.APPROVES, "boris")
        town.connection.rollback()
        lock_period(second, town_id, "2026-10", Doing.DRAFTS, "boris")


def test_unknown_utility_is_named(town: Town) -> None:
    with pytest.raises(LookupError, match="nowhere"):
        utility(town.connection, "nowhere")
