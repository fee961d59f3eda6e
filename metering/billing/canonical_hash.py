"""The canonical content of a billing reading, and the hash that shows whether a row is what was issued.

The hash is SHA-256 over JSON: keys sorted, no white space, UTF-8; values as decimals in the register's unit,
instants as ISO 8601 in UTC. The version is no part of it: the same content is not issued twice.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from psycopg import Connection

from telemetry.micro import from_micro


def decimal(micro: int) -> str:
    """A value for people and JSON: '56.108'."""
    return f"{from_micro(micro):f}"


def instant(at: datetime) -> str:
    """'2016-03-01T00:00:00Z'."""
    return at.astimezone(UTC).isoformat().replace("+00:00", "Z")


def offset(of: timedelta) -> str:
    """Local minus UTC: '+05:30'; seconds of a local mean time are dropped, since ISO 8601 has none."""
    minutes = round(of / timedelta(minutes=1))
    hours, rest = divmod(abs(minutes), 60)
    return f"{'-' if minutes < 0 else '+'}{hours:02d}:{rest:02d}"


def local(at: datetime, of: timedelta) -> str:
    """An instant with the local offset of that time: '2026-10-01T00:00:00+02:00'."""
    return f"{(at + timedelta(minutes=round(of / timedelta(minutes=1)))):%Y-%m-%dT%H:%M:%S}{offset(of)}"


@dataclass(frozen=True, slots=True)
class Content:
    """What a billing reading says. Values in micro-units; `evidence` is plain JSON without floats."""

    utility: str
    service_point: str
    obis: str
    period: str
    starts_at: datetime
    ends_at: datetime
    start_value: int
    end_value: int
    consumption: int
    unit: str
    quality: int
    start_method: str
    end_method: str
    evidence: Mapping[str, Any]
    true_up: int | None = None

    def canonical(self) -> str:
        """The text that is hashed."""
        content: dict[str, Any] = {
            "utility": self.utility,
            "service_point": self.service_point,
            "obis": self.obis,
            "period": self.period,
            "starts_at": instant(self.starts_at),
            "ends_at": instant(self.ends_at),
            "start_value": decimal(self.start_value),
            "end_value": decimal(self.end_value),
            "consumption": decimal(self.consumption),
            "unit": self.unit,
            "quality": self.quality,
            "start_method": self.start_method,
            "end_method": self.end_method,
            "evidence": self.evidence,
        }
        if self.true_up is not None:  # without one the text is that of releases that knew none
            content["true_up"] = decimal(self.true_up)
        return json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)

    def digest(self) -> bytes:
        """SHA-256 of the canonical text."""
        return hashlib.sha256(self.canonical().encode()).digest()


@dataclass(frozen=True, slots=True)
class Issued:
    """A stored version of a billing reading, with the hash that it was issued with."""

    id: int
    version: int
    content: Content
    content_hash: bytes

    @property
    def intact(self) -> bool:
        """Whether the row still says what it said when it was issued."""
        return self.content.digest() == self.content_hash


@dataclass(frozen=True, slots=True)
class Verification:
    """How many versions were checked, and those whose hash is another, in order of id."""

    checked: int
    altered: tuple[Issued, ...]


_ISSUED = """
    select b.id, b.version, b.content_hash, u.code, p.code, b.obis, b.period, b.starts_at, b.ends_at,
           b.start_value, b.end_value, b.consumption, b.unit, b.quality, b.start_method, b.end_method,
           b.evidence, b.true_up
    from billing_readings b
    join utilities u on u.id = b.utility_id
    join service_points p on p.id = b.service_point_id
"""


def issued_content(connection: Connection[Any], utility_id: int, reading_id: int) -> Issued | None:
    """The utility's billing reading with this id."""
    row = connection.execute(_ISSUED + " where b.utility_id = %s and b.id = %s", (utility_id, reading_id))
    found = row.fetchone()
    return None if found is None else _issued(found)


def verify(connection: Connection[Any], utility_id: int, period: str) -> Verification:
    """Hash every version that was issued for a period anew."""
    rows = connection.execute(
        _ISSUED + " where b.utility_id = %s and b.period = %s order by b.id", (utility_id, period)
    )
    checked, altered = 0, []
    for row in rows:
        issued = _issued(row)
        checked += 1
        if not issued.intact:
            altered.append(issued)
    return Verification(checked, tuple(altered))


def _issued(row: tuple[Any, ...]) -> Issued:
    return Issued(row[0], row[1], Content(*row[3:]), row[2])
