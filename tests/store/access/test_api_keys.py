"""API keys: seen once, stored hashed, ended at once."""

from datetime import UTC, datetime

import psycopg
import pytest

from store.access.api_keys import find, issue, revoke, verify
from store.registry import register_import


@pytest.fixture
def aurora(connection: psycopg.Connection) -> psycopg.Connection:
    """A session with a database that has a utility of that name."""
    register_import(connection, "aurora", "import")
    return connection


def test_a_key_opens_its_utility(aurora: psycopg.Connection) -> None:
    found = verify(aurora, issue(aurora, "aurora", "billing"))
    assert found is not None
    assert found.name == "billing"
    assert aurora.execute("select code from utilities where id = %s", (found.utility_id,)).fetchone() == (
        "aurora",
    )
    assert find(aurora, found.id) == found


def test_the_database_does_not_hold_the_key(aurora: psycopg.Connection) -> None:
    key = issue(aurora, "aurora", "billing")
    assert len(key) >= len("hesper_") + 43  # 256 bits in base 64
    row = aurora.execute("select api_keys::text, length(secret_hash) from api_keys").fetchone()
    assert row is not None
    assert key not in row[0]
    assert row[1] == 32


@pytest.mark.parametrize("text", ["", "hesper_", "hesper_wrong", "Bearer x", "hesper_\u20ac", "x" * 10_000])
def test_other_texts_open_nothing(aurora: psycopg.Connection, text: str) -> None:
    issue(aurora, "aurora", "billing")
    assert verify(aurora, text) is None


def test_a_revoked_or_expired_key_opens_nothing(aurora: psycopg.Connection) -> None:
    key = issue(aurora, "aurora", "billing")
    found = verify(aurora, key)
    assert found is not None
    revoke(aurora, found.id)
    assert verify(aurora, key) is None
    assert find(aurora, found.id) is None
    expired = issue(aurora, "aurora", "old", expires_at=datetime(2020, 1, 1, tzinfo=UTC))
    assert verify(aurora, expired) is None


def test_the_use_of_a_key_is_noted(aurora: psycopg.Connection) -> None:
    key = issue(aurora, "aurora", "billing")
    assert aurora.execute("select last_used_at from api_keys").fetchone() == (None,)
    verify(aurora, key)
    assert aurora.execute("select last_used_at is not null from api_keys").fetchone() == (True,)


def test_a_key_needs_a_registered_utility(aurora: psycopg.Connection) -> None:
    with pytest.raises(LookupError, match="nobody"):
        issue(aurora, "nobody", "billing")
