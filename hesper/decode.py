"""`hesper decode`: one telegram, explained to a person (a table) or a program (JSON).

M-Bus, SML and IEC 62056-21 are recognised; Modbus needs a profile; what else can be recognised is named.
"""

import json
import sys
from dataclasses import asdict
from pathlib import Path

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from drivers.errors import DecodeError, DriverError
from drivers.mbus.codec.dif import Function
from drivers.modbus.profile_file import ProfileError
from drivers.protocol import CapturedTelegram, MeterProtocol, protocols
from telemetry.explanation import ExplainedRecord, Explanation
from telemetry.obis import Obis
from telemetry.units import UNITS

_OPAQUE = {Function.MANUFACTURER.value, Function.MORE_FOLLOWS.value}
_WIDE = 110  # columns of a terminal that has room for the registers' names


class TelegramInputError(ValueError):
    """Input that is neither hex nor a readable file."""


def explain(data: bytes, profile: str | None = None, first: int | None = None) -> Explanation:
    """The explanation of a telegram. A Modbus telegram needs its meter's `profile`, and may need the address
    of its `first` word.

    Raises DecodeError, also for a meter's refusal; ProfileError.
    """
    protocol = _by_profile() if profile is not None else protocol_of(data)
    if protocol is None:
        known = ", ".join(one.title for one in protocols())
        raise DecodeError(f"this begins as no telegram of {known} does")
    return protocol.explain(CapturedTelegram(data, profile, first))


def protocol_of(data: bytes) -> MeterProtocol | None:
    """The protocol that recognises a telegram; those that describe themselves are asked first."""
    asked = sorted(protocols(), key=lambda protocol: not protocol.self_describing)
    return next((protocol for protocol in asked if protocol.recognises(data)), None)


def _by_profile() -> MeterProtocol:
    """The one whose telegrams mean something by their meter's profile only."""
    return next(protocol for protocol in protocols() if not protocol.self_describing)


def read_source(source: str) -> bytes:
    """The bytes that `source` names: hex text, or a file of hex text or of raw bytes. Raises SourceError."""
    if (raw := _from_hex(source)) is not None:
        return raw
    try:
        content = Path(source).read_bytes()
    except (OSError, ValueError) as error:
        raise TelegramInputError(
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


def run(source: str, as_json: bool, profile: str | None = None, first: int | None = None) -> int:
    """Print the explanation of a telegram; 0, or 1 with an error that says what to do."""
    try:
        explanation = explain(read_source(source), profile, first)
    except (DriverError, TelegramInputError) as error:
        if as_json:
            sys.stdout.write(json.dumps({"error": str(error)}, ensure_ascii=False) + "\n")
        else:
            Console(stderr=True).print(f"[red]Cannot decode:[/] {escape(str(error))}\n{_advice(error)}")
        return 1
    if as_json:
        sys.stdout.write(json.dumps(asdict(explanation), ensure_ascii=False, indent=2) + "\n")
    else:
        _print(explanation)
    return 0


def _advice(error: Exception) -> str:
    if isinstance(error, TelegramInputError):
        return "Put hex digits in quotes, so that the shell passes them as one argument."
    if isinstance(error, ProfileError):
        return error.advice
    return "Check that the telegram is whole, from its first byte to its last, without an echo in front."


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
