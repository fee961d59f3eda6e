"""The wire format: JSON messages between gateways and ingesters (deploy/asyncapi.yaml).

Structs here are the contract; fields that a receiver does not know are ignored, so fields may be added.
Instants are milliseconds since 1970-01-01T00:00:00Z. A register's value is a JSON number in the register's
usual unit (`Obis.unit`) unless `units` names another, with at most 15 significant digits (`micro.to_wire`).
"""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from hashlib import blake2b
from typing import Annotated, Any, Literal, TypeVar

import msgspec
from msgspec import Meta, Struct, field

from telemetry.micro import to_wire
from telemetry.obis import Obis
from telemetry.readout import Readout

M = TypeVar("M", bound=Struct)

MAX_MESSAGE_BYTES = 1_000_000  # brokers and ingesters refuse larger ones
MAX_READOUTS = 5_000

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

Milliseconds = Annotated[int, Meta(ge=0, le=253_402_300_799_999)]  # up to the year 9999
ShortText = Annotated[str, Meta(max_length=64)]
Count = Annotated[int, Meta(ge=0)]
BatchNumber = Annotated[int, Meta(ge=1, le=2**53)]


class WireError(ValueError):
    """A message that does not follow the contract; the text says where."""


class WireReadout(Struct, frozen=True, omit_defaults=True):
    """Readout of a meter. `raw` travels as base64. `units` names units that are not the usual ones."""

    meter: ShortText
    at: Milliseconds
    values: Annotated[dict[ShortText, float], Meta(max_length=1_000)]
    status: Annotated[int, Meta(ge=0, le=32_767)] = 0
    units: dict[ShortText, ShortText] = field(default_factory=dict)
    raw: bytes = b""


class Miss(Struct, frozen=True, omit_defaults=True):
    """A poll that was due at `at` and gave no readout. `reason` is a short name: see `MissReason`."""

    meter: ShortText
    at: Milliseconds
    reason: ShortText


class MissReason(StrEnum):
    """Why a due poll gave no readout. Receivers take other reasons, too: newer gateways may know more."""

    NO_ANSWER = "no answer"
    GARBLED = "garbled"  # bytes came, but no telegram
    REFUSED = "refused"  # the meter answered that it cannot
    NOT_UNDERSTOOD = "not understood"  # a telegram that breaks its protocol's rules, or of another meter
    BACKING_OFF = "backing off"  # not asked: it failed before, and is asked at growing distances
    RESTING = "resting"  # not asked: it was, and its battery is not made for the next time so soon
    LINE_DOWN = "line down"
    LINE_BUSY = "line busy"  # the line was too slow for its schedule
    NOT_RUNNING = "not running"  # the gateway did not run at that time
    NOT_KEPT = "not kept"  # read, but neither disk nor memory had room for it


class Batch(Struct, frozen=True, omit_defaults=True):
    """Batch of readings; `batch` counts up within `epoch`, one life of a gateway's buffer. Topic: readings.

    `missed` are polls that gave no readout; they are kept and acknowledged like readouts. `digest` is the
    sender's name for what the batch holds (`digest_of`), which comes back with the outcome: numbers repeat
    where a buffer was copied or put back from an image, content does not. `last_stored_at` is the latest
    `stored_at` that the sender was told: a database that knows of no such time was put back from a backup.
    """

    epoch: ShortText
    batch: BatchNumber
    sent_at: Milliseconds
    readouts: Annotated[list[WireReadout], Meta(max_length=MAX_READOUTS)]
    missed: Annotated[list[Miss], Meta(max_length=MAX_READOUTS)] = field(default_factory=list)
    digest: ShortText = ""
    last_stored_at: Milliseconds = 0


class Outcome(Struct, frozen=True, omit_defaults=True):
    """Outcome of a batch. `known` readings were stored before with the same value.

    `missed` counts the missed polls of the batch that are kept; `digest` is that of the batch. An outcome
    without it, of an ingester that knows none, confirms whatever has the number. `stored_at`: when it was
    stored, by the database's clock.
    """

    batch: BatchNumber
    stored: Count = 0
    known: Count = 0
    conflicts: Count = 0
    missed: Count = 0
    quarantined: dict[str, Count] = field(default_factory=dict)  # reason -> readouts and misses
    digest: ShortText = ""
    stored_at: Milliseconds = 0


class Ack(Struct, frozen=True, omit_defaults=True):
    """Committed: to be forgotten. Without batches: an ingester listens now, send all again. Topic: ack."""

    epoch: ShortText
    batches: list[BatchNumber]
    outcomes: list[Outcome] = field(default_factory=list)


class GatewayStatus(Struct, frozen=True):
    """Retained, with an offline one as last will. Topic: status."""

    state: Literal["online", "offline"]
    at: Milliseconds
    version: ShortText = ""


class LineHealth(Struct, frozen=True):
    """Counters since start; `utilisation` is the share of wire time used in the last period, 0 to 1.

    `exchanges` counts requests on the wire, `retries` those sent again, `timeouts` those nobody answered,
    `crc_errors` answers that were damaged or no telegrams, `errors` polls that gave no readout.
    """

    line: ShortText
    exchanges: Count = 0
    retries: Count = 0
    timeouts: Count = 0
    crc_errors: Count = 0
    errors: Count = 0
    utilisation: float = 0.0
    down: bool = False  # the port or socket cannot be used


class MeterHealth(Struct, frozen=True):
    """Health of a meter. `failures`: polls in a row without an answer; `last_success` None before the first.

    `polls` and `errors` count since start: how often it was asked, and how often that gave no readout.
    `clock_drift` in seconds: how far the meter's clock is ahead of the gateway's; None where it is not known.
    """

    meter: ShortText
    last_success: Milliseconds | None = None
    failures: Count = 0
    clock_drift: float | None = None
    polls: Count = 0
    errors: Count = 0


class Health(Struct, frozen=True):
    """Once a minute. Topic: health. `versions` names the software: hesper, python, sqlite, os."""

    at: Milliseconds
    version: ShortText
    epoch: ShortText
    clock_synchronised: bool
    buffered_readouts: Count  # not yet acknowledged
    oldest_unacknowledged: Milliseconds | None = None
    held_readouts: Count = 0  # of them, those that wait for the gateway's clock to be set
    buffer_full: bool = False  # of what nobody acknowledged: readouts stay in memory, then are missed
    disk_free_bytes: Count | None = None
    memory_bytes: Count | None = None
    cpu_celsius: float | None = None
    disk_total_bytes: Count | None = None
    memory_total_bytes: Count | None = None
    versions: dict[ShortText, ShortText] = field(default_factory=dict)
    config_version: ShortText = ""  # of the configuration that runs; empty: the file of the installer
    lines: list[LineHealth] = field(default_factory=list)
    meters: list[MeterHealth] = field(default_factory=list)


class DesiredConfig(Struct, frozen=True):
    """Retained: the configuration that a gateway is to run, as the text of its TOML. Topic: config.

    `version` is the sender's own name for it; the gateway answers with a `Reply` of that `id`, and does not
    try a version again that it has refused. With an empty `toml` it goes back to its installer's file.
    """

    version: ShortText
    toml: Annotated[str, Meta(max_length=500_000)]


class Command(Struct, frozen=True, omit_defaults=True):
    """Command to a gateway, to be done once. Topic: command.

    `id` comes back in every `Reply`. `command`: read-now, scan, restart-line, set-clock, log-level,
    show-config, send-again. `line` and `meter` say where; `level` is for log-level; `since` for send-again:
    what was read or stored from then on. Not begun any more after `expires_at`.
    """

    id: Annotated[str, Meta(min_length=1, max_length=64)]
    command: ShortText
    line: ShortText = ""
    meter: ShortText = ""
    level: ShortText = ""
    since: Milliseconds | None = None
    expires_at: Milliseconds | None = None


class Reply(Struct, frozen=True, omit_defaults=True):
    """Reply to a command or a configuration. Topic: reply. `detail` is a sentence for people.

    `running` may come several times, then once `done` or `failed`. `result` is what the command gives.
    """

    id: ShortText
    at: Milliseconds
    state: Literal["running", "done", "failed"]
    detail: str = ""
    result: dict[str, Any] = field(default_factory=dict)


_encoder = msgspec.json.Encoder()
_DIGEST_BYTES = 12
_decoders: Mapping[type, msgspec.json.Decoder[Any]] = {
    kind: msgspec.json.Decoder(kind)
    for kind in (Batch, Ack, GatewayStatus, Health, DesiredConfig, Command, Reply)
}


def encode(message: Struct) -> bytes:
    return _encoder.encode(message)


def decode(payload: bytes, kind: type[M]) -> M:
    """The message in `payload`. Raises WireError, and nothing else, whatever the bytes are."""
    if len(payload) > MAX_MESSAGE_BYTES:
        raise WireError(f"message of {len(payload)} bytes; at most {MAX_MESSAGE_BYTES} are taken")
    try:
        return _decoders[kind].decode(payload)  # type: ignore[no-any-return]
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise WireError(f"not a {kind.__name__}: {error}") from None


def digest_of(readouts: Sequence[WireReadout], missed: Sequence[Miss]) -> str:
    """The digest of a batch: BLAKE2b (RFC 7693) of its entries as they travel, in hexadecimal digits."""
    return blake2b(_encoder.encode([readouts, missed]), digest_size=_DIGEST_BYTES).hexdigest()


def to_milliseconds(instant: datetime) -> int:
    """Milliseconds since 1970 of an aware instant, exact (no float in between)."""
    return (instant - _EPOCH) // timedelta(milliseconds=1)


def from_milliseconds(milliseconds: int) -> datetime:
    return _EPOCH + timedelta(milliseconds=milliseconds)


def wire_readout(readout: Readout) -> WireReadout:
    """A readout as it travels: units are named only where they are not the register's usual ones."""
    values: dict[str, float] = {}
    units: dict[str, str] = {}
    for obis, quantity in readout.values.items():
        values[obis] = to_wire(quantity.micro)
        if Obis.parse(obis).unit != quantity.unit:
            units[obis] = quantity.unit
    return WireReadout(
        meter=readout.meter,
        at=to_milliseconds(readout.at),
        values=values,
        status=int(readout.status),
        units=units,
        raw=readout.raw,
    )
