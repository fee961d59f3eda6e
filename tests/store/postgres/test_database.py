"""Sessions: UTC, named, and clear about what is wrong."""

import os
import signal
import time
from contextlib import ExitStack, suppress
from datetime import timedelta
from pathlib import Path

import psycopg
import pytest

from store.postgres.database import UnreachableError, answers, connect, lives, pool, shown
from store.postgres.embedded import EmbeddedPostgres
from store.postgres.roles import Role


def test_a_session_runs_in_utc_whatever_the_server_is_set_to(database: str) -> None:
    with connect(database) as connection:
        assert connection.execute("show timezone").fetchone() == ("UTC",)


def test_an_unreachable_database_is_reported_with_advice() -> None:
    with pytest.raises(UnreachableError, match="cannot reach the database") as caught:
        connect("postgresql://hesper@127.0.0.1:1/hesper")
    assert "DATABASE_URL" in caught.value.advice


def test_a_text_that_is_no_url_is_reported_as_such() -> None:
    with pytest.raises(UnreachableError, match="no database URL"):
        connect("postgresql://[broken")


@pytest.mark.parametrize(
    ("url", "told"),
    [
        ("postgresql://hesper:h%40pw@db:5433/meters", "postgresql://hesper@/meters?host=db&port=5433"),
        ("user=hesper password=h@pw dbname=meters host=/run/pg", "postgresql://hesper@/meters?host=/run/pg"),
        (
            "postgresql://hesper@/meters?host=a,b&password=h@pw&sslmode=require&sslpassword=h@pw",
            "postgresql://hesper@/meters?host=a,b&sslmode=require",
        ),
        ("postgresql://hesper@db/meters", "postgresql://hesper@db/meters"),
        ("postgresql:/hesper:h@pw", "(no database URL)"),
    ],
)
def test_an_address_is_shown_without_its_passwords_and_is_the_same_place(url: str, told: str) -> None:
    assert shown(url) == told


@pytest.mark.parametrize("url", ["postgresql//hesper:h@pw@db/meters", "postgresql://hesper:h@pw@[db/meters"])
def test_what_is_wrong_with_an_address_is_told_without_its_password(url: str) -> None:
    with pytest.raises(UnreachableError) as caught:
        connect(url)
    assert "pw" not in f"{caught.value} {caught.value.advice} {caught.value.__cause__}"


def test_a_pool_says_at_once_that_the_database_is_unreachable() -> None:
    with pytest.raises(UnreachableError):
        pool("postgresql://hesper@127.0.0.1:1/hesper", 2, role=Role.API)


def test_a_pool_hands_out_sessions_in_utc(database: str) -> None:
    with pool(database, 1, role=Role.API) as sessions, sessions.connection() as connection:
        assert connection.execute("show timezone").fetchone() == ("UTC",)


def test_a_statement_timeout_ends_a_statement(database: str) -> None:
    with (
        connect(database, statement_timeout=timedelta(milliseconds=50)) as connection,
        pytest.raises(psycopg.errors.QueryCanceled),
    ):
        connection.execute("select pg_sleep(30)")


def test_a_server_that_is_full_lives_although_it_answers_nobody_and_one_that_hangs_does_not(
    tmp_path: Path,
) -> None:
    few = {"max_connections": "4", "superuser_reserved_connections": "0", "fsync": "off"}
    with EmbeddedPostgres(tmp_path / "postgres", few) as server, ExitStack() as sessions:
        with suppress(psycopg.OperationalError):
            while True:
                sessions.enter_context(psycopg.connect(server.url))
        assert not answers(server.url)
        assert lives(server.url)
        assert server.pid is not None
        os.kill(server.pid, signal.SIGSTOP)
        try:
            began = time.monotonic()
            assert not lives(server.url)
            assert time.monotonic() - began < 4
        finally:
            os.kill(server.pid, signal.SIGCONT)
        assert lives(server.url)
    assert not lives(server.url)
