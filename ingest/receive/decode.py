"""Bytes from the broker into readouts, one by one where a message is only partly usable.

Never raises: whatever cannot be read is a refusal. A message that follows the contract is decoded in one
step by msgspec; only when that fails is it taken apart to save the readouts that are good.
"""

from dataclasses import dataclass, field
from operator import attrgetter
from typing import Annotated, TypeVar

import msgspec
from msgspec import Meta

from ingest.receive.quarantine import BatchIdentity, QuarantineReason, RefusedPart, refuse_message, refuse_raw
from telemetry.topics import Topic, TopicError
from telemetry.wire import (
    MAX_MESSAGE_BYTES,
    MAX_READOUTS,
    Batch,
    BatchNumber,
    Milliseconds,
    Miss,
    ShortText,
    WireError,
    WireReadout,
    decode,
)

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Decoded:
    """A readings message. `batch` holds its usable readouts, or is None where not even its name is readable.

    `topic` is None only where the topic itself is not one of the contract.
    """

    text: str  # the topic as it came
    payload: bytes
    topic: Topic | None = None
    batch: Batch | None = None
    refusals: list[RefusedPart] = field(default_factory=list)

    @property
    def rows(self) -> int:
        """Number of values in the usable readouts."""
        return sum(map(len, map(_values, self.batch.readouts))) if self.batch else 0


class _Envelope(msgspec.Struct, frozen=True):
    """A batch whose entries are still text. Its name must follow the contract: it is stored and answered."""

    epoch: ShortText
    batch: BatchNumber
    sent_at: Milliseconds
    readouts: Annotated[list[msgspec.Raw], Meta(max_length=MAX_READOUTS)]
    missed: Annotated[list[msgspec.Raw], Meta(max_length=MAX_READOUTS)] = []
    digest: ShortText = ""
    last_stored_at: Milliseconds = 0


class _Name(msgspec.Struct, frozen=True):
    epoch: ShortText
    batch: BatchNumber
    digest: ShortText = ""


_envelopes = msgspec.json.Decoder(_Envelope)
_names = msgspec.json.Decoder(_Name)
_readouts = msgspec.json.Decoder(WireReadout)
_misses = msgspec.json.Decoder(Miss)
_values = attrgetter("values")
_UNREADABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)


def decode_readings(text: str, payload: bytes) -> Decoded:
    """The message `payload` on topic `text`."""
    try:
        topic = Topic.parse(text)
    except TopicError as error:
        return Decoded(
            text, payload, refusals=[refuse_message(text, payload, QuarantineReason.MALFORMED, str(error))]
        )
    try:
        batch = decode(payload, Batch)
    except WireError as error:
        return _take_apart(text, topic, payload, str(error))
    if "\x00" in batch.epoch:
        return _malformed(text, topic, payload, "the epoch holds a NUL character")
    return Decoded(text, payload, topic, batch)


def _take_apart(text: str, topic: Topic, payload: bytes, reason: str) -> Decoded:
    """The readouts that can be read, and a refusal of each that cannot."""
    if len(payload) > MAX_MESSAGE_BYTES:
        return _malformed(text, topic, payload, reason, batch=_name(payload))
    try:
        envelope = _envelopes.decode(payload)
    except _UNREADABLE:
        return _malformed(text, topic, payload, reason, batch=_name(payload))
    if "\x00" in envelope.epoch:
        return _malformed(text, topic, payload, "the epoch holds a NUL character")
    identity = BatchIdentity(envelope.epoch, envelope.batch, envelope.sent_at)
    refusals: list[RefusedPart] = []

    def usable(part: str, raws: list[msgspec.Raw], decoder: msgspec.json.Decoder[T]) -> list[T]:
        """Those that can be read; the others are refused."""
        good: list[T] = []
        for raw in raws:
            try:
                good.append(decoder.decode(raw))
            except _UNREADABLE as error:
                refusals.append(refuse_raw(text, identity, part, raw, f"cannot be read: {error}"))
        return good

    readouts = usable("readouts", envelope.readouts, _readouts)
    missed = usable("missed", envelope.missed, _misses)
    batch = Batch(
        envelope.epoch,
        envelope.batch,
        envelope.sent_at,
        readouts,
        missed,
        envelope.digest,
        envelope.last_stored_at,
    )
    return Decoded(text, topic=topic, payload=payload, batch=batch, refusals=refusals)


def _malformed(
    text: str, topic: Topic, payload: bytes, detail: str, *, batch: Batch | None = None
) -> Decoded:
    refusal = refuse_message(text, payload, QuarantineReason.MALFORMED, detail)
    return Decoded(text, payload, topic, batch, [refusal])


def _name(payload: bytes) -> Batch | None:
    """Epoch and number without readouts, so that even an unusable batch can be acknowledged to its sender."""
    try:
        name = _names.decode(payload)
    except _UNREADABLE:
        return None
    return None if "\x00" in name.epoch else Batch(name.epoch, name.batch, 0, [], digest=name.digest)
