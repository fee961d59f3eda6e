"""Canonical content of a billing reading, and the hash that shows whether a row is what was issued.

The hash is SHA-256 over JSON: keys sorted, no white space, UTF-8; values as decimals in the register's unit,
instants as ISO 8601 in UTC. The version is no part of it: the same content is not issued twice.
"""

import hashlib
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import lru_cache

import msgspec

from metering.billing.evidence import Evidence
from telemetry.micro import from_micro

_encode = msgspec.json.Encoder(order="sorted").encode


def canonical(content: object) -> str:
    """JSON text of which there is one only."""
    return _encode(content).decode()


def decimal(micro: int) -> str:
    """Value for people and JSON: '56.108'."""
    return f"{from_micro(micro):f}"


@lru_cache(4096)  # a month has few beginnings and ends, and many meters
def instant(at: datetime) -> str:
    """Instant in UTC: '2016-03-01T00:00:00Z'."""
    return at.astimezone(UTC).isoformat().replace("+00:00", "Z")


@lru_cache(256)
def offset(of: timedelta) -> str:
    """Local minus UTC: '+05:30'; seconds of a local mean time are dropped, since ISO 8601 has none."""
    minutes = round(of / timedelta(minutes=1))
    hours, rest = divmod(abs(minutes), 60)
    return f"{'-' if minutes < 0 else '+'}{hours:02d}:{rest:02d}"


def local(at: datetime, of: timedelta) -> str:
    """Instant with the local offset of that time: '2026-10-01T00:00:00+02:00'."""
    return f"{(at + timedelta(minutes=round(of / timedelta(minutes=1)))):%Y-%m-%dT%H:%M:%S}{offset(of)}"


class CanonicalContent(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """JSON that is hashed. Without a true-up its text is that of releases that knew none."""

    utility: str
    service_point: str
    obis: str
    period: str
    starts_at: datetime
    ends_at: datetime
    start_value: Decimal
    end_value: Decimal
    consumption: Decimal
    true_up: Decimal | None = None
    unit: str
    quality: int
    start_method: str
    end_method: str
    evidence: Evidence


@dataclass(frozen=True, slots=True, kw_only=True)
class BilledFigure:
    """Consumption of one register of a service point in a period, in micro-units of `unit`.

    `true_up`: a line beside the consumption, what earlier estimates fell short by (negative: a credit).
    """

    service_point: str
    obis: str
    unit: str
    period: str
    starts_at: datetime
    ends_at: datetime
    start_value: int
    end_value: int
    consumption: int
    quality: int
    start_method: str
    end_method: str
    true_up: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class BillingContent(BilledFigure):
    """Figure with all that is hashed with it."""

    utility: str
    evidence: Evidence

    def canonical(self) -> str:
        """Text that is hashed."""
        content = CanonicalContent(
            utility=self.utility,
            service_point=self.service_point,
            obis=self.obis,
            period=self.period,
            starts_at=self.starts_at.astimezone(UTC),
            ends_at=self.ends_at.astimezone(UTC),
            start_value=from_micro(self.start_value),
            end_value=from_micro(self.end_value),
            consumption=from_micro(self.consumption),
            true_up=None if self.true_up is None else from_micro(self.true_up),
            unit=self.unit,
            quality=self.quality,
            start_method=self.start_method,
            end_method=self.end_method,
            evidence=self.evidence,
        )
        return canonical(content)

    def digest(self) -> bytes:
        """SHA-256 of the canonical text."""
        return hashlib.sha256(self.canonical().encode()).digest()


@dataclass(frozen=True, slots=True, kw_only=True)
class BillingDraft(BillingContent):
    """Billing reading to come: its content, what it is for, and the version that it will be."""

    service_point_id: int
    version: int = 1

    @property
    def key(self) -> tuple[int, str]:
        """Service point and register."""
        return self.service_point_id, self.obis


@dataclass(frozen=True, slots=True)
class BillingException:
    """Reason why a register has no billing reading, and what can be done."""

    service_point_id: int
    obis: str
    reason: str
    detail: str
    evidence: Evidence

    @property
    def key(self) -> tuple[int, str]:
        """Service point and register."""
        return self.service_point_id, self.obis


@dataclass(frozen=True, slots=True, kw_only=True)
class IssuedContent(BillingContent):
    """Content of a stored version of a billing reading, with the hash that it was issued with."""

    id: int
    version: int
    content_hash: bytes

    @property
    def intact(self) -> bool:
        """Whether the row still says what it said when it was issued."""
        return self.digest() == self.content_hash
