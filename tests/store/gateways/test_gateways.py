"""How gateways are."""

from datetime import UTC, datetime, timedelta

import psycopg
import pytest

from store.gateways.status import set_health, set_state
from telemetry.wire import Health, LineHealth, encode, to_milliseconds

EARLY = datetime(2026, 3, 2, tzinfo=UTC)
LATE = EARLY + timedelta(hours=1)


@pytest.fixture
def house(connection: psycopg.Connection) -> psycopg.Connection:
    connection.execute("insert into utilities (code, name, time_zone) values ('a', 'A', 'UTC')")
    connection.execute("insert into gateways (utility_id, code) select id, 'house' from utilities")
    return connection


def health(buffered: int) -> str:
    """A message as the ingester hands it over."""
    return encode(
        Health(
            at=1,
            version="1.0",
            epoch="life",
            clock_synchronised=True,
            buffered_readouts=buffered,
            oldest_unacknowledged=to_milliseconds(EARLY),
            cpu_celsius=48.5,
            lines=[LineHealth("water", utilisation=0.31)],
        )
    ).decode()


def gateway(connection: psycopg.Connection, columns: str) -> tuple[object, ...]:
    row = connection.execute(f"select {columns} from gateways").fetchone()
    assert row is not None
    return row


def test_what_is_said_last_holds_and_its_instant_never_goes_back(house: psycopg.Connection) -> None:
    assert set_state(house, "a", "house", "online", LATE)
    assert set_state(house, "a", "house", "offline", EARLY)  # a will, made when the connection was
    assert gateway(house, "state, state_at") == ("offline", LATE)


def test_a_later_health_message_is_not_replaced_by_an_earlier_one(house: psycopg.Connection) -> None:
    assert set_health(house, "a", "house", health(2), LATE)
    assert set_health(house, "a", "house", health(1), EARLY)
    assert gateway(house, "health ->> 'buffered_readouts', health_at") == ("2", LATE)


def test_a_gateway_that_is_not_registered_is_not_known(house: psycopg.Connection) -> None:
    assert not set_state(house, "a", "attic", "online", EARLY)
    assert not set_health(house, "b", "house", health(1), EARLY)


def test_a_clock_that_was_ahead_does_not_silence_the_messages_after_it(house: psycopg.Connection) -> None:
    ahead = datetime(2099, 1, 1, tzinfo=UTC)
    assert set_health(house, "a", "house", health(1), ahead)
    assert set_state(house, "a", "house", "online", ahead)
    assert gateway(house, "health_at <= now(), state_at <= now()") == (True, True)
    assert set_health(house, "a", "house", health(2), datetime.now(UTC) + timedelta(seconds=1))
    assert gateway(house, "health ->> 'buffered_readouts'") == ("2",)
    row = house.execute("select clock_ahead from gateway_health").fetchone()
    assert row is not None
    assert row[0] > 86_400 * 365


def test_every_health_message_is_kept_once_and_in_its_place(house: psycopg.Connection) -> None:
    for number, at in ((2, LATE), (1, EARLY), (1, EARLY)):
        set_health(house, "a", "house", health(number), at)
    rows = house.execute(
        "select at, buffered_readouts, lines -> 0 ->> 'line', oldest_unacknowledged, cpu_celsius "
        "from gateway_health order by at"
    ).fetchall()
    assert rows == [(EARLY, 1, "water", EARLY, 48.5), (LATE, 2, "water", EARLY, 48.5)]


def test_a_change_of_state_is_kept_and_a_repetition_is_none(house: psycopg.Connection) -> None:
    for state in ("online", "online", "offline", "online"):
        set_state(house, "a", "house", state, EARLY)
    states = house.execute("select state from gateway_states order by id").fetchall()
    assert states == [("online",), ("offline",), ("online",)]
