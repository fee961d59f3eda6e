"""Drill: what is backed up, destroyed and restored is there, once, and holds what is claimed of it."""

import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psycopg
import pytest
from typer.testing import CliRunner

from hesper.cli import build
from hesper.supervise import module_command
from metering.access import UserRole
from store.postgres.database import connect
from store.postgres.embedded import EmbeddedPostgres
from store.postgres.migrate import migrate
from store.postgres.roles import Role, enter_utility
from tests.support.people import sit_down
from tests.support.town import Town

DAY = timedelta(days=1)
START = datetime(2025, 7, 31, 22, tzinfo=UTC)
ALL = "select * from readings order by register_id, measured_at"


def hesper(*arguments: str) -> tuple[int, str]:
    """(exit code, output) of the command."""
    result = CliRunner().invoke(build(list(arguments)), list(arguments))
    return result.exit_code, result.output


def live(url: str) -> list[tuple[object, ...]]:
    """A town that is read for two months and billed for one; its readings."""
    with connect(url) as connection:
        migrate(connection)
        town = Town(connection)
        town.meter("AAA-1", {START + n * DAY: str(100 + n) for n in range(62)})
        sit_down(connection, "anna", UserRole.BILLING, UserRole.APPROVER)
        connection.commit()
    assert hesper("close", "2025-08", "--database-url", url)[0] == 0
    return readings(url)


def readings(url: str) -> list[tuple[object, ...]]:
    with connect(url) as connection:
        return connection.execute(ALL).fetchall()


def proved(url: str) -> None:
    """What was billed and what was done are what they were when they were written."""
    code, said = hesper("close", "--verify", "2025-08", "--database-url", url)
    assert code == 0, said
    assert "1" in said
    code, said = hesper("audit", "verify", "--database-url", url)
    assert code == 0, said
    assert "rows hold" in said


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


class Follower:
    """`hesper backup log` beside a running server."""

    def __init__(self, url: str, folder: Path) -> None:
        command = module_command("hesper", "backup", "log", str(folder), "--database-url", url)
        self._process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)

    def stop(self) -> None:
        self._process.terminate()
        said, _ = self._process.communicate(timeout=30)
        assert self._process.returncode == 0, said


def received(connection: psycopg.Connection) -> None:
    """Waits until the follower has all that was committed."""
    behind = """
        select not exists (select from pg_replication_slots
                           where slot_name = 'hesper_backup' and active and restart_lsn is not null)
               or not exists (select from pg_stat_replication where flush_lsn >= %s)
    """
    (end,) = connection.execute("select pg_current_wal_flush_lsn()").fetchone() or (None,)
    until(lambda: connection.execute(behind, (end,)).fetchone() == (False,))
    connection.commit()


def until(holds: Callable[[], bool], seconds: float = 60.0) -> None:
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.05)


def now(connection: psycopg.Connection) -> str:
    """The next full second, once it is over: what was committed before lies before it."""
    row = connection.execute(
        "select date_trunc('second', clock_timestamp()) + interval '1 second'"
    ).fetchone()
    assert row is not None
    until(lambda: connection.execute("select clock_timestamp() > %s", row).fetchone() == (True,))
    return f"{row[0]:%Y-%m-%dT%H:%M:%SZ}"


@pytest.fixture
def shipped(tmp_path: Path, surroundings: Path) -> tuple[Path, list[tuple[object, ...]], str]:
    """(copy, all readings, an instant) of an embedded server that lost its readings after the instant."""
    with EmbeddedPostgres(surroundings / "postgres", {"fsync": "off"}) as server:
        with connect(server.url) as connection:
            migrate(connection)
            connection.commit()
            code, said = hesper("backup", "base", str(tmp_path), "--database-url", server.url)
            assert (code, "start `hesper backup log` on the same folder first" in said) == (1, True)
            follower = Follower(server.url, tmp_path)
            received(connection)
        code, copy = hesper("backup", "base", str(tmp_path), "--database-url", server.url)
        assert code == 0, copy
        written = live(server.url)  # after the copy: it is in the log alone
        with psycopg.connect(server.url, autocommit=True) as connection:
            instant = now(connection)
            connection.execute("delete from readings")
            connection.execute("insert into utilities (code, name, time_zone) values ('late', 'Late', 'UTC')")
            received(connection)
            follower.stop()
    shutil.rmtree(surroundings / "postgres")
    return Path(copy.strip()), written, instant


def test_the_instant_before_a_wrong_deletion_comes_back(
    shipped: tuple[Path, list[tuple[object, ...]], str], surroundings: Path
) -> None:
    copy, written, instant = shipped
    code, said = hesper("restore", "base", str(copy), "--until", instant)
    assert code == 0, said
    with EmbeddedPostgres(surroundings / "postgres", {"fsync": "off"}) as server:
        assert readings(server.url) == written != []
        proved(server.url)
        with connect(server.url) as connection:
            assert connection.execute("select code from utilities").fetchall() == [("town",)]
            assert connection.execute("show restore_command").fetchone() == ("",)


def test_without_an_instant_the_last_commit_that_was_received_comes_back(
    shipped: tuple[Path, list[tuple[object, ...]], str], surroundings: Path
) -> None:
    code, said = hesper("restore", "base", str(shipped[0]))
    assert code == 0, said
    with EmbeddedPostgres(surroundings / "postgres", {"fsync": "off"}) as server:
        with connect(server.url) as connection:
            codes = connection.execute("select code from utilities order by code").fetchall()
        assert (readings(server.url), codes) == ([], [("late",), ("town",)])


def test_an_instant_beyond_the_log_leaves_nothing_behind(
    shipped: tuple[Path, list[tuple[object, ...]], str], surroundings: Path
) -> None:
    code, said = hesper("restore", "base", str(shipped[0]), "--until", "2999-01-01T00:00:00Z")
    assert (code, "recovery ended before configured recovery target was reached" in said) == (1, True)
    assert not (surroundings / "postgres" / "cluster").exists()


def test_a_copy_or_a_log_that_is_not_whole_is_refused(
    shipped: tuple[Path, list[tuple[object, ...]], str], surroundings: Path
) -> None:
    copy = shipped[0]
    log = copy.parent / "log"
    log.rename(copy.parent / "elsewhere")
    code, said = hesper("restore", "base", str(copy))
    assert (code, f"does not follow {copy.name} without a gap" in said) == (1, True)
    (copy.parent / "elsewhere").rename(log)
    file = copy / "global" / "pg_control"
    file.write_bytes(file.read_bytes()[::-1])
    code, said = hesper("restore", "base", str(copy))
    assert (code, "pg_verifybackup failed" in said) == (1, True)
    assert not (surroundings / "postgres" / "cluster").exists()


def test_older_copies_go_with_the_log_that_only_they_need(tmp_path: Path, surroundings: Path) -> None:
    with EmbeddedPostgres(surroundings / "postgres", {"fsync": "off"}) as server:
        follower = Follower(server.url, tmp_path)
        with psycopg.connect(server.url, autocommit=True) as connection:
            received(connection)
            code, first = hesper("backup", "base", str(tmp_path), "--database-url", server.url)
            assert code == 0, first
            written = live(server.url)
            connection.execute("select pg_switch_wal()")
            now(connection)  # copies are named by the second
            needed_by_the_first = min((tmp_path / "log").iterdir())
            code, second = hesper(
                "backup", "base", str(tmp_path), "--keep", "1", "--database-url", server.url
            )
            assert code == 0, second
            received(connection)
            follower.stop()
    copy = Path(second.splitlines()[0])
    assert f"removed {first.strip()}" in second
    assert [path.name for path in tmp_path.glob("base-*")] == [copy.name]
    assert needed_by_the_first not in (tmp_path / "log").iterdir()
    shutil.rmtree(surroundings / "postgres")
    code, said = hesper("restore", "base", str(copy))
    assert code == 0, said
    with EmbeddedPostgres(surroundings / "postgres", {"fsync": "off"}) as server:
        assert readings(server.url) == written != []
