"""What TimescaleDB adds: chunks, columns, continuous aggregates, and the same answers from all of them."""

from datetime import UTC, datetime, timedelta

import numpy as np
import psycopg
import pytest

from store.postgres.arrays import from_microseconds, microseconds
from store.postgres.database import connect
from store.postgres.migrate import MigrationPart, migrate, parts
from store.postgres.retention import keep, upkeep
from store.readings.raw import insert, series

START = datetime(2026, 8, 3, tzinfo=UTC)
QUARTER_HOUR = 900_000_000
COUNT = 4 * 24 * 21  # three weeks
REGISTERS = 5


def three_weeks() -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Readings of five registers every 15 minutes, as `insert` takes them."""
    ids = np.repeat(np.arange(1, REGISTERS + 1, dtype=np.int32), COUNT)
    instants = microseconds(START) + np.tile(np.arange(COUNT) * QUARTER_HOUR, REGISTERS)
    values = np.tile(np.arange(COUNT) * 1_000, REGISTERS)
    return ids, instants, values, np.zeros(len(ids), np.int16)


@pytest.fixture
def filled(database: str) -> str:
    """A database with three weeks of readings, committed."""
    with connect(database) as connection:
        assert insert(connection, *three_weeks()).stored == REGISTERS * COUNT
    return database


def alone(database: str) -> psycopg.Connection:
    """A session in autocommit, for what cannot run in a transaction."""
    connection = connect(database)
    connection.autocommit = True
    return connection


def test_every_part_is_applied(database: str) -> None:
    with connect(database) as connection:
        assert parts(connection) == [MigrationPart.CORE, MigrationPart.TIMESCALE, MigrationPart.COMMUNITY]
        connection.rollback()
        assert migrate(connection) == []


def test_readings_lie_in_weekly_chunks_without_a_useless_index(filled: str) -> None:
    with connect(filled) as connection:
        chunks = connection.execute("select count(*) from show_chunks('readings')").fetchone()
        indexes = connection.execute(
            "select count(*) from pg_indexes where tablename = 'readings'"
        ).fetchone()
    assert chunks is not None
    assert chunks[0] in (3, 4)  # weeks of TimescaleDB begin on Thursdays
    assert indexes == (1,)


def test_policies_compress_old_chunks_and_refresh_aggregates(database: str) -> None:
    with connect(database) as connection:
        rows = connection.execute(
            """
            select proc_name, count(*) from timescaledb_information.jobs
            where proc_name like 'policy%' group by 1
            """
        )
        jobs = dict(rows.fetchall())
    assert jobs["policy_compression"] == 1
    assert jobs["policy_refresh_continuous_aggregate"] == 2


def test_late_and_repeated_readings_are_taken_by_compressed_chunks(filled: str) -> None:
    with alone(filled) as connection:
        connection.execute("select compress_chunk(chunk) from show_chunks('readings') as chunk")
        ids, instants, values, status = three_weeks()
        again = insert(connection, ids, instants, values, status)
        assert (again.stored, again.known, len(again.conflicts)) == (0, len(ids), 0)
        instants[::7] += 1_000_000
        values[1] += 1
        late = insert(connection, ids, instants, values, status)
        assert late.stored == len(instants[::7])
        assert late.conflicts.tolist() == [1]
        found = series(connection, 1, START, START + timedelta(minutes=31))
    assert [from_microseconds(at) - START for at in found[0]] == [
        timedelta(0),
        timedelta(seconds=1),
        timedelta(minutes=15),
        timedelta(minutes=30),
    ]


def test_aggregates_answer_alike_before_and_after_a_refresh(unmigrated_database: str) -> None:
    # a database of its own: what was materialised would outlive the emptying of the tables
    first = tuple(column[:1] for column in three_weeks())
    with alone(unmigrated_database) as connection:
        migrate(connection)
        insert(connection, *three_weeks())
        for view in ("readings_hourly", "readings_daily"):
            question = f"select * from {view} where register_id = 1 order by bucket".encode()
            refresh = f"call refresh_continuous_aggregate('{view}', null, null)".encode()
            before = connection.execute(question).fetchall()
            connection.execute(refresh)
            assert connection.execute(question).fetchall() == before
            first[1][0] += 60_000_000
            assert insert(connection, *first).stored == 1
            connection.execute(refresh)
            after = connection.execute(question).fetchall()
            assert after[0][-1] == before[0][-1] + 1, "a late reading is counted by the next refresh"
            assert after[1:] == before[1:]


def test_aggregates_outlive_the_readings_that_they_were_made_of(unmigrated_database: str) -> None:
    old = datetime.now(UTC).replace(hour=12, minute=0) - timedelta(days=200)
    with alone(unmigrated_database) as connection:
        migrate(connection)
        instants = microseconds(old) + np.arange(3) * QUARTER_HOUR
        insert(connection, np.ones(3, np.int32), instants, np.arange(3), np.zeros(3, np.int16))
        jobs = connection.execute(
            """
            select job_id from timescaledb_information.jobs
            where proc_name = 'policy_refresh_continuous_aggregate'
            """
        ).fetchall()
        for (job,) in jobs:
            connection.execute("call run_job(%s)", (job,))
        keep(connection, "readings", "90 days")
        assert upkeep(connection)["readings"] == 1
        assert connection.execute("select count(*) from readings").fetchone() == (0,)
        late = np.array([microseconds(old) + 7 * QUARTER_HOUR])
        insert(connection, np.ones(1, np.int32), late, np.ones(1, np.int64), np.zeros(1, np.int16))
        for (job,) in jobs:
            connection.execute("call run_job(%s)", (job,))
        daily = "select last_value, readings from readings_daily where register_id = 1"
        assert connection.execute(daily.encode()).fetchall() == [(2, 3)], "refreshing does not reach back"
        keep(connection, "aggregates", "90 days")
        assert upkeep(connection)["aggregates"] > 0
        assert connection.execute(daily.encode()).fetchall() == []
