"""Two gateways under one name, and clocks wrong by hours or decades, are found in their first hour."""

from datetime import datetime, timedelta

import psycopg
import pytest

from ingest.validation.communication import look
from store.gateways.health_message import keep_hour
from store.gateways.status import set_health
from telemetry.wire import Health, encode, to_milliseconds
from tests.ingest.validation.test_communication_findings import HOUR, found, now, store  # noqa: F401 - fixtures


def present(store: psycopg.Connection) -> datetime:  # noqa: F811
    row = store.execute("select clock_timestamp()").fetchone()
    assert row is not None
    instant: datetime = row[0]
    return instant


def arrive(store: psycopg.Connection, epoch: str, off: timedelta = timedelta(0)) -> None:  # noqa: F811
    """A health message that comes now, of a clock that is off."""
    at = present(store) + off
    message = Health(to_milliseconds(at), "1", epoch, clock_synchronised=True, buffered_readouts=0)
    assert set_health(store, "a", "house", encode(message).decode(), at)
    keep_hour(store, "a", "house", message)


def kinds(store: psycopg.Connection, now: datetime, hours: int = 1) -> list[tuple[str, bool]]:  # noqa: F811
    look(store, now + hours * HOUR + timedelta(minutes=10))
    return [(kind, ended is None) for _, _, kind, _, ended in found(store)]


def test_epochs_that_take_turns_are_two_gateways(store: psycopg.Connection, now: datetime) -> None:  # noqa: F811
    for _ in range(3):
        arrive(store, "of the original")
        arrive(store, "of the clone")
    assert kinds(store, now) == [("communication.copies", True)]
    store.execute(
        "insert into gateway_hours (gateway_id, hour, utility_id) "
        "select 1, %s + n * interval '1 hour', 1 from generate_series(1, 3) n",
        [now],
    )
    assert kinds(store, now, 3) == [("communication.copies", False)]


def test_each_start_of_a_machine_is_an_epoch_that_does_not_come_back(
    store: psycopg.Connection,  # noqa: F811
    now: datetime,  # noqa: F811
) -> None:
    for boot in range(12):
        arrive(store, f"boot {boot}")
        arrive(store, f"boot {boot}")
    assert kinds(store, now) == []


@pytest.mark.parametrize(
    "off", [timedelta(hours=3), timedelta(days=-20), timedelta(days=-20_000), timedelta(days=4_000)]
)
def test_a_clock_that_is_far_off_is_found_although_it_calls_itself_synchronised(
    off: timedelta,
    store: psycopg.Connection,  # noqa: F811
    now: datetime,  # noqa: F811
) -> None:
    arrive(store, "e", off)
    assert kinds(store, now) == [("communication.clock", True)]


def test_messages_that_were_long_on_their_way_tell_nothing_of_a_clock(
    store: psycopg.Connection,  # noqa: F811
    now: datetime,  # noqa: F811
) -> None:
    for minutes in range(300, 60, -1):
        arrive(store, "e", timedelta(minutes=-minutes))
    arrive(store, "e")
    assert kinds(store, now) == []
