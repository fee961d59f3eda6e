"""Polls that were due and gave no readout: kept once each, so that a missing reading has its reason."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from psycopg import Connection

from store.postgres.arrays import IntArray, TimestamptzArray, adapt

_REASON_CHARACTERS = 64


@dataclass(frozen=True, slots=True)
class MissedPoll:
    """A poll of a meter that was due at `due_at` (microseconds since 1970), and why it gave nothing."""

    meter_id: int
    due_at: int
    gateway_id: int
    reason: str


def insert(connection: Connection[Any], polls: Sequence[MissedPoll]) -> int:
    """Keeps the polls; of a meter and instant that are there already the first stays. Returns how many are
    new."""
    if not polls:
        return 0
    ordered = sorted(polls, key=lambda poll: (poll.meter_id, poll.due_at))
    with connection.cursor() as cursor:
        adapt(cursor)
        cursor.execute(
            """
            insert into missed_polls (meter_id, due_at, gateway_id, reason, utility_id)
            select p.meter_id, p.due_at, p.gateway_id, p.reason, m.utility_id
            from unnest(%s, %s, %s, %s::text[]) with ordinality as p (meter_id, due_at, gateway_id, reason, n)
            join meters m on m.id = p.meter_id
            order by p.n
            on conflict (meter_id, due_at) do nothing
            """,
            (
                IntArray(np.array([poll.meter_id for poll in ordered])),
                TimestamptzArray(np.array([poll.due_at for poll in ordered])),
                IntArray(np.array([poll.gateway_id for poll in ordered])),
                [poll.reason[:_REASON_CHARACTERS].replace("\x00", "\ufffd") for poll in ordered],
            ),
        )
        return cursor.rowcount
