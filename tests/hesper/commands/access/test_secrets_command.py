"""Secrets at rest: nothing in a copy of the database works without its keys, and these can be rotated."""

from datetime import UTC, datetime
from pathlib import Path

import psycopg
import pyotp
import pytest
from cryptography.fernet import Fernet
from typer.testing import CliRunner, Result

from api.identity.passwords import SecondFactor
from api.web.settings import kept_session_secret
from hesper.cli import build
from hesper.secret_keys import SecretKeys, sealing_keyring
from store.access import users
from store.delivery import destinations
from store.keyring import Keyring, KeyringError
from store.postgres.database import connect
from store.postgres.roles import Role

URL = "https://billing.example/in"


@pytest.fixture(autouse=True)
def utility(connection: psycopg.Connection) -> None:
    connection.execute("insert into utilities (code, name, time_zone) values ('town', 'Town', 'UTC')")
    connection.commit()


def run(database: str, *arguments: str) -> Result:
    command = [*arguments, "--database-url", database]
    return CliRunner().invoke(build(command), command)


def copy_of(connection: psycopg.Connection) -> str:
    """All rows of all tables, as text."""
    tables = connection.execute(
        "select oid::regclass::text from pg_class "
        "where relnamespace = 'public'::regnamespace and relkind = 'r'"
    ).fetchall()
    rows = [
        row
        for (table,) in tables
        for row in connection.execute(f"select t::text from {table} t".encode()).fetchall()
    ]
    connection.rollback()
    return "\n".join(text for (text,) in rows)


def opened(connection: psycopg.Connection, keyring: Keyring) -> list[str]:
    """Every secret that signs: of destinations, those before, of alarm routes."""
    rows = connection.execute(
        "select secret from destinations union all select previous_secret from destinations "
        "union all select secret from alarm_routes"
    ).fetchall()
    connection.rollback()
    return [keyring.open(kept) for (kept,) in rows]


def signing(database: str) -> list[str]:
    """Gives a destination, twice, and an alarm route their secrets; what was shown, as `opened` has it."""
    first = run(database, "deliver", "add", URL).stdout.strip()
    second = run(database, "deliver", "rotate", "1").stdout.strip()
    route = run(database, "validate", "route", "ops", "--webhook", URL).stdout.split()[-1]
    assert {secret[:6] for secret in (first, second, route)} == {"whsec_"}
    return [second, first, route]


def test_what_is_shown_once_is_in_no_copy_of_the_database_and_signs(
    database: str, connection: psycopg.Connection, surroundings: Path
) -> None:
    shown = signing(database)
    text = copy_of(connection)
    assert "whsec_" not in text
    assert not any(secret.removeprefix("whsec_") in text for secret in shown)
    assert opened(connection, Keyring(SecretKeys.of(surroundings))) == shown
    assert (surroundings / "secret-keys").stat().st_mode & 0o777 == 0o600


def test_secrets_of_an_earlier_version_are_encrypted_at_a_start_and_sign_as_before(
    database: str, connection: psycopg.Connection, surroundings: Path
) -> None:
    destinations.add(connection, "town", URL, "whsec_first", "anna", allow_private=False)
    destinations.rotate(connection, 1, "whsec_second", datetime(2030, 1, 1, tzinfo=UTC))
    connection.commit()
    keys = SecretKeys.of(surroundings)
    with connect(database, role=Role.DELIVER) as session:
        keyring = sealing_keyring(session, keys)
        assert destinations.reseal(session, keyring) == 2
        assert destinations.reseal(session, keyring) == 0
    assert "whsec_" not in copy_of(connection)
    assert opened(connection, Keyring(keys)) == ["whsec_second", "whsec_first"]


def test_a_rotation_encrypts_everything_anew_and_old_keys_open_nothing(
    database: str, connection: psycopg.Connection, surroundings: Path
) -> None:
    shown = signing(database)
    secret = pyotp.random_base32()
    session_secret = kept_session_secret(surroundings / "session-secret")
    users.create(connection, "anna", "", "no password")
    connection.execute("update users set totp_secret = %s", (SecondFactor(session_secret).seal(secret),))
    connection.commit()
    old = (surroundings / "secret-keys").read_text().split()
    told = run(database, "secrets", "rotate")
    assert told.exit_code == 0, told.output
    assert told.stdout.splitlines() == [
        "secrets of alarm routes: 1, of second factors: 1",
        "secrets of destinations: 2",
    ]
    fresh, *before = (surroundings / "secret-keys").read_text().split()
    assert before == old
    assert opened(connection, Keyring(lambda: [fresh])) == shown
    with pytest.raises(KeyringError):
        opened(connection, Keyring(lambda: old))
    row = connection.execute("select totp_secret from users").fetchone()
    assert row
    now = datetime.now(UTC)
    code = pyotp.TOTP(secret).at(now)
    assert SecondFactor(session_secret, Keyring(lambda: [fresh])).step_of(bytes(row[0]), code, now)
    assert SecondFactor(session_secret).step_of(bytes(row[0]), code, now) is None


def test_keys_may_come_from_the_environment_or_a_credential_of_systemd(tmp_path: Path) -> None:
    given = Fernet.generate_key().decode()
    assert SecretKeys.of(tmp_path, {"HESPER_SECRET_KEYS": f"{given} {given}"})() == [given, given]
    (tmp_path / "secret-keys").write_text(f"{given}\n")
    credential = SecretKeys.of(tmp_path / "data", {"CREDENTIALS_DIRECTORY": str(tmp_path)})
    assert credential() == [given]
    with pytest.raises(KeyringError, match="are given by"):
        credential.add()
    assert SecretKeys.of(tmp_path / "data", {})() == []


def test_a_command_without_the_keys_of_the_others_gives_no_secret(
    database: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    signing(database)
    monkeypatch.setenv("HESPER_DATA", str(tmp_path / "elsewhere"))
    refused = run(database, "deliver", "rotate", "1")
    assert refused.exit_code == 1
    assert "encrypted with keys that are not here" in refused.stderr
    assert "HESPER_SECRET_KEYS" in refused.stderr
    assert not (tmp_path / "elsewhere").exists()
