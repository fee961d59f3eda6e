"""Alarm routing: people and systems are told of findings, by e-mail or signed webhook.

A route tells each finding once, all that wait in one message. In its quiet hours only alarms are told, the
rest afterwards; a digest is one message a day. What is told is noted after it was taken: a process that dies
in between tells it again, so receivers go by the findings' ids. Webhooks are signed as Standard Webhooks 1.0,
and go as billing's do: to public addresses alone unless the operator allowed others, following no redirect.
"""

import hashlib
import json
import smtplib
import ssl
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime, time, timedelta
from email.message import EmailMessage
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit
from zoneinfo import ZoneInfo

import structlog
from psycopg import Connection

from ingest.delivery import signature
from ingest.delivery.address import AddressError
from ingest.delivery.post import AttemptError, Post
from store.keyring import KeyringError
from store.validation.alarms import (
    AlarmRoute,
    ToldFinding,
    note_failure,
    note_told,
    take_route,
    untold,
    waiting_routes,
)

TIMEOUT_SECONDS = 10.0
_FIRST_REST, _LONGEST_REST = timedelta(minutes=1), timedelta(hours=1)

log = structlog.get_logger(__name__)


class NotTakenError(Exception):
    """The message was not taken; the text says why."""


@dataclass(frozen=True, slots=True)
class MailServer:
    """Where e-mail is handed in. With a user the connection must be encrypted."""

    host: str
    port: int
    sender: str
    tls: bool = False
    user: str | None = None
    password: str = field(default="", repr=False)

    @classmethod
    def parse(cls, url: str) -> "MailServer":
        """`smtp://USER:PASSWORD@HOST:587?from=hesper@example.org`, or smtps. Raises ValueError."""
        parts = urlsplit(url)
        sender = parse_qs(parts.query).get("from", [""])[0]
        if parts.scheme not in {"smtp", "smtps"} or not parts.hostname or "@" not in sender:
            raise ValueError("a mail server is smtp://USER:PASSWORD@HOST:PORT?from=ADDRESS, or smtps")
        tls = parts.scheme == "smtps"
        user = None if parts.username is None else unquote(parts.username)
        port = parts.port or (465 if tls else 587)
        return cls(parts.hostname, port, sender, tls, user, unquote(parts.password or ""))

    def send(self, message: EmailMessage) -> None:
        """Hand it in. Raises NotTakenError, also for a server whose certificate nobody vouches for."""
        trust = ssl.create_default_context()  # what smtplib takes by itself would take any certificate
        try:
            with (
                smtplib.SMTP_SSL(self.host, self.port, timeout=TIMEOUT_SECONDS, context=trust)
                if self.tls
                else smtplib.SMTP(self.host, self.port, timeout=TIMEOUT_SECONDS)
            ) as server:
                if self.user is not None:
                    if not self.tls:
                        server.starttls(context=trust)
                    server.login(self.user, self.password)
                server.send_message(message)
        except (OSError, smtplib.SMTPException) as error:
            raise NotTakenError(" ".join(str(error).split())) from None


def tell(
    connection: Connection,
    now: datetime,
    mail: MailServer | None,
    post: Post | None = None,
    opened: Callable[[str], str] = str,
) -> int:
    """Tell what is due now by every route; how many messages were taken. Outside of any transaction.

    `opened` gives a webhook's secret for what is kept of it.
    """
    with connection.transaction():
        routes = waiting_routes(connection, now)
    ways = _Ways(mail, post or Post(seconds=TIMEOUT_SECONDS), opened)
    return sum(_tell_route(connection, identity, now, ways) for identity in routes)


@dataclass(frozen=True, slots=True)
class _Ways:
    """By what things are told; without a mail server no letter goes out."""

    mail: MailServer | None
    post: Post
    opened: Callable[[str], str]


def due(route: AlarmRoute, now: datetime) -> str | None:
    """From which severity on the route tells things now; None: nothing."""
    local = now.astimezone(ZoneInfo(route.zone))
    if route.digest_at is not None:
        latest = datetime.combine(local.date(), route.digest_at, local.tzinfo)
        if local < latest or route.told_at >= latest:
            return None
        return route.severity
    if route.quiet_from is None or route.quiet_to is None:
        return route.severity
    return "alarm" if _between(local.time(), route.quiet_from, route.quiet_to) else route.severity


def _between(at: time, first: time, end: time) -> bool:
    """Whether a time of day lies in a span that may go over midnight."""
    return first <= at < end if first <= end else at >= first or at < end


def _tell_route(connection: Connection, identity: int, now: datetime, ways: _Ways) -> int:
    """How many messages were taken."""
    with connection.transaction():
        route = take_route(connection, identity)
        severity = None if route is None else due(route, now)
        if route is None or severity is None:
            return 0
        told = 0
        # a digest is due once a day, with all there is
        while findings := untold(connection, route, severity):
            try:
                _hand_over(route, findings, now, ways)
            except NotTakenError as error:
                rest = min(_FIRST_REST * 2 ** min(route.failures, 10), _LONGEST_REST)
                note_failure(connection, route, str(error), now + rest)
                if not route.failures:  # said once
                    log.warning("an alarm route fails", route=route.name, reason=str(error))
                break
            note_told(connection, route, findings, now)
            told += 1
        return told


def _hand_over(route: AlarmRoute, findings: Sequence[ToldFinding], now: datetime, ways: _Ways) -> None:
    """Raises NotTakenError."""
    if route.way == "webhook":
        _post(ways, route, findings, now)
    elif ways.mail is None:
        raise NotTakenError("no mail server is set: name one with --mail or HESPER_SMTP")
    else:
        ways.mail.send(_letter(route, findings, ways.mail.sender, now))


def _letter(route: AlarmRoute, findings: Sequence[ToldFinding], sender: str, now: datetime) -> EmailMessage:
    alarms = sum(finding.severity == "alarm" for finding in findings)
    zone = ZoneInfo(route.zone)
    letter = EmailMessage()
    letter["From"], letter["To"] = sender, route.target
    letter["Date"] = now
    letter["Subject"] = f"Hesper, {route.utility}: {len(findings)} findings, {alarms} of them alarms"
    letter["Message-ID"] = f"<{_identity(route, findings)}@{sender.rpartition('@')[2]}>"
    letter.set_content("\n".join(_line(finding, zone) for finding in findings))
    return letter


def _line(finding: ToldFinding, zone: ZoneInfo) -> str:
    since = finding.started_at.astimezone(zone).strftime("%Y-%m-%d %H:%M")
    figures = ", ".join(f"{name} {figure}" for name, figure in finding.evidence.items())
    place = " ".join(
        part for part in (finding.meter, finding.register, finding.gateway, finding.line) if part
    )
    return f"{finding.severity.upper()} {finding.kind}: {place} since {since}\n  {figures}"


def _post(ways: _Ways, route: AlarmRoute, findings: Sequence[ToldFinding], now: datetime) -> None:
    content: dict[str, Any] = {
        "type": "findings",
        "timestamp": now.isoformat(),
        "data": {"utility": route.utility, "findings": [asdict(finding) for finding in findings]},
    }
    body = json.dumps(content, default=datetime.isoformat).encode()
    assert route.secret is not None  # the table holds that
    try:
        secret = ways.opened(route.secret)
    except KeyringError as error:
        raise NotTakenError(f"{error}; {error.advice}") from None
    signed = signature.headers(_identity(route, findings), int(now.timestamp()), body, [secret])
    headers = {"content-type": "application/json"} | signed
    try:
        answer = ways.post(route.target, headers, body, allow_private=route.allow_private)
    except AddressError as error:
        raise NotTakenError(f"nothing is sent to this address: {error}") from None
    except AttemptError as error:
        raise NotTakenError(str(error)) from None
    if not answer.taken:
        raise NotTakenError(f"answered {answer.status}")


def _identity(route: AlarmRoute, findings: Sequence[ToldFinding]) -> str:
    """The same for the same findings, however often it is tried."""
    told = f"{route.id} {[finding.id for finding in findings]}".encode()
    return f"alarm_{hashlib.sha256(told).hexdigest()[:24]}"
