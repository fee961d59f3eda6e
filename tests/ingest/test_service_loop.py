"""Processes that live on the database outlive its absences, and tell of each when it begins and ends."""

import threading
import time
from collections.abc import Callable, Iterator, MutableMapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from typing import Any

import psycopg
import pytest
from cryptography.fernet import Fernet
from structlog.testing import capture_logs

from ingest import tasks, worker
from ingest.delivery import worker as delivery
from ingest.mqtt import downlink
from ingest.validation import worker as validation
from store.keyring import Keyring
from store.postgres.database import UnreachableError, connect

KEY = Fernet.generate_key().decode()


class Idle:
    """A broker for which nothing is due."""

    connection = 0
    listening = True

    def deliver(self, topic: str, payload: bytes, *, retain: bool = False, expiry: int | None = None) -> bool:
        return False


def present() -> datetime:
    return datetime.now(UTC)


def ask_gateways(database_url: str, stop: threading.Event, clock: Callable[[], datetime]) -> None:
    downlink.Downlink(database_url, Idle(), clock).run(stop)


@dataclass
class Database:
    """A server whose sessions can be ended, and that lets nobody in while it is `away`."""

    url: str
    application: str
    away: bool = False
    events: list[MutableMapping[str, Any]] = field(default_factory=list)

    def connect(self, url: str, **options: Any) -> psycopg.Connection:
        if self.away:
            raise UnreachableError("cannot reach the database: it is away")
        return connect(url, **options)

    def sessions(self) -> int:
        with connect(self.url) as connection:
            found = connection.execute(
                "select count(*) from pg_stat_activity where application_name = %s", (self.application,)
            ).fetchone()
        assert found is not None
        return int(found[0])

    def leave(self) -> None:
        self.away = True
        with connect(self.url) as connection:
            connection.execute(
                "select pg_terminate_backend(pid) from pg_stat_activity where application_name = %s",
                (self.application,),
            )

    def told(self, event: str) -> int:
        return sum(entry["event"].startswith(event) for entry in self.events)


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worker, "IDLE_SECONDS", 0.01)
    monkeypatch.setattr(worker, "PAUSES", (0.01,))


@pytest.fixture
def events() -> Iterator[list[MutableMapping[str, Any]]]:
    with capture_logs() as logs:
        yield logs


def eventually(true: Callable[[], bool]) -> None:
    tick, deadline = threading.Event(), time.monotonic() + 20
    while not true():
        assert time.monotonic() < deadline, "waited in vain"
        tick.wait(0.01)


@pytest.mark.parametrize(
    ("application", "module", "main"),
    [
        ("hesper validate", validation, validation.main),
        ("hesper deliver", delivery, partial(delivery.main, keyring=lambda _session: Keyring(lambda: [KEY]))),
        ("hesper worker", tasks, tasks.main),
        ("hesper downlink", downlink, ask_gateways),
    ],
)
def test_tells_of_each_outage_when_it_begins_and_when_it_ends(  # noqa: PLR0917 - fixtures
    database: str,
    events: list[MutableMapping[str, Any]],
    monkeypatch: pytest.MonkeyPatch,
    application: str,
    module: Any,
    main: Callable[[str, threading.Event, Callable[[], datetime]], None],
) -> None:
    server = Database(database, application, events=events)
    monkeypatch.setattr(module, "connect", server.connect)
    stop = threading.Event()
    process = threading.Thread(target=main, args=(database, stop, present))
    process.start()
    try:
        for outage in (1, 2):
            eventually(lambda: server.sessions() > 0)
            server.leave()
            eventually(lambda: server.told("the database is away") == outage)  # noqa: B023 - waited for here
            server.away = False
            eventually(lambda: server.told("the database is back") == outage)  # noqa: B023
    finally:
        stop.set()
        process.join(20)
    assert not process.is_alive()
    assert server.told("the database is away") == server.told("the database is back") == 2


def test_says_once_that_the_database_is_away_and_stops_when_told(
    events: list[MutableMapping[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    server = Database("postgresql://127.0.0.1:1/nowhere", "nobody", away=True, events=events)
    stop, attempts = threading.Event(), 0

    def counted(url: str, **options: Any) -> psycopg.Connection:
        nonlocal attempts
        attempts += 1
        return server.connect(url, **options)

    monkeypatch.setattr(validation, "connect", counted)
    process = threading.Thread(target=validation.main, args=(server.url, stop, present))
    process.start()
    eventually(lambda: attempts > 3)
    stop.set()
    process.join(20)
    assert [entry["event"] for entry in events] == ["the database is away; trying again"]


def test_each_try_waits_longer_and_the_first_after_a_recovery_is_quick_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.undo()
    waited: list[float | None] = []

    class Patient(threading.Event):
        def wait(self, timeout: float | None = None) -> bool:
            waited.append(timeout)
            return False

    outage = worker.Outage(delivery.log)
    with capture_logs():
        for _ in range(len(worker.PAUSES) + 1):
            assert not outage.failed(OSError("gone"), Patient())
        outage.over()
        outage.failed(OSError("gone again"), Patient())
    assert waited == [*worker.PAUSES, worker.PAUSES[-1], worker.PAUSES[0]]


def test_a_fault_of_ours_ends_the_loop(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken() -> bool:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        worker.serve(lambda _sessions: broken, threading.Event(), worker.Outage(delivery.log))
