"""Server-sent events: whose changes are told to whom, how streams end, and that they are bounded."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

import httpx
import psycopg
import pytest

from api.web.app import create_app
from api.web.settings import ApiSettings
from metering.access import Scope
from store.access.api_keys import issue
from store.postgres.notices import ChangeTopic, announce
from tests.api.conftest import Clock
from tests.api.seeding import Seeded
from tests.support.browsing import serving


@pytest.fixture
def site(settings: ApiSettings, clock: Clock) -> Iterator[str]:
    with serving(create_app(replace(settings, stream_seconds=30), clock=clock)) as url:
        yield url


@contextmanager
def stream(url: str, key: str) -> Iterator[Iterator[str]]:
    """The names of the events that a key is told, from `hello` on."""
    with httpx.stream("GET", f"{url}/v1/events", headers={"X-API-Key": key}, timeout=20) as answer:
        assert answer.status_code == 200
        assert answer.headers["content-type"].startswith("text/event-stream")
        names = (line.removeprefix("event: ") for line in answer.iter_lines() if line.startswith("event: "))
        assert next(names) == "hello"
        yield names


def _resolve(connection: psycopg.Connection, utility: Seeded) -> None:
    connection.execute("update findings set state = 'resolved' where utility_id = %s", (utility.id,))
    connection.commit()


def test_a_change_is_told_to_its_utility_alone(
    site: str, connection: psycopg.Connection, ours: Seeded, theirs: Seeded
) -> None:
    with stream(site, ours.key) as told, stream(site, theirs.key) as others:
        until_heard(connection, ours, told)
        _resolve(connection, theirs)
        _resolve(connection, ours)
        announce(connection, [ours.id], ChangeTopic.READINGS)
        connection.commit()
        seen = {next(told), next(told)}
        assert seen == {"findings", "readings"}
        assert next(others) == "findings"


def test_a_key_is_told_only_what_it_may_see(site: str, connection: psycopg.Connection, ours: Seeded) -> None:
    key = issue(connection, ours.code, "map", scopes={Scope.METERS_READ})
    connection.commit()
    with stream(site, key) as told:
        until_heard(connection, ours, told)
        _resolve(connection, ours)
        connection.execute("update gateways set state = 'offline' where utility_id = %s", (ours.id,))
        connection.commit()
        assert next(told) == "gateways"


def test_streams_are_bounded_and_end_with_the_server(
    settings: ApiSettings, clock: Clock, ours: Seeded
) -> None:
    with serving(create_app(replace(settings, stream_seconds=30), clock=clock)) as url:
        with stream(url, ours.key):
            waiting = [httpx.Client(headers={"X-API-Key": ours.key}) for _ in range(11)]
            opened = [one.send(one.build_request("GET", f"{url}/v1/events"), stream=True) for one in waiting]
            assert {one.status_code for one in opened} == {200}
            refused = httpx.get(f"{url}/v1/events", headers={"X-API-Key": ours.key})
            assert refused.status_code == 429
            assert refused.json()["detail"]
            for one in opened:
                one.close()
            for client in waiting:
                client.close()
        left = threading.Event()
        client = httpx.Client(headers={"X-API-Key": ours.key}, timeout=20)
        open_still = client.send(client.build_request("GET", f"{url}/v1/events"), stream=True)
        reader = threading.Thread(target=lambda: (list(open_still.iter_lines()), left.set()))
        reader.start()
    assert left.wait(5), "the stream outlived the server"
    reader.join()
    client.close()


def until_heard(connection: psycopg.Connection, utility: Seeded, told: Iterator[str]) -> None:
    """The listening session begins with the first stream: announce until a notice comes through."""
    heard = threading.Event()

    def knock() -> None:
        while not heard.wait(0.2):
            with psycopg.connect(connection.info.dsn, password=connection.info.password or None) as other:
                announce(other, [utility.id], ChangeTopic.QUARANTINE)

    thread = threading.Thread(target=knock)
    thread.start()
    try:
        assert next(told) == "quarantine"
    finally:
        heard.set()
        thread.join()
