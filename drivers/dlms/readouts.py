"""Readouts from COSEM values: scaled numbers, texts of identity, and the entries of profiles."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta, tzinfo

from drivers.cosem import quantity, scaled
from drivers.dlms.codec.clock import ClockStatus, decode_date_time
from drivers.dlms.codec.data import Data, DataTag
from drivers.dlms.codec.objects import VALUE, CaptureColumn, ClassId, MeterObject, Scaling
from drivers.errors import DecodeError
from telemetry.meter_id import possible_meter_id
from telemetry.readout import Quantity


@dataclass(frozen=True, slots=True)
class ProfileBuffer:
    """Profile that a meter keeps: its columns, the scaling of those that are registers, its period.

    `period` in seconds, 0 for one that has none (billing). `raw` is how the meter told all this.
    """

    name: bytes
    columns: tuple[CaptureColumn, ...]
    scalings: Mapping[bytes, Scaling]
    period: int = 0
    raw: bytes = b""

    @property
    def time(self) -> int | None:
        """The place of the column that says when an entry was made."""
        for place, column in enumerate(self.columns):
            if (column.attribute.class_id, column.attribute.number) == (ClassId.CLOCK, VALUE):
                return place
        return None


def register_value(one: MeterObject, data: Data, scaling: Scaling) -> Quantity | None:
    """A register's value; None for what is no number, or does not fit the register."""
    number = data.number
    if number is None or one.obis is None:
        return None
    return quantity(one.obis, scaled(number, scaling.scaler), scaling.unit)


def entries(profile: ProfileBuffer, buffer: Data, zone: tzinfo) -> dict[datetime, dict[str, Quantity]]:
    """The registers in a profile's entries, by instant.

    A time left out is the one before and a period later. An entry that the meter itself calls invalid, or
    whose time is no instant, is left out; so is a value that the meter left out. Raises DecodeError.
    """
    time = profile.time
    found: dict[datetime, dict[str, Quantity]] = {}
    last: datetime | None = None
    for entry in buffer.items:
        cells = entry.items
        if len(cells) != len(profile.columns):
            raise DecodeError(f"{len(cells)} values in {len(profile.columns)} columns of a profile")
        last = _instant(cells[time], last, profile.period, zone) if time is not None else None
        values = dict(_values(profile, cells))
        if last is not None and values:
            found[last] = values
    return found


def text_of(data: Data) -> str:
    """A name or serial number: as text where it is one, a number in digits, else in hexadecimal digits."""
    if isinstance(data.value, int) and not isinstance(data.value, bool):
        return str(data.value)
    content = data.octets.rstrip(b"\0 ").lstrip()
    return content.decode("ascii") if content.isascii() and content.isalnum() else content.hex().upper()


def identity(device_name: bytes, serial: str, title: bytes) -> str | None:
    """The meter id: the manufacturer's letters begin the logical device name, or the system title."""
    for letters in (device_name[:3], title[:3]):
        if letters.isalpha() and letters.isascii():
            rest = serial or text_of(Data(DataTag.OCTET_STRING, device_name[3:]))
            if found := possible_meter_id(letters.decode("ascii"), rest):
                return found
    return None


def is_fault(data: Data) -> bool:
    """True where an error register shows anything but zeros: a number, bits, bytes, or digits as text."""
    value = data.value
    if isinstance(value, bytes):
        is_text = data.tag is DataTag.VISIBLE_STRING or len(value) > 1
        return any(value) and not (is_text and not value.strip(b"0 "))
    if isinstance(value, str):
        return "1" in value
    return isinstance(value, int) and value != 0


def clock_of(data: Data, zone: tzinfo) -> datetime | None:
    """The instant that a clock shows; None for one that says that it is invalid, or shows none."""
    try:
        shown = decode_date_time(data.octets, zone)
    except DecodeError:
        return None
    return None if shown.status & ClockStatus.INVALID else shown.instant


def _instant(cell: Data, last: datetime | None, period: int, zone: tzinfo) -> datetime | None:
    if cell.tag is DataTag.NULL:
        return last + timedelta(seconds=period) if last is not None and period else None
    return clock_of(cell, zone)


def _values(profile: ProfileBuffer, cells: Sequence[Data]) -> Iterable[tuple[str, Quantity]]:
    for column, cell in zip(profile.columns, cells, strict=True):
        scaling = profile.scalings.get(column.attribute.name)
        if scaling is None or column.attribute.number != VALUE or column.index:
            continue
        if (value := register_value(column.object, cell, scaling)) is not None:
            yield str(column.object.obis), value
