"""Migrations: once each, in order, unchanged, and one process at a time."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from store.postgres.database import connect
from store.postgres.migrate import MigrationError, MigrationPart, load, migrate


def _numbers(url: str, folder: Path | None = None) -> list[int]:
    with connect(url) as connection:
        return [m.number for m in (migrate(connection, folder) if folder else migrate(connection))]


@pytest.fixture
def files(tmp_path: Path) -> Path:
    """A folder of two small migrations."""
    core = tmp_path / MigrationPart.CORE.value
    core.mkdir()
    (core / "0001_first.sql").write_text("create table first (n int);\ninsert into first values (1);\n")
    (core / "0002_second.sql").write_text("alter table first add m int;\n")
    return tmp_path


def test_every_core_file_is_applied_once_and_a_second_run_does_nothing(unmigrated_database: str) -> None:
    assert _numbers(unmigrated_database)[:4] == [1, 2, 3, 4]
    assert _numbers(unmigrated_database) == []


def test_processes_that_migrate_at_once_apply_each_file_once(unmigrated_database: str) -> None:
    with ThreadPoolExecutor(4) as executor:
        results = list(executor.map(_numbers, [unmigrated_database] * 4))
    assert sorted(results, key=len)[:3] == [[], [], []]
    assert len(max(results, key=len)) >= 4


def test_a_changed_file_is_refused(unmigrated_database: str, files: Path) -> None:
    assert _numbers(unmigrated_database, files) == [1, 2]
    (files / "core" / "0001_first.sql").write_text("create table first (n bigint);\n")
    with pytest.raises(MigrationError, match="core/0001_first was changed after it was applied"):
        _numbers(unmigrated_database, files)


def test_a_database_newer_than_the_files_is_refused(unmigrated_database: str, files: Path) -> None:
    assert _numbers(unmigrated_database, files) == [1, 2]
    (files / "core" / "0002_second.sql").unlink()
    with pytest.raises(MigrationError, match="0002_second, which this release does not know"):
        _numbers(unmigrated_database, files)


def test_a_failing_file_leaves_nothing_behind_and_those_before_it_stay(
    unmigrated_database: str, files: Path
) -> None:
    broken = files / "core" / "0003_broken.sql"
    broken.write_text("create table third (n int);\nselect 1 / 0;\n")
    with pytest.raises(MigrationError, match="0003_broken failed and was rolled back"):
        _numbers(unmigrated_database, files)
    broken.write_text("create table third (n int);\n")
    assert _numbers(unmigrated_database, files) == [3]


def test_files_are_named_and_numbered_without_doubt(files: Path) -> None:
    (files / "core" / "0002_again.sql").write_text("select 1;\n")
    with pytest.raises(MigrationError, match="have the number 0002"):
        load(MigrationPart.CORE.value, files)
    (files / "core" / "0002_again.sql").rename(files / "core" / "third.sql")
    with pytest.raises(MigrationError, match="not named"):
        load(MigrationPart.CORE.value, files)
