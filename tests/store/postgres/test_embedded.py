"""The embedded server survives what a machine does to it."""

import os
import select
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import psycopg
import pytest

from store.postgres.database import connect
from store.postgres.embedded import STOP_SIGNAL, EmbeddedPostgres, EmbeddedPostgresError


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder with a path short enough for a socket."""
    with TemporaryDirectory(prefix="hesper-test-") as path:
        yield Path(path) / "data"


def _rows(server: EmbeddedPostgres) -> int:
    with connect(server.url) as connection:
        row = connection.execute("select count(*) from kept").fetchone()
    assert row is not None
    return int(row[0])


def _keep_a_row(server: EmbeddedPostgres) -> None:
    with connect(server.url) as connection:
        connection.execute("create table if not exists kept (n int)")
        connection.execute("insert into kept values (1)")


def test_committed_rows_survive_a_killed_postmaster_and_a_restart(folder: Path) -> None:
    server = EmbeddedPostgres(folder)
    server.start()
    _keep_a_row(server)
    pid = server.pid
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    server.stop()
    with server:
        assert _rows(server) == 1
        assert server.pid not in (None, pid)


def test_sessions_that_outlive_a_killed_postmaster_are_waited_for(folder: Path) -> None:
    server = EmbeddedPostgres(folder)
    server.start()
    _keep_a_row(server)
    with connect(server.url) as busy:
        busy.execute("insert into kept values (2)")
        pid = server.pid
        assert pid is not None
        os.kill(pid, signal.SIGKILL)
        server.stop()
        server.start()
        with pytest.raises(psycopg.OperationalError):
            busy.execute("insert into kept values (3)")
    assert _rows(server) == 1, "what was not committed is gone"
    server.stop()


def test_its_folder_is_closed_to_others_and_it_listens_on_no_port(folder: Path) -> None:
    with EmbeddedPostgres(folder) as server, connect(server.url) as connection:
        assert folder.stat().st_mode & 0o777 == 0o700
        assert connection.execute("show listen_addresses").fetchone() == ("",)
        assert connection.execute("show fsync").fetchone() == ("on",)


def test_a_supervisor_runs_the_prepared_command_and_stops_it_by_signal(folder: Path) -> None:
    server = EmbeddedPostgres(folder)
    log = folder.parent / "log"
    with log.open("wb") as output:
        process = subprocess.Popen(server.prepare(), stdout=output, stderr=output)
    server.wait_ready(alive=lambda: process.poll() is None)
    assert server.pid == process.pid, "the supervisor's child is the postmaster itself"
    process.send_signal(STOP_SIGNAL)
    assert process.wait(20) == 0
    server.close()


@pytest.mark.skipif(shutil.which("setpriv") is None, reason="needs setpriv of util-linux")
def test_it_ends_with_a_supervisor_that_asked_the_kernel_for_it(folder: Path) -> None:
    server = EmbeddedPostgres(folder)
    dying_parent = (
        "import subprocess, sys\n"
        "subprocess.Popen(['setpriv', '--pdeathsig', 'INT', '--', *sys.argv[1:]], start_new_session=True)\n"
        "sys.stdin.read()\n"
    )
    parent = subprocess.Popen(
        [sys.executable, "-c", dying_parent, *server.prepare()],
        stdin=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )
    server.wait_ready(alive=lambda: parent.poll() is None)
    pid = server.pid
    assert pid is not None
    child = os.pidfd_open(pid)
    parent.kill()
    parent.communicate()
    assert select.select([child], [], [], 20)[0], "the postmaster outlived its supervisor"
    os.close(child)
    server.close()


def test_two_owners_of_a_folder_are_refused(folder: Path) -> None:
    with EmbeddedPostgres(folder), pytest.raises(EmbeddedPostgresError, match="another process runs"):
        EmbeddedPostgres(folder).prepare()


def test_a_server_orphaned_by_its_owner_is_replaced(folder: Path) -> None:
    orphaned = EmbeddedPostgres(folder)
    orphaned.start()
    _keep_a_row(orphaned)
    orphan = orphaned.pid
    orphaned.close()  # as if its owner were killed: the lock is free, the server runs
    with EmbeddedPostgres(folder) as server:
        assert _rows(server) == 1
        assert server.pid != orphan
    orphaned.stop()


def test_a_pid_file_of_a_process_that_is_no_postmaster_is_dropped(folder: Path) -> None:
    with EmbeddedPostgres(folder) as server:
        pass
    (folder / "cluster" / "postmaster.pid").write_text(f"{os.getpid()}\n{folder}/cluster\n0\n5432\n")
    with server:
        assert server.pid is not None


def test_an_interrupted_creation_is_begun_anew(folder: Path) -> None:
    (folder / "cluster.new").mkdir(parents=True)
    (folder / "cluster.new" / "PG_VERSION").write_text("18\n")
    with EmbeddedPostgres(folder) as server:
        _keep_a_row(server)


def test_a_cluster_of_another_major_version_is_refused_with_advice(folder: Path) -> None:
    with EmbeddedPostgres(folder) as server:
        pass
    (folder / "cluster" / "PG_VERSION").write_text("17\n")
    with pytest.raises(EmbeddedPostgresError, match="written by PostgreSQL 17"):
        server.prepare()
    server.close()


def test_a_path_too_long_for_a_socket_gets_a_short_one(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(folder.parent))
    with EmbeddedPostgres(folder / ("long" * 30)) as server:
        _keep_a_row(server)
        assert _rows(server) == 1


def test_a_server_that_ends_while_starting_says_why(folder: Path) -> None:
    with pytest.raises(EmbeddedPostgresError, match="no_such_setting"):
        EmbeddedPostgres(folder, {"no_such_setting": "1"}).start()
