"""Readings are stored once, whatever is repeated, and never changed."""

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime, timedelta

import numpy as np
import psycopg
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from store.postgres.arrays import microseconds
from store.postgres.database import connect
from store.readings.raw import (
    Telegrams,
    WriteResult,
    insert,
    insert_telegrams,
    mark_for_validation,
    series,
    window,
)

START = datetime(2026, 10, 1, tzinfo=UTC)
MINUTE = 60_000_000

Row = tuple[int, int, int]  # register, minutes after START, value


def write(connection: psycopg.Connection, rows: list[Row]) -> WriteResult:
    """Stores rows, given in any order."""
    ids, minutes, values = np.array(rows, np.int64).reshape(-1, 3).T
    instants = microseconds(START) + minutes * MINUTE
    return insert(connection, ids.astype(np.int32), instants, values, np.zeros(len(rows), np.int16))


def stored(connection: psycopg.Connection) -> dict[tuple[int, int], int]:
    """{(register, minutes after START): value} of all that is stored."""
    rows = connection.execute("select register_id, measured_at, value from readings")
    return {(register, (at - START) // timedelta(minutes=1)): value for register, at, value in rows}


def test_new_readings_are_stored_in_whatever_order_they_come(connection: psycopg.Connection) -> None:
    result = write(connection, [(2, 0, 20), (1, 15, 11), (1, 0, 10)])
    assert (result.stored, result.known, result.conflicts.tolist()) == (3, 0, [])
    assert stored(connection) == {(1, 0): 10, (1, 15): 11, (2, 0): 20}


def test_a_repeated_reading_is_known_and_silent(connection: psycopg.Connection) -> None:
    write(connection, [(1, 0, 10)])
    result = write(connection, [(1, 0, 10), (1, 15, 11)])
    assert (result.stored, result.known, result.conflicts.tolist()) == (1, 1, [])


def test_another_value_for_a_stored_key_is_a_conflict_and_changes_nothing(
    connection: psycopg.Connection,
) -> None:
    write(connection, [(1, 0, 10)])
    result = write(connection, [(1, 15, 11), (1, 0, 12)])
    assert (result.stored, result.known, result.conflicts.tolist()) == (1, 0, [1])
    assert stored(connection)[1, 0] == 10


def test_within_a_batch_the_first_value_of_a_key_counts(connection: psycopg.Connection) -> None:
    result = write(connection, [(1, 0, 10), (1, 0, 10), (1, 0, 99)])
    assert (result.stored, result.known, result.conflicts.tolist()) == (1, 1, [2])


def test_a_repeat_within_a_batch_is_judged_by_what_is_stored(connection: psycopg.Connection) -> None:
    write(connection, [(1, 0, 10)])
    result = write(connection, [(1, 0, 99), (1, 0, 10)])
    assert (result.stored, result.known, result.conflicts.tolist()) == (0, 1, [0])


def test_it_is_told_which_readings_are_new(connection: psycopg.Connection) -> None:
    assert write(connection, [(2, 0, 20), (1, 0, 10), (1, 0, 10)]).new.tolist() == [True, True, False]
    again = write(connection, [(3, 0, 30), (1, 0, 10), (1, 15, 11), (2, 0, 99)])
    assert again.new.tolist() == [True, False, True, False], "in the same transaction, too"


def test_an_empty_batch_is_nothing(connection: psycopg.Connection) -> None:
    result = write(connection, [])
    assert (result.stored, result.known, len(result.conflicts)) == (0, 0, 0)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(
        st.lists(st.tuples(st.integers(1, 3), st.integers(0, 4), st.integers(0, 2)), max_size=12), max_size=4
    )
)
def test_any_batches_store_the_first_value_of_each_key_and_account_for_every_row(
    connection: psycopg.Connection, batches: list[list[Row]]
) -> None:
    expected: dict[tuple[int, int], int] = {}
    try:
        for rows in batches:
            fresh, conflicts = 0, []
            for index, (register, minute, value) in enumerate(rows):
                fresh += (register, minute) not in expected
                if expected.setdefault((register, minute), value) != value:
                    conflicts.append(index)
            result = write(connection, rows)
            assert (result.stored, result.conflicts.tolist()) == (fresh, conflicts)
            assert result.new.sum() == fresh
            assert result.known == len(rows) - fresh - len(conflicts)
        assert stored(connection) == expected
    finally:
        connection.rollback()


def test_twenty_thousand_readings_go_in_one_batch(connection: psycopg.Connection) -> None:
    rows = [(register, minute * 15, minute) for register in range(200) for minute in range(100)]
    assert write(connection, rows).stored == 20_000
    again = write(connection, rows)
    assert (again.stored, again.known, len(again.conflicts)) == (0, 20_000, 0)


def test_two_writers_of_the_same_readings_store_each_once(database: str) -> None:
    rows = [(register, minute, register) for register in range(50) for minute in range(40)]

    def run(ordered: list[Row]) -> int:
        with connect(database) as session:
            return write(session, ordered).stored

    with ThreadPoolExecutor(2) as executor:
        assert sum(executor.map(run, [rows, rows[::-1]])) == len(rows)


def test_a_series_holds_its_start_and_not_its_end(connection: psycopg.Connection) -> None:
    write(connection, [(1, minute, minute) for minute in (30, 0, 15, 45)] + [(2, 15, 7)])
    instants, values, status = series(connection, 1, START, START + timedelta(minutes=45))
    assert values.tolist() == [0, 15, 30]
    assert (instants - microseconds(START)).tolist() == [0, 15 * MINUTE, 30 * MINUTE]
    assert (instants.dtype, values.dtype, status.dtype) == (np.int64, np.int64, np.int16)


def test_a_series_without_readings_is_empty(connection: psycopg.Connection) -> None:
    instants, values, status = series(connection, 1, START, START + timedelta(days=1))
    assert (len(instants), len(values), len(status)) == (0, 0, 0)


def test_a_window_is_ordered_by_register_and_instant(connection: psycopg.Connection) -> None:
    write(connection, [(2, 0, 20), (1, 15, 11), (3, 0, 30), (1, 0, 10)])
    found = window(connection, np.array([2, 1], np.int32), START, START + timedelta(days=1))
    assert found.register_ids.tolist() == [1, 1, 2]
    assert found.values.tolist() == [10, 11, 20]


def test_status_is_stored_with_its_reading(connection: psycopg.Connection) -> None:
    one = np.array([1], np.int32)
    instant = np.array([microseconds(START)])
    insert(connection, one, instant, np.array([5]), np.array([3], np.int16))
    assert series(connection, 1, START, START + timedelta(days=1))[2].tolist() == [3]


def test_what_another_writer_stores_meanwhile_is_told_from_our_own(
    database: str, connection: psycopg.Connection
) -> None:
    """The one case that needs a second look: the statement began before the other's commit."""
    write(connection, [(1, 0, 10), (1, 15, 11)])
    with connect(database) as other, ThreadPoolExecutor() as pool:
        waits = pool.submit(write, other, [(1, 0, 99), (1, 15, 11), (1, 30, 12)])
        while not blocked(database):
            assert not waits.done()
        connection.commit()
        result = waits.result(timeout=10)
    assert (result.stored, result.known, result.conflicts.tolist()) == (1, 1, [0])
    assert result.new.tolist() == [False, False, True]


def test_all_of_a_batch_stored_by_another_writer_meanwhile_is_known(
    database: str, connection: psycopg.Connection
) -> None:
    write(connection, [(1, 0, 10)])
    with connect(database) as other, ThreadPoolExecutor() as pool:
        waits = pool.submit(write, other, [(1, 0, 10)])
        while not blocked(database):
            assert not waits.done()
        connection.commit()
        result = waits.result(timeout=10)
    assert (result.stored, result.known, result.new.tolist()) == (0, 1, [False])


def blocked(database: str) -> bool:
    """Whether a session of this database waits for another's transaction."""
    with connect(database) as observer:
        row = observer.execute(
            """
            select count(*) from pg_stat_activity
            where datname = current_database() and wait_event_type = 'Lock'
            """
        ).fetchone()
    return row != (0,)


def test_the_first_telegram_of_a_meter_and_instant_stays(connection: psycopg.Connection) -> None:
    at = microseconds(START)

    def of(*rows: tuple[int, int, bytes]) -> Telegrams:
        meters, batches, raws = zip(*rows, strict=True) if rows else ((), (), ())
        count = len(rows)
        return Telegrams(
            np.array(meters, np.int32),
            np.full(count, at),
            np.ones(count, np.int32),
            ["other", "e"],
            np.ones(count, np.int32),
            np.array(batches, np.int64),
            raws,
        )

    assert insert_telegrams(connection, of((2, 1, b"\x68\x00"), (1, 1, b""))) == 2
    assert insert_telegrams(connection, of((2, 2, b"later"), (1, 1, b""))) == 0
    assert insert_telegrams(connection, of()) == 0
    rows = connection.execute("select meter_id, measured_at, epoch, batch, raw from telegrams order by 1")
    assert rows.fetchall() == [(1, START, "e", 1, b""), (2, START, "e", 1, b"\x68\x00")]


def test_validation_is_queued_by_blocks_of_registers_and_days(connection: psycopg.Connection) -> None:
    day = 24 * 60 * MINUTE
    instants = microseconds(START) + np.array([0, 1, day - 1, day, 0])
    assert mark_for_validation(connection, np.array([0, 31, 5, 5, 32], np.int32), instants) == 3
    rows = connection.execute("select block, day from validation_queue order by block, day")
    assert rows.fetchall() == [(0, date(2026, 10, 1)), (0, date(2026, 10, 2)), (1, date(2026, 10, 1))]


def test_a_later_reading_marks_its_block_anew(connection: psycopg.Connection) -> None:
    ids, instants = np.array([1], np.int32), np.array([microseconds(START)])
    mark_for_validation(connection, ids, instants)
    first = connection.execute("select marked_at from validation_queue").fetchone()
    mark_for_validation(connection, ids, instants)
    second = connection.execute("select marked_at from validation_queue").fetchone()
    assert first is not None
    assert second is not None
    assert second > first
