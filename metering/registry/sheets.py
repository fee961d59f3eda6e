"""The registry as CSV files in a folder, one for each kind of entry, for who has thousands of meters.

    sites.csv          code, name, address, parent
    gateways.csv       code, site
    lines.csv          gateway, code, protocol, address
    meters.csv         code, medium, model, gateway, site, verified_until, line, qmax, imax, phases
    verifications.csv  meter, on, until, certificate
    registers.csv      meter, obis, unit, digits, billed, interval, boundary_tolerance
    service_points.csv code, medium, name, site, account, ended_at
    installations.csv  service_point, meter, valid_from, valid_to, multiplier, start_values, end_values
    fuses.csv          service_point, since, amperes, phases
    contracts.csv      service_point, valid_from, valid_to, account

UTF-8 with a header; separated by commas, or by semicolons if the header is. What the fields mean is said in
entries.py; values of registers are written `8-0:1.0.0=123.456`, several with spaces between. Files, columns
and entries that are not there leave things as they are; an empty field says that there is none.
People edit these files in spreadsheets: see metering/spreadsheet.py.
"""

import csv
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct

from metering.registry.entries import (
    ContractEntry,
    FuseEntry,
    GatewayEntry,
    InstallationEntry,
    LineEntry,
    MeterEntry,
    RegisterEntry,
    ServicePointEntry,
    SiteEntry,
    UtilityEntry,
    VerificationEntry,
)
from metering.spreadsheet import text_cell
from telemetry.obis import Medium

_VALUES = ("start_values", "end_values")
_INSTANTS = ("valid_from", "valid_to", "ended_at")


@dataclass(frozen=True, slots=True)
class Sheet:
    """A file: its entry, the list of `UtilityEntry` or of an entry that it goes into, and its key.

    `owner` is the column that names the entry it belongs to, and the list where that stands.
    """

    name: str
    entry: type[Struct]
    key: tuple[str, ...]
    owner: tuple[str, str] | None = None

    @property
    def own_columns(self) -> list[str]:
        """The fields of the entry that are no lists of others."""
        lists = {sheet.name for sheet in SHEETS}
        return [name for name in self.entry.__struct_fields__ if name not in lists]

    @property
    def columns(self) -> list[str]:
        """The header."""
        return ([self.owner[0]] if self.owner else []) + self.own_columns


SHEETS = (
    Sheet("sites", SiteEntry, ("code",)),
    Sheet("gateways", GatewayEntry, ("code",)),
    Sheet("lines", LineEntry, ("gateway", "code"), ("gateway", "gateways")),
    Sheet("meters", MeterEntry, ("code",)),
    Sheet("verifications", VerificationEntry, ("meter", "on"), ("meter", "meters")),
    Sheet("registers", RegisterEntry, ("meter", "obis"), ("meter", "meters")),
    Sheet("service_points", ServicePointEntry, ("code",)),
    Sheet(
        "installations",
        InstallationEntry,
        ("service_point", "meter", "valid_from"),
        ("service_point", "service_points"),
    ),
    Sheet("fuses", FuseEntry, ("service_point", "since"), ("service_point", "service_points")),
    Sheet(
        "contracts",
        ContractEntry,
        ("service_point", "valid_from"),
        ("service_point", "service_points"),
    ),
)


def write_tables(folder: Path, utility: UtilityEntry) -> None:
    """Write all files, those without entries too: they show the header."""
    folder.mkdir(parents=True, exist_ok=True)
    for sheet in SHEETS:
        with (folder / f"{sheet.name}.csv").open("w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(sheet.columns)
            for owner, entry in entries_of(utility, sheet):
                cells = [*cells_of(sheet, entry).values()]
                writer.writerow(map(text_cell, [owner, *cells] if sheet.owner else cells))


def entries_of(utility: UtilityEntry, sheet: Sheet) -> Iterator[tuple[str, Any]]:
    """(code of the owner, entry) of all entries of a sheet."""
    if sheet.owner is None:
        yield from (("", entry) for entry in getattr(utility, sheet.name))
        return
    for owner in getattr(utility, sheet.owner[1]):
        yield from ((owner.code, entry) for entry in getattr(owner, sheet.name))


def key_of(sheet: Sheet, owner: str, cells: Mapping[str, str]) -> tuple[str, ...]:
    """Key of a row."""
    return tuple(owner if sheet.owner and column == sheet.owner[0] else cells[column] for column in sheet.key)


def entry_of(sheet: Sheet, owner: str, cells: dict[str, str], known: dict[tuple[str, ...], Any]) -> Any:
    """The entry of a row; columns that are not there stay as they are stored. Raises what msgspec raises."""
    stored = known.get(key_of(sheet, owner, cells))
    content: dict[str, Any] = {}
    if stored is not None:
        absent = set(sheet.own_columns) - cells.keys()
        content = {name: value for name, value in msgspec.to_builtins(stored).items() if name in absent}
    for column, text in cells.items():
        if column in _VALUES:
            content[column] = dict(_value(pair) for pair in text.split())
        elif text and column in _INSTANTS:
            content[column] = _instant(column, text)
        elif text:
            content[column] = text
    return msgspec.convert(content, sheet.entry, strict=False)


def _instant(column: str, text: str) -> datetime:
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        raise ValueError(f"{column}: {text!r} is no instant such as 2026-10-01T09:30") from None


def _value(pair: str) -> tuple[str, str]:
    obis, sign, value = pair.partition("=")
    if not sign:
        raise ValueError(f"{pair!r} is no value of a register such as 8-0:1.0.0=123.456")
    return obis, value


def cells_of(sheet: Sheet, entry: Any) -> dict[str, str]:
    """An entry as a row: {column: text}, without the column of its owner."""
    return {column: _cell(getattr(entry, column)) for column in sheet.own_columns}


def _cell(value: Any) -> str:
    """A field as text; the inverse of what msgspec and `_value` read."""
    if value is None:
        return ""
    if isinstance(value, Medium):
        return value.label
    if isinstance(value, dict):
        return " ".join(f"{obis}={number}" for obis, number in value.items())
    return str(msgspec.to_builtins(value)) if not isinstance(value, bool) else str(value).lower()
