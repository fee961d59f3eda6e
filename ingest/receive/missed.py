"""Missed polls of many messages: those of the gateway's own meters, and a refusal of each of the others."""

from collections.abc import Iterator, Sequence

from ingest.receive.decode import Decoded
from ingest.receive.directory import Directory
from ingest.receive.instants import plausible, problem_of
from ingest.receive.quarantine import (
    QuarantineReason,
    RefusedPart,
    meter_problem,
    refuse_misses,
    unknown_gateway,
)
from store.readings.misses import MissedPoll
from store.registry import KnownGateway
from telemetry.topics import Topic
from telemetry.wire import Batch, Miss


def resolve_missed(
    directory: Directory, messages: Sequence[Decoded], now: int
) -> Iterator[tuple[int, list[MissedPoll], list[RefusedPart]]]:
    """(message, polls that can be kept, refusals) of the messages that tell of missed polls.

    `now` is in milliseconds. The directory has learned the names.
    """
    for index, message in enumerate(messages):
        topic, batch = message.topic, message.batch
        if topic is None or batch is None or not batch.missed:
            continue
        gateway = directory.gateway(topic)
        if gateway is not None:
            yield index, *_of_batch(directory, gateway, message.text, topic, batch, now=now)
        elif not batch.readouts:  # else the whole message was refused for them
            utility = directory.utility(topic)
            yield index, [], [unknown_gateway(message.text, message.payload, topic, batch, utility)]


def _of_batch(
    directory: Directory, gateway: KnownGateway, text: str, topic: Topic, batch: Batch, *, now: int
) -> tuple[list[MissedPoll], list[RefusedPart]]:
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
