"""A CSV file (RFC 4180, plain or gzip) as wire readouts, and every row that is not one with its reason.

Read twice: `survey` learns which meters there are and names the content, `readouts` brings the rows.
"""

import csv
import gzip
import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import IO
from zoneinfo import ZoneInfo

from hesper.importer.columns import ColumnMap
from hesper.importer.wall_clock import WallClock
from telemetry.meter_id import MeterIdError, check_meter_id, meter_id
from telemetry.status import Status
from telemetry.wire import WireReadout, from_milliseconds, to_milliseconds

_FORMAT = "1"  # changes when the same file would give other batches; part of the epoch
_EARLIEST = 2000  # years; the ingester refuses older instants
_LONGEST_LINE = 256 * 1024  # characters
_IMPORTED = int(Status.IMPORTED)
_GZIP = b"\x1f\x8b"


class FileError(ValueError):
    """The file as a whole cannot be imported; the text says why."""


@dataclass(frozen=True, slots=True)
class RowError:
    """A row that is not a readout. `line` is the line of the file in which it ends, from 1."""

    line: int
    reason: str

    def __str__(self) -> str:
        return f"line {self.line}: {self.reason}"


@dataclass(frozen=True, slots=True)
class Survey:
    """`meters` maps each meter to the instant of its first good row; `epoch` names content and mapping."""

    rows: int
    meters: dict[str, datetime]
    epoch: str


@dataclass(frozen=True, slots=True)
class Table:
    """A file and how it is to be understood. `time_format` is for strptime; None takes ISO 8601."""

    path: Path
    columns: ColumnMap
    zone: ZoneInfo
    manufacturer: str = "IMP"
    delimiter: str = ","
    time_format: str | None = None

    def survey(self) -> Survey:
        """Survey of the file's meters. Raises FileError where its header or encoding is not as expected."""
        rows = _Rows(self)
        meters: dict[str, datetime] = {}
        seen: set[str] = set()  # cells of the meters known already: only a meter's first good row is parsed
        count = 0
        for row in rows:
            count += 1
            cell = rows.meter_cell(row)
            if cell in seen:
                continue
            readout = rows.readout(row)
            if isinstance(readout, WireReadout):
                seen.add(cell)
                meters[readout.meter] = from_milliseconds(readout.at)
        return Survey(count, meters, self._epoch())

    def readouts(self) -> Iterator[WireReadout | RowError]:
        """Readout or error of each row, in the order of the file. Raises FileError as `survey` does."""
        rows = _Rows(self)
        for row in rows:
            yield rows.readout(row)

    def _epoch(self) -> str:
        with self.path.open("rb") as file:
            content = hashlib.file_digest(file, "sha256").hexdigest()
        meaning = (_FORMAT, content, self.columns.text, self.zone.key, self.manufacturer, self.delimiter)
        return "import-" + hashlib.sha256(repr((*meaning, self.time_format)).encode()).hexdigest()[:32]


@dataclass(slots=True)
class _Rows:
    """One pass over a file: where its columns stand, and what earlier rows said."""

    table: Table
    _meter: int = 0
    _at: int = 0
    _values: list[int] = field(default_factory=list)
    _units: dict[str, str] = field(init=False)  # of the registers whose unit is not the usual one
    _line: int = 0
    _clock: WallClock = field(init=False)
    _ids: dict[str, str] = field(default_factory=dict)  # cell -> meter id
    _owners: dict[str, str] = field(default_factory=dict)  # meter id -> the cell that it was written as

    def __post_init__(self) -> None:
        self._clock = WallClock(self.table.zone)
        self._units = {each.obis: each.target for each in self.table.columns.registers if not each.usual}

    def __iter__(self) -> Iterator[list[str]]:
        table = self.table
        try:
            with _open(table.path) as text:
                reader = csv.reader(self._lines(text), delimiter=table.delimiter, strict=True)
                self._find_columns(next(reader, []))
                for row in reader:
                    self._line = reader.line_num
                    if row:
                        yield row
        except (csv.Error, UnicodeDecodeError, EOFError, gzip.BadGzipFile) as error:
            raise FileError(f"{table.path}, after line {self._line}: {error}") from error

    def _lines(self, text: IO[str]) -> Iterator[str]:
        """The lines of the file: a compressed one may unpack to a single line that no memory holds."""
        while line := text.readline(_LONGEST_LINE + 1):
            if len(line) > _LONGEST_LINE:
                raise FileError(
                    f"{self.table.path}, after line {self._line}: a line is longer than {_LONGEST_LINE} "
                    "characters; this is no table of readings"
                )
            yield line

    def meter_cell(self, row: list[str]) -> str:
        return row[self._meter] if len(row) > self._meter else ""

    def readout(self, row: list[str]) -> WireReadout | RowError:
        """The readout of the row that was read last."""
        registers = self.table.columns.registers
        try:
            cells = [(registers[i], row[at].strip()) for i, at in enumerate(self._values)]
            meter = self._meter_id(row[self._meter].strip())
            at = self._clock.instant(meter, self._local(row[self._at].strip()))
            values = {register.obis: register.number(cell) for register, cell in cells if cell}
        except IndexError:
            return RowError(self._line, f"the row has only {len(row)} columns")
        except (ValueError, OverflowError) as error:
            return RowError(self._line, str(error))
        if not values:
            return RowError(self._line, "the row holds no value")
        if at.year < _EARLIEST:
            return RowError(self._line, f"{at.isoformat()} is before the year {_EARLIEST}")
        return WireReadout(meter, to_milliseconds(at), values, _IMPORTED, self._units)

    def _find_columns(self, header: list[str]) -> None:
        columns = self.table.columns
        names = [name.strip().removeprefix("\ufeff") for name in header]
        wanted = [columns.meter, columns.at, *(register.column for register in columns.registers)]
        missing = [name for name in wanted if name not in names]
        if missing:
            raise FileError(
                f"{self.table.path} has no column {', '.join(missing)}; its first line names "
                f"{', '.join(names) or 'nothing'}"
            )
        self._meter, self._at, *self._values = (names.index(name) for name in wanted)

    def _local(self, text: str) -> datetime:
        if self.table.time_format is not None:
            return datetime.strptime(text, self.table.time_format)  # noqa: DTZ007 - the zone is applied after
        return datetime.fromisoformat(text)

    def _meter_id(self, cell: str) -> str:
        """The meter id of a cell: as it is, or with the manufacturer before it. Raises MeterIdError."""
        known = self._ids.get(cell)
        if known is not None:
            return known
        try:
            identity = check_meter_id(cell)
        except MeterIdError:
            identity = meter_id(self.table.manufacturer, cell)
        owner = self._owners.setdefault(identity, cell)
        if owner != cell:
            raise MeterIdError(f"{cell!r} and {owner!r} would both be the meter {identity}")
        self._ids[cell] = identity
        return identity


def _open(path: Path) -> IO[str]:
    with path.open("rb") as file:
        compressed = file.read(2) == _GZIP
    if compressed:
        return gzip.open(path, "rt", encoding="utf-8", newline="")
    return path.open("r", encoding="utf-8", newline="")
