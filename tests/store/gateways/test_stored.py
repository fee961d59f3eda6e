"""A gateway that was told of a later time than the database knows shows that the database went back."""

from datetime import UTC, datetime, timedelta

import psycopg
import pytest

from store.gateways.downlink import due_commands
from store.gateways.stored import note_stored
from store.postgres.database import connect
from store.postgres.roles import Role

HOUR = timedelta(hours=1)
NEVER = datetime(1970, 1, 1, tzinfo=UTC)


@pytest.fixture
def store(connection: psycopg.Connection, database: str) -> psycopg.Connection:
    connection.execute("insert into utilities (code, name, time_zone) values ('a', 'A', 'UTC')")
    connection.execute("insert into gateways (utility_id, code) values (1, 'house'), (1, 'attic')")
    connection.commit()
    return connection


def now(store: psycopg.Connection) -> datetime:
    row = store.execute("select now()").fetchone()
    assert row is not None
    instant: datetime = row[0]
    return instant


def asked(store: psycopg.Connection) -> list[tuple[str, datetime | None]]:
    return [(one.gateway, one.since) for one in due_commands(store, now(store), timedelta(0), 9)]


def test_it_is_asked_once_to_send_again_what_came_since(store: psycopg.Connection) -> None:
    first = note_stored(store, {1: NEVER, 2: NEVER})
    assert (first.stored_at, first.asked) == (now(store), [])
    store.execute("update gateway_stored set stored_at = stored_at - interval '1 hour' where gateway_id = 1")
    told = now(store)
    assert note_stored(store, {1: told, 2: told}).asked == [1]
    assert note_stored(store, {1: told, 2: told}).asked == []
    assert asked(store) == [("house", told - HOUR - timedelta(minutes=1))]
    store.execute("update gateway_commands set state = 'done'")
    assert note_stored(store, {1: told}).asked == [], "the database knows by now"


def test_a_database_that_knows_nothing_of_it_asks_for_all(store: psycopg.Connection) -> None:
    assert note_stored(store, {2: now(store) - HOUR}).asked == [2]
    assert asked(store) == [("attic", NEVER)]


@pytest.mark.parametrize("off", [timedelta(seconds=-5), timedelta(seconds=30), timedelta(days=900)])
def test_a_time_that_is_known_or_that_nobody_can_have_told_asks_for_nothing(
    store: psycopg.Connection, off: timedelta
) -> None:
    note_stored(store, {1: NEVER})
    assert note_stored(store, {1: now(store) + off}).asked == []


def test_what_is_stored_all_the_time_is_noted_now_and_then_with_the_rights_of_an_ingester(
    store: psycopg.Connection, database: str
) -> None:
    with connect(database, role=Role.INGEST) as ingest:
        note_stored(ingest, {1: NEVER})
        ingest.commit()
        before = ingest.execute("select xmin::text, stored_at from gateway_stored").fetchall()
        note_stored(ingest, {1: NEVER})
        ingest.commit()
        assert ingest.execute("select xmin::text, stored_at from gateway_stored").fetchall() == before
