"""Alarm routes against servers on this machine: each finding is told once, at the times that a route says."""

import base64
import email
import email.policy
import socketserver
import ssl
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, time, timedelta
from email.message import EmailMessage
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest
from psycopg import Connection
from standardwebhooks import Webhook

from ingest.delivery.post import Post
from ingest.validation import main
from ingest.validation.alarms import MailServer, due, tell
from store.postgres.database import connect
from store.validation.alarms import AlarmRoute, end_route, set_route
from tests.support.authority import Authority
from tests.support.town import Town

SECRET = "whsec_" + base64.b64encode(bytes(range(32))).decode()
START = datetime(2026, 6, 1, tzinfo=UTC)


@dataclass
class Received:
    """What a server got; `answer` is how it answers."""

    answer: int = 204
    headers: dict[str, str] = field(default_factory=dict)  # of the answer
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
            for name, text in received.headers.items():
                self.send_header(name, text)
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    received.port = server.server_port
    serving = _serve(server)
    next(serving)
    yield received
    next(serving, None)


@dataclass
class PostOffice:
    """As much of RFC 5321 as handing in a letter needs; with `ours`, of RFC 3207 and 4954, too."""

    ours: ssl.SSLContext | None = None
    refuses: bytes | None = None  # an answer to RCPT
    letters: list[bytes] = field(default_factory=list)
    said: list[bytes] = field(default_factory=list)  # by clients, but for letters
    has_come: threading.Event = field(default_factory=threading.Event)
    port: int = 0

    def answer(self, verb: bytes) -> bytes:
        match verb:
            case b"EHLO":
                offers = b"" if self.ours is None else b"250-STARTTLS\r\n250-AUTH PLAIN\r\n"
                return b"250-here\r\n" + offers + b"250 8BITMIME\r\n"
            case b"RCPT" if self.refuses:
                return self.refuses
            case b"AUTH":
                return b"235 welcome\r\n"
            case b"QUIT":
                return b"221 bye\r\n"
        return b"220 go on\r\n" if verb == b"STAR" else b"250 fine\r\n"


def opened(office: PostOffice) -> Iterator[PostOffice]:
    class Handler(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            self.wfile.write(b"220 here\r\n")
            while line := self.rfile.readline():
                office.said.append(line.strip())
                verb = line[:4].upper()
                if verb == b"DATA":
                    self.wfile.write(b"354 go on\r\n")
                    office.letters.append(b"".join(iter(self.rfile.readline, b".\r\n")))
                    office.has_come.set()
                self.wfile.write(office.answer(verb))
                if verb == b"QUIT":
                    return
                if verb == b"STAR":
                    assert office.ours is not None
                    self.connection = office.ours.wrap_socket(self.connection, server_side=True)
                    self.rfile = self.connection.makefile("rb")
                    self.wfile = self.connection.makefile("wb", buffering=0)  # type: ignore[assignment]  # unbuffered

        def finish(self) -> None:
            super().finish()
            self.connection.close()  # the encrypted one: the server knows the other

    class Server(socketserver.TCPServer):
        def handle_error(self, *_: Any) -> None:
            """A client that does not trust us hangs up."""

    server = Server(("127.0.0.1", 0), Handler)
    office.port = server.server_address[1]
    serving = _serve(server)
    next(serving)
    yield office
    next(serving, None)


@pytest.fixture
def post_office() -> Iterator[PostOffice]:
    yield from opened(PostOffice())


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


@pytest.fixture
def private_office(authority: Authority) -> Iterator[PostOffice]:
    """It has a certificate for `localhost`, and wants to know who comes."""
    identity = authority.issue("post", host="localhost")
    ours = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    ours.load_cert_chain(identity.cert, identity.key)
    yield from opened(PostOffice(ours))


def read(letter: bytes) -> EmailMessage:
    return email.message_from_bytes(letter, policy=email.policy.default)


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
    settings = {"severity": "warning", "quiet": None, "digest_at": None, "allow_private": True} | wanted
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


@pytest.mark.expects_log("an alarm route fails")
@pytest.mark.parametrize(
    "url", ["http://127.0.0.1:{}/", "https://localhost:{}/", "https://alarms.example:{}/"]
)
def test_a_webhook_into_the_operators_own_network_goes_nowhere_unless_that_is_allowed(
    town: Town, receiver: Received, url: str
) -> None:
    """Neither by its address nor by a name that a customer's name server answers for."""
    looked_up = []

    def answers(host: str, _port: int) -> list[str]:
        looked_up.append(host)
        return ["127.0.0.1"]

    route(town, url.format(receiver.port), allow_private=False)
    find(town, "leak", "warning")
    assert tell(town.connection, now(town.connection), None, Post(look_up=answers)) == 0
    assert failure(town).startswith("nothing is sent to this address: ")
    assert not receiver.messages
    assert len(looked_up) == ("127" not in url)


@pytest.mark.expects_log("an alarm route fails")
def test_the_address_that_was_checked_is_the_one_that_is_connected_to(town: Town, receiver: Received) -> None:
    """A name server that answers with a public address first, and then with ours, gains nothing."""
    answers = iter([["203.0.113.1", "127.0.0.1"], ["127.0.0.1"]])
    route(town, f"https://alarms.example:{receiver.port}/", allow_private=False)
    find(town, "leak", "warning")
    post = Post(look_up=lambda _host, _port: next(answers))
    assert tell(town.connection, now(town.connection), None, post) == 0
    assert "not a public address" in failure(town)
    assert next(answers) == ["127.0.0.1"], "it was asked once"


@pytest.mark.expects_log("an alarm route fails")
def test_a_redirect_is_a_failure_and_is_not_followed(town: Town, receiver: Received) -> None:
    receiver.answer, receiver.headers = 307, {"Location": f"http://127.0.0.1:{receiver.port}/inner"}
    route(town, f"http://127.0.0.1:{receiver.port}/")
    find(town, "leak", "warning")
    assert tell(town.connection, now(town.connection), None) == 0
    assert failure(town) == "answered 307"
    assert len(receiver.messages) == 1


def failure(town: Town) -> str:
    row = town.connection.execute("select failure from alarm_routes").fetchone()
    assert row is not None
    return str(row[0])


def test_a_letter_says_what_was_found_with_its_figures(town: Town, post_office: PostOffice) -> None:
    route(town, "anna@example.org")
    find(town, "leak", "warning")
    find(town, "burst", "alarm")
    mail = MailServer("127.0.0.1", post_office.port, "hesper@example.org")
    at = now(town.connection)
    assert tell(town.connection, at, mail) == 1
    (letter,) = map(read, post_office.letters)
    assert letter["Subject"] == "Hesper, town: 2 findings, 1 of them alarms"
    assert letter["Date"].datetime == at.replace(microsecond=0)
    assert letter["To"] == "anna@example.org"
    assert "WARNING leak: AAA-1 8-0:1.0.0 since" in letter.get_content()
    assert "lost 1.5" in letter.get_content()
    assert b"rcpt TO:<anna@example.org>" in post_office.said


def test_the_validators_process_hands_letters_in(town: Town, database: str, post_office: PostOffice) -> None:
    route(town, "anna@example.org")
    find(town, "leak", "warning")
    stop = threading.Event()
    mail = MailServer.parse(f"smtp://127.0.0.1:{post_office.port}?from=hesper@example.org")
    process = threading.Thread(target=main, args=(database, stop, lambda: datetime.now(UTC), mail))
    process.start()
    try:
        assert post_office.has_come.wait(20)
    finally:
        stop.set()
        process.join(20)
    assert "WARNING leak" in read(post_office.letters[0]).get_content()


def test_what_is_found_of_a_gateway_is_told_with_its_line(town: Town, post_office: PostOffice) -> None:
    route(town, "anna@example.org")
    town.connection.execute(
        """
        insert into findings (utility_id, gateway_id, line, kind, severity, started_at, evidence)
        select utility_id, id, 'cellar', 'communication.crc_errors', 'warning', now(), '{}' from gateways
        """
    )
    mail = MailServer("127.0.0.1", post_office.port, "hesper@example.org")
    assert tell(town.connection, now(town.connection), mail) == 1
    assert "communication.crc_errors: test cellar since" in read(post_office.letters[0]).get_content()


def test_a_night_is_quiet_but_for_alarms_and_the_rest_comes_in_the_morning(
    town: Town, post_office: PostOffice
) -> None:
    route(town, "anna@example.org", quiet=(time(22), time(6)))
    find(town, "leak", "warning")
    find(town, "burst", "alarm")
    mail = MailServer("127.0.0.1", post_office.port, "hesper@example.org")
    for hour in (23, 27, 30, 31):  # of Madrid, whose summer is two hours ahead
        tell(town.connection, datetime(2027, 6, 1, tzinfo=UTC) + timedelta(hours=hour - 2), mail)
    subjects = [read(letter)["Subject"] for letter in post_office.letters]
    assert subjects == [f"Hesper, town: 1 findings, {alarms} of them alarms" for alarms in (1, 0)]


def test_a_digest_holds_all_of_a_day_however_much_that_is(town: Town, post_office: PostOffice) -> None:
    route(town, "anna@example.org", digest_at=time(7))
    town.connection.execute(
        """
        insert into findings (utility_id, register_id, kind, severity, started_at, evidence)
        select utility_id, id, 'leak', 'warning', now() - n * interval '1 second', '{}'
        from registers cross join generate_series(1, 510) n
        """
    )
    mail = MailServer("127.0.0.1", post_office.port, "hesper@example.org")
    noon = datetime(2027, 6, 1, 10, tzinfo=UTC)
    assert tell(town.connection, noon, mail) == 2
    assert tell(town.connection, noon + timedelta(hours=1), mail) == 0
    told = sum(read(letter).get_content().count("WARNING") for letter in post_office.letters)
    assert told == 510
    find(town, "burst", "alarm")
    assert tell(town.connection, noon + timedelta(hours=2), mail) == 0
    assert tell(town.connection, noon + timedelta(days=1), mail) == 1


@pytest.mark.expects_log("an alarm route fails")
def test_a_letter_that_is_refused_is_handed_in_again_later(town: Town, post_office: PostOffice) -> None:
    route(town, "anna@example.org")
    find(town, "leak", "warning")
    post_office.refuses = b"450 mailbox busy\r\n"
    mail = MailServer("127.0.0.1", post_office.port, "hesper@example.org")
    at = now(town.connection)
    assert tell(town.connection, at, mail) == 0
    assert "mailbox busy" in failure(town)
    post_office.refuses = None
    assert tell(town.connection, at + timedelta(minutes=2), mail) == 1
    assert len(post_office.letters) == 1


def test_who_hands_in_is_named_once_the_line_is_encrypted(
    town: Town, private_office: PostOffice, authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(authority.ca))
    route(town, "anna@example.org")
    find(town, "leak", "warning")
    mail = MailServer("localhost", private_office.port, "h@example.org", user="anna", password="s@cret")
    assert tell(town.connection, now(town.connection), mail) == 1
    assert len(private_office.letters) == 1
    said = [line.split()[0].upper() for line in private_office.said]
    assert said.index(b"STARTTLS") < said.index(b"AUTH")
    assert base64.b64encode(b"\0anna\0s@cret") in b"".join(private_office.said)


@pytest.mark.expects_log("an alarm route fails")
def test_no_password_is_told_to_a_server_that_nobody_vouches_for(
    town: Town, private_office: PostOffice
) -> None:
    route(town, "anna@example.org")
    find(town, "leak", "warning")
    mail = MailServer("localhost", private_office.port, "h@example.org", user="anna", password="s@cret")
    assert tell(town.connection, now(town.connection), mail) == 0
    assert "CERTIFICATE_VERIFY_FAILED" in failure(town)
    assert not any(line.upper().startswith(b"AUTH") for line in private_office.said)


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
