"""Alarm routing: people and systems are told of findings, by e-mail or signed webhook.

A route tells each finding once, all that wait in one message. In its quiet hours only alarms are told, the
rest afterwards; a digest is one message a day. What is told is noted after it was taken: a process that dies
in between tells it again, so receivers go by the findings' ids. Webhooks are signed as Standard Webhooks 1.0.
"""

import hashlib
import json
import smtplib
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime, time, timedelta
from email.message import EmailMessage
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit
from zoneinfo import ZoneInfo

import structlog
from psycopg import Connection

from ingest.billing.delivery import signature
from store.alarms import AlarmRoute, Told, note_failure, note_told, take_route, untold, waiting_routes

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
        """Hand it in. Raises NotTakenError."""
        try:
            kind = smtplib.SMTP_SSL if self.tls else smtplib.SMTP
            with kind(self.host, self.port, timeout=TIMEOUT_SECONDS) as server:
                if self.user is not None:
                    if not self.tls:
                        server.starttls()
                    server.login(self.user, self.password)
                server.send_message(message)
        except (OSError, smtplib.SMTPException) as error:
            raise NotTakenError(" ".join(str(error).split())) from None


def tell(connection: Connection, now: datetime, mail: MailServer | None) -> int:
    """Tell what is due now by every route; how many messages were taken. Outside of any transaction."""
    with connection.transaction():
        routes = waiting_routes(connection, now)
    return sum(_tell_route(connection, identity, now, mail) for identity in routes)


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


def _tell_route(connection: Connection, identity: int, now: datetime, mail: MailServer | None) -> bool:
    with connection.transaction():
        route = take_route(connection, identity)
        severity = None if route is None else due(route, now)
        if route is None or severity is None:
            return False
        findings = untold(connection, route, severity)
        if not findings:
            return False
        try:
            if route.way == "email":
                if mail is None:
                    raise NotTakenError("no mail server is set")
                mail.send(_letter(route, findings, mail.sender))
            else:
                _post(route, findings, now)
        except NotTakenError as error:
            rest = min(_FIRST_REST * 2 ** min(route.failures, 10), _LONGEST_REST)
            note_failure(connection, route, str(error), now + rest)
            if not route.failures:  # said once
                log.warning("an alarm route fails", route=route.name, reason=str(error))
            return False
        note_told(connection, route, findings, now)
        return True


def _letter(route: AlarmRoute, findings: Sequence[Told], sender: str) -> EmailMessage:
    alarms = sum(finding.severity == "alarm" for finding in findings)
    zone = ZoneInfo(route.zone)
    letter = EmailMessage()
    letter["From"], letter["To"] = sender, route.target
    letter["Subject"] = f"Hesper, {route.utility}: {len(findings)} findings, {alarms} of them alarms"
    letter["Message-ID"] = f"<{_identity(route, findings)}@{sender.rpartition('@')[2]}>"
    letter.set_content("\n".join(_line(finding, zone) for finding in findings))
    return letter


def _line(finding: Told, zone: ZoneInfo) -> str:
    since = finding.started_at.astimezone(zone).strftime("%Y-%m-%d %H:%M")
    figures = ", ".join(f"{name} {figure}" for name, figure in finding.evidence.items())
    place = f"{finding.meter} {finding.register}"
    return f"{finding.severity.upper()} {finding.kind}: {place} since {since}\n  {figures}"


def _post(route: AlarmRoute, findings: Sequence[Told], now: datetime) -> None:
    content: dict[str, Any] = {
        "type": "findings",
        "timestamp": now.isoformat(),
        "data": {"utility": route.utility, "findings": [asdict(finding) for finding in findings]},
    }
    body = json.dumps(content, default=datetime.isoformat).encode()
    parts = urlsplit(route.target)
    kind = HTTPSConnection if parts.scheme == "https" else HTTPConnection
    assert route.secret is not None  # the table holds that
    signed = signature.headers(_identity(route, findings), int(now.timestamp()), body, [route.secret])
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    link = kind(parts.hostname or "", parts.port, timeout=TIMEOUT_SECONDS)
    try:
        link.request("POST", path, body, {"content-type": "application/json"} | signed)
        status = link.getresponse().status
    except (OSError, HTTPException) as error:
        raise NotTakenError(" ".join(str(error).split()) or type(error).__name__) from None
    finally:
        link.close()
    if not 200 <= status < 300:
        raise NotTakenError(f"answered {status}")


def _identity(route: AlarmRoute, findings: Sequence[Told]) -> str:
    """The same for the same findings, however often it is tried."""
    told = f"{route.id} {[finding.id for finding in findings]}".encode()
    return f"alarm_{hashlib.sha256(told).hexdigest()[:24]}"
