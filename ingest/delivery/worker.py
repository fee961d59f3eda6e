"""Delivery worker: takes messages out of the outbox and posts them, until they are there or given up.

Any number may run. Each holds one message at a time, by the lock on its row, while it posts; so a worker that
dies in the middle leaves a message that waits, and the next attempt carries the same id.
"""

import random
import threading
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol

import structlog
from psycopg import Connection

from ingest.delivery.address import AddressError
from ingest.delivery.post import AttemptError, Post, PostAnswer
from ingest.delivery.signature import headers
from ingest.worker import Outage, Turn, serve
from metering.delivery.document import body, webhook_id
from store.delivery.destinations import reseal
from store.delivery.outbox import DueMessage, claim, mark_delivered, mark_failed
from store.delivery.outgoing import readings_of
from store.keyring import Keyring
from store.postgres.database import connect
from store.postgres.roles import Role

# Before the second attempt, the third ...: after the last a message is dead, about three days in all. Of each
# a random half to all is taken, so that messages which failed together do not come back together.
DISTANCES = (
    timedelta(seconds=10),
    timedelta(minutes=1),
    timedelta(minutes=5),
    timedelta(minutes=30),
    timedelta(hours=2),
    timedelta(hours=5),
    timedelta(hours=10),
    timedelta(hours=14),
    timedelta(hours=20),
    timedelta(hours=24),
)
REST = timedelta(minutes=1)  # how long a destination that failed is left alone, at the most ...
LONGEST_REST = timedelta(hours=1)  # ... unless it asked for longer (Retry-After), up to this
GONE = 410

log = structlog.get_logger(__name__)


class Sends(Protocol):
    """Function that posts a body, as `Post` does."""

    def __call__(
        self, url: str, headers: Mapping[str, str], body: bytes, *, allow_private: bool
    ) -> PostAnswer: ...


@dataclass(frozen=True, slots=True)
class Courier:
    """Carrier of one message after another.

    `clock` gives the present in UTC, `chance` the jitter, `opened` a secret for what is kept of it.
    """

    send: Sends
    clock: Callable[[], datetime]
    chance: random.Random
    opened: Callable[[str], str] = str

    def step(self, connection: Connection) -> bool:
        """Attempts the message that has been due for longest; False where none is due. Commits."""
        with connection.transaction():
            message = claim(connection, self.clock())
            if message is None:
                return False
            rows = readings_of(connection, message)
            name = webhook_id(message.message_id)
            content = body(name, message.utility, message.period, message.created_at, rows)
            secrets = [self.opened(kept) for kept in message.secrets]
            signed = headers(name, int(self.clock().timestamp()), content, secrets)
            fields = {"Content-Type": "application/json", "User-Agent": "hesper", **signed}
            try:
                answer = self.send(message.url, fields, content, allow_private=message.allow_private)
            except (AddressError, AttemptError) as error:
                self._failed(connection, message, str(error), None)
            else:
                if answer.taken:
                    mark_delivered(connection, message, self.clock())
                    log.info(
                        "delivered", message=name, destination=message.destination_id, readings=len(rows)
                    )
                else:
                    self._failed(connection, message, f"it answered {answer.status}", answer)
        return True

    def _failed(
        self, connection: Connection, message: DueMessage, error: str, answer: PostAnswer | None
    ) -> None:
        now = self.clock()
        given_up = message.attempts >= len(DISTANCES) or (answer is not None and answer.status == GONE)
        asked = timedelta(seconds=answer.retry_after or 0) if answer else timedelta()
        rest = min(asked, LONGEST_REST)
        again = None
        if not given_up:
            distance = DISTANCES[message.attempts] * self.chance.uniform(0.5, 1.0)
            again = now + max(distance, rest)
            rest = max(rest, min(distance, REST))
        mark_failed(connection, message, error, again=again, resting=now + rest)
        told = {"outbox": message.id, "destination": message.destination_id, "attempt": message.attempts + 1}
        if given_up:
            log.error("a message is dead: `hesper deliver list --dead` shows it", error=error, **told)
        else:
            log.info("not delivered", error=error, **told)


def main(
    database_url: str,
    stop: threading.Event,
    clock: Callable[[], datetime],
    keyring: Callable[[Connection], Keyring],
) -> None:
    """Deliver what is due until `stop` is set. `keyring` gives what seals the secrets, for a session."""

    def begin(sessions: ExitStack) -> Turn:
        connection = sessions.enter_context(
            connect(database_url, application="hesper deliver", role=Role.DELIVER)
        )
        with connection.transaction():
            keys = keyring(connection)
            reseal(connection, keys)  # those from before there were keys, or from before the last rotation
        courier = Courier(Post(), clock, random.SystemRandom(), keys.open)
        log.info("delivering")
        return lambda: courier.step(connection)

    serve(begin, stop, Outage(log))
