"""`hesper decode`: one M-Bus telegram, explained to a person (a table) or a program (JSON)."""

import json
import sys
from dataclasses import asdict, dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table

from drivers.errors import DecodeError
from drivers.mbus.dif import Function
from drivers.mbus.header import status_labels
from drivers.mbus.readouts import record_names
from drivers.mbus.records import Record
from drivers.mbus.telegram import Refusal, Telegram, decode
from drivers.mbus.timepoint import TimePoint
from telemetry.obis import Obis
from telemetry.units import UNITS

_OPAQUE = {Function.MANUFACTURER.value, Function.MORE_FOLLOWS.value}
_WIDE = 110  # columns of a terminal that has room for the registers' names


class SourceError(ValueError):
    """What was given is neither hex nor a readable file."""


@dataclass(frozen=True, slots=True)
class ExplainedRecord:
    """One data record as text. `value` is a plain decimal, an ISO 8601 local time, a text, or hex bytes of
    the manufacturer; None where the meter sends no valid value. `obis` names the register that takes it.
    """

    function: str
    storage: int
    tariff: int
    subunit: int
    quantity: str
    unit: str | None
    value: str | None
    obis: str | None


@dataclass(frozen=True, slots=True)
class Explanation:
    """A telegram as text. `status` lists what the status byte says, lower case, nothing for 00."""

    meter: str | None
    manufacturer: str | None
    medium: str | None
    status: list[str]
    records: list[ExplainedRecord]


def explain(data: bytes) -> Explanation:
    """What one frame says. Raises DecodeError, also for a meter's refusal."""
    answer = decode(data)
    if isinstance(answer, Refusal):
        raise DecodeError(f"the meter answered with an application error: {answer.message}")
    return _explanation(answer)


def _explanation(telegram: Telegram) -> Explanation:
    header = telegram.header
    names = record_names(telegram.records, header)
    records = [_record(record, obis) for record, obis in zip(telegram.records, names, strict=True)]
    return Explanation(
        header.meter, header.manufacturer, header.medium_name, status_labels(header.status), records
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


def read_source(source: str) -> bytes:
    """The bytes that `source` names: hex text, or a file of hex text or of raw bytes. Raises SourceError."""
    if (raw := _from_hex(source)) is not None:
        return raw
    try:
        content = Path(source).read_bytes()
    except (OSError, ValueError) as error:
        raise SourceError(
            f"{_shortened(source)} is neither a telegram in hex digits nor a file that can be read "
            f"({getattr(error, 'strerror', None) or error}); give hex such as '68 1F 1F 68 08 ...' or a path"
        ) from None
    try:
        raw = _from_hex(content.decode("ascii"))
    except UnicodeDecodeError:
        raw = None
    return content if raw is None else raw


def _from_hex(text: str) -> bytes | None:
    try:
        return bytes.fromhex(text) or None
    except ValueError:
        return None


def _shortened(text: str) -> str:
    return repr(text if len(text) <= 60 else text[:57] + "...")


def run(source: str, as_json: bool) -> int:
    """Print the explanation of a telegram; 0, or 1 with an error that says what to do."""
    try:
        explanation = explain(read_source(source))
    except (DecodeError, SourceError) as error:
        if as_json:
            sys.stdout.write(json.dumps({"error": str(error)}, ensure_ascii=False) + "\n")
        else:
            Console(stderr=True).print(f"[red]Cannot decode:[/] {_escaped(error)}\n{_advice(error)}")
        return 1
    if as_json:
        sys.stdout.write(json.dumps(asdict(explanation), ensure_ascii=False, indent=2) + "\n")
    else:
        _print(explanation)
    return 0


def _advice(error: Exception) -> str:
    if isinstance(error, SourceError):
        return "Put hex digits in quotes, so that the shell passes them as one argument."
    return "Check that the telegram is whole, from its first 68 to its last 16, without an echo in front."


def _escaped(error: Exception) -> str:
    return str(error).replace("[", r"\[")


def _print(explanation: Explanation) -> None:
    console = Console()
    status = ", ".join(explanation.status) or "no errors reported"
    meter = explanation.meter or "meter without an id"
    console.print(f"[bold]{meter}[/]  {explanation.medium or ''}  status: {status}", highlight=False)
    table = Table(box=None, pad_edge=False, header_style="dim")
    table.add_column("quantity", overflow="fold")
    for column in ("storage", "tariff", "subunit", "value"):
        table.add_column(column, justify="right", overflow="fold")
    table.add_column("unit")
    table.add_column("register", overflow="fold")
    opaque = []
    for record in explanation.records:
        if record.function in _OPAQUE:
            opaque.append(f"{record.function}: {record.value or 'no data'}")
        else:
            table.add_row(*_row(record, with_name=console.width >= _WIDE))
    console.print(table, highlight=False)
    for line in opaque:
        console.print(line, highlight=False, markup=False)


def _row(record: ExplainedRecord, *, with_name: bool) -> tuple[str, ...]:
    """What is usual is left blank: instantaneous, storage 0, no tariff, the main unit."""
    prefix = "" if record.function == Function.INSTANTANEOUS.value else f"{record.function}: "
    counts = (record.storage, record.tariff, record.subunit)
    register = record.obis or ""
    if record.obis and with_name:
        register = f"{register}  {Obis.parse(record.obis).name}"
    return (
        prefix + record.quantity,
        *(str(count) if count else "" for count in counts),
        "none" if record.value is None else record.value,
        UNITS[record.unit].sign if record.unit and record.unit in UNITS else record.unit or "",
        register,
    )
