"""What is asked of gateways is sent until it is answered, by one ingester at a time, and answered once."""

from datetime import UTC, datetime, timedelta
from typing import Any, Literal

import psycopg
import pytest

from store.gateways import downlink
from store.gateways.downlink import GatewayReply
from store.gateways.requests import (
    CommandRequest,
    ConfigurationRequest,
    ask,
    latest_version,
    open_commands,
    put_configuration,
)
from store.postgres.database import connect

NOW = datetime(2026, 11, 24, 10, tzinfo=UTC)
AGAIN = timedelta(seconds=15)
MINUTE = timedelta(minutes=1)


@pytest.fixture
def house(connection: psycopg.Connection) -> psycopg.Connection:
    connection.execute("insert into utilities (code, name, time_zone) values ('a', 'A', 'UTC')")
    connection.execute("insert into gateways (utility_id, code) select id, 'house' from utilities")
    connection.execute("insert into gateways (utility_id, code) select id, 'attic' from utilities")
    connection.commit()
    return connection


def read_now(connection: psycopg.Connection, at: datetime = NOW) -> int:
    request = CommandRequest("read-now", "anna", "the tenant asks", at, at + 10 * MINUTE, meter="KAM-1")
    return ask(connection, 1, request)


def configure(connection: psycopg.Connection, toml: str, after: int) -> int | None:
    return put_configuration(connection, 1, after, ConfigurationRequest(toml, "anna", "", NOW))


def due(connection: psycopg.Connection, at: datetime = NOW) -> list[int]:
    return [one.id for one in downlink.due_commands(connection, at, AGAIN, 10)]


def answer(
    connection: psycopg.Connection,
    to: str,
    state: Literal["running", "done", "failed"],
    at: datetime = NOW,
    gateway: str = "house",
) -> bool:
    reply = GatewayReply(to, at, state, f"it is {state}", {"readouts": 1})
    return downlink.keep_reply(connection, "a", gateway, reply)


def value(connection: psycopg.Connection, query: str) -> Any:
    row = connection.execute(query.encode()).fetchone()
    assert row is not None
    return row[0]


def state(connection: psycopg.Connection) -> str:
    return str(value(connection, "select state from gateway_commands"))


def wire_id(connection: psycopg.Connection) -> str:
    return str(value(connection, "select wire_id from gateway_commands"))


def test_a_command_is_sent_again_until_it_is_answered(house: psycopg.Connection) -> None:
    command = read_now(house)
    assert due(house) == [command]
    downlink.command_sent(house, command, NOW)
    assert (state(house), due(house, NOW + AGAIN / 2), due(house, NOW + AGAIN)) == ("sent", [], [command])
    assert answer(house, wire_id(house), "running")
    assert (state(house), due(house, NOW + AGAIN)) == ("running", [command])
    assert answer(house, wire_id(house), "done")
    assert (state(house), due(house, NOW + AGAIN), open_commands(house, 1, NOW)) == ("done", [], 0)


def test_a_reply_that_comes_twice_or_late_changes_nothing(house: psycopg.Connection) -> None:
    read_now(house)
    for told in ("running", "done", "done", "running"):
        assert answer(house, wire_id(house), told)  # type: ignore[arg-type]  # the literals of the loop
    assert answer(house, wire_id(house), "failed", NOW + MINUTE)  # the gateway was started anew
    assert state(house) == "done"
    assert value(house, "select count(*) from gateway_replies") == 3
    assert value(house, "select result from gateway_replies limit 1") == {"readouts": 1}


def test_what_nobody_answers_in_time_expires_and_a_late_answer_still_counts(
    house: psycopg.Connection,
) -> None:
    read_now(house)
    end = NOW + 10 * MINUTE
    assert downlink.expire_commands(house, end - MINUTE) == 0
    assert due(house, end) == []
    assert downlink.expire_commands(house, end) == 1
    assert state(house) == "expired"
    answer(house, wire_id(house), "done")
    assert state(house) == "done"


def test_one_that_has_begun_is_waited_for_beyond_its_end(house: psycopg.Connection) -> None:
    command = read_now(house)
    answer(house, wire_id(house), "running")
    end = NOW + 10 * MINUTE
    assert (downlink.expire_commands(house, end + MINUTE), due(house, end + MINUTE)) == (0, [command])
    assert downlink.expire_commands(house, end + 61 * MINUTE) == 1


def test_two_ingesters_never_send_the_same_at_once(house: psycopg.Connection, database: str) -> None:
    command = read_now(house)
    configure(house, "a = 1", 0)
    house.commit()
    with connect(database) as other:
        assert due(house) == [command]
        assert len(downlink.due_configurations(house, 10)) == 1
        assert due(other) == []
        assert downlink.due_configurations(other, 10) == []
        other.rollback()
    house.rollback()


def test_a_gateway_answers_for_itself_alone(house: psycopg.Connection) -> None:
    read_now(house)
    configure(house, "a = 1", 0)
    for to in (wire_id(house), "1"):
        assert not answer(house, to, "done", gateway="attic")
    for unknown in ("", "2", "2026-11-24a", "x" * 36, "9" * 40, "00000000-0000-0000-0000-000000000000"):
        assert not answer(house, unknown, "done")
    assert state(house) == "queued"


def test_only_the_newest_configuration_is_sent_and_nobody_overwrites_unseen(
    house: psycopg.Connection,
) -> None:
    assert configure(house, "a = 1", 0) == 1
    assert configure(house, "a = 2", 0) is None
    assert configure(house, "a = 2", 1) == 2
    (sent,) = downlink.due_configurations(house, 10)
    assert (sent.version, sent.toml, sent.gateway) == (2, "a = 2", "house")
    downlink.configuration_sent(house, sent.id, NOW)
    assert downlink.due_configurations(house, 10) == []
    rows = house.execute("select version, state from gateway_configurations order by version").fetchall()
    assert rows == [(1, "superseded"), (2, "sent")]
    assert latest_version(house, 1) == 2


def test_an_unanswered_configuration_is_sent_again_to_a_broker_that_may_have_lost_it(
    house: psycopg.Connection,
) -> None:
    configure(house, "a = 1", 0)
    (sent,) = downlink.due_configurations(house, 10)
    downlink.configuration_sent(house, sent.id, NOW)
    assert downlink.send_configurations_again(house) == 1
    assert len(downlink.due_configurations(house, 10)) == 1
    answer(house, "1", "done")
    assert downlink.send_configurations_again(house) == 0


@pytest.mark.parametrize(
    ("told", "becomes"),
    [
        (["running"], "tried"),
        (["running", "done"], "kept"),
        (["running", "failed"], "rolled back"),
        (["failed"], "refused"),
        (["running", "done", "failed"], "rolled back"),
    ],
)
def test_a_configuration_is_what_its_gateway_said_last(
    house: psycopg.Connection, told: list[Literal["running", "done", "failed"]], becomes: str
) -> None:
    configure(house, "a = 1", 0)
    for number, one in enumerate(told):
        answer(house, "1", one, NOW + number * MINUTE)
    answer(house, "1", "running", NOW - MINUTE)  # one that was held up
    assert value(house, "select state from gateway_configurations") == becomes
