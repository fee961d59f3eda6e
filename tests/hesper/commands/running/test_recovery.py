"""Drill: any instant comes back, out of a copy of the cluster and the log of changes since."""

import shutil
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import psycopg
import pytest

from hesper.supervise import module_command
from store.postgres.database import connect
from store.postgres.embedded import EmbeddedPostgres
from store.postgres.migrate import migrate
from tests.support.drill import hesper, live, proved, readings


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
