"""How gateways are."""

from datetime import UTC, datetime, timedelta

import psycopg
import pytest

from store.gateways import set_health, set_state

EARLY = datetime(2026, 3, 2, tzinfo=UTC)
LATE = EARLY + timedelta(hours=1)


@pytest.fixture
def house(connection: psycopg.Connection) -> psycopg.Connection:
    connection.execute("insert into utilities (code, name, time_zone) values ('a', 'A', 'UTC')")
    connection.execute("insert into gateways (utility_id, code) select id, 'house' from utilities")
    return connection


def gateway(connection: psycopg.Connection, columns: str) -> tuple[object, ...]:
    row = connection.execute(f"select {columns} from gateways").fetchone()
    assert row is not None
    return row


def test_what_is_said_last_holds_and_its_instant_never_goes_back(house: psycopg.Connection) -> None:
    assert set_state(house, "a", "house", "online", LATE)
    assert set_state(house, "a", "house", "offline", EARLY)  # a will, made when the connection was
    assert gateway(house, "state, state_at") == ("offline", LATE)


def test_a_later_health_message_is_not_replaced_by_an_earlier_one(house: psycopg.Connection) -> None:
    assert set_health(house, "a", "house", '{"n": 2}', LATE)
    assert set_health(house, "a", "house", '{"n": 1}', EARLY)
    assert gateway(house, "health, health_at") == ({"n": 2}, LATE)


def test_a_gateway_that_is_not_registered_is_not_known(house: psycopg.Connection) -> None:
    assert not set_state(house, "a", "attic", "online", EARLY)
    assert not set_health(house, "b", "house", "{}", EARLY)


def test_a_clock_that_was_ahead_does_not_silence_the_messages_after_it(house: psycopg.Connection) -> None:
    ahead = datetime(2099, 1, 1, tzinfo=UTC)
    assert set_health(house, "a", "house", '{"n": 1}', ahead)
    assert set_state(house, "a", "house", "online", ahead)
    assert gateway(house, "health_at <= now(), state_at <= now()") == (True, True)
    assert set_health(house, "a", "house", '{"n": 2}', datetime.now(UTC) + timedelta(seconds=1))
    assert gateway(house, "health") == ({"n": 2},)
