"""COSEM date-time (IEC 62056-6-2, 4.1.6.1): twelve bytes with deviation from UTC and clock status."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from enum import IntFlag

from drivers.errors import DecodeError

SIZE = 12
_UNSPECIFIED_DEVIATION = -0x8000
_UNSPECIFIED = 0xFF


class ClockStatus(IntFlag):
    """Status that the meter gives its clock."""

    INVALID = 0x01
    DOUBTFUL = 0x02
    OTHER_BASE = 0x04
    INVALID_STATUS = 0x08
    SUMMER_TIME = 0x80


_FINE = ClockStatus(0)


@dataclass(frozen=True, slots=True)
class DateTime:
    """Date-time as COSEM sends it: `instant` aware, UTC. `status` 255 means that the meter does not tell, and
    becomes no bit.
    """

    instant: datetime
    status: ClockStatus = _FINE


def decode_date_time(data: bytes, zone: tzinfo) -> DateTime:
    """The instant; without a deviation it is local to `zone`. Raises DecodeError for wildcards and nonsense.

    Where an hour occurs twice, the status tells which one. The deviation is UTC minus local time, in minutes.
    """
    if len(data) != SIZE:
        raise DecodeError(f"a date-time of {len(data)} bytes")
    year, month, day = int.from_bytes(data[:2], "big"), data[2], data[3]
    hour, minute, second, hundredths = (0 if part == _UNSPECIFIED else part for part in data[5:9])
    deviation = int.from_bytes(data[9:11], "big", signed=True)
    status = ClockStatus(0 if data[11] == _UNSPECIFIED else data[11] & 0x8F)
    try:
        local = datetime(year, month, day, hour, minute, second, hundredths * 10_000, zone)
        if deviation == _UNSPECIFIED_DEVIATION:
            # summer time is the first of an hour that occurs twice
            fold = 0 if status & ClockStatus.SUMMER_TIME or data[11] == _UNSPECIFIED else 1
            return DateTime(local.replace(fold=fold).astimezone(UTC), status)
        offset = timezone(timedelta(minutes=-deviation))
        return DateTime(local.replace(tzinfo=offset).astimezone(UTC), status)
    except (ValueError, OverflowError):
        raise DecodeError(f"{data.hex()} is no date and time") from None


def encode_date_time(instant: datetime, zone: tzinfo, status: ClockStatus = _FINE) -> bytes:
    """An aware instant as the local time of `zone`, with its deviation and summer time in the status."""
    local = instant.astimezone(zone)
    offset, summer = local.utcoffset(), local.dst()
    assert offset is not None  # it is aware
    deviation = -round(offset.total_seconds() / 60)
    if summer:
        status |= ClockStatus.SUMMER_TIME
    return (
        local.year.to_bytes(2, "big")
        + bytes((local.month, local.day, local.isoweekday()))
        + bytes((local.hour, local.minute, local.second, local.microsecond // 10_000))
        + deviation.to_bytes(2, "big", signed=True)
        + bytes((status,))
    )
