"""The fixtures of the store's tests, on a TimescaleDB: what asks for a `database` here gets one of those."""

from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from store.postgres.database import connect
from store.postgres.migrate import migrate
from tests.support.timescale import Timescale, missing

_HERE = Path(__file__).parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Every test of this folder carries the marker `timescale`."""
    for item in items:
        if item.path.is_relative_to(_HERE):
            item.add_marker(pytest.mark.timescale)


@pytest.fixture(scope="session")
def timescale_server() -> Iterator[Timescale]:
    """A migrated TimescaleDB, one for each worker."""
    reason = missing()
    if reason:
        pytest.skip(reason)
    with Timescale() as server:
        with connect(server.url) as connection:
            migrate(connection)
        yield server


@pytest.fixture
def database(timescale_server: Timescale) -> Iterator[str]:
    """The URL of the one database that the server has, emptied after the test."""
    yield timescale_server.url
    with connect(timescale_server.url) as connection:
        _empty(connection)


@pytest.fixture
def unmigrated_database() -> Iterator[str]:
    """The URL of a database without any table, on a server of its own."""
    reason = missing()
    if reason:
        pytest.skip(reason)
    with Timescale() as server:
        yield server.url


def _empty(connection: psycopg.Connection) -> None:
    connection.execute("set client_min_messages = 'error'")
    rows = connection.execute(
        """
        select quote_ident(tablename) from pg_tables
        where schemaname = 'public' and tablename <> 'schema_migrations' order by 1
        """
    )
    names = ", ".join(name for (name,) in rows)
    connection.execute("set session_replication_role = 'replica'")  # no trigger: the audit log forbids it
    connection.execute(f"truncate {names} restart identity cascade".encode())
    connection.execute("set session_replication_role = 'origin'")
