"""SML (BSI TR-03109-1, annex IV): a pushed telegram, value by value."""

from datetime import UTC, datetime

from drivers.errors import DecodeError
from drivers.sml.messages import ListEntry, ListResponse, decode_messages
from drivers.sml.registers import identity, readout
from drivers.sml.transport import TransportReader
from telemetry.explanation import ExplainedRecord, Explanation
from telemetry.micro import from_micro
from telemetry.obis import Obis
from telemetry.readout import Readout

_EPOCH = datetime.fromtimestamp(0, UTC)  # stands for the instant of a readout, which a telegram does not tell
_NOBODY = "XXX-0"


def explain(data: bytes) -> Explanation:
    """Explanation of the first whole telegram. Raises DecodeError."""
    reader = TransportReader()
    reader.add(data)
    envelope = reader.next()
    if envelope is None:
        raise DecodeError("an SML telegram that is not whole, or whose CRC is wrong")
    bodies = (message.body for message in decode_messages(envelope.messages))
    values = next((body for body in bodies if isinstance(body, ListResponse)), None)
    if values is None:
        raise DecodeError("an SML telegram without a list of values")
    meter = identity(values)
    shown = readout(values, meter or _NOBODY, _EPOCH, envelope.raw)
    return Explanation(
        "sml",
        meter,
        meter.partition("-")[0] if meter else None,
        None,
        shown.status.labels(),
        [_record(entry, shown) for entry in values.entries],
    )


def _record(entry: ListEntry, shown: Readout) -> ExplainedRecord:
    """A value as the register takes it, or as the meter sent it."""
    obis = Obis(*entry.name[:5]) if len(entry.name) >= 5 else None
    register = shown.values.get(str(obis))
    if obis is not None and register is not None:
        return ExplainedRecord(obis.name, register.unit, f"{from_micro(register.micro):f}", str(obis))
    quantity = obis.name if obis and obis.definition else str(obis or entry.name.hex())
    return ExplainedRecord(quantity, None, _text(entry), None)


def _text(entry: ListEntry) -> str | None:
    if entry.number is not None:
        return f"{entry.number:f}"
    value = entry.value
    if isinstance(value, bytes):
        return (
            value.decode("ascii") if value and all(0x20 <= byte < 0x7F for byte in value) else value.hex(" ")
        )
    return None if value is None else str(value)
