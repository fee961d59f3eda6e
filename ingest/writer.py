"""One transaction for a micro-batch: readings, telegrams, what is refused, and what is to be validated."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from psycopg import Connection

from ingest.decode import Decoded
from ingest.directory import Directory
from ingest.quarantine import Reason, Refusal, count_by_reason, refuse_message
from ingest.resolve import Columns, Origin, Resolved, refuse_values, resolve
from store import quarantine
from store.readings import Telegram, WriteResult, insert, insert_telegrams, mark_for_validation
from telemetry.wire import Outcome, from_milliseconds

Counts = npt.NDArray[np.int64]


def store_readings(
    connection: Connection[Any], directory: Directory, messages: Sequence[Decoded], now: int
) -> list[Outcome | None]:
    """Commit what is usable of `messages`, keep the rest in quarantine; the outcome of each.

    `now` is in milliseconds. None stands for a message that does not even name its batch. Doing it again
    stores nothing more. Raises psycopg.Error where the database fails, and then nothing is stored.
    """
    with connection.transaction():
        resolved = resolve(connection, directory, messages, now)
        columns = resolved.columns
        result = insert(connection, columns.register_ids, columns.measured_at, columns.values, columns.status)
        insert_telegrams(connection, _telegrams(resolved.origins))
        mark_for_validation(connection, columns.register_ids[result.new], columns.measured_at[result.new])
        _refuse_conflicts(resolved, result)
        _keep(connection, directory, messages, resolved.refusals)
    return _outcomes(messages, resolved, result)


def store_refused(
    connection: Connection[Any], directory: Directory, message: Decoded, reason: str
) -> list[Outcome | None]:
    """Commit a message to quarantine that the database would not take."""
    refusal = refuse_message(message.text, message.payload, Reason.REFUSED, reason)
    with connection.transaction():
        directory.prepare(connection, [])
        _keep(connection, directory, [message], [[refusal]])
    batch = message.batch
    return [Outcome(batch.batch, quarantined=count_by_reason([refusal])) if batch else None]


def _telegrams(origins: Sequence[Origin]) -> list[Telegram]:
    return [
        Telegram(
            meter_id=origin.meter.id,
            measured_at=origin.readout.at * 1_000,
            gateway_id=origin.gateway.gateway_id,
            epoch=origin.batch.epoch,
            batch=origin.batch.batch,
            raw=origin.readout.raw,
        )
        for origin in origins
        if origin.readout.raw
    ]


def _refuse_conflicts(resolved: Resolved, result: WriteResult) -> None:
    """Readings for which another value is stored, gathered by readout."""
    columns = resolved.columns
    details: dict[int, dict[str, str]] = {}
    for row in result.conflicts:
        origin, code = int(columns.origins[row]), columns.codes[row]
        at = from_milliseconds(resolved.origins[origin].readout.at).isoformat()
        details.setdefault(origin, {})[code] = f"another value of {code} at {at} is stored"
    for index, codes in details.items():
        origin_of = resolved.origins[index]
        resolved.refusals[origin_of.message].append(refuse_values(origin_of, Reason.CONFLICT, codes))


def _keep(
    connection: Connection[Any],
    directory: Directory,
    messages: Sequence[Decoded],
    refusals: Sequence[Sequence[Refusal]],
) -> None:
    entries = [
        quarantine.Entry(
            utility_id=directory.utility(message.topic.utility) if message.topic else None,
            topic=refusal.topic,
            reason=refusal.reason.value,
            detail=refusal.detail,
            meter=refusal.meter,
            payload=refusal.payload,
            payload_hash=refusal.digest,
        )
        for message, refused in zip(messages, refusals, strict=True)
        for refusal in refused
    ]
    quarantine.insert(connection, entries)


def _outcomes(messages: Sequence[Decoded], resolved: Resolved, result: WriteResult) -> list[Outcome | None]:
    rows = _by_message(resolved.columns, resolved.origins, len(messages))
    total, stored, conflicts = rows(slice(None)), rows(result.new), rows(result.conflicts)
    return [
        Outcome(
            batch=message.batch.batch,
            stored=int(stored[index]),
            known=int(total[index] - stored[index] - conflicts[index]),
            conflicts=int(conflicts[index]),
            quarantined=count_by_reason(resolved.refusals[index]),
        )
        if message.batch
        else None
        for index, message in enumerate(messages)
    ]


def _by_message(columns: Columns, origins: Sequence[Origin], messages: int) -> Any:
    message_of = np.array([origin.message for origin in origins], dtype=np.int64)[columns.origins]

    def count(selection: Any) -> Counts:
        return np.bincount(message_of[selection], minlength=messages)

    return count
