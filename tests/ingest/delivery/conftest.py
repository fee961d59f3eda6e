"""A town with two meters, a destination whose clock a test moves, and a real receiver on a port."""

import random
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import psycopg
import pytest
from cryptography.fernet import Fernet

from ingest.delivery.post import PostAnswer
from ingest.delivery.signature import new_secret
from ingest.delivery.worker import Courier
from store.delivery import destinations
from store.keyring import Keyring
from store.postgres.database import connect
from tests.support.town import UTILITY, Town

OCTOBER = datetime(2026, 9, 30, 22, tzinfo=UTC)  # local midnights in Madrid
NOVEMBER = datetime(2026, 10, 31, 23, tzinfo=UTC)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)


@pytest.fixture
def town(database: str) -> Iterator[Town]:
    with connect(database) as connection:
        town = Town(connection)
        for meter in ("AAA-1", "BBB-2"):
            first = OCTOBER - 10 * DAY - HOUR
            town.meter(meter, {first + n * DAY: str(100 + n) for n in range(60)})
        connection.execute("update service_points set account = '40001'")
        connection.commit()
        yield town


@dataclass
class Destination:
    """A destination whose answers a test decides, with a clock of its own."""

    connection: psycopg.Connection
    answers: list[PostAnswer | Exception] = field(default_factory=list)
    came: list[tuple[dict[str, str], bytes]] = field(default_factory=list)
    now: datetime = datetime(2030, 1, 1, tzinfo=UTC)
    secret: str = field(default_factory=new_secret)

    def __post_init__(self) -> None:
        key = Fernet.generate_key().decode()
        keyring = Keyring(lambda: [key])
        kept = keyring.seal(self.secret)
        self.id = destinations.add(
            self.connection, UTILITY, "https://billing.example/in", kept, "anna", allow_private=False
        )
        self.connection.commit()
        self.courier = Courier(self.send, lambda: self.now, random.Random(1), keyring.open)

    def send(self, url: str, headers: Mapping[str, str], body: bytes, *, allow_private: bool) -> PostAnswer:
        assert (url, allow_private) == ("https://billing.example/in", False)
        self.came.append((dict(headers), body))
        answer = self.answers.pop(0) if self.answers else PostAnswer(200)
        if isinstance(answer, Exception):
            raise answer
        return answer

    def step(self) -> bool:
        self.connection.commit()
        return self.courier.step(self.connection)

    def states(self) -> list[tuple[str, int]]:
        """(state, attempts) of all messages, in order."""
        rows = self.connection.execute("select state, attempts from outbox order by id").fetchall()
        self.connection.commit()
        return rows


@pytest.fixture
def destination(town: Town) -> Destination:
    return Destination(town.connection)


class Receiver(BaseHTTPRequestHandler):
    """Answers as its server says, and keeps what came."""

    def do_POST(self) -> None:
        server = self.server
        assert isinstance(server, Listening)
        server.came.append((self.path, self.rfile.read(int(self.headers["Content-Length"]))))
        self.send_response(server.status)
        for name, value in server.fields.items():
            self.send_header(name, value)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Silence."""


class Listening(ThreadingHTTPServer):
    """A receiver on a free port of this machine."""

    def __init__(self, status: int = 204, fields: dict[str, str] | None = None) -> None:
        super().__init__(("127.0.0.1", 0), Receiver)
        self.status, self.fields = status, fields or {}
        self.came: list[tuple[str, bytes]] = []

    @property
    def port(self) -> int:
        return int(self.server_address[1])


@contextmanager
def listening(status: int = 204, fields: dict[str, str] | None = None) -> Iterator[Listening]:
    with Listening(status, fields) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield server
        server.shutdown()
        thread.join()
