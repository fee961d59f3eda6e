"""PostgreSQL's programs: which of several is taken, and how it gets a password."""

from pathlib import Path

import pytest

from store.backup import programs
from store.backup.programs import BackupError, program, with_database


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Debian's folder with pg_dump of PostgreSQL 15, 16, 17 and 18; nothing else is installed."""
    for major in (15, 16, 17, 18):
        path = tmp_path / str(major) / "bin" / "pg_dump"
        path.parent.mkdir(parents=True)
        path.write_text(f"#!/bin/sh\necho 'pg_dump (PostgreSQL) {major}.2'\n")
        path.chmod(0o755)
    monkeypatch.setattr(programs, "_DEBIAN", tmp_path)
    monkeypatch.setattr(programs.shutil, "which", lambda _: None)
    monkeypatch.setattr(programs, "binaries", lambda: tmp_path / "none")
    return tmp_path


@pytest.mark.parametrize("major", [15, 16, 17, 18])
def test_the_program_of_the_servers_version_is_taken(installed: Path, major: int) -> None:
    assert program("pg_dump", major * 10_000 + 3) == installed / str(major) / "bin" / "pg_dump"


def test_a_newer_one_does_for_a_server_that_knows_what_it_says(installed: Path) -> None:
    (installed / "17" / "bin" / "pg_dump").unlink()
    assert program("pg_dump", 170_003) == installed / "18" / "bin" / "pg_dump"
    (installed / "15" / "bin" / "pg_dump").unlink()
    assert program("pg_dump", 150_003) == installed / "16" / "bin" / "pg_dump"


@pytest.mark.parametrize(("server", "missing"), [(160_003, 16), (190_000, 19)])
def test_one_that_does_not_fit_is_not_taken(installed: Path, server: int, missing: int) -> None:
    (installed / "16" / "bin" / "pg_dump").unlink()
    with pytest.raises(BackupError, match=f"no pg_dump that fits PostgreSQL {missing}") as caught:
        program("pg_dump", server)
    assert caught.value.advice == f"install postgresql-client-{missing}"


def test_no_password_is_in_the_command_line() -> None:
    command, environment = with_database(Path("pg_dump"), ["-v"], "postgresql://me:geheim@db:5433/town")
    assert environment["PGPASSWORD"] == "geheim"
    assert command == ["pg_dump", "-v", "--no-password", "--dbname", "user=me dbname=town host=db port=5433"]
