"""API keys: seen once, stored hashed, ended at once."""

from datetime import UTC, datetime

import psycopg
import pytest

from store.api_keys import find, issue, revoke, verify
from store.registry import register_import


@pytest.fixture(autouse=True)
def _utility(connection: psycopg.Connection) -> None:
    register_import(connection, "aurora", "import")


def test_a_key_opens_its_utility(connection: psycopg.Connection) -> None:
    found = verify(connection, issue(connection, "aurora", "billing"))
    assert found is not None
    assert found.name == "billing"
    assert connection.execute("select code from utilities where id = %s", (found.utility_id,)).fetchone() == (
        "aurora",
    )
    assert find(connection, found.id) == found


def test_the_database_does_not_hold_the_key(connection: psycopg.Connection) -> None:
    key = issue(connection, "aurora", "billing")
    assert len(key) >= len("hesper_") + 43  # 256 bits in base 64
    row = connection.execute("select api_keys::text, length(secret_hash) from api_keys").fetchone()
    assert row is not None
    assert key not in row[0]
    assert row[1] == 32


@pytest.mark.parametrize("text", ["", "hesper_", "hesper_wrong", "Bearer x", "hesper_\u20ac", "x" * 10_000])
def test_other_texts_open_nothing(connection: psycopg.Connection, text: str) -> None:
    issue(connection, "aurora", "billing")
    assert verify(connection, text) is None


def test_a_revoked_or_expired_key_opens_nothing(connection: psycopg.Connection) -> None:
    key = issue(connection, "aurora", "billing")
    found = verify(connection, key)
    assert found is not None
    revoke(connection, found.id)
    assert verify(connection, key) is None
    assert find(connection, found.id) is None
    expired = issue(connection, "aurora", "old", expires_at=datetime(2020, 1, 1, tzinfo=UTC))
    assert verify(connection, expired) is None


def test_the_use_of_a_key_is_noted(connection: psycopg.Connection) -> None:
    key = issue(connection, "aurora", "billing")
    assert connection.execute("select last_used_at from api_keys").fetchone() == (None,)
    verify(connection, key)
    assert connection.execute("select last_used_at is not null from api_keys").fetchone() == (True,)


def test_a_key_needs_a_registered_utility(connection: psycopg.Connection) -> None:
    with pytest.raises(LookupError, match="nobody"):
        issue(connection, "nobody", "billing")
