"""Commands and configurations, from the database to MQTT; `gateway_reports.py` keeps the answers.

Looked for once a second. A row is claimed, published, confirmed by the broker and only then called sent:
dying in between publishes it twice, which a gateway answers like once. Commands are sent again until they
are answered or too old; a configuration is retained by the broker, and sent again to one that we connect to
anew, which may have lost it.
"""

import logging
from collections.abc import Callable
from contextlib import ExitStack
from datetime import datetime, timedelta
from threading import Event
from typing import Any, Protocol

import structlog
from psycopg import Connection

from ingest.worker import Outage, Turn, serve
from store.gateways import downlink
from store.gateways.downlink import DueCommand, DueConfiguration
from store.postgres.database import connect
from store.postgres.roles import Role
from telemetry.topics import Kind, Topic
from telemetry.wire import Command, DesiredConfig, encode, to_milliseconds

SEND_AGAIN = timedelta(seconds=15)
_AT_ONCE = 50
_PAUSE = 5.0  # seconds after a fault of ours
_KEPT_SECONDS = 30  # by the broker, for a gateway that is away for a moment: then it was sent again

log = structlog.get_logger(__name__)


class Broker(Protocol):
    """The ingester's connection (`Subscriber`)."""

    connection: int

    @property
    def listening(self) -> bool:
        """True while replies would reach us."""
        ...

    def deliver(self, topic: str, payload: bytes, *, retain: bool = False, expiry: int | None = None) -> bool:
        """Publishes; true when the broker has taken it."""
        ...


class Downlink:
    """`run` in a thread of its own, or `turn` by turn. Any number of ingesters do this side by side."""

    def __init__(self, database_url: str, broker: Broker, clock: Callable[[], datetime]) -> None:
        self._database_url = database_url
        self._broker = broker
        self._clock = clock
        self._connection = 0  # of the broker, when it was last given what nobody had answered

    def run(self, stop: Event) -> None:
        """Look for what is due until `stop`, once a second.

        Whatever goes wrong here is logged: readings do not depend on it. That the database is away is said
        quietly, since who stores readings in this process says it, too.
        """
        outage = Outage(log.bind(work="requests to gateways"), logging.INFO)
        while not stop.is_set():
            try:
                serve(self._begin, stop, outage)
            except Exception:
                log.exception("a request to a gateway met a fault")
                stop.wait(_PAUSE)

    def _begin(self, sessions: ExitStack) -> Turn:
        session = sessions.enter_context(
            connect(self._database_url, application="hesper downlink", role=Role.INGEST)
        )

        def turn() -> bool:
            self.turn(session)
            return False  # what is sent is sent again only after a while

        return turn

    def turn(self, session: Connection[Any]) -> int:
        """Send what is due; how much the broker took. Raises psycopg.Error."""
        if not self._broker.listening:
            return 0
        with session.transaction():
            downlink.expire_commands(session, self._clock())
            if self._connection != self._broker.connection:
                downlink.send_configurations_again(session)
                self._connection = self._broker.connection
        return self._send_configurations(session) + self._send_commands(session)

    def _send_configurations(self, session: Connection[Any]) -> int:
        sent = 0
        with session.transaction():
            for desired in downlink.due_configurations(session, _AT_ONCE):
                if self._publish_configuration(desired):
                    downlink.configuration_sent(session, desired.id, self._clock())
                    sent += 1
        return sent

    def _send_commands(self, session: Connection[Any]) -> int:
        sent = 0
        with session.transaction():
            for command in downlink.due_commands(session, self._clock(), SEND_AGAIN, _AT_ONCE):
                if self._publish_command(command):
                    downlink.command_sent(session, command.id, self._clock())
                    sent += 1
        return sent

    def _publish_configuration(self, desired: DueConfiguration) -> bool:
        topic = Topic(desired.utility, desired.gateway, Kind.CONFIG)
        return self._broker.deliver(
            str(topic), encode(DesiredConfig(str(desired.version), desired.toml)), retain=True
        )

    def _publish_command(self, due: DueCommand) -> bool:
        topic = Topic(due.utility, due.gateway, Kind.COMMAND)
        command = Command(
            str(due.wire_id),
            due.command,
            line=due.line,
            meter=due.meter,
            level=due.level,
            since=None if due.since is None else to_milliseconds(due.since),
            expires_at=to_milliseconds(due.expires_at),
        )
        return self._broker.deliver(str(topic), encode(command), expiry=_KEPT_SECONDS)
