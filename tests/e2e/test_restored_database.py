"""A database that is put back from a backup gets back, by itself, what its gateways still have."""

import shutil
import sqlite3
import subprocess
import time
from contextlib import closing

import psycopg
import pytest

from store.gateways.stored import AUTHOR
from store.postgres.database import connect
from tests.e2e.conftest import wait_until
from tests.e2e.test_chaos import (  # noqa: F401 - a fixture of it
    GATEWAYS,
    INGESTERS,
    SEED,
    SETTLING,
    System,
    all_of,
    ended,
    stored,
    system,
)
from tests.support.lasting_gateway import readings, steps_of

pytestmark = pytest.mark.e2e
ENOUGH = 1_000  # readings


def forget_the_minute_of_grace(connection: psycopg.Connection) -> None:
    """Gateways are asked where they know of a time a minute later than the database."""
    connection.execute("update gateway_stored set stored_at = stored_at - interval '10 minutes'")


def told_until(system: System, name: str) -> int:  # noqa: F811
    """The latest time, in milliseconds, at which a gateway was told that something was stored."""
    with closing(sqlite3.connect(system.folder / name / "buffer.sqlite", timeout=10)) as buffer:
        return int(buffer.execute("select stored_at from life").fetchone()[0])


def test_a_database_put_back_from_a_backup_is_filled_again(system: System) -> None:  # noqa: F811
    system.cutter.gentle()
    for name in (INGESTERS[0], *GATEWAYS):
        system.start(name)
    wait_until(lambda: stored(system) >= ENOUGH, 60, "readings arrive")
    system.kill(INGESTERS[0])
    with connect(system.server.url) as connection:
        forget_the_minute_of_grace(connection)
        connection.commit()
    system.server.stop()
    data = system.folder / "postgres"
    backup = system.folder / "backup"
    subprocess.run(["cp", "-a", data, backup], check=True)  # with its owner, whom the server runs as
    system.server.start()
    system.start(INGESTERS[0])
    before = stored(system)
    wait_until(lambda: stored(system) >= before + ENOUGH, 60, "life goes on")
    now = time.time() * 1_000
    wait_until(lambda: all(told_until(system, name) > now for name in GATEWAYS), 60, "and they are told")
    for name in (INGESTERS[0], *GATEWAYS):
        system.kill(name)
    system.server.stop()
    shutil.rmtree(data)
    backup.rename(data)
    system.server.start()
    assert stored(system) <= before + 100
    for name in (INGESTERS[0], *GATEWAYS):
        system.start(name)

    def whole() -> bool:
        expected = sum(steps_of(system.folder / name) for name in GATEWAYS) - 2 * len(GATEWAYS)
        with connect(system.server.url) as connection:
            row = connection.execute("select count(*) from telegrams").fetchone()
        assert row is not None
        return int(row[0]) >= 5 * expected

    wait_until(whole, SETTLING, "what was lost comes back")
    for name in GATEWAYS:
        (system.folder / name / "stop").touch()
    for name in GATEWAYS:
        wait_until(ended(system.processes[name]), SETTLING, f"everything of {name} is acknowledged")
    expected = [each for name in GATEWAYS for each in readings(name, SEED, steps_of(system.folder / name))]
    with connect(system.server.url) as connection:
        assert sorted(all_of(connection)) == sorted(expected)
        assert connection.execute("select count(*) from quarantine").fetchone() == (0,)
        asked = connection.execute("select command, author from gateway_commands").fetchall()
    assert asked == [("send-again", AUTHOR)] * len(GATEWAYS)
