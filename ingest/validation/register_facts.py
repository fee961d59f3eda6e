"""What a register cannot say: how much its fuse lets through, who pays, and how its meter's clock goes.

A fuse lets through its rating at the highest voltage of EN 50160, 230 V + 10 %, times 1.45, the current that
a circuit breaker by IEC 60898-1 interrupts within an hour. Behind transformers, the register counts its part
of that.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from fractions import Fraction
from typing import TypeVar
from zoneinfo import ZoneInfo

import numpy as np
import numpy.typing as npt
from psycopg import Connection

from anomaly.input.block import UNKNOWN
from anomaly.input.series import DAY
from store.postgres.arrays import microseconds
from store.registry.register_facts import (
    Clock,
    Contract,
    Current,
    Fuse,
    Placement,
    clocks_of,
    contracts_of,
    currents_of,
    fuses_of,
    places_of,
)
from telemetry.obis import Medium, Obis
from telemetry.status import Status
from telemetry.units import UnitError, ratio

Span = tuple[int, int | None]  # microseconds since 1970; None: it goes on
Lasting = tuple[tuple[Placement, ...], tuple[Fuse, ...], tuple[Contract, ...], Current | None]
_Row = TypeVar("_Row", Placement, Fuse, Contract, Clock)

_VOLTS, _HOLDS_PERCENT = 253, 145
_ACTIVE_ENERGY = ((1, 8), (2, 8))  # OBIS C and D: in and out, of all phases together
_EPOCH = date(1970, 1, 1)
_NOT_READ_THEN = Status.HISTORICAL | Status.MANUAL | Status.IMPORTED


@dataclass(frozen=True)
class Circumstances:
    """Of the registers that are judged together, by their ids; empty where nothing is known."""

    places: Mapping[int, Sequence[Placement]] = field(default_factory=dict)
    fuses: Mapping[int, Sequence[Fuse]] = field(default_factory=dict)  # by service point
    contracts: Mapping[int, Sequence[Contract]] = field(default_factory=dict)  # by service point
    currents: Mapping[int, Current] = field(default_factory=dict)
    known_clocks: Mapping[int, Sequence[Clock]] = field(default_factory=dict)

    @classmethod
    def of(cls, connection: Connection, register_ids: Sequence[int]) -> "Circumstances":
        """What is stored of these registers now."""
        places = places_of(connection, register_ids)
        points = sorted({place.service_point_id for place in places})
        return cls(
            _by(places, "register_id"),
            _by(fuses_of(connection, points), "service_point_id"),
            _by(contracts_of(connection, points), "service_point_id"),
            {current.register_id: current for current in currents_of(connection, register_ids)},
            _by(clocks_of(connection, register_ids), "register_id"),
        )

    def lasting(self, register_id: int) -> Lasting:
        """What holds for a register over time: all but its meter's clock. It is the same for the registers of
        a meter as far as a change matters to any of them."""
        places = tuple(self.places.get(register_id, ()))
        points = sorted({place.service_point_id for place in places})
        return (
            places,
            tuple(fuse for point in points for fuse in self.fuses.get(point, ())),
            tuple(contract for point in points for contract in self.contracts.get(point, ())),
            self.currents.get(register_id),
        )

    def changes(self, register_id: int, zone: ZoneInfo) -> list[date]:
        """The local days from which another fuse counts for a register, but for the one it began with."""
        return [day for day, _ in self._behind(register_id, zone)[1:]]

    def max_rate(self, register_id: int, obis: Obis, unit: str, day: date, zone: ZoneInfo) -> int | None:
        """Micro-units an hour that fuse and meter let through on a local day; None: nobody told, or the
        register counts something else."""
        if obis.medium is not Medium.ELECTRICITY or (obis.c, obis.d) not in _ACTIVE_ENERGY:
            return None
        try:
            per_kilowatt_hour = ratio("kW.h", unit)
        except UnitError:
            return None
        *_, by_fuse = (limit for since, limit in self._behind(register_id, zone) if since <= day)
        possible = [] if by_fuse is None else [by_fuse]
        if (current := self.currents.get(register_id)) is not None:
            possible.append(_energy(current.imax, current.phases))
        return round(min(possible) * per_kilowatt_hour) if possible else None

    def _behind(self, register_id: int, zone: ZoneInfo) -> list[tuple[date, Fraction | None]]:
        """From which local day on how many micro-kWh an hour can come to a register, None: not known.

        What held at its first place counts since ever, and what held last where it is nowhere: a meter that
        was installed some day is one case, not two.
        """
        places = self.places.get(register_id, ())
        days = {_day_of(place.valid_from, zone) for place in places}
        days |= {fuse.since for place in places for fuse in self.fuses.get(place.service_point_id, ())}
        found: list[tuple[date, Fraction | None]] = []
        for day in sorted(days):
            there = [
                place
                for place in places
                if _day_of(place.valid_from, zone) <= day
                and (place.valid_to is None or day < _day_of(place.valid_to, zone))
            ]
            if not there:
                continue
            limits = [
                _energy(fuse.amperes, fuse.phases) / Fraction(place.multiplier)
                for place in there
                if (fuse := self._fuse(place.service_point_id, day)) is not None
            ]
            limit = max(limits, default=None)  # of several points the widest
            if not found or found[-1][1] != limit:
                found.append((day if found else date.min, limit))
        return found or [(date.min, None)]

    def _fuse(self, point: int, day: date) -> Fuse | None:
        return next((fuse for fuse in reversed(self.fuses.get(point, ())) if fuse.since <= day), None)

    def paid_for(self, register_id: int) -> tuple[Span, ...] | None:
        """The spans in which what a register counts is not nobody's; None where that is not known.

        The contracts of its service point while it is installed there; and all the time that it is not, or at
        a point of whose contracts nothing is known.
        """
        places = [place for place in self.places.get(register_id, ()) if place.billed]
        if not any(place.service_point_id in self.contracts for place in places):
            return None
        spans: list[Span] = []
        away: int | None = UNKNOWN
        for begin, end, place in sorted((*_span(place), place.service_point_id) for place in places):
            if away is not None and begin > away:
                spans.append((away, begin))
            for contract in self.contracts.get(place, ()):
                first, last = _span(contract)
                first, last = max(first, begin), _earlier(last, end)
                if last is None or first < last:
                    spans.append((first, last))
            if place not in self.contracts:
                spans.append((begin, end))
            away = None if end is None or away is None else max(away, end)
        if away is not None:
            spans.append((away, None))
        return tuple(spans)

    def clocks(
        self, register_id: int, times: npt.NDArray[np.int64], status: npt.NDArray[np.int16]
    ) -> npt.NDArray[np.int64]:
        """What the meter's clock showed at each reading, microseconds since 1970: int64, shape as `times`.

        UNKNOWN on days on which it was not told, and for readings that were kept and not read then.
        """
        known = self.known_clocks.get(register_id)
        shown = np.full(len(times), UNKNOWN, dtype=np.int64)
        if not known or not len(times):
            return shown
        days = np.array([(clock.day - _EPOCH).days for clock in known], dtype=np.int64)
        ahead = np.array([clock.ahead for clock in known], dtype=np.int64) * 1_000_000
        day = times // DAY
        at = np.minimum(np.searchsorted(days, day), len(days) - 1)
        told = (days[at] == day) & ((status & int(_NOT_READ_THEN)) == 0)
        shown[told] = (times + ahead[at])[told]
        return shown


def _by(rows: Iterable[_Row], name: str) -> dict[int, list[_Row]]:
    found = defaultdict(list)
    for row in rows:
        found[int(getattr(row, name))].append(row)
    return dict(found)


def _energy(amperes: int, phases: int) -> Fraction:
    """Micro-kWh an hour at the most behind micro-A of so many phases."""
    return Fraction(amperes * phases * _VOLTS * _HOLDS_PERCENT, 100_000)


def _day_of(instant: datetime, zone: ZoneInfo) -> date:
    return instant.astimezone(zone).date()


def _span(row: Placement | Contract) -> Span:
    return microseconds(row.valid_from), None if row.valid_to is None else microseconds(row.valid_to)


def _earlier(one: int | None, other: int | None) -> int | None:
    return other if one is None else one if other is None else min(one, other)
