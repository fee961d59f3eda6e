"""Expected against received, on ordinary and other days, with late, repeated and missing readings."""

import json
from collections.abc import Iterable
from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import psycopg
import pytest
from typer.testing import CliRunner

from hesper.cli import build
from ingest.validation.periodic import Rounds
from metering.registry.entries import (
    GatewayEntry,
    InstallationEntry,
    MeterEntry,
    RegisterEntry,
    Registry,
    ServicePointEntry,
    SiteEntry,
    UtilityEntry,
)
from store.postgres.arrays import microseconds
from store.postgres.database import connect
from store.readings import completeness
from store.readings.completeness import ArrivalGroup, ArrivalShare, shares
from store.readings.raw import insert, mark_for_validation
from store.registry import apply
from telemetry.obis import Medium

ZONE = ZoneInfo("Europe/Vilnius")
HOUR = timedelta(hours=1)
TODAY = date(2026, 10, 27)
NOON = datetime(2026, 10, 27, 12, 30, tzinfo=ZONE)
A, B = "KAM-00000001", "KAM-00000002"


def midnight(day: date) -> datetime:
    return datetime(day.year, day.month, day.day, tzinfo=ZONE)


class Town:
    """Two meters: A hourly at site house in site street, B daily at another gateway."""

    def __init__(self, connection: psycopg.Connection) -> None:
        self.connection = connection
        hourly, daily = (
            RegisterEntry("8-0:1.0.0", interval=HOUR),
            RegisterEntry("8-0:1.0.0", interval=24 * HOUR),
        )
        apply(
            connection,
            Registry(
                [
                    UtilityEntry(
                        "town",
                        "Town",
                        ZONE.key,
                        sites=[SiteEntry("street"), SiteEntry("house", parent="street")],
                        gateways=[GatewayEntry("g1"), GatewayEntry("g2")],
                        meters=[
                            MeterEntry(A, Medium.COLD_WATER, gateway="g1", site="house", registers=[hourly]),
                            MeterEntry(B, Medium.COLD_WATER, gateway="g2", registers=[daily]),
                        ],
                    )
                ]
            ),
        )
        connection.execute("update meters set created_at = '2026-01-01'")
        rows = connection.execute("select m.code, r.id from registers r join meters m on m.id = r.meter_id")
        self.registers = dict(rows.fetchall())

    def read(self, meter: str, instants: Iterable[datetime], received: datetime | None = None) -> None:
        """Readings at those instants; `received` later than they would have been."""
        at = np.array([microseconds(instant.astimezone(UTC)) for instant in instants])
        ids = np.full(len(at), self.registers[meter], np.int32)
        insert(self.connection, ids, at, at, np.zeros(len(at), np.int16))
        mark_for_validation(self.connection, ids, at)
        self.connection.execute(
            """
            update readings set received_at = coalesce(%s, measured_at)
            where register_id = %s and measured_at = any(%s)
            """,
            (received, self.registers[meter], list(instants)),
        )
        self.connection.commit()

    def count(self) -> None:
        while completeness.count(self.connection):
            pass

    def share(self, by: ArrivalGroup = ArrivalGroup.METER, **selection: Any) -> dict[str, ArrivalShare]:
        return {share.name: share for share in shares(self.connection, "town", NOON, by, **selection)}


@pytest.fixture
def town(connection: psycopg.Connection) -> Town:
    return Town(connection)


def hours(day: date, numbers: Iterable[int]) -> list[datetime]:
    """Instants some seconds into hours of a local day, counted from its midnight."""
    start = midnight(day).astimezone(UTC)
    return [start + n * HOUR + timedelta(seconds=7) for n in numbers]


def test_today_counts_the_intervals_that_are_over(town: Town) -> None:
    town.read(A, hours(TODAY, [*range(10), 12]))  # 10 and 11 are missing; 12 is not over
    town.count()
    share = town.share()[A]
    assert (share.today_due, share.today_arrived) == (12, 10)


def test_repeated_readings_of_an_interval_count_once(town: Town) -> None:
    first = hours(TODAY, range(6))
    town.read(A, first)
    town.read(A, [at + timedelta(minutes=20) for at in first])
    town.read(A, first)
    town.count()
    assert town.share()[A].today_arrived == 6


def test_what_came_after_six_of_the_next_morning_is_late(town: Town) -> None:
    yesterday = TODAY - timedelta(days=1)
    town.read(A, hours(yesterday, range(20)), received=midnight(TODAY) + 6 * HOUR)
    town.read(A, hours(yesterday, [21, 22]), received=midnight(TODAY) + 6 * HOUR + timedelta(seconds=1))
    town.count()
    share = town.share()[A]
    assert (share.yesterday_due, share.yesterday_arrived, share.yesterday_late) == (24, 20, 2)


def test_late_readings_raise_the_figure_of_their_own_day(town: Town) -> None:
    day = TODAY - timedelta(days=20)
    town.read(A, hours(day, range(24)))
    town.count()
    before = town.share()[A]
    town.read(A, hours(day - timedelta(days=1), range(12)), received=NOON)
    town.count()
    after = town.share()[A]
    assert before.month_due == after.month_due == 30 * 24 + 1, "the 25th of October has 25 hours"
    assert (before.month_arrived, after.month_arrived) == (24, 36)


@pytest.mark.parametrize(
    ("now", "due"),
    [
        (datetime(2026, 10, 26, 12, tzinfo=ZONE), 25),
        (datetime(2026, 3, 30, 12, tzinfo=ZONE), 23),
        (datetime(2026, 3, 29, 12, tzinfo=ZONE), 24),
    ],
)
def test_a_day_is_due_as_many_readings_as_it_has_hours(town: Town, now: datetime, due: int) -> None:
    yesterday = now.date() - timedelta(days=1)
    town.read(A, hours(yesterday, range(due)))
    town.read(B, hours(yesterday, [1]))
    town.count()
    found = {share.name: share for share in shares(town.connection, "town", now)}
    assert (found[A].yesterday_due, found[A].yesterday_arrived) == (due, due)
    assert (found[B].yesterday_due, found[B].yesterday_arrived) == (1, 1)


def test_a_reading_in_the_hour_beyond_a_daily_interval_counts_for_its_day(town: Town) -> None:
    long_day = date(2026, 10, 25)
    town.read(B, [midnight(long_day + timedelta(days=1)) - timedelta(minutes=10)])
    town.count()
    (row,) = town.connection.execute("select day, slots::text from arrivals").fetchall()
    assert row == (long_day, "1")


def test_shares_are_summed_by_gateway_site_and_utility(town: Town) -> None:
    town.read(A, hours(TODAY - timedelta(days=1), range(12)))
    town.count()
    assert {name: share.yesterday_due for name, share in town.share(ArrivalGroup.GATEWAY).items()} == {
        "g1": 24,
        "g2": 1,
    }
    assert town.share(ArrivalGroup.UTILITY)["town"].yesterday_arrived == 12
    assert town.share(ArrivalGroup.UTILITY)["town"].registers == 2
    assert set(town.share(ArrivalGroup.SITE)) == {"house", ""}
    assert set(town.share(site="street")) == {A}, "a site with all that is in it"
    assert set(town.share(gateway="g2")) == {B}
    assert set(town.share(meters=[A])) == {A}
    assert [share.name for share in shares(town.connection, "town", NOON)] == [B, A], "the lowest first"


def test_nothing_is_due_before_the_first_whole_day_nor_after_the_removal(town: Town) -> None:
    created, removed = TODAY - timedelta(days=5), TODAY - timedelta(days=2)
    town.connection.execute("update meters set created_at = %s", (midnight(created) + 9 * HOUR,))
    point = ServicePointEntry(
        "flat",
        Medium.COLD_WATER,
        installations=[
            InstallationEntry(A, midnight(created) + 9 * HOUR, valid_to=midnight(removed) + 15 * HOUR)
        ],
    )
    apply(town.connection, Registry([UtilityEntry("town", "Town", ZONE.key, service_points=[point])]))
    share = town.share()[A]
    assert (share.month_due, share.yesterday_due, share.today_due) == (2 * 24, 0, 0)
    assert town.share()[B].month_due == 4


def test_imported_history_is_due_from_its_first_whole_day_on(town: Town) -> None:
    town.connection.execute("update meters set created_at = %s", (NOON,))
    assert town.share()[A].month_due == 0, "registered today"
    first = TODAY - timedelta(days=4)
    town.read(A, hours(first, [20]) + hours(first + timedelta(days=1), range(12)))
    town.count()
    share = town.share()[A]
    assert (share.month_due, share.month_arrived) == (24 + 25 + 24, 12), "one day has 25 hours"
    assert share.yesterday_due == 24


def test_one_counts_at_a_time_and_what_it_leaves_is_counted_next(town: Town, database: str) -> None:
    town.read(A, hours(TODAY, range(6)))
    with connect(database) as other, other.transaction(force_rollback=True):
        assert completeness.count(other) > 0
        assert completeness.count(town.connection) == 0
    town.count()
    assert town.share()[A].today_arrived == 6


def test_a_writer_does_not_wait_for_who_counts_and_its_note_stays(town: Town, database: str) -> None:
    town.read(A, hours(TODAY, [0]))
    with connect(database) as counting:
        with counting.transaction():
            assert completeness.count(counting) > 0
            town.connection.execute("set local lock_timeout = '1s'")
            town.read(A, hours(TODAY, [1]))
        assert town.share()[A].today_arrived == 1
    town.count()
    assert town.share()[A].today_arrived == 2


def test_counting_happens_now_and_then_and_old_days_are_forgotten(town: Town) -> None:
    now = 0.0
    town.read(A, hours(TODAY, [0]))
    town.read(A, hours(date(2025, 1, 1), [0]))
    town.count()
    worker = Rounds(town.connection, monotonic=lambda: now, clock=lambda: NOON)
    worker.step()
    assert town.connection.execute("select count(*) from arrivals").fetchone() == (1,)
    town.connection.commit()
    town.read(A, hours(TODAY, [1]))
    worker.step()
    assert town.share()[A].today_arrived == 1, "not yet"
    now = 16.0
    worker.step()
    assert town.share()[A].today_arrived == 2


def test_the_command_shows_percentages_and_json(database: str, town: Town) -> None:
    town.read(A, hours(datetime.now(ZONE).date() - timedelta(days=1), range(12)))
    town.count()

    def hesper(*more: str) -> str:
        words = ["arrival", "--utility", "town", "--database-url", database, *more]
        result = CliRunner().invoke(build(words), words, env={"COLUMNS": "140"})
        assert result.exit_code == 0, result.output
        return result.output

    assert "50.0 %" in hesper()
    (share,) = json.loads(hesper("--json", "--meter", A))
    assert (share["yesterday_arrived"], share["registers"]) == (12, 1)
    assert "no register of these" in hesper("--gateway", "g9")
