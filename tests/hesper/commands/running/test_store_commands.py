"""`hesper migrate` and `hesper registry apply` on a database that is named."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from typer.testing import CliRunner

from hesper.cli import build
from store.gateways.downlink import due_commands
from store.postgres.database import connect
from store.registry import lookup

REGISTRY = """
[[utilities]]
code = "aurora"
name = "Aurora"
time_zone = "Europe/Vilnius"
[[utilities.meters]]
code = "KAM-1"
medium = "cold water"
"""


def hesper(*arguments: str) -> tuple[int, str]:
    """(exit code, output) of the command."""
    result = CliRunner().invoke(build(list(arguments)), list(arguments))
    return result.exit_code, result.output


def test_migrate_says_what_it_applied_and_then_that_nothing_is_left(unmigrated_database: str) -> None:
    code, output = hesper("migrate", "--database-url", unmigrated_database)
    assert (code, output.splitlines()[0]) == (0, "applied core/0001_registry")
    assert hesper("migrate", "--database-url", unmigrated_database) == (0, "the schema is up to date\n")


def test_migrate_tells_what_to_do_about_an_unreachable_database() -> None:
    code, output = hesper("migrate", "--database-url", "postgresql://hesper@127.0.0.1:1/hesper")
    assert code == 1
    assert "cannot reach the database" in output
    assert "check that the database runs" in output


def test_registry_apply_brings_a_file_into_the_store(database: str, tmp_path: Path) -> None:
    file = tmp_path / "registry.toml"
    file.write_text(REGISTRY)
    code, output = hesper("registry", "apply", str(file), "--database-url", database)
    assert code == 0
    assert "meters" in output
    with connect(database) as connection:
        assert ("aurora", "KAM-1") in lookup(connection).meters


def test_registry_apply_names_the_entry_that_it_refuses(database: str, tmp_path: Path) -> None:
    file = tmp_path / "registry.toml"
    file.write_text(REGISTRY.replace("cold water", "soup"))
    code, output = hesper("registry", "apply", str(file), "--database-url", database)
    assert code == 1
    assert "utility aurora, meter KAM-1: unknown medium 'soup'" in output
    assert "cold water" in output


def test_without_a_database_the_data_folder_has_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("DATABASE_URL", raising=False)
    assert hesper("migrate", "--data", str(tmp_path))[0] == 0
    assert hesper("migrate", "--data", str(tmp_path)) == (0, "the schema is up to date\n")


def test_a_role_gets_a_password_that_is_shown_once(database: str) -> None:
    code, output = hesper("migrate", "--database-url", database, "--password", "hesper_api")
    assert code == 0
    role, password = output.splitlines()[-1].split()
    assert role == "hesper_api"
    assert len(password) >= 40


@pytest.mark.parametrize(
    ("process", "role"),
    [
        ("ingest", "hesper_ingest"),
        ("validate", "hesper_ingest"),
        ("deliver", "hesper_deliver"),
        ("worker", "hesper_admin"),
        ("api", "hesper_api"),
    ],
)
def test_a_process_refuses_a_login_that_may_not_be_its_role(database: str, process: str, role: str) -> None:
    url = database.replace("//hesper@", f"//hesper_{'api' if role != 'hesper_api' else 'ingest'}@")
    more = ["--broker", "mqtt://127.0.0.1:1"] if process == "ingest" else []
    code, output = hesper(process, "run", "--database-url", url, *more)
    assert code == 2
    assert f"may not act as {role}" in output
    assert f"log in as {role}" in output


def test_retention_is_shown_and_set(database: str) -> None:
    code, output = hesper("store", "retention", "--database-url", database)
    assert code == 0
    assert "telegrams: 60 days (telegrams that no billing reading rests on)" in output.splitlines()
    assert hesper("store", "retention", "misses", "forever", "--database-url", database) == (
        0,
        "misses: forever (polls that gave no readout)\n",
    )
    code, output = hesper("store", "retention", "readings", "1 day", "--database-url", database)
    assert (code, "readings cannot be kept for 1 day only" in output) == (1, True)
    assert "90 days at least" in output


def test_maintenance_tells_what_it_removed(database: str) -> None:
    with connect(database) as connection:
        connection.execute(
            """
            insert into quarantine (topic, reason, detail, payload, payload_hash, state, resolved_at)
            values ('t', 'r', '', '', '', 'discarded', now() - interval '2 years')
            """
        )
    assert hesper("store", "maintain", "--database-url", database) == (0, "quarantine: 1 removed\n")
    assert hesper("store", "maintain", "--database-url", database) == (0, "")


def test_gateways_are_asked_to_send_again_all_or_one(database: str) -> None:
    with connect(database) as connection:
        connection.execute("insert into utilities (code, name, time_zone) values ('a', 'A', 'UTC')")
        connection.execute(
            "insert into gateways (utility_id, code, kind) "
            "values (1, 'house', 'field'), (1, 'attic', 'field'), (1, 'file', 'import')"
        )
        connection.commit()
    ask = ["store", "send-again", "2026-11-30T18:00:00", "--database-url", database]
    code, output = hesper(*ask)
    assert code == 0
    assert output == (
        "attic is asked to send again what it has since 2026-11-30T18:00:00+00:00\n"
        "house is asked to send again what it has since 2026-11-30T18:00:00+00:00\n"
    )
    assert hesper(*ask, "--gateway", "attic")[0] == 0
    code, output = hesper(*ask, "--gateway", "cellar")
    assert code == 1
    assert "There is no such gateway" in output
    with connect(database) as connection:
        due = due_commands(connection, datetime.now(UTC), timedelta(0), 9)
    assert [(one.gateway, one.command, one.since) for one in due] == [
        (gateway, "send-again", datetime(2026, 11, 30, 18, tzinfo=UTC))
        for gateway in ("house", "attic", "attic")
    ]
