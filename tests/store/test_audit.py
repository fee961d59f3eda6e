"""The audit log: chained, complete, and what its verification finds."""

from collections.abc import Callable

import psycopg
import pytest

from metering.access import UserRole
from store import audit
from store.access import users
from store.audit import Break, Head
from store.registry.history import sign


@pytest.fixture
def log(connection: psycopg.Connection) -> psycopg.Connection:
    """Two utilities with three rows each, and one row of none."""
    for code in ("aurora", "borea"):
        row = connection.execute(
            "insert into utilities (code, name, time_zone) values (%s, 'ž', 'UTC') returning id", (code,)
        ).fetchone()
        assert row
        audit.sign_as(connection, "anna", "192.0.2.1")
        audit.note(connection, "signed in", "/sign-in", utility_id=row[0])
        audit.note(connection, "read", "/v1/ž:,\n", utility_id=row[0], from_="2026-10-01", n=[1, 2.5, None])
    audit.note(connection, "sign-in refused", "an unknown login", utility_id=None)
    connection.commit()
    return connection


def heads(connection: psycopg.Connection) -> dict[str, int]:
    """How far the chain of each utility holds; fails for one that is broken, that of none included."""
    found = audit.verify(connection)
    assert all(isinstance(one, Head) for one in found), found
    return {one.utility: one.position for one in found if one.utility != "-"}


def test_what_was_written_holds(log: psycopg.Connection) -> None:
    assert heads(log) == {"aurora": 3, "borea": 3}


_SECOND = "where utility_id = 1 and position = 2"
_THIRD = "where utility_id = 1 and position = 3"
_BEHIND_NONE = "(select 1 + max(position) from audit_log where utility_id is null)"
_REHASHED = f"""
    update audit_log set detail = '[]', hash = audit_hash(previous, '1', '2',
        to_char(at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US'), actor, address, action, subject, '[]')
    {_SECOND}
"""


@pytest.mark.parametrize(
    ("statement", "position", "reason"),
    [
        (f"update audit_log set actor = 'boris' {_SECOND}", 2, "content"),
        (f"update audit_log set at = at + interval '1 microsecond' {_SECOND}", 2, "content"),
        (
            f"update audit_log set utility_id = null, position = {_BEHIND_NONE} {_THIRD}",
            None,
            "follow",
        ),
        (f"delete from audit_log {_SECOND}", 2, "missing"),
        ("delete from audit_log where utility_id = 1 and position = 1", 1, "missing"),
        (_REHASHED, 3, "follow"),
    ],
)
def test_the_first_row_that_was_tampered_with_is_named(
    log: psycopg.Connection, statement: str, position: int | None, reason: str
) -> None:
    behind = log.execute(f"select {_BEHIND_NONE}").fetchone()
    log.execute("alter table audit_log disable trigger user")  # as only the owner of the table can
    log.execute(statement.encode())
    broken = [one for one in audit.verify(log) if isinstance(one, Break)]
    assert [one.position for one in broken] == [position or (behind and behind[0])]
    assert reason in broken[0].reason


def test_a_function_that_was_replaced_in_the_database_does_not_hide_it(log: psycopg.Connection) -> None:
    log.execute(
        """
        create or replace function audit_hash(previous bytea, variadic fields text[]) returns bytea
        language sql stable as $$ select previous $$
        """
    )
    audit.note(log, "read", "/", utility_id=1)
    assert [one for one in audit.verify(log) if isinstance(one, Break)] == [
        Break("aurora", 4, "its content is not what was hashed")
    ]


def test_what_is_rolled_back_leaves_no_row_and_no_hole(log: psycopg.Connection) -> None:
    audit.note(log, "read", "/", utility_id=1)
    log.rollback()
    audit.note(log, "read", "/", utility_id=1)
    log.commit()
    assert heads(log)["aurora"] == 4


@pytest.mark.parametrize(
    ("change", "subject"),
    [
        (
            lambda c: c.execute("insert into sites (utility_id, code, name) values (1, 's', 's')"),
            "registry_history",
        ),
        (
            lambda c: c.execute(
                "insert into closes (utility_id, period, starts_at, ends_at, run, author, summary) "
                "values (1, '2026-10', '2026-10-01', '2026-11-01', 1, 'anna', '{}')"
            ),
            "closes",
        ),
        (lambda c: users.create(c, "boris", "", "hash"), "users"),
        (
            lambda c: (
                users.create(c, "boris", "", "hash"),
                users.grant(c, "boris", "aurora", UserRole.VIEWER),
            ),
            "user_roles",
        ),
        (
            lambda c: c.execute("insert into api_keys (utility_id, name, secret_hash) values (1, 'k', 'x')"),
            "api_keys",
        ),
    ],
)
def test_a_change_is_in_the_log_of_its_transaction_whichever_way_it_came(
    log: psycopg.Connection, change: Callable[[psycopg.Connection], object], subject: str
) -> None:
    sign(log, "boris", "because")
    change(log)
    log.execute("set constraints all immediate")  # as the commit does
    row = log.execute(
        "select actor, action, subject, detail from audit_log order by id desc limit 1"
    ).fetchone()
    assert row
    assert row[:2] == ("anna" if subject == "closes" else "boris", "added")
    assert row[2].split(" ")[0] == subject
    assert "secret" not in row[3].replace('"secret_hash"', ""), "names of columns, and no contents"
    audit.verify(log)
    log.rollback()
    assert heads(log) == {"aurora": 3, "borea": 3}


def test_the_entries_of_a_utility_are_paged_from_the_newest(log: psycopg.Connection) -> None:
    first = audit.entries(log, 1, before=None, limit=2)
    assert [row.position for row in first] == [3, 2]
    assert [row.position for row in audit.entries(log, 1, before=2, limit=2)] == [1]
    assert first[0].address == "192.0.2.1"
