"""One transaction for a micro-batch: readings, telegrams, misses, refusals, and what is to be validated."""

from collections.abc import Sequence
from operator import attrgetter
from typing import Any

import numpy as np
import numpy.typing as npt
from psycopg import Connection

from ingest.receive.decode import Decoded
from ingest.receive.directory import Directory
from ingest.receive.quarantine import QuarantineReason, Refusal, count_by_reason, refuse_message
from ingest.receive.resolve import Columns, Resolved, code_at, refuse_values, resolve
from store import quarantine
from store.postgres import notices
from store.readings import misses
from store.readings.raw import Telegrams, WriteResult, insert, insert_telegrams, mark_for_validation
from telemetry.wire import Outcome, from_milliseconds

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
        resolved = resolve(connection, directory, messages, now)
        columns = resolved.columns
        result = insert(connection, columns.register_ids, columns.measured_at, columns.values, columns.status)
        insert_telegrams(connection, _telegrams(messages, resolved))
        misses.insert(connection, [poll for _, poll in resolved.missed])
        mark_for_validation(connection, columns.register_ids[result.new], columns.measured_at[result.new])
        _refuse_conflicts(messages, resolved, result)
        _keep(connection, directory, messages, resolved.refusals)
        if len(result.new):
            notices.announce(connection, _utilities(directory, messages), notices.ChangeTopic.READINGS)
    return _outcomes(messages, resolved, result)


def store_refused(
    connection: Connection[Any], directory: Directory, message: Decoded, reason: str
) -> list[Outcome | None]:
    """Commit a message to quarantine that could not be stored."""
    refusal = refuse_message(message.text, message.payload, QuarantineReason.REFUSED, reason)
    with connection.transaction():
        directory.refresh(connection)
        _keep(connection, directory, [message], [[refusal]])
    batch = message.batch
    return [Outcome(batch.batch, quarantined=count_by_reason([refusal])) if batch else None]


def _telegrams(messages: Sequence[Decoded], resolved: Resolved) -> Telegrams:
    """The raw bytes of all readouts that have some and are of a meter of their gateway."""
    readouts, plans = resolved.readouts, resolved.plans
    raws = list(map(_raw, readouts))
    meters = np.fromiter(map(_meter_id, plans), np.int32, len(plans))
    some = np.flatnonzero((np.fromiter(map(len, raws), np.int64, len(raws)) > 0) & (meters >= 0))
    message_of = resolved.messages[some]
    instants = np.fromiter((readouts[place].at for place in some.tolist()), np.int64, len(some))
    gateways = np.fromiter(map(_gateway_id, plans), np.int32, len(plans))
    batches = np.array([message.batch.batch if message.batch else 0 for message in messages], np.int64)
    return Telegrams(
        meter_ids=meters[some],
        measured_at=instants * 1_000,
        gateway_ids=gateways[some],
        epochs=[message.batch.epoch if message.batch else "" for message in messages],
        lives=message_of.astype(np.int32),
        batches=batches[message_of],
        raws=[raws[place] for place in some.tolist()],
    )


def _refuse_conflicts(messages: Sequence[Decoded], resolved: Resolved, result: WriteResult) -> None:
    """Readings for which another value is stored, gathered by readout."""
    columns = resolved.columns
    details: dict[int, dict[str, str]] = {}
    for row in result.conflicts.tolist():
        place = int(columns.readouts[row])
        readout = resolved.readouts[place]
        code = code_at(readout, int(columns.places[row]))
        at = from_milliseconds(readout.at).isoformat()
        details.setdefault(place, {})[code] = f"another value of {code} at {at} is stored"
    for place, codes in details.items():
        index = int(resolved.messages[place])
        message, readout = messages[index], resolved.readouts[place]
        assert message.batch is not None, "a message with readouts has a batch"
        resolved.refusals[index].append(
            refuse_values(message.text, message.batch, readout, QuarantineReason.CONFLICT, codes)
        )


def _keep(
    connection: Connection[Any],
    directory: Directory,
    messages: Sequence[Decoded],
    refusals: Sequence[Sequence[Refusal]],
) -> None:
    entries = [
        quarantine.QuarantineEntry(
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


def _utilities(directory: Directory, messages: Sequence[Decoded]) -> set[int]:
    named = {message.topic.utility for message in messages if message.topic}
    return {found for code in named if (found := directory.utility(code)) is not None}


def _outcomes(messages: Sequence[Decoded], resolved: Resolved, result: WriteResult) -> list[Outcome | None]:
    rows = _by_message(resolved.columns, resolved.messages, len(messages))
    total, stored, conflicts = rows(slice(None)), rows(result.new), rows(result.conflicts)
    missed = np.bincount(np.array([index for index, _ in resolved.missed], np.int64), minlength=len(messages))
    return [
        Outcome(
            batch=message.batch.batch,
            stored=int(stored[index]),
            known=int(total[index] - stored[index] - conflicts[index]),
            conflicts=int(conflicts[index]),
            missed=int(missed[index]),
            quarantined=count_by_reason(resolved.refusals[index]),
        )
        if message.batch
        else None
        for index, message in enumerate(messages)
    ]


def _by_message(columns: Columns, messages: npt.NDArray[np.int64], count: int) -> Any:
    message_of = messages[columns.readouts]

    def rows(selection: Any) -> npt.NDArray[np.int64]:
        return np.bincount(message_of[selection], minlength=count)

    return rows
