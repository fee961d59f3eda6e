"""Readings by hour and by day: the same columns and figures whatever the server computes them with."""

from datetime import UTC, datetime, timedelta

import numpy as np
import psycopg

from store.postgres.arrays import microseconds
from store.readings.raw import insert

START = datetime(2026, 10, 24, 22, 30, tzinfo=UTC)


def test_buckets_begin_at_full_hours_and_midnight_utc(connection: psycopg.Connection) -> None:
    minutes = np.array([0, 15, 45, 100])
    instants = microseconds(START) + minutes * 60_000_000
    values = np.array([10, 40, 30, 50])
    insert(connection, np.ones(4, np.int32), instants, values, np.zeros(4, np.int16))
    hourly = connection.execute("select * from readings_hourly where register_id = 1 order by bucket")
    assert [column.name for column in hourly.description or ()] == [
        "register_id",
        "bucket",
        "first_value",
        "last_value",
        "min_value",
        "max_value",
        "first_at",
        "last_at",
        "readings",
    ]
    at = [START + timedelta(minutes=int(minute)) for minute in minutes]
    first, second, third = (START + timedelta(minutes=offset) for offset in (-30, 30, 90))
    assert hourly.fetchall() == [
        (1, first, 10, 40, 10, 40, at[0], at[1], 2),
        (1, second, 30, 30, 30, 30, at[2], at[2], 1),
        (1, third, 50, 50, 50, 50, at[3], at[3], 1),
    ]
    daily = connection.execute("select * from readings_daily where register_id = 1 order by bucket")
    assert daily.fetchall() == [
        (1, datetime(2026, 10, 24, tzinfo=UTC), 10, 30, 10, 40, at[0], at[2], 3),
        (1, datetime(2026, 10, 25, tzinfo=UTC), 50, 50, 50, 50, at[3], at[3], 1),
    ]
