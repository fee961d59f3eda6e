"""The app under more requests than it has workers, connections and files."""

import asyncio
import resource
import socket
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace

import httpx
import psycopg
import pytest
from fastapi import FastAPI
from fastapi.routing import APIRoute
from fastapi.testclient import TestClient

from api.web import server
from api.web.app import create_app
from api.web.settings import ApiSettings
from metering.access import Scope, UserRole
from store.access.api_keys import issue
from tests.api.conftest import Clock
from tests.api.identity.test_access import api_routes
from tests.api.people import form_token, person
from tests.api.seeding import Seeded, seed
from tests.support.browsing import serving

AT_ONCE = 300


@pytest.fixture
def ours(connection: psycopg.Connection) -> Seeded:
    """A small utility: nothing here looks at its readings."""
    return seed(connection, "alpha", flats=1, days=1)


@pytest.fixture
def site(settings: ApiSettings, clock: Clock) -> Iterator[str]:
    generous = replace(settings, caller_burst=10**6, address_burst=10**6, password_memory_kib=8 * 1024)
    with serving(create_app(generous, clock=clock)) as url:
        yield url


async def ask(url: str, count: int, path: str, key: str) -> tuple[Counter[int], float]:
    """The status codes of so many requests at once, and for how long `/health` took meanwhile at the most."""
    limits = httpx.Limits(max_connections=count + 5)
    async with (
        httpx.AsyncClient(base_url=url, timeout=60, limits=limits) as client,
        httpx.AsyncClient(base_url=url, timeout=60) as supervisor,
    ):

        async def one() -> int:
            return (await client.get(path, headers={"X-API-Key": key})).status_code

        asked = [asyncio.create_task(one()) for _ in range(count)]
        slowest = 0.0
        while not all(task.done() for task in asked):
            began = time.monotonic()
            assert (await supervisor.get("/health")).status_code == 200
            slowest = max(slowest, time.monotonic() - began)
            await asyncio.sleep(0.05)
        return Counter(task.result() for task in asked), slowest


def test_three_hundred_at_once_are_all_answered_and_health_meanwhile(site: str, ours: Seeded) -> None:
    answers, slowest = asyncio.run(ask(site, AT_ONCE, "/v1/meters?limit=1", ours.key))
    assert answers == {200: AT_ONCE}
    assert slowest < 20  # it shares a process with three hundred clients here; bench.api has the figure


def test_three_hundred_unknown_keys_at_once_are_refused_and_the_log_has_some(
    site: str, ours: Seeded, connection: psycopg.Connection
) -> None:
    answers, _ = asyncio.run(ask(site, AT_ONCE, "/v1/meters?limit=1", "hesper_unknown"))
    assert answers == {401: AT_ONCE}
    noted = connection.execute("select count(*) from audit_log where action = 'refused'").fetchone()
    assert noted is not None
    assert 0 < noted[0] <= 20, "a row for each would cost more than the refusal"


def test_each_refusal_of_a_key_that_we_know_is_in_the_log(
    client: TestClient, connection: psycopg.Connection, ours: Seeded
) -> None:
    client.headers["Authorization"] = (
        f"Bearer {issue(connection, 'alpha', 'map', scopes={Scope.METERS_READ})}"
    )
    connection.commit()
    assert [client.get("/v1/audit").status_code for _ in range(15)] == [403] * 15
    noted = connection.execute("select count(*) from audit_log where action = 'refused'").fetchone()
    assert noted == (15,)


def test_one_worker_answers_all_of_them(settings: ApiSettings, clock: Clock, ours: Seeded) -> None:
    one = replace(settings, workers=1, caller_burst=10**6, address_burst=10**6)
    with serving(create_app(one, clock=clock)) as url:
        answers, _ = asyncio.run(ask(url, 60, "/v1/meters?limit=1", ours.key))
    assert answers == {200: 60}


def test_nothing_is_asked_of_the_database_for_who_has_gone(
    settings: ApiSettings, clock: Clock, ours: Seeded, connection: psycopg.Connection
) -> None:
    one = replace(settings, workers=1, caller_burst=10**6, address_burst=10**6)
    with serving(create_app(one, clock=clock)) as url:
        address = httpx.URL(url)
        head = f"GET /v1/billing/2026-10 HTTP/1.1\r\nHost: x\r\nX-API-Key: {ours.key}\r\n\r\n".encode()
        connection.execute("lock table billing_readings in access exclusive mode")
        waiting = [socket.create_connection((address.host, address.port or 0)) for _ in range(30)]
        for each in waiting:
            each.sendall(head)
        time.sleep(0.5)  # the first is being answered, the others wait
        for each in waiting:
            each.close()
        time.sleep(0.5)
        connection.commit()
        assert httpx.get(f"{url}/v1/meters", headers={"X-API-Key": ours.key}, timeout=30).status_code == 200
    noted = connection.execute("select count(*) from audit_log where subject like '/v1/billing/%'").fetchone()
    assert noted == (1,)


def test_no_route_takes_a_thread_besides_its_workers(app: FastAPI) -> None:
    """FastAPI gives each plain function a thread of a second pool: so pools come to wait for each other."""

    def plain(route: APIRoute) -> list[str]:
        waiting, found = [route.dependant], []
        while waiting:
            part = waiting.pop()
            waiting += part.dependencies
            call = part.call
            if not asyncio.iscoroutinefunction(call) and not asyncio.iscoroutinefunction(
                getattr(call, "__call__", None)  # noqa: B004
            ):
                found.append(f"{route.path}: {call}")
        return found

    routes = list(api_routes(app))
    assert len(routes) > 100
    assert [fault for route in routes for fault in plain(route)] == []


def test_a_flood_of_sign_ins_is_mostly_refused_and_programs_go_on(
    site: str, ours: Seeded, connection: psycopg.Connection
) -> None:
    person(connection, "anna", "alpha", UserRole.ENGINEER)

    async def flood() -> tuple[Counter[int], list[float]]:
        async with httpx.AsyncClient(base_url=site, timeout=60) as client:
            token = form_token((await client.get("/sign-in")).text)

            async def sign_in(number: int) -> int:
                data = {"login": f"nobody{number}", "password": "wrong" * 4, "form_token": token}
                return (await client.post("/sign-in", data=data)).status_code

            tried = [asyncio.create_task(sign_in(number)) for number in range(AT_ONCE)]
            waits = []
            while not all(task.done() for task in tried):
                began = time.monotonic()
                answer = await client.get("/v1/meters?limit=1", headers={"X-API-Key": ours.key})
                assert answer.status_code == 200
                waits.append(time.monotonic() - began)
            return Counter(task.result() for task in tried), waits

    answers, waits = asyncio.run(flood())
    assert answers[401] == 10, "what one network may try"
    assert answers[429] == AT_ONCE - 10
    assert waits
    assert max(waits) < 10


def test_who_attacks_an_account_keeps_nobody_out_of_it_from_elsewhere(
    site: str, ours: Seeded, connection: psycopg.Connection, settings: ApiSettings, clock: Clock
) -> None:
    person(connection, "anna", "alpha", UserRole.ENGINEER)
    with serving(create_app(settings, clock=clock)) as second:  # another process would be no different

        def sign_in(url: str, address: str, password: str) -> int:
            with httpx.Client(base_url=url, headers={"X-Forwarded-For": address}) as client:
                token = form_token(client.get("/sign-in").text)
                data = {"login": "anna", "password": password, "form_token": token}
                return client.post("/sign-in", data=data).status_code

        attacks = [
            sign_in(url, f"2001:db8:0:7::{number}", "wrong") for number in range(4) for url in (site, second)
        ]
        assert attacks == [401] * 5 + [429] * 3
        assert sign_in(site, "2001:db8:0:8::1", "correct horse battery") in {303, 401}
        assert sign_in(site, "2001:db8:0:7::99", "wrong") == 429


def test_silent_connections_make_room_for_those_who_ask(
    settings: ApiSettings, clock: Clock, ours: Seeded, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server, "_places", lambda: 40)
    with serving(create_app(settings, clock=clock)) as url:
        address = httpx.URL(url)
        silent = [socket.create_connection((address.host, address.port or 0)) for _ in range(120)]
        for number, one in enumerate(silent):
            one.settimeout(5)
            if number % 2:
                one.sendall(b"GET /sign-in HTTP/1.1\r\nHost: x\r\nX-Slow: ")
        try:
            for _ in range(10):
                assert httpx.get(f"{url}/v1/meters", headers={"X-API-Key": ours.key}).status_code == 200
            for one in silent:
                one.settimeout(0.05)
            closed = sum(_is_closed(one) for one in silent)
            assert closed >= 80
        finally:
            for one in silent:
                one.close()


def test_idle_connections_of_those_who_asked_once_make_room_too(
    settings: ApiSettings, clock: Clock, ours: Seeded, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server, "_places", lambda: 20)
    generous = replace(settings, address_burst=10**6)
    with serving(create_app(generous, clock=clock)) as url:
        address = httpx.URL(url)
        idle = [socket.create_connection((address.host, address.port or 0), timeout=5) for _ in range(20)]
        try:
            for one in idle:
                one.sendall(b"GET /sign-in HTTP/1.1\r\nHost: x\r\n\r\n")
                assert one.recv(100).startswith(b"HTTP/1.1 200")
            for _ in range(10):
                assert httpx.get(f"{url}/v1/meters", headers={"X-API-Key": ours.key}).status_code == 200
        finally:
            for one in idle:
                one.close()


def test_what_comes_astray_behind_a_request_ends_no_answer_that_lasts(
    settings: ApiSettings, clock: Clock, ours: Seeded, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server, "_REQUEST_SECONDS", 0.3)
    with serving(create_app(replace(settings, stream_seconds=30), clock=clock)) as url:
        address = httpx.URL(url)
        with socket.create_connection((address.host, address.port or 0), timeout=0.2) as stream:
            stream.sendall(f"GET /v1/events HTTP/1.1\r\nHost: x\r\nX-API-Key: {ours.key}\r\n\r\n".encode())
            time.sleep(0.2)
            stream.sendall(b"\r\n")
            time.sleep(1)
            told = stream.recv(65_536)
            assert b"event: hello" in told
            with pytest.raises(TimeoutError):  # still open, and nothing to say
                stream.recv(1)


def test_heads_bodies_and_heads_without_end_are_closed_in_time(
    settings: ApiSettings, clock: Clock, ours: Seeded, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server, "_REQUEST_SECONDS", 0.5)
    with serving(create_app(settings, clock=clock)) as url:
        address = httpx.URL(url)
        for sent in (
            b"",
            b"GET /sign-in HTTP/1.1\r\nX-Slow: ",
            b"POST /sign-in HTTP/1.1\r\nHost: x\r\nContent-Length: 500\r\n\r\nform",
        ):
            with socket.create_connection((address.host, address.port or 0), timeout=5) as slow:
                slow.sendall(sent)
                assert _is_closed(slow), sent
        with socket.create_connection((address.host, address.port or 0), timeout=5) as endless:
            endless.sendall(b"GET /sign-in HTTP/1.1\r\n" + b"X-More: %s\r\n" % (b"x" * 40_000))
            assert b" 400 " in endless.recv(100)


def _is_closed(connection: socket.socket) -> bool:
    try:
        return connection.recv(1) == b""
    except ConnectionResetError:
        return True
    except TimeoutError:
        return False


def test_as_many_connections_are_kept_as_there_are_files_for() -> None:
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    try:
        places = server._places()
        assert resource.getrlimit(resource.RLIMIT_NOFILE)[0] == before[1]
        assert 0 < places < before[1]
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)
