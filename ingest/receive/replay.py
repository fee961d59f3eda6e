"""Replay of quarantine: what waits is tried again after its cause is mended."""

from collections.abc import Sequence
from typing import Any

import psycopg
from psycopg import Connection

from ingest.receive.decode import decode_readings
from ingest.receive.directory import Directory
from ingest.receive.writer import store_readings
from store import quarantine
from telemetry.wire import Outcome


def replay(
    connection: Connection[Any], entries: Sequence[quarantine.QuarantineRow], now: int
) -> list[Outcome | None]:
    """Take the payloads of `entries` as if they came now (milliseconds), and commit; the outcome of each.

    What is refused for the same reason again waits on; everything else of an entry is dealt with. Raises
    psycopg.Error where the database fails, and then nothing has changed.
    """
    messages = [decode_readings(entry.topic, entry.payload) for entry in entries]
    with connection.transaction():
        quarantine.mark_replayed(connection, [entry.id for entry in entries])
        return store_readings(connection, Directory(), messages, now)


def replay_all(
    connection: Connection[Any], entries: Sequence[quarantine.QuarantineRow], now: int
) -> list[Outcome]:
    """As `replay`, but what the database still refuses costs only its own entry, which waits on."""
    try:
        return [outcome for outcome in replay(connection, entries, now) if outcome is not None]
    except (psycopg.DataError, psycopg.IntegrityError):
        if len(entries) == 1:
            return []
        return [outcome for entry in entries for outcome in replay_all(connection, [entry], now)]
