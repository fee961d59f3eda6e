"""Faults that are planted into registers of the virtual building: what a register shows instead."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Protocol

import numpy as np

from hesper.demo.consumption import Micro

_SECOND = 1_000_000
_HOUR = 3600 * _SECOND


class Source(Protocol):
    """What a register shows."""

    def at(self, instants: Micro) -> Micro:
        """Micro-units (int64, same shape) at instants (int64 microseconds since 1970)."""
        ...


@dataclass(frozen=True, slots=True)
class Stuck:
    """The wheel turns no more from `since` on."""

    source: Source
    since: int

    def at(self, instants: Micro) -> Micro:
        return self.source.at(np.minimum(instants, self.since))


@dataclass(frozen=True, slots=True)
class Glitch:
    """One hour in which the meter says 0."""

    source: Source
    hour: int

    def at(self, instants: Micro) -> Micro:
        wrong = (instants >= self.hour) & (instants < self.hour + _HOUR)
        return np.where(wrong, 0, self.source.at(instants))


@dataclass(frozen=True, slots=True)
class Reset:
    """The register begins again at 0 at an instant."""

    source: Source
    instant: int

    def at(self, instants: Micro) -> Micro:
        before = self.source.at(np.array([self.instant], dtype=np.int64))[0]
        return self.source.at(instants) - np.where(instants >= self.instant, before, 0)


@dataclass(frozen=True, slots=True)
class Leak:
    """Something runs day and night from `since` on, `per_hour` micro-units an hour."""

    since: int
    per_hour: int

    def used(self, instants: Micro) -> Micro:
        """Micro-units that ran until instants (int64 microseconds since 1970)."""
        return np.maximum(instants - self.since, 0) // _SECOND * self.per_hour // 3600


@dataclass(frozen=True, slots=True)
class Leaking:
    """A register that counts a leak beside what is used on purpose."""

    source: Source
    leak: Leak
    resolution: int

    def at(self, instants: Micro) -> Micro:
        return self.source.at(instants) + self.leak.used(instants) // self.resolution * self.resolution


@dataclass(frozen=True, slots=True)
class Rollover:
    """The register has no more digits and goes on at 0."""

    source: Source
    capacity: int

    def at(self, instants: Micro) -> Micro:
        return self.source.at(instants) % self.capacity


@dataclass(frozen=True, slots=True)
class Fault:
    """What was planted, for the demo's own page of truth."""

    meter: str
    kind: str
    since: datetime


def microseconds(instant: datetime) -> int:
    """Microseconds since 1970 of an aware instant, exact."""
    return (instant - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)
