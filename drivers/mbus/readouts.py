"""Readouts from telegrams: which records are register values, of which instant, in which unit.

Three rules decide (docs/decisions/006):
1. Storage 0 is the present. A counter of another storage belongs to the set day whose date record has the
   same storage, and becomes a readout of its own at that instant.
2. Where records claim one register at one instant, the finest resolution is taken if the others agree with
   it as far as they show; if they don't, none of them is taken, and all are reported.
3. A value goes out in the register's usual unit if nothing is lost by that, else in the meter's own
   (`Quantity.of`).
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, tzinfo
from decimal import Decimal
from fractions import Fraction

from drivers.errors import DecodeError
from drivers.mbus.codec import vif
from drivers.mbus.codec.dif import Function
from drivers.mbus.codec.header import Header, status_bits
from drivers.mbus.codec.records import Record
from drivers.mbus.codec.telegram import Telegram
from drivers.mbus.codec.timepoint import TimePoint
from drivers.mbus.obis import register
from telemetry.micro import ValueOutOfRangeError
from telemetry.obis import Obis, RegisterKind
from telemetry.readout import Quantity, Readout
from telemetry.status import Status
from telemetry.units import UNITS

_UNSET_CLOCK = date(2000, 1, 1)  # where many clocks start, and what a set day without a year looks like


@dataclass(frozen=True, slots=True)
class Rejected:
    """A record that would be a register value but for `reason`."""

    record: Record
    obis: Obis
    reason: str


@dataclass(frozen=True, slots=True)
class RegisterRecord:
    """A record as a register value, of the present or of the local instant `set_day`."""

    record: Record
    obis: Obis
    quantity: Quantity
    set_day: TimePoint | None


@dataclass(frozen=True, slots=True)
class Interpretation:
    """The readouts of one exchange, the present first, and what was left out of them."""

    readouts: list[Readout]
    rejected: list[Rejected]


def interpret(
    telegrams: Sequence[Telegram], at: datetime, time_zone: tzinfo = UTC, meter: str | None = None
) -> Interpretation:
    """Readouts of all telegrams of one exchange, read at the aware instant `at`.

    `time_zone` is the meter's local time. `meter` is the id to use where the telegrams carry none or no
    manufacturer. Raises DecodeError where there is no id at all.
    """
    header = telegrams[0].header
    identity = meter if header.manufacturer is None and meter else header.meter
    if identity is None:
        raise DecodeError("the telegram names no meter; configure the meter id of this address")
    raw = b"".join(telegram.raw for telegram in telegrams)
    records = [record for telegram in telegrams for record in telegram.records]
    named, rejected = name_records(records, header)
    present: dict[str, Quantity] = {}
    kept: dict[datetime, dict[str, Quantity]] = defaultdict(dict)
    for one in named:
        if one.set_day is None:
            present[str(one.obis)] = one.quantity
            continue
        instant = one.set_day.local(time_zone).astimezone(UTC)
        if instant > at:
            rejected.append(Rejected(one.record, one.obis, f"its set day {one.set_day} is still to come"))
        else:
            kept[instant][str(one.obis)] = one.quantity
    shown = _meter_clock(records)
    clock = shown.local(time_zone) if shown and shown.clock is not None else None
    current = Readout(identity, at, present, status_bits(header.status), raw, clock)
    earlier = [Readout(identity, when, kept[when], Status.HISTORICAL, raw) for when in sorted(kept)]
    return Interpretation([current, *earlier], rejected)


def record_names(records: Sequence[Record], header: Header) -> list[Obis | None]:
    """For each record the register whose value it is, None where it is none or was rejected."""
    named, _ = name_records(records, header)
    obis = {id(one.record): one.obis for one in named}
    return [obis.get(id(record)) for record in records]


def name_records(records: Sequence[Record], header: Header) -> tuple[list[RegisterRecord], list[Rejected]]:
    """All register values among the records of one exchange, in their order, and what had to be left out."""
    set_days, clock = _set_days(records), _meter_clock(records)
    claims: dict[tuple[Obis, str], list[RegisterRecord]] = defaultdict(list)
    rejected: list[Rejected] = []
    for record in records:
        obis = register(record, header.medium)
        claim = _claim(record, obis, set_days, clock) if obis else None
        if isinstance(claim, Rejected):
            rejected.append(claim)
        elif claim:
            instant = claim.set_day.wall_clock if claim.set_day else ""
            claims[claim.obis, instant].append(claim)
    named = [winner for group in claims.values() if (winner := _settle(group, rejected))]
    return named, rejected


def _claim(
    record: Record, obis: Obis, set_days: Mapping[int, set[TimePoint]], clock: TimePoint | None
) -> RegisterRecord | Rejected | None:
    """The record as a value of that register, None for one at an unknown time or in a foreign unit."""
    set_day = None
    if record.storage:
        if obis.kind is not RegisterKind.COUNTER or record.storage not in set_days:
            return None
        set_day, reason = _set_day(set_days[record.storage], clock)
        if set_day is None:
            return Rejected(record, obis, reason)
    assert record.number is not None  # else it is no register's
    try:
        quantity = Quantity.of(obis, record.number, record.unit or "")
    except ValueOutOfRangeError as error:
        return Rejected(record, obis, str(error))
    return RegisterRecord(record, obis, quantity, set_day) if quantity else None


def _set_days(records: Sequence[Record]) -> dict[int, set[TimePoint]]:
    """Storage number -> local instants that date records give it; more than one is a contradiction."""
    days: dict[int, set[TimePoint]] = defaultdict(set)
    for record in records:
        if record.storage and _is_date(record):
            assert isinstance(record.value, TimePoint)
            days[record.storage].add(record.value.boundary())
    return days


def _meter_clock(records: Sequence[Record]) -> TimePoint | None:
    """What the meter's own clock shows, if it sends that."""
    shown = [r.value for r in records if r.storage == 0 and _is_date(r) and isinstance(r.value, TimePoint)]
    return shown[0] if shown else None


def _is_date(record: Record) -> bool:
    return (
        record.function is Function.INSTANTANEOUS
        and record.quantity in (vif.DATE, vif.DATE_TIME)
        and not record.notes  # a "future value" is the next set day, not this one
        and (record.tariff, record.subunit) == (0, 0)
        and isinstance(record.value, TimePoint)
        and record.value.day is not None
    )


def _set_day(days: set[TimePoint], clock: TimePoint | None) -> tuple[TimePoint | None, str]:
    """The one instant that the dates of a storage mean, or None and the reason why there is none."""
    now = clock.day if clock else None
    past = {day for day in days if day.day and (now is None or day.day <= now)}
    if not past:  # an Elster Falcon sends the next set day as well; Minol a storage that is still to come
        return None, f"its set day {_listed(days)} is later than the meter's own clock, {clock}"
    if len(past) > 1:
        return None, f"its storage has several dates: {_listed(past)}"
    (day,) = past
    if day.day == _UNSET_CLOCK:
        return None, "its set day is the first day of a clock that was not set"
    return day, ""


def _listed(days: set[TimePoint]) -> str:
    return ", ".join(sorted(map(str, days)))


def _settle(group: list[RegisterRecord], rejected: list[Rejected]) -> RegisterRecord | None:
    """The one record that stands for a register at an instant, by the second rule."""
    winner = min(group, key=lambda one: _step(one.record))  # the first of equals
    if all(_agree(winner.record, other.record, winner.obis.kind) for other in group if other is not winner):
        return winner
    shown = ", ".join(f"{one.record.number:f} {one.record.unit}" for one in group)
    reason = f"the telegram has several values for {winner.obis}: {shown}"
    rejected.extend(Rejected(one.record, one.obis, reason) for one in group)
    return None


def _step(record: Record) -> Fraction:
    """What one count of the last digit is worth, in the base unit of the dimension."""
    assert record.number is not None
    assert record.unit is not None
    exponent = record.number.as_tuple().exponent
    assert isinstance(exponent, int)
    return Fraction(Decimal((0, (1,), exponent))) * UNITS[record.unit].factor


def _agree(fine: Record, coarse: Record, kind: RegisterKind | None) -> bool:
    """The coarser record shows the finer one, cut or rounded to its own last digit.

    At one resolution the values must be equal, and momentary ones never agree: six voltages without a phase
    are six voltages, even in the moment when they are equal.
    """
    difference = _base(fine) - _base(coarse)
    if _step(fine) == _step(coarse):
        return difference == 0 and kind is RegisterKind.COUNTER
    return abs(difference) < _step(coarse)


def _base(record: Record) -> Fraction:
    assert record.number is not None
    assert record.unit is not None
    return Fraction(record.number) * UNITS[record.unit].factor + UNITS[record.unit].offset
