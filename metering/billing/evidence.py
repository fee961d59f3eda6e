"""Evidence of a billed figure: what anybody can check it with.

These structs are what a close writes, hashes (`canonical_hash.py`), stores as JSON and reads back. Values are
decimals in the register's unit, instants UTC. A field with a default is not in the JSON where it has that.
"""

from collections.abc import Iterator
from datetime import datetime
from decimal import Decimal
from typing import Any

import msgspec

from metering.billing.method import Method


class _Evidence(msgspec.Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    """JSON object of which every field is named here."""


class RegisterEvent(_Evidence, frozen=True):
    """First reading after the register's count was interrupted; `rule` is the mark's."""

    at: datetime
    rule: str

    @property
    def is_rollover(self) -> bool:
        """Whether the count goes on across the register's top; else nothing can be said across the event."""
        return self.rule == "rollover"


class ReadingEvidence(_Evidence, frozen=True):
    """Reading that a boundary value rests on."""

    at: datetime
    value: Decimal
    status: int
    status_labels: tuple[str, ...]


class MeasuredValue(_Evidence, frozen=True):
    """Last measured value before an estimate, as the next estimate and the settlement need it."""

    instant: datetime
    value: Decimal


class EstimateBasis(_Evidence, frozen=True):
    """Figures that an estimate was computed from: an average of periods, or norms of a month."""

    since: datetime = msgspec.field(name="from")
    measured: MeasuredValue
    periods: tuple[str, ...] | None = None
    consumption: Decimal | None = None  # of these periods together
    hours: str | None = None  # that they lasted, as a fraction
    norms: tuple[str, ...] | None = None
    monthly: Decimal | None = None  # what the norms come to


class BoundaryEvidence(_Evidence, frozen=True):
    """Value at one end, how it was found, and why each better method was not taken.

    `reason` instead of all the rest where there was none.
    """

    instant: datetime
    passed_over: tuple[str, ...]
    value: Decimal | None = None
    method: Method | None = None
    settled_at: datetime | None = None
    readings: tuple[ReadingEvidence, ...] | None = None
    basis: EstimateBasis | None = None
    reason: str | None = None


class CarriedEvidence(_Evidence, frozen=True):
    """Start that is what `period` was billed to, although `found_now` would be its value today."""

    period: str = msgspec.field(name="from")
    found_now: BoundaryEvidence


class FindingEvidence(_Evidence, frozen=True):
    """Finding that nobody had resolved at the close."""

    kind: str
    since: datetime


class SettlementEvidence(_Evidence, frozen=True):
    """Settlement of estimates by what was used since then; `true_up`: a line beside the consumption."""

    since: datetime
    measured: Decimal
    used_since: Decimal
    estimated_since: Decimal
    true_up: Decimal


class InstallationEvidence(_Evidence, frozen=True):
    """One meter's part of the period.

    `consumption` = (end - start + rollovers * capacity) * multiplier. `marks`: how many of its readings in
    the period have which mark. `events` and `consumption` are there where both ends have a value.
    """

    installation: int
    meter: str
    register: int
    multiplier: str
    capacity: Decimal | None
    start: BoundaryEvidence
    end: BoundaryEvidence
    marks: dict[str, int]
    findings: tuple[FindingEvidence, ...]
    events: tuple[RegisterEvent, ...] | None = None
    consumption: Decimal | None = None
    carried: CarriedEvidence | None = None
    settled: SettlementEvidence | None = None

    @property
    def rollovers(self) -> int:
        """How often the register began again at zero."""
        return sum(event.is_rollover for event in self.events or ())

    @property
    def readings(self) -> Iterator[ReadingEvidence]:
        """All readings that the part rests on."""
        yield from self.start.readings or ()
        yield from self.end.readings or ()

    @property
    def instants(self) -> list[datetime]:
        """Both ends, and when the readings behind them were taken."""
        return [self.start.instant, self.end.instant, *(reading.at for reading in self.readings)]


class Evidence(_Evidence, frozen=True):
    """All that a billing reading, or an exception, rests on, in order of time; `rules` None: those built in.

    Of an exception without any meter: when the last one was removed and the next installed. `unread`: meters
    of which nothing ever came.
    """

    installations: tuple[InstallationEvidence, ...]
    rules: str | None = None
    removed_at: datetime | None = None
    installed_at: datetime | None = None
    unread: tuple[str, ...] | None = None

    @property
    def behind(self) -> list[tuple[str, datetime]]:
        """(meter id, instant) of every reading that the figure rests on."""
        return [(part.meter, reading.at) for part in self.installations for reading in part.readings]


def evidence_from(stored: Any) -> Evidence:
    """Evidence as it was stored, or none at all of what nobody wrote so: its hash will be another."""
    try:
        return msgspec.convert(stored, Evidence)
    except msgspec.ValidationError:
        return Evidence(())
