"""The utility of tests/support/aurora.py, registered."""

import psycopg
import pytest

from store.registry import apply
from tests.support.aurora import REGISTRY


@pytest.fixture
def registered(connection: psycopg.Connection) -> psycopg.Connection:
    """A session with the test's database, in which aurora is registered."""
    apply(connection, REGISTRY)
    connection.commit()
    return connection
