"""A real PostgreSQL for tests: one server per worker, a fresh migrated database for each test.

def test_something(database: str) -> None:          # the URL of a database of its own
def test_other(connection: psycopg.Connection) -> None:   # a session with it
"""

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import psycopg
import pytest
from psycopg import sql

from store.postgres.database import connect
from store.postgres.embedded import EmbeddedPostgres
from store.postgres.migrate import migrate

TEMPLATE = "hesper_template"
_ROOM = 2_000_000_000  # bytes
_FAST = {"fsync": "off", "full_page_writes": "off", "max_connections": "200"}  # a test's data may be lost


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[EmbeddedPostgres]:
    """The running server of this worker, with a migrated template database."""
    with (
        tempfile.TemporaryDirectory(prefix="hesper-test-", dir=in_memory()) as folder,
        EmbeddedPostgres(Path(folder) / "postgres", _FAST) as server,
    ):
        with _administrator(server) as administrator:
            administrator.execute(sql.SQL("create database {}").format(sql.Identifier(TEMPLATE)))
        with connect(server.url_of(TEMPLATE)) as connection:
            migrate(connection)
        yield server


@pytest.fixture
def database(postgres_server: EmbeddedPostgres) -> Iterator[str]:
    """The URL of a migrated, empty database that only this test uses."""
    yield from copied(postgres_server, TEMPLATE)


@pytest.fixture
def unmigrated_database(postgres_server: EmbeddedPostgres) -> Iterator[str]:
    """The URL of a database without any table."""
    yield from copied(postgres_server, "template1")


@pytest.fixture
def connection(database: str) -> Iterator[psycopg.Connection]:
    """A session with `database`, rolled back and closed at the end."""
    with connect(database, application="hesper test") as session:
        yield session
        session.rollback()


def copied(server: EmbeddedPostgres, template: str) -> Iterator[str]:
    """The URL of a copy of a database that nobody is connected with; it goes with the generator's end."""
    name = f"test_{uuid4().hex}"
    with _administrator(server) as administrator:
        administrator.execute(
            sql.SQL("create database {} template {} strategy file_copy").format(
                sql.Identifier(name), sql.Identifier(template)
            )
        )
    yield server.url_of(name)
    with _administrator(server) as administrator:
        administrator.execute(sql.SQL("drop database {} with (force)").format(sql.Identifier(name)))


def in_memory() -> Path | None:
    """A file system in memory, where the machine has one with room: copies of a database are three times as
    quick there, and more while others use the disk."""
    memory = Path("/dev/shm")
    return memory if memory.is_dir() and shutil.disk_usage(memory).free > _ROOM else None


def _administrator(server: EmbeddedPostgres) -> psycopg.Connection:
    return psycopg.connect(server.url, autocommit=True)
