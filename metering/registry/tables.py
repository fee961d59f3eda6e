"""Reading a folder of CSV files (sheets.py) over what is stored: entries, and each problem at its row."""

import csv
import io
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct

from metering.registry.checks import RegistryError, problems
from metering.registry.entries import Registry, SiteEntry, UtilityEntry
from metering.registry.sheets import SHEETS, Sheet, cells_of, entries_of, entry_of, key_of
from metering.spreadsheet import cell_text


@dataclass(frozen=True, slots=True, order=True)
class RowProblem:
    """Problem of a row, and what to write instead. `line` counts from 1, the header; 0: no row."""

    file: str
    line: int
    message: str
    advice: str

    def __str__(self) -> str:
        place = f"{self.file}:{self.line}: " if self.line else ""
        return f"{place}{self.message}; {self.advice}"


@dataclass(slots=True)
class Tables:
    """Contents of the files: the utility's entries that can be used, and the problems of the others."""

    utility: UtilityEntry
    problems: list[RowProblem] = field(default_factory=list)
    places: dict[str, tuple[str, int]] = field(default_factory=dict)  # as RegistryError names entries

    @property
    def registry(self) -> Registry:
        """The document."""
        return Registry([self.utility])

    def note(self, error: RegistryError) -> None:
        """Put an entry's problem where its row is."""
        file, line = self.places.get(error.entry, ("the registry", 0))
        message = str(error).removeprefix(f"{error.entry}: ")
        self.problems.append(RowProblem(file, line, message, error.advice))


def read_tables(folder: Path, stored: UtilityEntry) -> Tables:
    """The entries of a folder, over those that are stored. Raises RegistryError for a file that is no CSV."""
    named = {sheet.name: folder / f"{sheet.name}.csv" for sheet in SHEETS}
    found = {name: path for name, path in named.items() if path.is_file()}
    if not found:
        raise RegistryError(
            str(folder),
            "holds no file of a registry",
            f"name one {', '.join(path.name for path in named.values())}",
        )
    tables = Tables(stored)
    _take(tables, {s.name: _rows(s, found[s.name], tables) for s in SHEETS if s.name in found})
    return tables


def amend(stored: UtilityEntry, kind: str, key: Sequence[str], fields: Mapping[str, str]) -> Tables:
    """Tables of one stored entry with other fields. Raises RegistryError for no such entry.

    `kind` is a file's name without `.csv`; `key` the columns that name an entry there, as exported.
    """
    sheet = next((sheet for sheet in SHEETS if sheet.name == kind), None)
    if sheet is None:
        raise RegistryError(
            kind, "is no kind of entry", f"use one of: {', '.join(each.name for each in SHEETS)}"
        )
    known = {key_of(sheet, owner, cells_of(sheet, entry)) for owner, entry in entries_of(stored, sheet)}
    if tuple(key) not in known:
        raise RegistryError(
            f"{kind} {' '.join(key)}", "is not registered", f"name it by {', '.join(sheet.key)} as exported"
        )
    if unknown := [name for name in fields if name not in sheet.columns or name in sheet.key]:
        changeable = ", ".join(name for name in sheet.columns if name not in sheet.key)
        raise RegistryError(f"{kind} {' '.join(key)}", f"has no field {unknown[0]}", f"use {changeable}")
    tables = Tables(stored)
    _take(tables, {kind: [(0, dict(zip(sheet.key, key, strict=True)) | dict(fields))]})
    return tables


def _take(tables: Tables, rows: Mapping[str, Iterable[tuple[int, dict[str, str]]]]) -> None:
    """Make the utility of `tables` what the rows of each sheet say."""
    stored = tables.utility
    before: dict[str, dict[str, Struct]] = {
        name: {entry.code: entry for entry in getattr(stored, name)}
        for name in ("gateways", "meters", "service_points")
    }
    read: dict[str, dict[tuple[str, ...], tuple[str, Any]]] = {}  # sheet -> key -> (owner, entry)
    for sheet in SHEETS:
        known = {
            key_of(sheet, owner, cells_of(sheet, entry)): entry for owner, entry in entries_of(stored, sheet)
        }
        read[sheet.name] = dict(_read(sheet, rows.get(sheet.name, ()), known, tables))
    tables.utility = _assemble(stored, read, before, tables)
    for error in problems(tables.registry):
        tables.note(error)
    tables.problems.sort()


def _read(
    sheet: Sheet,
    rows: Iterable[tuple[int, dict[str, str]]],
    known: dict[tuple[str, ...], Any],
    tables: Tables,
) -> Iterator[tuple[tuple[str, ...], tuple[str, Any]]]:
    file = f"{sheet.name}.csv"
    seen: dict[tuple[str, ...], int] = {}
    for line, cells in rows:
        owner = cells.pop(sheet.owner[0], "") if sheet.owner else ""
        try:
            entry = entry_of(sheet, owner, cells, known)
        except (msgspec.ValidationError, ValueError) as error:
            message, _, where = str(error).partition(" - at `$.")
            column = where.rstrip("`")
            tables.problems.append(
                RowProblem(file, line, f"{column}: {message}" if column else message, "mend the field")
            )
            continue
        key = key_of(sheet, owner, cells)
        if key in seen:
            twice = f"{' '.join(key)} stands in line {seen[key]} already"
            tables.problems.append(RowProblem(file, line, twice, "keep one of them"))
            continue
        seen[key] = line
        tables.places.setdefault(_name(tables.utility, sheet, owner, entry), (file, line))
        yield key, (owner, entry)


def _rows(sheet: Sheet, path: Path, tables: Tables) -> Iterator[tuple[int, dict[str, str]]]:
    """(line, {column: text}) of a file's rows."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise RegistryError(str(path), f"cannot be read: {error}", "save it as UTF-8") from error
    header = text.partition("\n")[0]
    rows = csv.reader(io.StringIO(text, newline=""), delimiter=";" if ";" in header else ",")
    try:
        columns = [name.strip() for name in next(rows, [])]
        unknown = [name for name in columns if name not in sheet.columns]
        missing = [name for name in sheet.key if name not in columns]
        if unknown or missing:
            wrong = f"unknown column {unknown[0]!r}" if unknown else f"there is no column {missing[0]!r}"
            tables.problems.append(RowProblem(path.name, 1, wrong, f"use {', '.join(sheet.columns)}"))
            return
        for cells in rows:
            if not any(cell.strip() for cell in cells):
                continue
            if len(cells) != len(columns):
                count = f"has {len(cells)} fields, the header {len(columns)}"
                problem = RowProblem(path.name, rows.line_num, count, "quote fields that hold a comma")
                tables.problems.append(problem)
                continue
            texts = (cell_text(cell.strip()) for cell in cells)
            yield rows.line_num, dict(zip(columns, texts, strict=True))
    except csv.Error as error:
        tables.problems.append(RowProblem(path.name, rows.line_num, str(error), "save it as CSV"))


def _assemble(
    stored: UtilityEntry,
    read: dict[str, dict[tuple[str, ...], tuple[str, Any]]],
    before: dict[str, dict[str, Struct]],
    tables: Tables,
) -> UtilityEntry:
    """The utility with what was read, each entry in its owner; an owner without a row is the stored one."""
    owners: dict[str, dict[str, Any]] = {
        name: {entry.code: entry for _, entry in read[name].values()}
        for name in ("gateways", "meters", "service_points")
    }
    parts: dict[tuple[str, str], dict[str, list[Any]]] = defaultdict(lambda: defaultdict(list))
    for sheet in SHEETS:
        if sheet.owner is None:
            continue
        kind = sheet.owner[1]
        for owner, entry in read[sheet.name].values():
            if owner not in owners[kind]:
                if owner not in before[kind]:
                    file, line = tables.places[_name(stored, sheet, owner, entry)]
                    missing = f"there is no {sheet.owner[0].replace('_', ' ')} {owner}"
                    tables.problems.append(RowProblem(file, line, missing, f"list it in {kind}.csv"))
                    continue
                owners[kind][owner] = before[kind][owner]
            parts[kind, owner][sheet.name].append(entry)
    lists: dict[str, list[Any]] = {sheet.name: [] for sheet in SHEETS if sheet.owner}
    return msgspec.structs.replace(
        stored,
        sites=_parents_first(entry for _, entry in read["sites"].values()),
        **{
            kind: [
                msgspec.structs.replace(
                    entry,
                    **{
                        name: parts[kind, code].get(name, empty)
                        for name, empty in lists.items()
                        if name in entry.__struct_fields__
                    },
                )
                for code, entry in group.items()
            ]
            for kind, group in owners.items()
        },
    )


def _parents_first(sites: Iterable[SiteEntry]) -> list[SiteEntry]:
    """Parts after what they are parts of; the order of a table is anybody's."""
    left, ordered = list(sites), []
    while left:
        waiting = {site.code for site in left}
        ready = [site for site in left if site.parent not in waiting] or left  # a circle is told when applied
        ordered += ready
        left = [site for site in left if site not in ready]
    return ordered


def _name(utility: UtilityEntry, sheet: Sheet, owner: str, entry: Any) -> str:
    """As RegistryError names it."""
    kind = sheet.name.rstrip("s").replace("_", " ")
    if sheet.owner is None:
        return f"utility {utility.code}, {kind} {entry.code}"
    what = {
        "lines": lambda: f"line {entry.code}",
        "registers": lambda: f"register {entry.obis}",
        "verifications": lambda: f"verification of {entry.on}",
        "installations": lambda: f"installation of {entry.meter}",
        "fuses": lambda: f"fuse of {entry.since}",
        "contracts": lambda: f"contract from {entry.valid_from}",
    }[sheet.name]()
    return f"utility {utility.code}, {sheet.owner[0].replace('_', ' ')} {owner}, {what}"
