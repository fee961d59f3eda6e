"""Plausibility of a reading that somebody hands in, and what they are told when it cannot be true.

People read a dial: they leave out a digit, read the decimals as a whole number, take the neighbour's meter.
Each gives a value that does not fit between what was read before and what the register's own rate allows.
"""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import numpy as np

from metering.billing.canonical_hash import decimal
from metering.readings.rate import IMPOSSIBLE, LEARNED_FROM, learn
from telemetry.micro import MICRO

LEAST_HISTORY = timedelta(days=7)  # from which a rate is learned
TIMES_THE_RATE = 5
ALLOWANCE = 5 * MICRO  # units on top, so that a household that used next to nothing may come home
LONGEST_ROLLOVER = 0.1  # of the register's capacity, before and after the top, that may lie around one

_TICK = timedelta(microseconds=1)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class BilledRegister:
    """Billed register of the meter that is installed at a service point. `capacity` in micro-units."""

    id: int
    meter: str
    obis: str
    unit: str
    capacity: int | None


@dataclass(frozen=True, slots=True)
class KnownReading:
    """Stored reading that nothing forbids to use. Value in micro-units."""

    at: datetime
    value: int


@dataclass(frozen=True, slots=True)
class ReadingHistory:
    """Readings of a register up to an instant, in the order of time, and the first after it.

    `weekly`: the last of each week of a year; `latest`: all, as many as the judge needs to learn from.
    """

    weekly: tuple[KnownReading, ...]
    latest: tuple[KnownReading, ...]
    after: KnownReading | None


@dataclass(frozen=True, slots=True)
class SubmissionRefusal:
    """Reason why a reading is not taken: `name` for programs, `detail` for the person, with what to do."""

    name: str
    detail: str


def refusal(
    value: int, read_at: datetime, register: BilledRegister, known: ReadingHistory, *, confirmed: bool = False
) -> SubmissionRefusal | None:
    """Reason why a value (micro-units) cannot be true; None where it can.

    `confirmed`: an inspector has seen that a high value is right.
    """
    last = known.latest[-1] if known.latest else None
    after = known.after
    unit = register.unit
    if register.capacity is not None and value >= register.capacity:
        digits = len(str(register.capacity // MICRO)) - 1
        return SubmissionRefusal(
            "wrong-digits",
            f"{decimal(value)} has more digits than {register.meter} shows: {digits} before the decimal "
            "point. Read it again, and leave out the digits that are set off as decimals.",
        )
    if after is not None and value > after.value and not _rolled_over(after.value, value, register.capacity):
        return SubmissionRefusal(
            "reading-too-high",
            f"{decimal(value)} {unit} is more than {decimal(after.value)} {unit}, read later, on "
            f"{after.at:%Y-%m-%d}. Check the day and the value.",
        )
    if last is not None:
        used = value - last.value
        if used < 0 and not _rolled_over(value, last.value, register.capacity):
            return SubmissionRefusal(
                "reading-too-low",
                f"{decimal(value)} {unit} is less than {decimal(last.value)} {unit}, read on "
                f"{last.at:%Y-%m-%d}. Check that it is meter {register.meter}, and read it again.",
            )
        if used < 0:
            used += register.capacity or 0
        limit = _limit(known, read_at)
        if limit is not None and used > limit and not confirmed:
            return SubmissionRefusal(
                "reading-too-high",
                f"{decimal(value)} {unit} would be {decimal(used)} since {last.at:%Y-%m-%d}; by the rate of "
                f"this register no more than {decimal(limit)} is plausible. Check the decimal point and read "
                "it again; if it is right, let an inspector confirm it.",
            )
    return None


def _limit(known: ReadingHistory, read_at: datetime) -> int | None:
    """Micro-units that may have been used since the last reading; None: too little is known.

    A person's reading is held against the register's use week by week; and no more is taken than the judge of
    all readings (`anomaly`) can believe, or what is accepted would not count.
    """
    limits = []
    if known.weekly[-1].at - known.weekly[0].at >= LEAST_HISTORY:
        limits.append(TIMES_THE_RATE * (_usual(known.weekly, read_at, least=1) or 0) + ALLOWANCE)
    usual = _usual(known.latest, read_at)
    if usual is not None:
        limits.append(IMPOSSIBLE * usual)
    return min(limits, default=None)


def _usual(before: tuple[KnownReading, ...], read_at: datetime, least: int = LEARNED_FROM) -> int | None:
    times = np.array([(reading.at - _EPOCH) // _TICK for reading in before], dtype=np.int64)
    values = np.array([reading.value for reading in before], dtype=np.int64)
    return learn(times, values, least=least).at(-1).usual((read_at - before[-1].at) // _TICK)


def _rolled_over(value: int, before: int, capacity: int | None) -> bool:
    """Whether the register went past its top: it was near it, and now is near its beginning."""
    if capacity is None:
        return False
    reach = int(capacity * LONGEST_ROLLOVER)
    return before >= capacity - reach and value < reach
