"""Load profiles: `P.01(stamp)(status)(minutes)(n)(code)(unit)...`, then n values a line.

After the VDEW Lastenheft 2.1.2, as EMH, Metcom, LEM and others keep them.

The stamp is that of the first line: the end of its period. One that is not on a period's boundary (the supply
failed, the clock was set) belongs to a line that ends at the next boundary. A new header may follow anywhere.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta, tzinfo

from drivers.errors import DecodeError
from drivers.optical.codec.dataset import DataSet, Value
from drivers.optical.codec.instants import instant
from drivers.optical.codec.registers import DataSetAddress, quantity, ucum_code
from telemetry.obis import Medium, Obis, RegisterKind
from telemetry.readout import Quantity
from telemetry.status import Status

_FIXED = 4  # stamp, status, period, number of values
_MOST_VALUES = 64
_STATUS = {0x04: Status.TEMPORARY_ERROR, 0x01: Status.PERMANENT_ERROR}  # disturbed value, fatal device error


@dataclass(frozen=True, slots=True)
class LoadProfileRow:
    """The values of one period, at its end. `text` is its header and line as the meter sent them."""

    at: datetime
    values: dict[str, Quantity]
    status: Status
    text: str


@dataclass(frozen=True, slots=True)
class _Header:
    first: datetime
    period: timedelta
    status: Status
    columns: tuple[tuple[Obis | None, str | None], ...]
    text: str


def decode_load_profile(sets: Sequence[DataSet], zone: tzinfo) -> list[LoadProfileRow]:
    """The rows of an answer's data sets, oldest first, one an instant. Raises DecodeError."""
    rows: dict[datetime, LoadProfileRow] = {}
    for row in _rows(sets, zone):
        known = rows.get(row.at)
        rows[row.at] = row if known is None else _merged(known, row)
    return [rows[at] for at in sorted(rows)]


def _rows(sets: Sequence[DataSet], zone: tzinfo) -> Iterator[LoadProfileRow]:
    header: _Header | None = None
    number = 0
    waiting: list[Value] = []  # values may be spread over lines as the meter likes
    for one in sets:
        values = list(one.values)
        if one.address:
            if waiting:
                raise DecodeError(f"a line of {len(waiting)} values before {one.address!r}")
            if values[0].text.strip().upper().startswith("ERROR") or not values[0].text.strip():
                return  # there is nothing in that time
            header, values, number = *_header(one, zone), 0
        if header is None:
            raise DecodeError("values before a header")
        waiting += values
        size = len(header.columns)
        while len(waiting) >= size:
            yield _row(header, number, waiting[:size])
            del waiting[:size]
            number += 1
    if waiting:
        raise DecodeError(f"the last line has only {len(waiting)} values")


def _header(one: DataSet, zone: tzinfo) -> tuple[_Header, list[Value]]:
    """A header, and the values that stand in the same line."""
    texts = [value.text.strip() for value in one.values]
    if len(texts) < _FIXED or not texts[2].isdecimal() or not texts[3].isdecimal():
        raise DecodeError(f"{one.address!r} begins no load profile: {one}")
    minutes, size = int(texts[2]), int(texts[3])
    stamp = instant(texts[0], zone)
    end = _FIXED + 2 * size
    if stamp is None or not 1 <= minutes <= 1440 or not 1 <= size <= _MOST_VALUES or len(texts) < end:
        raise DecodeError(f"{one.address!r} begins no load profile: {one}")
    period = timedelta(minutes=minutes)
    columns = tuple(
        (
            address.obis if (address := DataSetAddress.parse(code, Medium.ELECTRICITY)) else None,
            ucum_code(unit),
        )
        for code, unit in zip(texts[_FIXED:end:2], texts[_FIXED + 1 : end : 2], strict=True)
    )
    text = str(DataSet(one.address, one.values[:end]))
    first = _boundary(stamp, period, zone)
    return _Header(first, period, _status(texts[1]), columns, text), list(one.values[end:])


def _boundary(stamp: datetime, period: timedelta, zone: tzinfo) -> datetime:
    """The stamp, or the end of the period that it lies in; periods are counted from local midnight."""
    local = stamp.astimezone(zone).replace(tzinfo=None)
    beyond = (local - local.replace(hour=0, minute=0, second=0, microsecond=0)) % period
    return stamp + (period - beyond if beyond else timedelta(0))


def _status(text: str) -> Status:
    """The status byte of the Lastenheft; longer status words are the maker's own."""
    try:
        bits = int(text, 16) if len(text) == 2 else 0
    except ValueError:
        return Status(0)
    status = Status(0)
    for bit, meaning in _STATUS.items():
        if bits & bit:
            status |= meaning
    return status


def _row(header: _Header, number: int, values: Sequence[Value]) -> LoadProfileRow:
    measured = {
        str(obis): found
        for (obis, unit), value in zip(header.columns, values, strict=True)
        if obis is not None and unit is not None and (found := quantity(obis, Value(value.text), unit))
    }
    line = "".join(map(str, values))
    return LoadProfileRow(
        header.first + number * header.period, measured, header.status, f"{header.text}\r\n{line}\r\n"
    )


def _merged(first: LoadProfileRow, second: LoadProfileRow) -> LoadProfileRow:
    """Two rows of an interrupted period: counters are those of the later one, the rest is of neither."""
    counters = {
        obis: value
        for obis, value in (first.values | second.values).items()
        if Obis.parse(obis).kind is RegisterKind.COUNTER
    }
    return LoadProfileRow(first.at, counters, first.status | second.status, first.text + second.text)
