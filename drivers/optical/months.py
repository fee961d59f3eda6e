"""Counters that a meter kept at the ends of months and billing periods, read in programming mode.

Either by billing period, `1.8.0*05` and its instant `0.1.2*05`, counted down from the period counter 0.1.0;
or by month, as Energomera's `ENMPE(04.22)`: the counter at the end of April 2022.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo

from drivers.errors import MeterError
from drivers.optical.dataset import DataSet
from drivers.optical.registers import registers
from drivers.optical.session import Answer, Session
from telemetry.readout import Quantity

_PERIOD_COUNTER, _PERIOD_END = "0.1.0", "0.1.2"
_PERIODS = 100  # value group F has two digits here


@dataclass(frozen=True, slots=True)
class Month:
    """What was kept at the `end` of a month or billing period; `raw` is what the meter answered."""

    end: datetime
    values: dict[str, Quantity]
    raw: bytes


def kept_months(session: Session, zone: tzinfo, now: datetime, count: int) -> list[Month]:
    """The last `count` months that the meter has, oldest first. Raises DriverError."""
    by_month = session.profile.month_register
    found = _by_month(session, zone, now, count) if by_month else _by_period(session, zone, count)
    return sorted(found, key=lambda month: month.end)


def _by_month(session: Session, zone: tzinfo, now: datetime, count: int) -> Iterator[Month]:
    local = now.astimezone(zone)
    end = datetime(local.year, local.month, 1, tzinfo=zone)
    for _ in range(count):
        year, month = (end.year, end.month - 1) if end.month > 1 else (end.year - 1, 12)
        answer = _kept(session, session.profile.month_register, f"{month:02}.{year % 100:02}")
        if answer is None:
            return  # it keeps no more
        present = registers(session.profile.translate(answer.sets), zone).present
        if present:
            yield Month(end.astimezone(UTC), present, answer.raw)
        end = datetime(year, month, 1, tzinfo=zone)


def _by_period(session: Session, zone: tzinfo, count: int) -> Iterator[Month]:
    units: list[DataSet] = []  # of the present values: stored ones often come without
    names: list[str] = []
    for name in session.profile.months:
        if answer := _kept(session, name):
            units += answer.sets
            names.append(name)
    for period in _numbers(session, min(count, _PERIODS)):
        answers = [
            answer for name in (_PERIOD_END, *names) if (answer := _kept(session, f"{name}*{period:02}"))
        ]
        if not answers:
            return  # it keeps no more
        sets = [one for answer in answers for one in answer.sets]
        for end, values in registers([*units, *sets], zone).historical.items():
            yield Month(end, values, b"".join(answer.raw for answer in answers))


def _numbers(session: Session, count: int) -> Iterable[int]:
    """The latest periods' numbers, latest first; 1, 2, 3... where the meter does not count them."""
    answer = _kept(session, _PERIOD_COUNTER)
    text = answer.sets[0].values[0].text.strip() if answer and answer.sets else ""
    if not text.isdecimal():
        return range(1, count + 1)
    return [(int(text) - back) % _PERIODS for back in range(count)]


def _kept(session: Session, address: str, argument: str = "") -> Answer | None:
    """The answer, None for a register that the meter has not."""
    try:
        return session.ask("R1", address, argument)
    except MeterError:
        if not session.is_open:
            raise  # the meter broke off
        return None
