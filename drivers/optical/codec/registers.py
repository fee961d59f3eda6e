"""Registers from data sets: addresses to OBIS codes, units to UCUM, dates of billing periods to instants.

Only codes that the shared table knows, with a unit of their dimension, become values. The rest (texts,
errors, the maker's own registers) stays in the raw telegram.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta, tzinfo
from decimal import Decimal

from drivers.optical.codec.dataset import DataSet, Value
from drivers.optical.codec.instants import clock_instant, instant
from telemetry.micro import ValueOutOfRangeError, to_micro
from telemetry.obis import Medium, Obis, ObisError, RegisterKind
from telemetry.readout import Quantity
from telemetry.units import unit as ucum

_CODE = re.compile(
    r"(?:(?P<a>\d{1,3})-(?P<b>\d{1,3}):)?(?P<c>\d{1,3}|[CFLP])\.(?P<d>\d{1,3}|[CFLP])(?:\.(?P<e>\d{1,3}))?"
    r"(?:[*&](?P<f>\d{1,3}))?"
)
_LETTERS = {"C": 96, "F": 97, "L": 98, "P": 99}  # how the short form writes these groups
_PRESENT = _UNUSED = 255  # of value groups F and E; EasyMeter writes the whole address: 1-0:1.7.255*255
_CODES = (  # UCUM; meters write their usual signs
    *("W.h", "kW.h", "MW.h", "J", "kJ", "MJ", "GJ", "Mcal", "Gcal", "var.h", "kvar.h", "V.A.h", "kV.A.h"),
    *("W", "kW", "MW", "var", "kvar", "V.A", "kV.A", "V", "mV", "A", "mA", "Hz"),
    *("h", "s", "L", "L/h", "K", "bar"),
)
_UNITS = {ucum(code).sign: code for code in _CODES} | {"Deg": "deg", "m3": "m3", "m3/h": "m3/h", "C": "Cel"}
# KWH is kWh, but mW is not MW and MV not mV
_FOLDED = {name.lower(): code for name, code in _UNITS.items() if name not in ("mV", "mA")}
_FATAL_ERROR = (97, 97)
_SERIALS = ((96, 1), (0, 0))  # the maker's serial number, then the utility's own
_BILLING_TIME = (0, 1, 2)
_DAY = timedelta(days=1)
_CLOCK_TIME, _CLOCK_DATE = (0, 9, 1), (0, 9, 2)


@dataclass(frozen=True, slots=True)
class DataSetAddress:
    """A data set's OBIS code; `period` is value group F (255: the present), kept apart from the code."""

    obis: Obis
    period: int = _PRESENT

    @classmethod
    def parse(cls, text: str, medium: Medium) -> "DataSetAddress | None":
        """The address in full (`1-0:1.8.0*255`) or short form (`1.8.0`, `1.8.1*05`, `C.1.0`), else None.

        `medium` is what the short form leaves out; the groups of a device (0.x, C, F, L, P) are abstract.
        """
        match = _CODE.fullmatch(text.strip())
        if not match:
            return None
        c, d = (_LETTERS.get(match[group]) or int(match[group] or 0) for group in ("c", "d"))
        e = int(match["e"] or _UNUSED)
        usual = Medium.ABSTRACT if c in (0, *_LETTERS.values()) else medium
        try:
            obis = Obis(int(match["a"] or usual), int(match["b"] or 0), c, d, 0 if e == _UNUSED else e)
        except ObisError:
            return None
        return cls(obis, int(match["f"] or _PRESENT))


@dataclass(frozen=True, slots=True)
class Registers:
    """Registers of a readout: present ones, those of closed billing periods by instant, identity, faults."""

    present: dict[str, Quantity]
    historical: dict[datetime, dict[str, Quantity]]
    serials: tuple[str, ...]
    fatal_error: bool


def registers(sets: Iterable[DataSet], zone: tzinfo, medium: Medium = Medium.ELECTRICITY) -> Registers:
    """The registers of a block's data sets; dates in them are local to `zone`."""
    known = [(address, one) for one in sets if (address := DataSetAddress.parse(one.address, medium))]
    present = _present(known)
    return Registers(
        present,
        _historical(known, present, zone),
        tuple(_serials(known)),
        any(_is_fatal(address, one) for address, one in known),
    )


def clock(sets: Iterable[DataSet], zone: tzinfo, near: datetime) -> datetime | None:
    """The instant that the meter's clock showed (0.9.1 and 0.9.2), None where the sets do not tell both.

    `near` decides which one is meant of an hour that occurs twice, and which day at midnight, between the
    two registers that are read one after the other.
    """
    shown = {
        (address.obis.c, address.obis.d, address.obis.e): one.values[0].text
        for one in sets
        if (address := DataSetAddress.parse(one.address, Medium.ELECTRICITY)) and address.period == _PRESENT
    }
    date, time = shown.get(_CLOCK_DATE), shown.get(_CLOCK_TIME)
    at = clock_instant(date, time, zone, near) if date and time else None
    if at is None or not _is_midnight(at.astimezone(zone)):
        return at
    return min((at + days * _DAY for days in (-1, 0, 1)), key=lambda one: abs(one - near))


def ucum_code(text: str) -> str | None:
    """The UCUM code of a unit as meters write it (kWh, KWH, kvarh, m3), None for one that is not known."""
    text = text.strip().removeprefix("°")
    return _UNITS.get(text) or (None if text.startswith("m") else _FOLDED.get(text.lower()))


def _present(known: list[tuple[DataSetAddress, DataSet]]) -> dict[str, Quantity]:
    """The present values; a register that is told twice, and not alike, has none."""
    found: dict[str, Quantity] = {}
    torn: set[str] = set()
    for address, one in known:
        if address.period == _PRESENT and (measured := quantity(address.obis, one.values[0])):
            code = str(address.obis)
            if found.setdefault(code, measured) != measured:
                torn.add(code)
    return {code: measured for code, measured in found.items() if code not in torn}


def _is_midnight(local: datetime) -> bool:
    """Within a minute of it."""
    return (local.hour * 60 + local.minute) % 1439 == 0


def _historical(
    known: list[tuple[DataSetAddress, DataSet]], present: dict[str, Quantity], zone: tzinfo
) -> dict[datetime, dict[str, Quantity]]:
    """Counters of closed periods, where the meter says when the period ended; others are left out."""
    ends = {
        address.period: end
        for address, one in known
        if (address.obis.c, address.obis.d, address.obis.e) == _BILLING_TIME
        and (end := instant(one.values[0].text, zone))
    }
    closed: dict[datetime, dict[str, Quantity]] = {}
    for address, one in known:
        if address.period == _PRESENT or address.obis.kind is not RegisterKind.COUNTER:
            continue
        usual = present.get(str(address.obis))  # many meters leave the unit of a stored value out
        measured = quantity(address.obis, one.values[0], usual.unit if usual else None)
        own = instant(one.values[1].text, zone) if len(one.values) > 1 else None
        end = own or ends.get(address.period)
        if measured and end:
            closed.setdefault(end, {})[str(address.obis)] = measured
    return closed


def quantity(obis: Obis, value: Value, unit: str | None = None) -> Quantity | None:
    """The value, where the code is known and its unit of the right dimension; a bare number takes `unit`."""
    definition = obis.definition
    number: Decimal | None = value.number
    code = ucum_code(value.unit) if value.unit else unit
    if definition is None or number is None:
        return None
    if code is None and definition.unit == "1" and not value.unit:
        code = "1"
    if code is None or ucum(code).dimension != ucum(definition.unit).dimension:
        return None
    try:
        return Quantity(to_micro(number), code)
    except ValueOutOfRangeError:
        return None


def _serials(known: list[tuple[DataSetAddress, DataSet]]) -> list[str]:
    """Identification numbers, the most telling first, each once."""
    found: dict[str, None] = {}
    for c, d in _SERIALS:
        for address, one in known:
            if (address.obis.c, address.obis.d) == (c, d) and (text := one.values[0].text.strip()):
                found[text.upper()] = None
    return list(found)


def _is_fatal(address: DataSetAddress, one: DataSet) -> bool:
    """Whether F.F, the fatal error register, shows anything but zeros."""
    return (address.obis.c, address.obis.d) == _FATAL_ERROR and bool(one.values[0].text.strip(" 0"))
