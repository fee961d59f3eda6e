"""Whether a reading that somebody hands in can be true, and what they are told when it can't. Pure.

People read a dial: they leave out a digit, read the decimals as a whole number, take the neighbour's meter.
Each gives a value that does not fit between what was read before and what the register's own pace allows.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

from metering.billing.canonical_hash import decimal
from store.submissions.submissions import KnownReading, RegisterRow
from telemetry.micro import MICRO

HISTORY = timedelta(days=365)  # what a pace is learnt from ...
LEAST_HISTORY = timedelta(days=7)  # ... if it covers this much
TIMES_THE_PACE = 5
ALLOWANCE = 5 * MICRO  # units on top, so that a household that used next to nothing may come home
LONGEST_ROLLOVER = 0.1  # of the register's capacity, before and after the top, that may lie around one


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a reading is not taken: `name` for programs, `detail` for the person, with what to do."""

    name: str
    detail: str


def refusal(
    value: int,
    read_at: datetime,
    register: RegisterRow,
    known: tuple[KnownReading | None, KnownReading | None, KnownReading | None],
    *,
    confirmed: bool,
) -> Refusal | None:
    """Why a value (micro-units) cannot be true; None where it can.

    `known` are the first reading within HISTORY, the last before and the first after. `confirmed`: an
    inspector has seen that a high value is right.
    """
    first, last, after = known
    unit = register.unit
    if register.capacity is not None and value >= register.capacity:
        digits = len(str(register.capacity // MICRO)) - 1
        return Refusal(
            "wrong-digits",
            f"{decimal(value)} has more digits than {register.meter} shows: {digits} before the decimal "
            "point. Read it again, and leave out the digits that are set off as decimals.",
        )
    if last is not None:
        used = value - last.value
        if used < 0 and not _rolled_over(value, last.value, register.capacity):
            return Refusal(
                "reading-too-low",
                f"{decimal(value)} {unit} is less than {decimal(last.value)} {unit}, read on "
                f"{last.at:%Y-%m-%d}. Check that it is meter {register.meter}, and read it again.",
            )
        if used < 0:
            used += register.capacity or 0
        limit = _limit(first, last, read_at)
        if limit is not None and used > limit and not confirmed:
            return Refusal(
                "reading-too-high",
                f"{decimal(value)} {unit} would be {decimal(used)} since {last.at:%Y-%m-%d}; by the pace of "
                f"this register no more than {decimal(limit)} is plausible. Check the decimal point and read "
                "it again; if it is right, let an inspector confirm it.",
            )
    if after is not None and value > after.value and not _rolled_over(after.value, value, register.capacity):
        return Refusal(
            "reading-too-high",
            f"{decimal(value)} {unit} is more than {decimal(after.value)} {unit}, read later, on "
            f"{after.at:%Y-%m-%d}. Check the day and the value.",
        )
    return None


def _limit(first: KnownReading | None, last: KnownReading, read_at: datetime) -> int | None:
    """What may have been used since the last reading, by the register's pace; None: too little is known."""
    if first is None or last.at - first.at < LEAST_HISTORY or last.value < first.value:
        return None
    span = last.at - first.at
    expected = (last.value - first.value) * ((read_at - last.at) // _MINUTE) // (span // _MINUTE)
    return TIMES_THE_PACE * expected + ALLOWANCE


_MINUTE = timedelta(minutes=1)


def _rolled_over(value: int, before: int, capacity: int | None) -> bool:
    """Whether the register went past its top: it was near it, and now is near its beginning."""
    if capacity is None:
        return False
    reach = int(capacity * LONGEST_ROLLOVER)
    return before >= capacity - reach and value < reach
