"""Micro-batches into the database, however long it is away; then the acknowledgements."""

import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import datetime
from functools import partial
from threading import Event
from typing import TypeVar

import psycopg
import structlog

from ingest.metrics import Metrics
from ingest.mqtt.inbox import Delivery
from ingest.mqtt.subscriber import Subscriber
from ingest.receive.decode import Decoded
from ingest.receive.directory import Directory
from ingest.receive.gateway_reports import note, waits_for_us
from ingest.receive.writer import store_readings, store_refused
from ingest.worker import Outage
from store.postgres.database import StoreError, connect
from store.postgres.roles import Role
from telemetry.topics import Kind, Topic
from telemetry.wire import Ack, Outcome, encode, to_milliseconds

T = TypeVar("T")
# the content's fault; every other error of the database is its own, and waited for
_REFUSES = (
    psycopg.DataError,
    psycopg.IntegrityError,
    psycopg.errors.CardinalityViolation,
    psycopg.errors.ProgramLimitExceeded,
)

log = structlog.get_logger(__name__)


class Storing:
    """Session with the database, and what it learned of the registry."""

    def __init__(
        self, database_url: str, subscriber: Subscriber, metrics: Metrics, clock: Callable[[], datetime]
    ) -> None:
        self._database_url = database_url
        self._subscriber = subscriber
        self._metrics = metrics
        self._clock = clock
        self._directory = Directory()
        self._session: psycopg.Connection | None = None
        self._outage = Outage(log)

    @property
    def failing(self) -> bool:
        """True where the database did not let us store when last tried."""
        return self._outage.failures > 0

    def take(
        self, readings: Sequence[tuple[Delivery, Decoded]], others: Sequence[Delivery], stop: Event
    ) -> None:
        """Store and acknowledge, however long the database is away; when stopped before, neither."""
        for delivery in others:
            kept = self._insist(partial(note, delivery=delivery), stop)
            if kept is not None:
                self._subscriber.acknowledge(delivery)
            if kept and (topic := waits_for_us(delivery)):
                self._subscriber.publish(str(topic), encode(Ack("", [])))
        if not readings:
            return
        messages = [decoded for _, decoded in readings]
        outcomes = self._insist(lambda session: self._store(session, messages), stop)
        if outcomes is None:
            return
        self._answer(messages, outcomes)
        for delivery, _ in readings:
            self._subscriber.acknowledge(delivery)
        self._count([delivery for delivery, _ in readings], messages, outcomes)

    def close(self) -> None:
        """End the session with the database."""
        if self._session is not None:
            with suppress(psycopg.Error):
                self._session.close()
        self._session = None

    def _store(self, session: psycopg.Connection, messages: Sequence[Decoded]) -> list[Outcome | None]:
        """Commit the messages together; if their content does not let us, each by itself.

        One that fails by itself, in the database or in our code, is kept aside: it must not come for ever.
        """
        try:
            with self._metrics.stored.time():
                return store_readings(session, self._directory, messages, to_milliseconds(self._clock()))
        except Exception as error:
            if isinstance(error, StoreError | psycopg.Error) and not isinstance(error, _REFUSES):
                raise
            self._directory.forget()
            if len(messages) == 1:
                log.error("the database refuses a message", **_of(messages[0]), reason=_one_line(error))
                return store_refused(session, self._directory, messages[0], str(error))
            return [outcome for message in messages for outcome in self._store(session, [message])]

    def _insist(self, work: Callable[[psycopg.Connection], T], stop: Event) -> T | None:
        """What `work` returns once the database lets it; None when stopped before that."""
        while True:
            try:
                if self._session is None:
                    self._session = connect(self._database_url, application="hesper ingest", role=Role.INGEST)
                result = work(self._session)
            except (StoreError, psycopg.Error) as error:
                self.close()
                self._directory.forget()
                if self._outage.failed(error, stop):
                    return None
            else:
                self._outage.over()
                return result

    def _answer(self, messages: Sequence[Decoded], outcomes: Sequence[Outcome | None]) -> None:
        """One `Ack` for all batches of a gateway's epoch; none for what does not name its batch.

        Where a number comes with two contents, of a gateway and its copy, each is answered.
        """
        acks: dict[tuple[str, str], dict[tuple[int, str], Outcome]] = {}
        for message, outcome in zip(messages, outcomes, strict=True):
            if message.topic is not None and message.batch is not None and outcome is not None:
                topic = str(Topic(message.topic.utility, message.topic.gateway, Kind.ACK))
                acks.setdefault((topic, message.batch.epoch), {})[outcome.batch, outcome.digest] = outcome
        for (topic, epoch), group in acks.items():
            told = list(group.values())
            ack = Ack(epoch, list(dict.fromkeys(outcome.batch for outcome in told)), told)
            self._subscriber.publish(topic, encode(ack))

    def _count(
        self, deliveries: Sequence[Delivery], messages: Sequence[Decoded], outcomes: Sequence[Outcome | None]
    ) -> None:
        self._metrics.count(messages, outcomes, to_milliseconds(self._clock()))
        self._metrics.rows.observe(sum(message.rows for message in messages))
        self._metrics.messages.observe(len(messages))
        now = time.monotonic()
        for delivery in deliveries:
            self._metrics.acknowledged.observe(now - delivery.arrived)
        for message, outcome in zip(messages, outcomes, strict=True):
            if outcome is None:
                log.info("kept aside", **_of(message), bytes=len(message.payload))
            elif outcome.quarantined or outcome.conflicts:
                kept = dict(outcome.quarantined)
                log.info("kept aside", **_of(message), conflicts=outcome.conflicts, quarantined=kept)


def _of(message: Decoded) -> dict[str, object]:
    """Which message a line of the log is about."""
    named: dict[str, object] = {"topic": message.text[:200]}
    if message.topic is not None:
        named = {"utility": message.topic.utility, "gateway": message.topic.gateway}
    if message.batch is not None:
        named |= {"epoch": message.batch.epoch, "batch": message.batch.batch}
    return named


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())
