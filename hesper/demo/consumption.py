"""What households use, hour by hour: plausible, seeded, and the same every time it is asked.

Each day of each meter is drawn from its own random stream (seed, meter, day), so a demo that is started again
weeks later continues the series that it began, without keeping anything.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Protocol, TypeAlias

import numpy as np
import numpy.typing as npt

from telemetry.micro import MICRO

Micro: TypeAlias = npt.NDArray[np.int64]
Hours: TypeAlias = npt.NDArray[np.float64]  # 24 hourly amounts, in the register's unit
Use: TypeAlias = Callable[[np.random.Generator, int], Hours]  # (the day's own randomness, days since 1970)

_HOUR = 3_600_000_000  # microseconds
_DAY = 24 * _HOUR

# Share of a day's use by hour (UTC is close enough to local for a demo), each normalised to 1.
_WATER = np.array([1, 0, 0, 0, 0, 3, 12, 14, 9, 5, 4, 4, 6, 5, 4, 4, 5, 8, 11, 12, 9, 7, 5, 3], float)
_POWER = np.array([3, 2, 2, 2, 2, 3, 5, 6, 5, 4, 4, 5, 6, 5, 4, 4, 5, 8, 10, 11, 10, 8, 6, 4], float)
_HEAT = np.array([3, 3, 3, 3, 4, 6, 7, 6, 5, 4, 4, 4, 4, 4, 4, 4, 5, 5, 5, 5, 5, 4, 4, 3], float)


@dataclass(frozen=True, slots=True)
class Household:
    """Who lives in a flat: `persons`, and `habit`, a factor around 1 on everything that they use."""

    persons: int
    habit: float


def household(seed: int, flat: int) -> Household:
    """The people of a flat."""
    random = np.random.default_rng([seed, 1, flat])
    return Household(int(random.integers(1, 5)), float(random.lognormal(0.0, 0.2)))


def season(day: int) -> float:
    """1 on the coldest day (late January), 0 from the end of May to late September, when nobody heats.

    `day` counts from 1970-01-01.
    """
    return max(0.0, float(np.cos(2 * np.pi * ((day - 25) % 365.25) / 365.25) * 0.65 + 0.35))


def _draws(random: np.random.Generator, profile: Hours, litres: float) -> Hours:
    """Tap openings of some litres each, mostly none in a given hour: cubic metres by hour."""
    mean_draw = 12.0
    counts = random.poisson(profile / profile.sum() * litres / mean_draw)
    return np.asarray(random.gamma(np.maximum(counts, 1e-9) * 2.0, mean_draw / 2.0) / 1000.0)


def cold_water(home: Household) -> Use:
    """Cubic metres an hour: about 75 litres a person and day."""
    return lambda random, _day: _draws(random, _WATER, 75.0 * home.persons * home.habit)


def hot_water(home: Household) -> Use:
    """Cubic metres an hour: about 35 litres a person and day."""
    return lambda random, _day: _draws(random, _WATER, 35.0 * home.persons * home.habit)


def electricity(home: Household) -> Use:
    """Kilowatt-hours an hour: a base load and about 1.8 kWh a person and day."""

    def day_of(random: np.random.Generator, day: int) -> Hours:
        weekend = 1.15 if (day + 3) % 7 >= 5 else 1.0  # 1970-01-01 was a Thursday
        use = _POWER / _POWER.sum() * 1.8 * home.persons * home.habit * weekend
        return np.asarray(use * random.lognormal(0.0, 0.4, 24) + 0.06)

    return day_of


def heating(home: Household) -> Use:
    """Kilowatt-hours an hour: up to 35 kWh on the coldest days, none in summer."""

    def day_of(random: np.random.Generator, day: int) -> Hours:
        weather = float(random.lognormal(0.0, 0.15))
        return np.asarray(_HEAT / _HEAT.sum() * 35.0 * home.habit * weather * season(day))

    return day_of


def steady(per_hour: float) -> Use:
    """The same every hour, nearly: stairs, lifts, losses of a pipe; in the register's unit."""
    return lambda random, _day: np.asarray(per_hour * random.lognormal(0.0, 0.05, 24))


class SimulatedCounter:
    """A counter's value over time: a start value and what was used since `origin`.

    `resolution` is the register's last digit, in micro-units: a meter shows no more than it has.
    """

    def __init__(
        self, key: tuple[int, ...], origin: datetime, use: Use, *, start: int = 0, resolution: int = 1000
    ) -> None:
        self._key = key
        self._origin_day = _days(origin)
        self._use = use
        self._start = start
        self._resolution = resolution
        self._totals = np.zeros(1, dtype=np.int64)  # micro-units used up to the end of each hour since origin

    def at(self, instants: Micro) -> Micro:
        """Micro-units (int64, same shape) at instants (int64 microseconds since 1970, not before origin)."""
        return (self._start + self.used(instants)) // self._resolution * self._resolution

    def start_at(self, start: int) -> None:
        """Set what the counter showed at its origin, in micro-units."""
        self._start = start

    def used(self, instants: Micro) -> Micro:
        """Micro-units used since the origin, unrounded; linear within an hour."""
        since = instants - self._origin_day * _DAY
        hours = since // _HOUR
        if hours.size:
            self._reach(int(hours.max()) + 2)
        here, there = self._totals[hours], self._totals[hours + 1]
        fraction = (since - hours * _HOUR) / _HOUR
        return np.asarray(here + ((there - here) * fraction).astype(np.int64))

    def _reach(self, hours: int) -> None:
        days = (len(self._totals) - 1) // 24
        missing = range(days, -(-hours // 24))
        if not missing:
            return
        amounts = np.concatenate([self._hours_of(self._origin_day + day) for day in missing])
        micro = np.rint(amounts * MICRO).astype(np.int64)
        self._totals = np.concatenate([self._totals, self._totals[-1] + np.cumsum(micro)])

    def _hours_of(self, day: int) -> Hours:
        return self._use(np.random.default_rng([*self._key, day]), day)


class Part(Protocol):
    """Something that uses."""

    def used(self, instants: Micro) -> Micro:
        """Micro-units used (int64, same shape) until instants (int64 microseconds since 1970)."""
        ...


class Sum:
    """A house meter: what several series use together, times a factor for losses."""

    def __init__(self, parts: Sequence[Part], *, factor: float, start: int, resolution: int) -> None:
        self._parts = parts
        self._factor = factor
        self._start = start
        self._resolution = resolution

    def at(self, instants: Micro) -> Micro:
        """Micro-units (int64, same shape) at instants (int64 microseconds since 1970)."""
        used = np.sum([part.used(instants) for part in self._parts], axis=0)
        total = self._start + (used * self._factor).astype(np.int64)
        return np.asarray(total // self._resolution * self._resolution)


@lru_cache(maxsize=8)
def _days(instant: datetime) -> int:
    return (instant.astimezone(UTC) - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(days=1)
