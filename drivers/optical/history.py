"""History that a meter kept, read in programming mode: its load profile, counters at the ends of months.

Months are read either by billing period, `1.8.0*05` and its instant `0.1.2*05`, counted down from the period
counter 0.1.0; or by month, as Energomera's `ENMPE(04.22)`: the counter at the end of April 2022.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo

from drivers.errors import DecodeError, MeterError
from drivers.optical.codec.dataset import DataSet
from drivers.optical.codec.instants import stamp
from drivers.optical.codec.loadprofile import LoadProfileRow, decode_load_profile
from drivers.optical.codec.registers import registers
from drivers.optical.session import OpticalAnswer, OpticalSession
from telemetry.readout import Quantity

_PERIOD_COUNTER, _PERIOD_END = "0.1.0", "0.1.2"
_PERIODS = 100  # value group F has two digits here
_SPAN = timedelta(days=1)  # asked for at once: a lost answer costs a day, and none is longer than meters bear
_STAMP = timedelta(minutes=1)  # what the stamps of a request tell apart


@dataclass(frozen=True, slots=True)
class ClosedMonth:
    """Values kept at the `end` of a month or billing period; `raw` is what the meter answered."""

    end: datetime
    values: dict[str, Quantity]
    raw: bytes


def read_load_profile(
    session: OpticalSession, zone: tzinfo, since: datetime, until: datetime
) -> list[LoadProfileRow]:
    """The periods that end from `since` to `until`, oldest first, asked for by day. Raises DriverError."""
    profile = session.profile
    rows: dict[datetime, LoadProfileRow] = {}
    begin = since
    while begin <= until:
        end = min(begin + _SPAN, until)
        span = f"{stamp(begin, zone)};{stamp(end, zone)}"
        answer = session.ask(profile.load_profile_command, profile.load_profile, span)
        try:
            rows |= {row.at: row for row in decode_load_profile(answer.sets, zone)}
        except DecodeError as error:
            raise DecodeError(f"{session.wire.name}: {error}", offset=error.offset) from None
        begin = end + _STAMP
    return [rows[at] for at in sorted(rows) if since <= at <= until]


def kept_months(session: OpticalSession, zone: tzinfo, now: datetime, count: int) -> list[ClosedMonth]:
    """The last `count` months that the meter has, oldest first. Raises DriverError."""
    month = session.profile.month
    found = _by_month(session, month.name, zone, now, count) if month else _by_period(session, zone, count)
    return sorted(found, key=lambda month: month.end)


def _by_month(
    session: OpticalSession, name: str, zone: tzinfo, now: datetime, count: int
) -> Iterator[ClosedMonth]:
    local = now.astimezone(zone)
    end = datetime(local.year, local.month, 1, tzinfo=zone)
    for _ in range(count):
        year, month = (end.year, end.month - 1) if end.month > 1 else (end.year - 1, 12)
        answer = _kept(session, name, f"{month:02}.{year % 100:02}")
        if answer is None:
            return  # it keeps no more
        present = registers(session.profile.translate_month(answer.sets), zone).present
        if present:
            yield ClosedMonth(end.astimezone(UTC), present, answer.raw)
        end = datetime(year, month, 1, tzinfo=zone)


def _by_period(session: OpticalSession, zone: tzinfo, count: int) -> Iterator[ClosedMonth]:
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
            yield ClosedMonth(end, values, b"".join(answer.raw for answer in answers))


def _numbers(session: OpticalSession, count: int) -> Iterable[int]:
    """The latest periods' numbers, latest first; 1, 2, 3... where the meter does not count them."""
    answer = _kept(session, _PERIOD_COUNTER)
    text = answer.sets[0].values[0].text.strip() if answer and answer.sets else ""
    if not text.isdecimal():
        return range(1, count + 1)
    return [(int(text) - back) % _PERIODS for back in range(count)]


def _kept(session: OpticalSession, address: str, argument: str = "") -> OpticalAnswer | None:
    """The answer, None for a register that the meter has not."""
    try:
        return session.ask("R1", address, argument)
    except MeterError:
        if not session.is_open:
            raise  # the meter broke off
        return None
