"""Readings by month on plain PostgreSQL: room for every instant, and in order."""

import psycopg
import pytest

from store.postgres.database import connect
from store.postgres.retention import MONTHS_AHEAD, make_months
from store.postgres.roles import Role

INSTANTS = ("0001-01-01", "1999-12-31 23:59:59", "2026-10-25 01:00", "9999-12-31 23:59:59")


def months(connection: psycopg.Connection) -> list[str]:
    rows = connection.execute(
        "select inhrelid::regclass::text from pg_inherits where inhparent = 'readings'::regclass order by 1"
    )
    return [name for (name,) in rows]


def put(connection: psycopg.Connection, *instants: str) -> None:
    connection.execute(
        """
        insert into readings (register_id, measured_at, value)
        select 1, instant, 1 from unnest(%s::timestamptz[]) instant on conflict do nothing
        """,
        (list(instants),),
    )


def placed(connection: psycopg.Connection) -> dict[str, int]:
    return dict(
        connection.execute("select tableoid::regclass::text, count(*) from readings group by 1").fetchall()
    )


def test_every_instant_has_a_place(connection: psycopg.Connection) -> None:
    put(connection, *INSTANTS)
    assert connection.execute("select count(*) from readings").fetchone() == (len(INSTANTS),)
    put(connection, *INSTANTS)
    assert connection.execute("select count(*) from readings").fetchone() == (len(INSTANTS),)


def test_this_month_and_those_ahead_are_there_after_a_migration(connection: psycopg.Connection) -> None:
    now = connection.execute("select to_char(now(), 'YYYY_MM')").fetchone()
    assert now is not None
    there = months(connection)
    assert f"readings_{now[0]}" in there
    assert len(there) == 1 + MONTHS_AHEAD + 2, "and what lies before and after them"
    assert make_months(connection) == 0


def test_new_months_take_what_lay_beyond_the_last(connection: psycopg.Connection) -> None:
    row = connection.execute(
        """
        select at::text, to_char(at, 'YYYY_MM')
        from (select date_trunc('month', now()) + interval '5 months' as at) beyond
        """
    ).fetchone()
    assert row is not None
    put(connection, row[0], "9999-01-01")
    assert placed(connection) == {"readings_after": 2}
    made = connection.execute("select make_months(5)").fetchone()
    assert made == (2,)
    assert placed(connection) == {"readings_after": 1, f"readings_{row[1]}": 1}


def test_the_newest_reading_is_found_in_one_look(connection: psycopg.Connection) -> None:
    put(connection, "2026-10-01", "now")
    plan = "\n".join(
        line
        for (line,) in connection.execute(
            "explain (analyze, costs off, timing off, summary off, buffers off) "
            "select value from readings where register_id = 1 order by measured_at desc limit 1"
        )
    )
    assert "Sort" not in plan
    assert "Merge" not in plan
    assert "readings_before_pkey" in plan
    assert plan.count("never executed") == 1, f"older months are not looked into:\n{plan}"


def test_a_validator_makes_them_and_owns_none(database: str) -> None:
    with connect(database, role=Role.INGEST) as connection:
        connection.execute("select make_months(6)")
        name = months(connection)[-2]
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            connection.execute(f"drop table {name}".encode())


def test_making_months_keeps_nobody_waiting(database: str) -> None:
    with connect(database) as reader, connect(database, role=Role.INGEST) as validator:
        reader.execute("select count(*) from readings")
        with pytest.raises(psycopg.errors.LockNotAvailable):
            validator.execute("select make_months(6)")
        validator.rollback()
        reader.rollback()
        assert validator.execute("select make_months(6)").fetchone() == (3,)
