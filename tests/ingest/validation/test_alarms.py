"""Alarm routes against servers on this machine: each finding is told once, at the times that a route says."""

import base64
import socketserver
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, time, timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import pytest
from psycopg import Connection
from standardwebhooks import Webhook

from ingest.validation.alarms import MailServer, due, tell
from store.alarms import AlarmRoute, end_route, set_route
from store.database import connect
from tests.support.town import Town

SECRET = "whsec_" + base64.b64encode(bytes(range(32))).decode()
START = datetime(2026, 6, 1, tzinfo=UTC)


@dataclass
class Received:
    """What a server got; `answer` is how it answers."""

    answer: int = 204
    messages: list[tuple[dict[str, str], bytes]] = field(default_factory=list)
    port: int = 0


def _serve(server: socketserver.BaseServer) -> Iterator[None]:
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield
    finally:
        server.shutdown()
        thread.join(10)
        server.server_close()


@pytest.fixture
def receiver() -> Iterator[Received]:
    received = Received()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            received.messages.append(({key.lower(): text for key, text in self.headers.items()}, body))
            self.send_response(received.answer)
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    received.port = server.server_port
    serving = _serve(server)
    next(serving)
    yield received
    next(serving, None)


@pytest.fixture
def post_office() -> Iterator[Received]:
    """As much of RFC 5321 as handing in a letter needs."""
    received = Received()

    class Handler(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            self.wfile.write(b"220 here\r\n")
            while line := self.rfile.readline():
                verb = line[:4].upper()
                if verb == b"DATA":
                    self.wfile.write(b"354 go on\r\n")
                    received.messages.append(({}, b"".join(iter(self.rfile.readline, b".\r\n"))))
                self.wfile.write(b"221 bye\r\n" if verb == b"QUIT" else b"250 fine\r\n")
                if verb == b"QUIT":
                    return

    server = socketserver.TCPServer(("127.0.0.1", 0), Handler)
    received.port = server.server_address[1]
    serving = _serve(server)
    next(serving)
    yield received
    next(serving, None)


@pytest.fixture
def town(database: str) -> Iterator[Town]:
    with connect(database) as connection:
        town = Town(connection)
        town.meter("AAA-1", {START: "1"})
        connection.autocommit = True
        yield town


def route(town: Town, target: str, **wanted: Any) -> None:
    row = town.connection.execute("select id from utilities").fetchone()
    assert row is not None
    way = "email" if "@" in target else "webhook"
    secret = None if way == "email" else SECRET
    settings = {"severity": "warning", "quiet": None, "digest_at": None} | wanted
    set_route(town.connection, row[0], "duty", way=way, target=target, secret=secret, **settings)


def find(town: Town, kind: str, severity: str) -> None:
    town.connection.execute(
        """
        insert into findings (utility_id, register_id, kind, severity, started_at, evidence)
        select utility_id, id, %s, %s, now(), '{"lost": "1.5"}' from registers
        """,
        (kind, severity),
    )


def now(connection: Connection) -> datetime:
    row = connection.execute("select now()").fetchone()
    assert row is not None
    found: datetime = row[0]
    return found


def test_a_webhook_is_told_once_of_each_finding_and_can_check_the_signature(
    town: Town, receiver: Received
) -> None:
    find(town, "stuck", "alarm")  # before the route was there
    route(town, f"http://127.0.0.1:{receiver.port}/findings?from=hesper")
    find(town, "leak", "warning")
    find(town, "spike", "info")  # not severe enough
    at = now(town.connection)
    assert tell(town.connection, at, None) == 1
    assert tell(town.connection, at, None) == 0
    ((headers, body),) = receiver.messages
    content = Webhook(SECRET).verify(body, headers)
    assert [(each["kind"], each["meter"]) for each in content["data"]["findings"]] == [("leak", "AAA-1")]
    assert content["data"]["findings"][0]["evidence"] == {"lost": "1.5"}


@pytest.mark.expects_log("an alarm route fails")
def test_a_receiver_that_fails_is_tried_again_later_with_the_same_id(town: Town, receiver: Received) -> None:
    route(town, f"http://127.0.0.1:{receiver.port}/")
    find(town, "leak", "warning")
    receiver.answer = 503
    at = now(town.connection)
    assert tell(town.connection, at, None) == 0
    assert tell(town.connection, at + timedelta(seconds=30), None) == 0  # it rests
    assert len(receiver.messages) == 1
    receiver.answer = 200
    assert tell(town.connection, at + timedelta(seconds=61), None) == 1
    assert receiver.messages[0][0]["webhook-id"] == receiver.messages[1][0]["webhook-id"]


@pytest.mark.expects_log("an alarm route fails")
def test_a_receiver_that_is_not_there_is_noted_with_the_reason(town: Town) -> None:
    route(town, "http://127.0.0.1:1/")
    find(town, "leak", "warning")
    assert tell(town.connection, now(town.connection), None) == 0
    row = town.connection.execute("select failures, failure from alarm_routes").fetchone()
    assert row is not None
    assert row[0] == 1
    assert "refused" in row[1]


def test_a_letter_says_what_was_found_with_its_figures(town: Town, post_office: Received) -> None:
    route(town, "anna@example.org")
    find(town, "leak", "warning")
    find(town, "burst", "alarm")
    mail = MailServer("127.0.0.1", post_office.port, "hesper@example.org")
    assert tell(town.connection, now(town.connection), mail) == 1
    ((_, letter),) = post_office.messages
    assert b"Subject: Hesper, town: 2 findings, 1 of them alarms" in letter
    assert b"WARNING leak: AAA-1 8-0:1.0.0 since" in letter
    assert b"lost 1.5" in letter


def test_an_ended_route_tells_nothing(town: Town, receiver: Received) -> None:
    route(town, f"http://127.0.0.1:{receiver.port}/")
    find(town, "leak", "alarm")
    row = town.connection.execute("select id from utilities").fetchone()
    assert row is not None
    assert end_route(town.connection, row[0], "duty")
    assert not end_route(town.connection, row[0], "duty")
    assert tell(town.connection, now(town.connection), None) == 0
    assert not receiver.messages


def a_route(**wanted: Any) -> AlarmRoute:
    settings: dict[str, Any] = {"quiet_from": None, "quiet_to": None, "digest_at": None, "told_at": START}
    return AlarmRoute(
        1, 1, "town", "Europe/Berlin", "duty", "email", "a@b", None, "info", failures=0, **settings | wanted
    )


def local(day: int, hour: int, minute: int = 0) -> datetime:
    """An instant of June, when Berlin is two hours ahead."""
    return datetime(2026, 6, day, hour, minute, tzinfo=UTC) - timedelta(hours=2)


def test_in_quiet_hours_over_midnight_only_alarms_are_told() -> None:
    quiet = a_route(quiet_from=time(22), quiet_to=time(6))
    assert [due(quiet, local(3, hour)) for hour in (21, 22, 23)] == ["info", "alarm", "alarm"]
    assert [due(quiet, local(4, hour)) for hour in (0, 5, 6)] == ["alarm", "alarm", "info"]


def test_a_digest_is_due_once_a_day_from_its_time_on() -> None:
    at_seven = time(7)
    assert due(a_route(digest_at=at_seven), local(3, 6, 59)) is None
    assert due(a_route(digest_at=at_seven), local(3, 7)) == "info"
    told = a_route(digest_at=at_seven, told_at=local(3, 7))
    assert due(told, local(3, 23)) is None
    assert due(told, local(4, 7)) == "info"


def test_a_mail_server_is_named_by_a_url_whose_password_is_never_shown() -> None:
    server = MailServer.parse("smtp://anna:s%40cret@mail.example.org?from=hesper@example.org")
    assert (server.host, server.port, server.user, server.password) == (
        "mail.example.org",
        587,
        "anna",
        "s@cret",
    )
    assert "cret" not in repr(server)
    assert MailServer.parse("smtps://mail.example.org?from=h@e.org").port == 465
    for wrong in ("mail.example.org", "smtp://mail.example.org", "http://mail.example.org?from=h@e.org"):
        with pytest.raises(ValueError, match="smtp://"):
            MailServer.parse(wrong)
