"""`hesper user`, `key` and `audit`: accounts by hand, everything shown once, and the log verified."""

import os
import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psycopg
import pytest
from typer.testing import CliRunner, Result

from hesper.cli import build
from store.access.api_keys import verify

Run = Callable[..., Result]


@pytest.fixture
def run(database: str, connection: psycopg.Connection, tmp_path: Path) -> Run:
    """Runs a command on a database with one utility."""
    connection.execute("insert into utilities (code, name, time_zone) values ('aurora', 'Aurora', 'UTC')")
    connection.commit()

    def run_it(*arguments: str) -> Result:
        environment = os.environ | {"DATABASE_URL": database, "COLUMNS": "200", "HESPER_DATA": str(tmp_path)}
        return CliRunner().invoke(build(list(arguments)), list(arguments), env=environment)

    return run_it


def one(connection: psycopg.Connection, statement: str) -> tuple[object, ...] | None:
    row = connection.execute(statement.encode()).fetchone()
    connection.rollback()
    return row


def test_the_first_administrator_is_made_with_a_password_of_their_own(
    run: Run, connection: psycopg.Connection
) -> None:
    passwords = set()
    for login in ("anna", "boris"):
        made = run(
            "user", "create", login, "--utility", "aurora", "--role", "administrator", "--role", "viewer"
        )
        assert made.exit_code == 0, made.output
        passwords.add(made.stdout.strip())
        assert re.fullmatch(r"[\w-]{20}", made.stdout.strip())
    assert len(passwords) == 2
    kept = one(connection, "select string_agg(users::text, '') from users")
    assert kept
    assert not any(password in str(kept[0]) for password in passwords)
    listed = run("user", "list").output
    assert "aurora:administrator aurora:viewer" in listed
    assert run("user", "create", "anna", "--utility", "aurora", "--role", "viewer").exit_code == 1
    assert run("user", "create", "Anna!", "--utility", "aurora", "--role", "viewer").exit_code == 1
    assert run("user", "create", "carla", "--utility", "borea", "--role", "viewer").exit_code == 1
    assert one(connection, "select count(*) from users") == (2,), "what failed left nothing"


def test_roles_come_and_go_accounts_are_reset_and_disabled(run: Run, connection: psycopg.Connection) -> None:
    first = run("user", "create", "anna", "--utility", "aurora", "--role", "viewer").stdout
    assert run("user", "role", "anna", "--utility", "aurora", "--role", "engineer").exit_code == 0
    assert run("user", "role", "anna", "--utility", "aurora", "--role", "viewer", "--remove").exit_code == 0
    assert "aurora:engineer" in run("user", "list").output
    missing = run("user", "role", "anna", "--utility", "aurora", "--role", "viewer", "--remove")
    assert (missing.exit_code, missing.output) == (1, "anna is no viewer of aurora\n")
    connection.execute("update users set totp_secret = 'x'")
    connection.commit()
    assert run("user", "reset", "anna").stdout not in {first, ""}
    assert one(connection, "select totp_secret from users") == (None,)
    assert run("user", "disable", "anna").exit_code == 0
    assert one(connection, "select disabled_at is not null from users") == (True,)
    assert run("user", "disable", "anna", "--undo").exit_code == 0
    assert one(connection, "select disabled_at from users") == (None,)
    assert run("user", "reset", "nobody").exit_code == 1


def test_a_key_is_shown_once_and_lists_with_its_scopes_expiry_and_use(
    run: Run, connection: psycopg.Connection
) -> None:
    made = run(
        "key", "create", "--utility", "aurora", "--name", "map", "--scope", "meters:read", "--days", "30"
    )
    key = made.stdout.strip()
    assert key.startswith("hesper_")
    found = verify(connection, key)
    assert found is not None
    assert found.scopes == ["meters:read"]
    connection.commit()
    expires = one(connection, "select expires_at from api_keys")
    assert expires
    assert abs(expires[0] - datetime.now(UTC) - timedelta(days=30)) < timedelta(minutes=1)
    listed = run("key", "list", "--utility", "aurora").output
    assert "meters:read" in listed
    assert key not in listed
    assert run("key", "revoke", "1").exit_code == 0
    assert verify(connection, key) is None
    assert run("key", "revoke", "1").exit_code == 1


def test_verification_prints_the_heads_or_the_first_row_that_is_wrong(
    run: Run, connection: psycopg.Connection
) -> None:
    run("user", "create", "anna", "--utility", "aurora", "--role", "viewer")
    whole = run("audit", "verify")
    assert "no anchor in" in whole.stderr
    assert whole.exit_code == 0, whole.output
    assert re.search(r"^aurora: 2 rows hold, the last is [0-9a-f]{64}$", whole.stdout, re.MULTILINE)
    actors = one(connection, "select array_agg(distinct actor) from audit_log where action = 'added'")
    assert actors
    assert any("at the command line" in actor for actor in actors[0])
    connection.execute("alter table audit_log disable trigger user")
    connection.execute("update audit_log set actor = 'nobody' where utility_id is not null and position = 2")
    connection.commit()
    broken = run("audit", "verify")
    assert broken.exit_code == 1
    assert "aurora: broken at row 2: its content is not what was hashed" in broken.stdout


def test_beside_an_anchor_verification_misses_rows_that_were_cut_off(
    run: Run, connection: psycopg.Connection, tmp_path: Path
) -> None:
    run("user", "create", "anna", "--utility", "aurora", "--role", "viewer")
    anchored = run("audit", "anchor")
    assert anchored.exit_code == 0, anchored.output
    assert (tmp_path / "audit" / "anchors").read_text() == anchored.stdout
    whole = run("audit", "verify")
    assert whole.exit_code == 0
    assert f"1 anchors in {tmp_path / 'audit'} hold, the last is of " in whole.stdout
    connection.execute("alter table audit_log disable trigger user")
    connection.execute("delete from audit_log where utility_id is not null")
    connection.commit()
    broken = run("audit", "verify")
    assert broken.exit_code == 1
    assert "aurora: broken at row 1: the row is missing: an anchor knows one at the end" in broken.stdout
    told = run("audit", "anchor")
    assert (told.exit_code, "aurora: broken at row" in told.stderr) == (1, True)
    (tmp_path / "audit" / "key.pub").unlink()
    assert "public key" in run("audit", "verify").stderr
