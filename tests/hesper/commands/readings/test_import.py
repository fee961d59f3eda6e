"""`hesper import` as people run it: everything embedded, and through what runs already."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg
import pytest

from hesper.importer.columns import EXAMPLE
from store.postgres.embedded import EmbeddedPostgres
from tests.support.broker import Broker

ROOT = Path(__file__).resolve().parents[4]
TIMEOUT = 120
HEADER = "meter,local_time,litres\n"


def command(file: Path, *options: str) -> list[str]:
    mapping = ("--utility", "daiad", "--tz", "Europe/Madrid", "--column-map", EXAMPLE)
    return [sys.executable, "-m", "hesper", "import", str(file), *mapping, "--json", *options]


def imported(file: Path, *options: str, code: int = 0) -> dict[str, Any]:
    """The summary of an import that ends with `code`."""
    done = subprocess.run(
        command(file, *options), cwd=ROOT, capture_output=True, text=True, timeout=TIMEOUT, check=False
    )
    assert done.returncode == code, done.stderr
    summary: dict[str, Any] = json.loads(done.stdout)
    return summary


@contextmanager
def ingester(database: str, broker: Broker) -> Iterator[subprocess.Popen[bytes]]:
    """`hesper ingest run` in a process of its own; the embedded broker cannot take up a session again."""
    options = ["--database-url", database, "--broker", f"mqtt://127.0.0.1:{broker.port}"]
    process = subprocess.Popen(
        [sys.executable, "-m", "hesper", "ingest", "run", *options, "--session-expiry", "0"],
        cwd=ROOT,
        stdout=subprocess.DEVNULL,
    )
    try:
        yield process
    finally:
        process.terminate()
        process.wait(TIMEOUT)


@pytest.fixture
def central(database: str) -> Iterator[list[str]]:
    """The options that lead to a broker, a database and an ingester which run already."""
    with Broker() as broker, ingester(database, broker):
        yield ["--database-url", database, "--broker", f"mqtt://127.0.0.1:{broker.port}"]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "readings.csv"


def test_a_year_of_46_meters_is_stored_once_however_often_it_is_imported(
    shared_data: Path, tmp_path: Path
) -> None:
    file = shared_data / "daiad-water" / "readings.csv.gz"
    first = imported(file, "--data", str(tmp_path))
    assert first == {
        "rows": 345_099,
        "meters": 46,
        "new_meters": 46,
        "readings": 345_099,
        "stored": 345_099,
        "already_there": 0,
        "conflicts": 0,
        "quarantined": {},
        "unreadable": 0,
        "row_errors": [],
    }
    again = imported(file, "--data", str(tmp_path))
    assert (again["stored"], again["already_there"], again["new_meters"]) == (0, 345_099, 0)
    with EmbeddedPostgres(tmp_path / "postgres") as server, psycopg.connect(server.url) as connection:
        assert connection.execute("select count(*) from readings").fetchone() == (345_099,)
        assert connection.execute("select count(*) from quarantine").fetchone() == (0,)


def test_rows_that_cannot_be_read_are_reported_and_all_others_stored(
    file: Path, central: list[str], connection: psycopg.Connection
) -> None:
    file.write_text(
        HEADER
        + "a,2016-10-30T02:22:34,1000\n"
        + "a,2016-10-30T02:22:34,1001\n"
        + "a,2016-03-27T02:22:34,1002\n"
        + "b,2016-03-27T03:22:34,none\n"
        + "b,2016-03-27T04:22:34,4e+05\n"
    )
    summary = imported(file, *central, code=1)
    assert (summary["rows"], summary["stored"], summary["unreadable"]) == (5, 3, 2)
    assert [error["line"] for error in summary["row_errors"]] == [4, 5]
    rows = connection.execute(
        """
        select m.code, to_char(r.measured_at, 'MM-DD HH24:MI:SS'), r.value, r.status
        from readings r join registers g on g.id = r.register_id join meters m on m.id = g.meter_id
        order by 1, 2
        """
    ).fetchall()
    assert rows == [
        ("IMP-A", "10-30 00:22:34", 1_000_000, 512),
        ("IMP-A", "10-30 01:22:34", 1_001_000, 512),
        ("IMP-B", "03-27 02:22:34", 400_000_000, 512),
    ]


def test_a_value_that_contradicts_a_stored_one_is_counted_as_a_conflict(
    file: Path, central: list[str]
) -> None:
    file.write_text(HEADER + "a,2016-03-01T00:00:00,1\na,2016-03-01T01:00:00,2\n")
    imported(file, *central)
    file.write_text(HEADER + "a,2016-03-01T00:00:00,7\na,2016-03-01T01:00:00,2\n")
    summary = imported(file, *central, code=1)
    assert (summary["already_there"], summary["conflicts"], summary["stored"]) == (1, 1, 0)


def test_a_new_meter_is_installed_from_its_first_reading(
    file: Path, central: list[str], connection: psycopg.Connection
) -> None:
    file.write_text(HEADER + "KAM-12345678,2016-03-01T00:00:00,1\n")
    imported(file, *central)
    row = connection.execute(
        """
        select u.time_zone, p.code, p.medium, i.valid_from::text
        from utilities u join service_points p on p.utility_id = u.id
        join installations i on i.service_point_id = p.id
        """
    ).fetchone()
    assert row == ("Europe/Madrid", "KAM-12345678", 8, "2016-02-29 23:00:00+00")


def test_an_ingester_killed_in_the_middle_costs_nothing(
    file: Path, database: str, connection: psycopg.Connection
) -> None:
    file.write_text(
        HEADER
        + "".join(
            f"m{meter},2016-{month:02}-{day:02}T{hour:02}:00:00,{day}\n"
            for meter in range(5)
            for month in (1, 5)
            for day in range(1, 29)
            for hour in range(24)
        )
    )
    readings = 5 * 2 * 28 * 24
    with Broker() as broker:
        options = ["--database-url", database, "--broker", f"mqtt://127.0.0.1:{broker.port}"]
        importing = subprocess.Popen(
            command(file, *options), cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
        )
        with importing:
            try:
                with ingester(database, broker) as first:
                    while not _any_stored(connection):
                        assert importing.poll() is None
                    first.send_signal(signal.SIGKILL)
                    first.wait(TIMEOUT)
                with ingester(database, broker):
                    assert importing.wait(TIMEOUT) == 0
            finally:
                importing.kill()
            assert importing.stdout is not None
            summary = json.loads(importing.stdout.read())
    assert summary["stored"] + summary["already_there"] == readings
    assert connection.execute("select count(*) from readings").fetchone() == (readings,)


def _any_stored(connection: psycopg.Connection) -> bool:
    row = connection.execute("select exists (select from readings)").fetchone()
    connection.rollback()
    return bool(row and row[0])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--tz", "Mars/Olympus"], "unknown time zone"),
        (["--column-map", "8-0:2.0.0=flow"], "has no column flow"),
        (["--column-map", "meter=again"], "mapped twice"),
        (["--manufacturer", "daiad"], "three letters"),
        (["--delimiter", ";;"], "is not a delimiter"),
        (["--medium", "beer"], "cold_water"),
        (["--utility", "a/b"], "cannot be a topic segment"),
        (["--broker", "127.0.0.1", "--database-url", "x"], "mqtt://host:port"),
    ],
)
def test_what_cannot_be_imported_is_said_in_one_line_and_nothing_is_sent(
    file: Path, options: list[str], message: str
) -> None:
    file.write_text(HEADER + "a,2016-03-01T00:00:00,1\n")
    done = subprocess.run(
        command(file, *options), cwd=ROOT, capture_output=True, text=True, timeout=TIMEOUT, check=False
    )
    assert done.returncode == 2
    assert message in done.stderr
    assert "Traceback" not in done.stderr


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    done = subprocess.run(
        command(tmp_path / "absent.csv"),
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=TIMEOUT,
        check=False,
        env=os.environ | {"COLUMNS": "200"},
    )
    assert done.returncode == 2
    assert "absent.csv: No such file" in done.stderr
