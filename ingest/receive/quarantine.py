"""Refusals of what cannot be used, with the reason, in the form in which it waits until somebody looks at it.

A refusal keeps what was refused as a message that can be published again (`payload`), and a `digest` that is
the same when the same content is sent again, whatever batch number or sending time it then carries.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

import msgspec

from telemetry.topics import Topic
from telemetry.wire import Batch, Miss, WireReadout, encode


class QuarantineReason(StrEnum):
    """The short name of a cause, as `quarantine.reason` and the outcomes of an acknowledgement carry it."""

    MALFORMED = "malformed"  # does not follow the wire contract
    UNKNOWN_GATEWAY = "unknown_gateway"  # the topic's utility or gateway is not registered
    UNKNOWN_METER = "unknown_meter"
    WRONG_GATEWAY = "wrong_gateway"  # the meter is read by another gateway
    OBIS = "obis"  # not an OBIS code, or more registers than a meter has
    UNIT = "unit"  # no unit, an unknown one, or no exact conversion to the register's
    RANGE = "range"  # not a number below 9e9 in magnitude
    INSTANT = "instant"  # in the future, or before there was remote reading
    CONFLICT = "conflict"  # another value is stored for that register and instant
    REFUSED = "refused"  # the database would not take it


@dataclass(frozen=True, slots=True)
class RefusedPart:
    """Message or part of one. `payload` is whole; `meter` is None where it is not about one."""

    topic: str
    reason: QuarantineReason
    detail: str
    payload: bytes
    digest: bytes
    meter: str | None = None
    readouts: int = 1


def refuse_message(topic: str, payload: bytes, reason: QuarantineReason, detail: str) -> RefusedPart:
    """A message that cannot be used at all."""
    return RefusedPart(topic, reason, detail, payload, _digest(payload))


def refuse_batch(
    topic: str, payload: bytes, batch: Batch, reason: QuarantineReason, detail: str
) -> RefusedPart:
    """A readable message none of which can be used; sent again later it is the same refusal."""
    digest = _digest(msgspec.json.encode((batch.epoch, batch.readouts, batch.missed)))
    count = max(1, len(batch.readouts) + len(batch.missed))
    return RefusedPart(topic, reason, detail, payload, digest, readouts=count)


def unknown_gateway(
    text: str, payload: bytes, topic: Topic, batch: Batch, utility: int | None
) -> RefusedPart:
    """A message of a gateway that is not registered; `utility` None: its utility is not, either."""
    who = f"the utility {topic.utility}" if utility is None else f"gateway {topic.gateway} of {topic.utility}"
    detail = f"{who} is not registered"
    return refuse_batch(text, payload, batch, QuarantineReason.UNKNOWN_GATEWAY, detail)


def meter_problem(code: str, topic: Topic, known: object | None) -> tuple[QuarantineReason, str]:
    """Reason that nothing of a meter is taken from a gateway; `known`: what is registered of it."""
    if known is None:
        return QuarantineReason.UNKNOWN_METER, f"{code} is not registered at {topic.utility}"
    return QuarantineReason.WRONG_GATEWAY, f"{code} is read by another gateway than {topic.gateway}"


def refuse_readout(
    topic: str, batch: Batch, readout: WireReadout, reason: QuarantineReason, detail: str
) -> RefusedPart:
    """A readout, or those of its values that cannot be used."""
    alone = Batch(batch.epoch, batch.batch, batch.sent_at, [readout])
    return RefusedPart(topic, reason, detail, encode(alone), _digest(encode(readout)), readout.meter)


def refuse_misses(
    topic: str, batch: Batch, misses: Sequence[Miss], reason: QuarantineReason, detail: str
) -> RefusedPart:
    """Missed polls of one meter that cannot be kept."""
    alone = Batch(batch.epoch, batch.batch, batch.sent_at, [], list(misses))
    digest = _digest(msgspec.json.encode(misses))
    return RefusedPart(topic, reason, detail, encode(alone), digest, misses[0].meter, len(misses))


def refuse_raw(
    topic: str, identity: "BatchIdentity", part: str, raw: msgspec.Raw, detail: str
) -> RefusedPart:
    """An entry of `part` (readouts, missed) that does not follow the contract while others do."""
    whole = {"epoch": identity.epoch, "batch": identity.batch, "sent_at": identity.sent_at, "readouts": []}
    payload = msgspec.json.encode(whole | {part: [raw]})
    return RefusedPart(topic, QuarantineReason.MALFORMED, detail, payload, _digest(bytes(raw)))


class BatchIdentity(msgspec.Struct, frozen=True):
    """Name of a batch, read even where the rest of the message is unusable, so that it is acknowledged."""

    epoch: str
    batch: int
    sent_at: int = 0


def count_by_reason(refusals: Sequence[RefusedPart]) -> dict[str, int]:
    """Readouts and missed polls by reason, as an Outcome says them; conflicts are counted apart."""
    counts: dict[str, int] = {}
    for refusal in refusals:
        if refusal.reason is not QuarantineReason.CONFLICT:
            counts[refusal.reason.value] = counts.get(refusal.reason.value, 0) + refusal.readouts
    return counts


def _digest(content: bytes) -> bytes:
    return hashlib.sha256(content).digest()
