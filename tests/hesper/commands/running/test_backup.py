"""Drill: what is dumped, destroyed and restored is there, once, and holds what is claimed of it."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from store.postgres.database import connect
from store.postgres.embedded import EmbeddedPostgres
from store.postgres.roles import Role, enter_utility
from tests.support.drill import hesper, live, proved, readings


@pytest.fixture
def owned(tmp_path: Path) -> Iterator[tuple[str, str]]:
    """URLs of two databases on a server that is not ours: of an owner, who is no superuser, as documented."""
    with EmbeddedPostgres(tmp_path / "postgres", {"fsync": "off", "hesper.embedded": "off"}) as server:
        with psycopg.connect(server.url_of("postgres"), autocommit=True) as superuser:
            superuser.execute("create role utility login createrole")
            superuser.execute("create database first owner utility")
            superuser.execute("create database second owner utility")
            superuser.execute("create role web login")
        yield server.url_of("first", "utility"), server.url_of("second", "utility")


def test_the_embedded_database_comes_back_in_a_new_data_folder(tmp_path: Path, surroundings: Path) -> None:
    before = surroundings / "postgres"
    with EmbeddedPostgres(before, {"fsync": "off"}) as server:
        written = live(server.url)
    code, backup = hesper("backup", "dump", str(tmp_path))
    assert code == 0, backup
    shutil.rmtree(before)
    code, said = hesper("restore", "dump", backup.strip())
    assert code == 0, said
    with EmbeddedPostgres(before, {"fsync": "off"}) as server:
        assert readings(server.url) == written != []
        proved(server.url)
        live_on = "insert into utilities (code, name, time_zone) values ('next', 'Next', 'UTC') returning id"
        with connect(server.url, role=Role.ADMIN) as connection:
            assert connection.execute(live_on).fetchone() > (1,), "numbers go on behind those that were given"


def test_an_owner_without_more_rights_backs_up_all_rows_and_restores_them_with_the_rights_on_them(
    owned: tuple[str, str], tmp_path: Path
) -> None:
    first, second = owned
    written = live(first)
    with connect(first) as connection:
        connection.execute("grant hesper_api to web")
    code, backup = hesper("backup", "dump", str(tmp_path / "new" / "folder"), "--database-url", first)
    assert code == 0, backup
    code, said = hesper("restore", "dump", backup.strip(), "--database-url", second)
    assert code == 0, said
    assert readings(second) == written != []
    proved(second)
    with connect(second.replace("//utility@", "//web@"), role=Role.API) as web:
        assert web.execute("select code from utilities").fetchall() == []
        enter_utility(web, 1)
        assert web.execute("select code from utilities").fetchall() == [("town",)]


def test_a_login_that_sees_less_than_all_rows_is_refused(database: str, tmp_path: Path) -> None:
    live(database)
    api = database.replace("//hesper@", "//hesper_api@")
    code, said = hesper("backup", "dump", str(tmp_path), "--database-url", api)
    assert code == 1
    assert "hesper_api may not read all rows of " in said
    assert "owner of the database" in said
    assert list(tmp_path.iterdir()) == []


def test_a_table_whose_rows_the_owner_does_not_see_ends_the_backup(
    owned: tuple[str, str], tmp_path: Path
) -> None:
    live(owned[0])
    with connect(owned[0]) as connection:
        connection.execute("drop policy all_utilities on marks")
    code, said = hesper("backup", "dump", str(tmp_path), "--database-url", owned[0])
    assert (code, "utility may not read all rows of marks" in said) == (1, True)


def test_nothing_is_restored_into_a_database_that_is_in_use(database: str, tmp_path: Path) -> None:
    code, backup = hesper("backup", "dump", str(tmp_path), "--database-url", database)
    assert code == 0, backup
    code, said = hesper("restore", "dump", backup.strip(), "--database-url", database)
    assert code == 1
    assert "the database is not empty" in said


def test_a_dump_that_was_altered_is_refused(database: str, unmigrated_database: str, tmp_path: Path) -> None:
    backup = Path(hesper("backup", "dump", str(tmp_path), "--database-url", database)[1].strip())
    with (backup / "database.dump").open("r+b") as file:
        file.seek(1000)
        file.write(b"?")
    code, said = hesper("restore", "dump", str(backup), "--database-url", unmigrated_database)
    assert code == 1
    assert "is not what was written" in said
    with connect(unmigrated_database) as connection:
        assert connection.execute("select to_regclass('readings')").fetchone() == (None,)


def test_rows_that_are_missing_after_a_restore_are_told_by_table(
    database: str, unmigrated_database: str, tmp_path: Path
) -> None:
    backup = Path(hesper("backup", "dump", str(tmp_path), "--database-url", database)[1].strip())
    manifest = backup / "manifest.json"
    manifest.write_text(manifest.read_text().replace('"utilities": 0', '"utilities": 2'))
    code, said = hesper("restore", "dump", str(backup), "--database-url", unmigrated_database)
    assert code == 1
    assert "utilities has 0 rows instead of 2" in said
