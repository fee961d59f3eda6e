"""A database that hangs: told within two seconds, requests given up by limits of ours, and all well later."""

import signal
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace

import httpx
import psutil
import pytest

from api.web.app import create_app
from api.web.settings import ApiSettings
from bench.fresh_store import fresh_store
from store.postgres.database import connect
from store.postgres.embedded import EmbeddedPostgres
from store.postgres.roles import Role
from tests.api.conftest import Clock
from tests.api.people import form_token
from tests.api.seeding import seed
from tests.support.browsing import serving


@pytest.fixture
def server() -> Iterator[EmbeddedPostgres]:
    """A server of this test's own, which it may stop."""
    with fresh_store() as started:
        yield started


@contextmanager
def hung(server: EmbeddedPostgres) -> Iterator[None]:
    """Every process of the server stopped, its sockets open."""
    assert server.pid is not None
    main = psutil.Process(server.pid)
    stopped = [main, *main.children(recursive=True)]
    for process in stopped:
        process.send_signal(signal.SIGSTOP)
    try:
        yield
    finally:
        for process in stopped:
            process.send_signal(signal.SIGCONT)


@pytest.mark.expects_log("the database does not answer; requests are refused until it does")
@pytest.mark.expects_log("discarding closed connection")  # the pool's own words, for what was cut
@pytest.mark.expects_log("error connecting in 'hesper api'")
def test_while_the_database_hangs_the_truth_is_told_at_once_and_then_all_goes_on(
    server: EmbeddedPostgres, settings: ApiSettings, clock: Clock
) -> None:
    with connect(server.url) as connection:
        key = seed(connection, "alpha", flats=1, days=1).key
    limited = replace(settings, database_url=server.url_of(login=Role.API.value), answer_seconds=2)
    with (
        serving(create_app(limited, clock=clock)) as url,
        ThreadPoolExecutor(20) as threads,
        httpx.Client(base_url=url, timeout=30, headers={"X-API-Key": key}) as client,
    ):

        def status(_: int = 0) -> int:
            return httpx.get(f"{url}/v1/meters", timeout=30, headers={"X-API-Key": key}).status_code

        assert status() == 200
        with hung(server):
            asked = [threads.submit(status, number) for number in range(20)]  # more than there are workers
            time.sleep(0.2)
            for _ in range(3):
                began = time.monotonic()
                health = client.get("/health")
                assert (health.status_code, health.json()["database"]) == (503, "unreachable")
                assert time.monotonic() - began < 2
            began = time.monotonic()
            assert {one.result() for one in asked} == {503}
            assert time.monotonic() - began < 10, "nobody waits for the server's own limits"
            began = time.monotonic()
            refused = client.get("/v1/meters")
            assert (refused.status_code, refused.headers["retry-after"]) == (503, "5")
            assert time.monotonic() - began < 1, "nor for anything, once it is known"
        until = time.monotonic() + 20
        while status() != 200:
            assert time.monotonic() < until, "the database answers again, and we do not notice"
            time.sleep(0.2)
        assert client.get("/health").json()["status"] == "ok"


@pytest.mark.expects_log("the database does not answer; requests are refused until it does")
@pytest.mark.expects_log("discarding closed connection")
@pytest.mark.expects_log("error connecting in 'hesper api'")
def test_who_signs_in_while_the_database_hangs_is_told_and_holds_no_worker(
    server: EmbeddedPostgres, settings: ApiSettings, clock: Clock
) -> None:
    with connect(server.url) as connection:
        key = seed(connection, "alpha", flats=1, days=1).key
    own = server.url_of(login=Role.API.value)
    limited = replace(settings, database_url=own, answer_seconds=2, workers=2, address_burst=10**6)
    with (
        serving(create_app(limited, clock=clock)) as url,
        ThreadPoolExecutor(10) as threads,
        httpx.Client(base_url=url, timeout=30) as browser,
    ):
        token = form_token(browser.get("/sign-in").text)

        def sign_in(number: int) -> int:
            given = {"login": f"anna{number}", "password": "x", "form_token": token}
            cookies = dict(browser.cookies)
            return httpx.post(f"{url}/sign-in", data=given, cookies=cookies, timeout=30).status_code

        assert sign_in(0) == 401
        with hung(server):
            began = time.monotonic()
            assert set(threads.map(sign_in, range(1, 9))) == {503}
            assert time.monotonic() - began < 15
        until = time.monotonic() + 20
        while httpx.get(f"{url}/v1/meters", headers={"X-API-Key": key}).status_code != 200:
            assert time.monotonic() < until
            time.sleep(0.2)


@pytest.mark.expects_log("discarding closed connection")  # where the pool is faster than whoever asks
@pytest.mark.expects_log("error connecting in 'hesper api'")  # where it was just connecting
def test_a_session_that_the_server_ended_is_replaced_before_anybody_is_given_it(
    server: EmbeddedPostgres, settings: ApiSettings, clock: Clock
) -> None:
    with connect(server.url) as connection:
        key = seed(connection, "alpha", flats=1, days=1).key
        connection.commit()
        own = replace(settings, database_url=server.url_of(login=Role.API.value))
        with serving(create_app(own, clock=clock)) as url, httpx.Client(base_url=url) as client:
            client.headers["X-API-Key"] = key
            for _ in range(3):
                assert client.get("/v1/meters").status_code == 200
                connection.execute(
                    "select pg_terminate_backend(pid) from pg_stat_activity where application_name = %s",
                    ["hesper api"],
                )
                connection.commit()
                time.sleep(0.1)
            assert client.get("/v1/meters").status_code == 200
