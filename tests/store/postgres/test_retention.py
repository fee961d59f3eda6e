"""Upkeep: months made ahead, and what is too old removed by the settings alone, whatever the server."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import psycopg
import pytest
from psycopg.types.json import Jsonb

from store.postgres.arrays import microseconds
from store.postgres.database import connect
from store.postgres.retention import RetentionError, keep, settings, upkeep
from store.postgres.roles import Role, assume
from store.readings.raw import Telegrams, insert, insert_telegrams

NOW = datetime.now(UTC)  # what is too old is decided by the server's clock


@pytest.fixture
def session(database: str) -> Iterator[psycopg.Connection]:
    """A session in autocommit with a meter; the settings are put back at the end."""
    with connect(database) as connection:
        connection.autocommit = True
        connection.execute(
            """
            with u as (insert into utilities (code, name, time_zone) values ('a', 'A', 'UTC') returning id),
                 g as (insert into gateways (utility_id, code) select id, 'g' from u),
                 p as (insert into service_points (utility_id, code, medium) select id, 'p', 8 from u)
            insert into meters (utility_id, code, medium) select id, 'KAM-1', 8 from u
            """
        )
        _default_settings(connection)
        yield connection
        _default_settings(connection)


def _default_settings(connection: psycopg.Connection) -> None:
    connection.execute(
        """
        insert into retention values
            ('readings', null, ''), ('telegrams', '60 days', ''), ('disputable telegrams', '3 years', ''),
            ('quarantine', '1 year', ''), ('misses', '90 days', ''), ('aggregates', null, '')
        on conflict (kind) do update set keep = excluded.keep
        """
    )


def ago(days: float) -> datetime:
    return NOW - timedelta(days=days)


def read(connection: psycopg.Connection, *days: float) -> None:
    """A reading of register 1 so many days ago."""
    instants = np.array([microseconds(ago(each)) for each in days])
    count = len(days)
    insert(connection, np.ones(count, np.int32), instants, np.arange(count), np.zeros(count, np.int16))


def ages(connection: psycopg.Connection, table: str) -> list[int]:
    """Days since each row of the table was measured."""
    rows = connection.execute(f"select measured_at from {table} order by 1 desc".encode()).fetchall()
    return [round((NOW - at) / timedelta(days=1)) for (at,) in rows]


def test_readings_are_kept_for_ever_unless_somebody_says_otherwise(session: psycopg.Connection) -> None:
    read(session, 1, 400, 4_000)
    assert upkeep(session)["readings"] == 0
    assert ages(session, "readings") == [1, 400, 4_000]


def test_old_readings_go_and_late_ones_can_still_come(session: psycopg.Connection) -> None:
    read(session, 1, 30, 200, 500, 800)
    session.execute(
        """
        insert into marks (register_id, measured_at, rule, quality, usable, evidence)
        select register_id, measured_at, 'glitch', 10, false, '{}' from readings
        """
    )
    keep(session, "readings", timedelta(days=365))
    assert upkeep(session)["readings"] > 0
    assert ages(session, "readings") == [1, 30, 200]
    assert ages(session, "marks") == [1, 30, 200]
    assert upkeep(session)["readings"] == 0, "nothing is left to do"
    read(session, 500)
    assert ages(session, "readings") == [1, 30, 200, 500], "a late reading is refused by nothing"


def test_telegrams_behind_a_bill_are_kept_as_long_as_it_can_be_disputed(session: psycopg.Connection) -> None:
    times = np.array([microseconds(ago(days)) for days in (1, 70, 100, 1_500)])
    one = np.ones(len(times), np.int32)
    insert_telegrams(session, Telegrams(one, times, one, ["e"], one - 1, one.astype(np.int64), [b"x"] * 4))
    _bill(session, ago(100), issued=ago(80))
    _bill(session, ago(1_500), issued=ago(1_400))
    assert upkeep(session)["telegrams"] == 2
    assert ages(session, "telegrams") == [1, 100]


def _bill(session: psycopg.Connection, read_at: datetime, issued: datetime) -> None:
    """A billing reading that rests on the reading of that instant."""
    part: dict[str, Any] = {
        "meter": "KAM-1",
        "start": {"readings": []},
        "end": {"readings": [{"at": read_at.isoformat()}]},
        "carried": {"found_now": {"readings": [{"at": read_at.isoformat()}]}},
    }
    session.execute(
        """
        with c as (
            insert into closes (utility_id, period, starts_at, ends_at, run, author, summary)
            select id, to_char(%(issued)s, 'YYYY-MM'), now(), now() + interval '1 day', 1, 'anna', '{}'
            from utilities returning *
        )
        insert into billing_readings
            (utility_id, close_id, service_point_id, obis, period, version, starts_at, ends_at, start_offset,
             end_offset, start_value, end_value, consumption, unit, quality, start_method, end_method,
             evidence, content_hash, created_at)
        select c.utility_id, c.id, p.id, '8-0:1.0.0', c.period, 1, c.starts_at, c.ends_at, '0', '0', 1, 2, 1,
               'm3', 0, 'reading', 'reading', %(evidence)s, '', %(issued)s
        from c, service_points p
        """,
        {"issued": issued, "evidence": Jsonb({"installations": [part]})},
    )
    session.execute("select note_disputable_telegrams(max(id)) from closes")


def test_what_waits_in_quarantine_is_never_too_old(session: psycopg.Connection) -> None:
    for state, days in (("waiting", 4_000), ("replayed", 400), ("discarded", 400), ("replayed", 10)):
        session.execute(
            """
            insert into quarantine
                (topic, reason, detail, payload, payload_hash, state, received_at, resolved_at)
            values ('t', %s, '', '', '', %s, %s, %s)
            """,
            (f"{state} {days}", state, ago(days), None if state == "waiting" else ago(days)),
        )
    assert upkeep(session)["quarantine"] == 2
    left = session.execute("select reason from quarantine order by id").fetchall()
    assert left == [("waiting 4000",), ("replayed 10",)]


def test_a_validator_may_do_it_and_remove_nothing_by_itself(session: psycopg.Connection) -> None:
    read(session, 500)
    keep(session, "readings", "1 year")
    assume(session, Role.INGEST)
    try:
        assert upkeep(session)["readings"] > 0
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            session.execute("update retention set keep = '7 days'")
    finally:
        session.execute("reset role")


def test_a_setting_that_cannot_be_says_why(session: psycopg.Connection) -> None:
    for kind, how_long, problem in (
        ("dreams", "1 year", "there is no kind of data 'dreams'"),
        ("telegrams", "long", "'long' is no interval"),
        ("telegrams", "1 day", "telegrams cannot be kept for 1 day only"),
        ("readings", "30 days", "readings cannot be kept for 30 days only"),
    ):
        with pytest.raises(RetentionError, match=problem) as caught:
            keep(session, kind, how_long)
        assert caught.value.advice
    keep(session, "telegrams", None)
    assert {each.kind: each.keep for each in settings(session)}["telegrams"] is None
