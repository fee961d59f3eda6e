"""One central side a folder, and how other commands find it."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest

from hesper.central import BusyError, Central, CentralProcess, running
from hesper.ports import Ports
from store.postgres.roles import Role


@contextmanager
def database_only(folder: Path) -> Iterator[Central]:
    with Central(folder, roles=[CentralProcess.DATABASE], broker="mqtt://127.0.0.1:1") as central:
        yield central


def test_a_running_central_side_is_found_and_a_second_one_is_refused(tmp_path: Path) -> None:
    assert running(tmp_path / "nothing") is None
    with database_only(tmp_path) as central:
        found = running(tmp_path)
        assert found is not None
        assert found.database_url == central.database_url
        with pytest.raises(BusyError, match="another Hesper runs on"), database_only(tmp_path):
            pass
        with psycopg.connect(found.database_url) as connection:
            assert connection.execute("select count(*) from readings").fetchone() == (0,)
    assert running(tmp_path) is None


def test_other_users_of_the_machine_read_nothing_in_the_data_folder(tmp_path: Path) -> None:
    data = tmp_path / "data"
    (data / "logs").mkdir(parents=True, mode=0o755)  # of an earlier version
    (data / "logs" / "validate.log").touch(mode=0o644)
    with database_only(data):
        folders, files = (
            [data, data / "logs", data / "postgres"],
            [*data.iterdir(), *(data / "logs").iterdir()],
        )
        assert [path for path in folders if path.stat().st_mode & 0o066] == []
        assert [path for path in files if path.is_file() and path.stat().st_mode & 0o077] == []


def test_a_process_knows_the_login_of_its_role_and_no_other(
    tmp_path: Path, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    logins = {role: database.replace("//hesper@", f"//{role}@") for role in (Role.API, Role.DELIVER)}
    for role, url in logins.items():
        monkeypatch.setenv(f"DATABASE_URL_{role.name}", url)
    monkeypatch.setenv("DATABASE_URL", database)
    ports = Ports()
    free_port = ports.free(0)
    ports.close()
    with Central(
        tmp_path,
        roles=[CentralProcess.API, CentralProcess.WORKER],
        database_url=database,
        broker="mqtt://127.0.0.1:1",
        api_port=free_port,
    ) as central:
        pids = [central.supervisor.pid(name) for name in ("api", "worker")]
        known = [Path(f"/proc/{pid}/environ").read_bytes().decode().split("\0") for pid in pids]
    api, worker = (sorted(line for line in lines if line.startswith("DATABASE_URL")) for lines in known)
    assert api == [f"DATABASE_URL={logins[Role.API]}", "DATABASE_URL_API=", "DATABASE_URL_DELIVER="]
    assert worker == [f"DATABASE_URL={database}", "DATABASE_URL_API=", "DATABASE_URL_DELIVER="]


def test_what_a_killed_one_left_behind_is_not_taken_for_a_running_one(tmp_path: Path) -> None:
    left = {"pid": 1, "database_url": "x", "broker_host": "x", "broker_port": 1, "api_url": None}
    (tmp_path / "runtime.json").write_text(json.dumps(left))
    assert running(tmp_path) is None


def test_a_second_start_keeps_the_data(tmp_path: Path) -> None:
    with database_only(tmp_path) as central, psycopg.connect(central.database_url) as connection:
        connection.execute("insert into utilities (code, name, time_zone) values ('u', 'U', 'UTC')")
    with database_only(tmp_path) as central, psycopg.connect(central.database_url) as connection:
        assert connection.execute("select code from utilities").fetchall() == [("u",)]
