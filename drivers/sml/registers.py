"""Readout from a list of values: registers, identity, status, and the meter's clock.

Only codes that the shared table knows, with a unit of their dimension, become values; the rest stays in the
raw telegram. What a meter keeps of earlier periods is not in a pushed list.
"""

from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime

from drivers.cosem import quantity
from drivers.sml.messages import ListEntry, ListResponse
from drivers.sml.server_id import UNKNOWN, din_number, meter_of
from drivers.sml.tlv import Integer
from telemetry.obis import Obis
from telemetry.readout import Quantity, Readout
from telemetry.status import Status

_PRESENT = 255  # value group F
_ACTIVE_POWER = bytes((1, 0, 16, 7, 0, 255))
_MANUFACTURER = (bytes((129, 129, 199, 130, 3, 255)), bytes((1, 0, 96, 50, 1, 1)))
_IMPORT = bytes((1, 0, 1, 8, 0, 255))

# DZG DVS74 of these numbers tag power as signed but send it unsigned: 356.24 W as 53 8B28, which is -299.12 W
# (github.com/volkszaehler/libsml, issues 59 and 125; libsml-testing, pull request 16). Later ones are right.
_UNSIGNED_DZG = (range(42_000_000, 49_000_000), range(55_000_000, 59_000_000))

# The status word of FNN meters: bits 0 to 7 are always 04; earlier meters (EDL21) have another, not read here
# (Sagemcom Siconia SMARTY BZ, manual 5420AD000, "Statuswort")
_WORD, _WORD_IS_FNN = 0xFF, 0x04
_MAGNET, _COVER, _FATAL = 1 << 9, 1 << 10, 1 << 17


def identity(values: ListResponse) -> str | None:
    """The meter id of who sends this list; None where nothing tells."""
    names = (entry.value for entry in values.entries if entry.name in _MANUFACTURER)
    letters = next((name.decode("ascii", "replace") for name in names if isinstance(name, bytes)), UNKNOWN)
    return meter_of(values.server_id, letters) or meter_of(values.server_id)


def readout(values: ListResponse, meter: str, at: datetime, raw: bytes) -> Readout:
    """The list as what `meter` showed at the aware instant `at`."""
    found: dict[str, Quantity] = {}
    for entry in _mended(values):
        number = entry.number
        if number is None or entry.unit is None or entry.name[5] != _PRESENT:
            continue
        obis = Obis(*entry.name[:5])
        if (one := quantity(obis, number, entry.unit)) is not None:
            found[str(obis)] = one
    clock = values.sensor_time.instant if values.sensor_time else None
    return Readout(meter, at, found, _status(values.entries), raw, clock)


def _mended(values: ListResponse) -> Iterable[ListEntry]:
    """The entries, with the power of the DZG meters that get its sign wrong as they mean it."""
    letters, number = din_number(values.server_id) or ("", 0)
    wrong = letters == "DZG" and any(number in numbers for numbers in _UNSIGNED_DZG)
    for entry in values.entries:
        value = entry.value
        if wrong and entry.name == _ACTIVE_POWER and isinstance(value, Integer) and value.size < 4:
            yield replace(entry, value=Integer(value.unsigned_value, value.size))
        else:
            yield entry


def _status(entries: Iterable[ListEntry]) -> Status:
    """What the status word beside the energy says; nothing for one of another layout."""
    word = next((e.status for e in entries if e.name == _IMPORT and e.status is not None), 0)
    if word & _WORD != _WORD_IS_FNN:
        return Status(0)
    tampered = Status.TAMPER if word & (_MAGNET | _COVER) else Status(0)
    return tampered | (Status.PERMANENT_ERROR if word & _FATAL else Status(0))
