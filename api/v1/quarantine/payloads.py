"""Contents of quarantine, as readouts where it follows the wire contract, else as text or bytes."""

from dataclasses import dataclass
from datetime import datetime

from telemetry.status import Status
from telemetry.wire import Batch, WireError, WireReadout, decode, from_milliseconds

_SHOWN_BYTES = 4096  # of what cannot be read


@dataclass(frozen=True, slots=True)
class QuarantinedReadout:
    """A readout as it came: {register: (value, unit where it is not the usual one)}; `raw`: the telegram."""

    meter: str
    at: datetime | None
    values: dict[str, tuple[float, str | None]]
    status: list[str]
    raw: bytes


@dataclass(frozen=True, slots=True)
class Payload:
    """`readouts` of a message that can be read; `text` of one that cannot, cut to a readable length."""

    readouts: list[QuarantinedReadout]
    text: str | None


def read(payload: bytes) -> Payload:
    """Contents of a message, as far as it can be read; raises nothing."""
    try:
        batch = decode(payload, Batch)
    except WireError:
        return Payload([], _text(payload))
    return Payload([_readout(one) for one in batch.readouts], None)


def _readout(readout: WireReadout) -> QuarantinedReadout:
    try:
        at = from_milliseconds(readout.at)
    except (OverflowError, ValueError):  # such an instant is a reason to be here
        at = None
    return QuarantinedReadout(
        readout.meter,
        at,
        {obis: (value, readout.units.get(obis)) for obis, value in readout.values.items()},
        Status(readout.status).labels(),
        readout.raw,
    )


def _text(payload: bytes) -> str:
    head = payload[:_SHOWN_BYTES]
    text = head.decode("utf-8", "replace")
    readable = text if text.replace("\n", "").replace("\t", "").isprintable() else head.hex(" ")
    rest = len(payload) - len(head)
    return f"{readable} ... {rest} bytes more" if rest else readable
