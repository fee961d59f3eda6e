"""M-Bus (EN 13757-2 and -3): a long frame, down to the last record."""

from drivers.errors import DecodeError
from drivers.mbus.codec.header import status_labels
from drivers.mbus.codec.records import Record
from drivers.mbus.codec.telegram import ApplicationError, decode
from drivers.mbus.codec.timepoint import TimePoint
from drivers.mbus.readouts import record_names
from telemetry.explanation import ExplainedRecord, Explanation
from telemetry.obis import Obis


def explain(data: bytes) -> Explanation:
    """Explanation of one frame. Raises DecodeError, also for a meter's refusal."""
    answer = decode(data)
    if isinstance(answer, ApplicationError):
        raise DecodeError(f"the meter answered with an application error: {answer.message}")
    header = answer.header
    names = record_names(answer.records, header)
    records = [_record(record, obis) for record, obis in zip(answer.records, names, strict=True)]
    return Explanation(
        "mbus", header.meter, header.manufacturer, header.medium_name, status_labels(header.status), records
    )


def _record(record: Record, obis: Obis | None) -> ExplainedRecord:
    notes = f" ({', '.join(record.notes)})" if record.notes else ""
    return ExplainedRecord(
        function=record.function.value,
        storage=record.storage,
        tariff=record.tariff,
        subunit=record.subunit,
        quantity=record.quantity + notes,
        unit=record.unit,
        value=_text(record),
        obis=str(obis) if obis else None,
    )


def _text(record: Record) -> str | None:
    if record.number is not None:
        return f"{record.number:f}"
    if isinstance(record.value, TimePoint):
        return str(record.value)
    if isinstance(record.value, bytes):
        return record.value.hex(" ").upper()
    return record.value if isinstance(record.value, str) else None
