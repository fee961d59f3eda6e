"""Missed polls of many messages: those of the gateway's own meters, and a refusal of each of the others."""

from collections.abc import Sequence
from typing import Any

from psycopg import Connection

from ingest.receive.decode import Decoded
from ingest.receive.directory import Directory
from ingest.receive.instants import plausible, problem_of
from ingest.receive.quarantine import QuarantineReason, Refusal, refuse_misses
from ingest.receive.value_routes import meter_problem, unknown_gateway
from store.readings.misses import MissedPoll
from telemetry.topics import Topic
from telemetry.wire import Batch, Miss


def resolve_missed(
    connection: Connection[Any], directory: Directory, messages: Sequence[Decoded], now: int
) -> tuple[list[tuple[int, MissedPoll]], list[tuple[int, Refusal]]]:
    """(message, poll) of what can be kept at `now` (milliseconds), and (message, refusal) of the rest."""
    told = [
        (index, message, message.topic, message.batch)
        for index, message in enumerate(messages)
        if message.topic and message.batch and message.batch.missed
    ]
    wanted: dict[Topic, set[str]] = {}
    for _, _, topic, batch in told:
        wanted.setdefault(topic, set()).update(miss.meter for miss in batch.missed)
    if wanted:
        directory.learn(connection, wanted)
    polls: list[tuple[int, MissedPoll]] = []
    refusals: list[tuple[int, Refusal]] = []
    for index, message, topic, batch in told:
        if directory.gateway(topic) is not None:
            kept, refused = _of_batch(directory, message.text, topic, batch, now)
            polls += [(index, poll) for poll in kept]
            refusals += [(index, refusal) for refusal in refused]
        elif not batch.readouts:  # else the whole message was refused for them
            refusals.append((index, unknown_gateway(directory, message, topic, batch)))
    return polls, refusals


def _of_batch(
    directory: Directory, text: str, topic: Topic, batch: Batch, now: int
) -> tuple[list[MissedPoll], list[Refusal]]:
    gateway = directory.gateway(topic)
    assert gateway is not None
    polls: list[MissedPoll] = []
    refused: dict[tuple[str, QuarantineReason, str], list[Miss]] = {}
    for miss in batch.missed:
        meter = directory.meter(topic.utility, miss.meter)
        if meter is None or not meter.known.read_by(gateway):
            refused.setdefault((miss.meter, *meter_problem(miss.meter, topic, meter)), []).append(miss)
        elif not plausible(miss.at, now):
            refused.setdefault((miss.meter, QuarantineReason.INSTANT, problem_of(miss.at)), []).append(miss)
        else:
            polls.append(MissedPoll(meter.id, miss.at * 1_000, gateway.gateway_id, miss.reason))
    return polls, [
        refuse_misses(text, batch, misses, reason, detail) for (_, reason, detail), misses in refused.items()
    ]
