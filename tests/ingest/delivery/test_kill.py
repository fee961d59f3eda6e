"""A receiver that is killed at random, workers that die with a message in hand: each version exactly once."""

import json
import random
import socket
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from contextlib import closing, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from ingest.delivery.post import Post, PostAnswer
from ingest.delivery.signature import new_secret
from ingest.delivery.worker import Courier
from store.delivery import destinations, outbox
from store.postgres.database import connect
from store.postgres.roles import Role
from tests.ingest.delivery.conftest import DAY, HOUR, NOVEMBER, OCTOBER
from tests.support.town import UTILITY, Town

RECEIVER = Path(__file__).with_name("receiver.py")
METERS = [f"AAA-{number}" for number in range(30)]


class DiedError(Exception):
    """A worker ended in the middle of a message."""


class Clock:
    """Time that goes on whenever somebody looks: a second a look, so that distances pass quickly."""

    def __init__(self) -> None:
        self._now, self._lock = datetime(2030, 1, 1, tzinfo=UTC), threading.Lock()

    def __call__(self) -> datetime:
        with self._lock:
            self._now += timedelta(seconds=1)
            return self._now


class Worker(threading.Thread):
    """Delivers until it is told to stop; at times it dies between answer and commit, and starts anew."""

    def __init__(self, database: str, clock: Clock, seed: int, done: threading.Event) -> None:
        super().__init__()
        self._database, self._chance, self._done = database, random.Random(seed), done
        self._post, self.deaths = Post(), 0
        self._courier = Courier(self._send, clock, self._chance)

    def _send(self, url: str, headers: Mapping[str, str], body: bytes, *, allow_private: bool) -> PostAnswer:
        answer = self._post(url, headers, body, allow_private=allow_private)
        if self._chance.random() < 0.1:
            raise DiedError
        return answer

    def run(self) -> None:
        while not self._done.is_set():
            try:
                with connect(self._database, role=Role.DELIVER) as connection:
                    while not self._done.is_set():
                        if not self._courier.step(connection):
                            time.sleep(0.005)
            except DiedError:
                self.deaths += 1


@pytest.fixture
def town(database: str) -> Town:
    town = Town(connect(database))
    for meter in METERS:
        town.meter(meter, {OCTOBER - 2 * DAY - HOUR + n * DAY: str(100 + n) for n in range(36)})
    return town


def _taken(held: Path) -> int:
    """How many messages the receiver has kept."""
    if not held.exists():
        return 0
    with (
        closing(sqlite3.connect(held)) as billing,
        suppress(sqlite3.OperationalError),
    ):  # not made yet, or busy
        return int(billing.execute("select count(*) from taken").fetchone()[0])
    return 0


def test_a_receiver_killed_at_random_ends_with_each_version_once_by_its_id(
    town: Town, database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outbox, "READINGS_PER_MESSAGE", 1)
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    held = tmp_path / "billing.sqlite"
    command = [sys.executable, str(RECEIVER), str(port), str(held)]
    url = f"http://127.0.0.1:{port}/"
    destinations.add(town.connection, UTILITY, url, new_secret(), "anna", allow_private=True)
    town.close("2026-10")
    for meter in METERS[:10]:
        town.read(meter, {NOVEMBER: "133.5"})
    assert town.close("2026-10").corrected == 10
    town.connection.commit()

    chance, done, clock = random.Random(7), threading.Event(), Clock()
    workers = [Worker(database, clock, seed, done) for seed in (1, 2)]
    for worker in workers:
        worker.start()
    kills, deadline = 0, time.monotonic() + 60
    while _waiting(town) and time.monotonic() < deadline:
        with subprocess.Popen(command) as receiver:
            enough = _taken(held) + chance.randint(1, 8)
            ends = time.monotonic() + 2 if kills < 6 else deadline
            while time.monotonic() < ends and (kills >= 6 or _taken(held) < enough) and _waiting(town):
                time.sleep(0.005)
            receiver.kill()
        kills += 1
    done.set()
    for worker in workers:
        worker.join()

    assert outbox.messages(town.connection, state=outbox.MessageState.DEAD) == []
    sent = outbox.messages(town.connection, state=outbox.MessageState.DELIVERED)
    assert len(sent) == 40
    with sqlite3.connect(held) as billing:
        taken = billing.execute("select id, body from taken").fetchall()
        arrivals = billing.execute(
            "select id, count(*), count(distinct body) from arrivals group by 1"
        ).fetchall()
    billing.close()
    assert {name for name, _ in taken} == {f"msg_{row.message_id.hex}" for row in sent}
    versions = [
        (each["service_point"]["code"], each["version"])
        for _, body in taken
        for each in json.loads(body)["data"]["readings"]
    ]
    expected = [(meter, 1) for meter in METERS] + [(meter, 2) for meter in METERS[:10]]
    assert sorted(versions) == sorted(expected)
    assert any(times > 1 for _, times, _ in arrivals), "no message was repeated: the test tried nothing"
    assert all(bodies == 1 for _, _, bodies in arrivals)
    assert kills > 2
    assert sum(worker.deaths for worker in workers) > 0
    town.connection.close()


def _waiting(town: Town) -> bool:
    row = town.connection.execute("select count(*) from outbox where state = 'waiting'").fetchone()
    town.connection.commit()
    return row != (0,)
