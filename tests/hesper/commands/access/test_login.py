"""`hesper login`: commands are given by an account, and the record names it."""

import os
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psycopg
import pyotp
import pytest
from typer.testing import CliRunner, Result

from api.identity.passwords import Passwords, SecondFactor
from api.web.settings import kept_session_secret
from hesper.cli import build
from hesper.commands.person import system_user
from metering.access import UserRole
from store.access import users

Run = Callable[..., Result]
PASSWORD = "correct horse battery"
NOBODY = f"{system_user()} at the command line"


@pytest.fixture
def run(database: str, connection: psycopg.Connection, tmp_path: Path) -> Run:
    """Runs a command on a database with one utility and the account anna; what is typed is `typed`."""
    connection.execute("insert into utilities (code, name, time_zone) values ('aurora', 'Aurora', 'UTC')")
    users.create(connection, "anna", "", Passwords(memory_kib=64).hash(PASSWORD))
    users.grant(connection, "anna", "aurora", UserRole.ENGINEER)
    connection.commit()

    def run_it(*arguments: str, typed: str = "") -> Result:
        environment = os.environ | {
            "DATABASE_URL": database,
            "HESPER_DATA": str(tmp_path),
            "HESPER_SESSION": str(tmp_path / "session"),
        }
        return CliRunner().invoke(build(list(arguments)), list(arguments), input=typed, env=environment)

    return run_it


def actor_of_a_key(run: Run, connection: psycopg.Connection) -> tuple[str, str]:
    """(actor, address) of the audit log for a command that is given now."""
    assert run("key", "create", "--utility", "aurora", "--name", "k").exit_code == 0
    row = connection.execute(
        "select actor, address from audit_log where subject like 'api_keys%' order by id desc limit 1"
    ).fetchone()
    connection.rollback()
    assert row
    return row[0], row[1]


def test_what_is_done_after_a_login_is_done_by_the_account_until_it_ends(
    run: Run, connection: psycopg.Connection, tmp_path: Path
) -> None:
    assert actor_of_a_key(run, connection)[0] == NOBODY
    assert run("login", "anna", typed=f"{PASSWORD}\n").exit_code == 0
    assert (tmp_path / "session").stat().st_mode & 0o777 == 0o600
    actor, address = actor_of_a_key(run, connection)
    assert (actor, address.split(" on ")[0]) == ("anna", system_user()), "and from where"
    token = (tmp_path / "session").read_text()
    assert f"commands are given by {NOBODY}" in run("logout").stderr
    assert not (tmp_path / "session").exists()
    (tmp_path / "session").write_text(token)
    assert actor_of_a_key(run, connection)[0] == NOBODY, "a token that was kept elsewhere has ended, too"


@pytest.mark.parametrize(
    "statement",
    [
        "update users set disabled_at = now()",
        "update sessions set ended_at = now()",
        "update sessions set expires_at = now()",
        "update sessions set seen_at = now() - interval '61 minutes'",
    ],
)
def test_a_login_ends_with_the_account_its_hours_and_without_use(
    run: Run, connection: psycopg.Connection, statement: str
) -> None:
    run("login", "anna", typed=f"{PASSWORD}\n")
    connection.execute(statement.encode())
    connection.commit()
    assert actor_of_a_key(run, connection)[0] == NOBODY


def test_a_wrong_password_and_an_unknown_login_are_refused_alike_and_noted(
    run: Run, connection: psycopg.Connection, tmp_path: Path
) -> None:
    refused = [run("login", login, typed="wrong\n") for login in ("anna", "nobody")]
    assert [one.exit_code for one in refused] == [1, 1]
    assert len({one.stderr for one in refused}) == 1
    assert not (tmp_path / "session").exists()
    noted = connection.execute(
        "select subject, actor from audit_log where action = 'sign-in refused' order by id"
    ).fetchall()
    assert noted == [("anna", NOBODY), ("an unknown login", NOBODY)]


def test_a_second_factor_is_asked_for_and_counts_once(
    run: Run, connection: psycopg.Connection, tmp_path: Path
) -> None:
    secret = pyotp.random_base32()
    sealed = SecondFactor(kept_session_secret(tmp_path / "session-secret")).seal(secret)
    connection.execute("update users set totp_secret = %s", (sealed,))
    connection.commit()
    code = pyotp.TOTP(secret).at(datetime.now(UTC) + timedelta(seconds=5))
    assert run("login", "anna", typed=f"{PASSWORD}\n000000\n").exit_code == 1
    assert run("login", "anna", typed=f"wrong\n{code}\n").exit_code == 1
    assert run("login", "anna", typed=f"{PASSWORD}\n{code}\n").exit_code == 0
    assert run("login", "anna", typed=f"{PASSWORD}\n{code}\n").exit_code == 1


def test_a_user_of_the_system_is_an_account_until_that_ends_and_only_one(
    run: Run, connection: psycopg.Connection
) -> None:
    assert run("user", "map", "anna", system_user()).exit_code == 0
    assert actor_of_a_key(run, connection)[0] == "anna"
    run("user", "create", "boris", "--utility", "aurora", "--role", "viewer")
    taken = run("user", "map", "boris", system_user())
    assert (taken.exit_code, "is anna already" in taken.stderr) == (1, True)
    assert system_user() in run("user", "list").stdout
    assert run("user", "map", "anna", "--remove").exit_code == 0
    assert actor_of_a_key(run, connection)[0] == NOBODY
    assert run("user", "map", "anna").exit_code == 2
