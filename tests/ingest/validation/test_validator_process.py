"""The validator as a process: judges what comes until told to stop, and outlives a database that is away."""

import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime

import psycopg
import pytest

from ingest import worker
from ingest.validation import main
from store.postgres.database import connect
from tests.support.town import Town

START = datetime(2026, 6, 1, tzinfo=UTC)


def present() -> datetime:
    return datetime.now(UTC)


def wait_until(true: Callable[[], bool], seconds: float = 20) -> None:
    tick, deadline = threading.Event(), time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, "waited in vain"
        tick.wait(0.02)


def test_judges_what_comes_until_it_is_stopped(database: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worker, "IDLE_SECONDS", 0.02)
    stop = threading.Event()
    process = threading.Thread(target=main, args=(database, stop, present))
    process.start()
    try:
        with connect(database) as connection:
            town = Town(connection)
            town.meter("AAA-1", {START: "1"})
            connection.autocommit = True
            wait_until(
                lambda: connection.execute("select validated_until from registers").fetchone() != (None,)
            )
    finally:
        stop.set()
        process.join(20)
    assert not process.is_alive()


def test_does_the_daily_upkeep_when_nothing_waits(connection: psycopg.Connection, database: str) -> None:
    connection.execute(
        """
        insert into quarantine (topic, reason, detail, payload, payload_hash, state, resolved_at)
        values ('t', 'r', '', '', '', 'discarded', now() - interval '2 years')
        """
    )
    connection.commit()
    stop = threading.Event()
    process = threading.Thread(target=main, args=(database, stop, present))
    process.start()

    def gone() -> bool:
        found = connection.execute("select from quarantine").fetchone()
        connection.commit()
        return found is None

    try:
        wait_until(gone)
    finally:
        stop.set()
        process.join(20)
