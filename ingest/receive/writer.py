"""Transaction of a micro-batch: readings, telegrams, misses, refusals, and what is to be validated.

A micro-batch's way is one line: decoded messages are resolved (resolve.py), become columns (columns.py), are
written, and each message gets its outcome.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from operator import attrgetter
from typing import Any

import numpy as np
import structlog
from psycopg import Connection

from ingest.receive.columns import ValueColumns, columns_of
from ingest.receive.decode import Decoded
from ingest.receive.directory import Directory
from ingest.receive.quarantine import QuarantineReason, RefusedPart, count_by_reason, refuse_message
from ingest.receive.resolve import Resolved, resolve
from store import quarantine
from store.gateways.stored import note_stored
from store.postgres import notices
from store.readings import misses
from store.readings.raw import Telegrams, WriteResult, insert, insert_telegrams, mark_for_validation
from telemetry.wire import Outcome, from_milliseconds, to_milliseconds

log = structlog.get_logger(__name__)

_raw = attrgetter("raw")
_meter_id = attrgetter("meter_id")
_gateway_id = attrgetter("gateway_id")


def store_readings(
    connection: Connection[Any], directory: Directory, messages: Sequence[Decoded], now: int
) -> list[Outcome | None]:
    """Commit what is usable of `messages`, keep the rest in quarantine; the outcome of each.

    `now` is in milliseconds. None stands for a message that does not even name its batch. Doing it again
    stores nothing more. Raises psycopg.Error where the database fails, and then nothing is stored.
    """
    with connection.transaction():
        written = _write(connection, columns_of(resolve(connection, directory, messages, now)))
        return _outcomes(written, _note_stored(connection, directory, messages))


def store_refused(
    connection: Connection[Any], directory: Directory, message: Decoded, reason: str
) -> list[Outcome | None]:
    """Commit a message to quarantine that could not be stored."""
    refusal = refuse_message(message.text, message.payload, QuarantineReason.REFUSED, reason)
    with connection.transaction():
        directory.refresh(connection)
        _keep(connection, [directory.utility(message.topic)], [[refusal]])
        stored_at = _note_stored(connection, directory, [message])
    batch, quarantined = message.batch, count_by_reason([refusal])
    return [
        Outcome(batch.batch, quarantined=quarantined, digest=batch.digest, stored_at=stored_at)
        if batch
        else None
    ]


@dataclass(frozen=True, slots=True)
class _Written:
    """A micro-batch, and which of its rows the store took."""

    columns: ValueColumns
    result: WriteResult


def _write(connection: Connection[Any], columns: ValueColumns) -> _Written:
    """Store the columns and what came with them; readings for which another value is stored are refused."""
    resolved = columns.resolved
    result = insert(connection, columns.register_ids, columns.measured_at, columns.values, columns.status)
    insert_telegrams(connection, _telegrams(resolved))
    misses.insert(connection, [poll for _, poll in resolved.missed])
    mark_for_validation(connection, columns.register_ids[result.new], columns.measured_at[result.new])
    _refuse_conflicts(columns, result)
    _keep(connection, resolved.utilities, resolved.refusals)
    if len(result.new):
        utilities = {utility for utility in resolved.utilities if utility is not None}
        notices.announce(connection, utilities, notices.ChangeTopic.READINGS)
    return _Written(columns, result)


def _telegrams(resolved: Resolved) -> Telegrams:
    """The raw bytes of all readouts that have some and are of a meter of their gateway."""
    messages, readouts, routes = resolved.messages, resolved.readouts, resolved.routes
    raws = list(map(_raw, readouts))
    meters = np.fromiter(map(_meter_id, routes), np.int32, len(routes))
    some = np.flatnonzero((np.fromiter(map(len, raws), np.int64, len(raws)) > 0) & (meters >= 0))
    message_of = resolved.message_of[some]
    gateways = np.fromiter(map(_gateway_id, routes), np.int32, len(routes))
    batches = np.array([message.batch.batch if message.batch else 0 for message in messages], np.int64)
    return Telegrams(
        meter_ids=meters[some],
        measured_at=resolved.instants[some] * 1_000,
        gateway_ids=gateways[some],
        epochs=[message.batch.epoch if message.batch else "" for message in messages],
        lives=message_of.astype(np.int32),
        batches=batches[message_of],
        raws=[raws[readout] for readout in some.tolist()],
    )


def _refuse_conflicts(columns: ValueColumns, result: WriteResult) -> None:
    """Readings for which another value is stored, gathered by readout."""
    resolved = columns.resolved
    details: dict[int, dict[str, str]] = {}
    for row in result.conflicts.tolist():
        readout = int(columns.readouts[row])
        code = resolved.code(readout, int(columns.places[row]))
        at = from_milliseconds(resolved.readouts[readout].at).isoformat()
        details.setdefault(readout, {})[code] = f"another value of {code} at {at} is stored"
    for readout, codes in details.items():
        resolved.refuse_values(readout, QuarantineReason.CONFLICT, codes)


def _keep(
    connection: Connection[Any],
    utilities: Sequence[int | None],
    refusals: Sequence[Sequence[RefusedPart]],
) -> None:
    entries = [
        quarantine.QuarantineEntry(
            utility_id=utility,
            topic=refusal.topic,
            reason=refusal.reason.value,
            detail=refusal.detail,
            meter=refusal.meter,
            payload=refusal.payload,
            payload_hash=refusal.digest,
        )
        for utility, refused in zip(utilities, refusals, strict=True)
        for refusal in refused
    ]
    quarantine.insert(connection, entries)


def _note_stored(connection: Connection[Any], directory: Directory, messages: Sequence[Decoded]) -> int:
    """Note when something of these gateways was stored; that time, in milliseconds."""
    told: dict[int, int] = {}
    for message in messages:
        gateway = directory.gateway(message.topic) if message.topic else None
        if gateway is not None and message.batch is not None:
            known = told.get(gateway.gateway_id, 0)
            told[gateway.gateway_id] = max(known, message.batch.last_stored_at)
    mark = note_stored(connection, {gateway: from_milliseconds(at) for gateway, at in told.items()})
    for gateway_id in mark.asked:
        log.warning(
            "a gateway knows of readings that are not here; it is asked to send them", gateway=gateway_id
        )
    return to_milliseconds(mark.stored_at)


def _outcomes(written: _Written, stored_at: int) -> list[Outcome | None]:
    columns, resolved = written.columns, written.columns.resolved
    total, stored, conflicts = (
        columns.by_message(rows) for rows in (slice(None), written.result.new, written.result.conflicts)
    )
    polls = np.array([index for index, _ in resolved.missed], np.int64)
    missed = np.bincount(polls, minlength=len(resolved.messages))
    return [
        Outcome(
            batch=message.batch.batch,
            stored=int(stored[index]),
            known=int(total[index] - stored[index] - conflicts[index]),
            conflicts=int(conflicts[index]),
            missed=int(missed[index]),
            quarantined=count_by_reason(resolved.refusals[index]),
            digest=message.batch.digest,
            stored_at=stored_at,
        )
        if message.batch
        else None
        for index, message in enumerate(resolved.messages)
    ]
