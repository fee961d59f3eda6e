"""The evidence of a billing reading as its close stored it, with the way to the telegrams behind it.

Values are decimals in the register's unit, instants UTC. `metering/billing/evidence.py` writes it.
"""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

from pydantic import BaseModel, Field


class BoundaryReading(BaseModel):
    """A reading that a boundary value rests on; `telegram` null: imported, or no longer kept."""

    at: datetime
    value: str
    status: int
    status_labels: list[str]
    telegram: str | None = None


class BoundaryEvidence(BaseModel):
    """The value at one end, how it was found, and why each better method was not taken.

    `reason` instead of `value` and `method` where there was none.
    """

    instant: datetime
    value: str | None = None
    method: str | None = None
    reason: str | None = None
    settled_at: datetime | None = None
    readings: list[BoundaryReading] = []
    passed_over: list[str] = []
    basis: dict[str, Any] | None = Field(None, description="What an estimate was computed from.")


class CarriedEvidence(BaseModel):
    """The start is the end of what was billed for `from`, although `found_now` would be its value today."""

    period: str = Field(alias="from")
    found_now: BoundaryEvidence


class EventEvidence(BaseModel):
    """A reading after which the register's count was another, such as a rollover."""

    rule: str
    at: datetime


class FindingEvidence(BaseModel):
    """A finding that nobody had resolved at the close."""

    kind: str
    since: datetime


class InstallationEvidence(BaseModel):
    """One meter's part of the period.

    `consumption` = (end - start + rollovers * capacity) * multiplier. `marks`: how many of its readings in
    the period have which mark.
    """

    installation: int
    meter: str
    register_id: int = Field(alias="register")
    multiplier: str
    capacity: str | None
    start: BoundaryEvidence
    end: BoundaryEvidence
    consumption: str
    marks: dict[str, int] = {}
    events: list[EventEvidence] = []
    findings: list[FindingEvidence] = []
    carried: CarriedEvidence | None = None
    settled: dict[str, str] | None = Field(
        None, description="How the estimates before were settled; `true_up` is a line beside the consumption."
    )

    @property
    def rollovers(self) -> int:
        """How often the register began again at zero."""
        return sum(event.rule == "rollover" for event in self.events)

    @property
    def readings(self) -> Iterator[BoundaryReading]:
        """All readings that the part rests on."""
        yield from self.start.readings
        yield from self.end.readings


class Evidence(BaseModel):
    """What a billing reading rests on, in order of time; `rules` null: those built in."""

    installations: list[InstallationEvidence]
    rules: str | None = None

    @property
    def behind(self) -> list[tuple[str, datetime]]:
        """(meter id, instant) of every reading that the figure rests on."""
        return [(part.meter, reading.at) for part in self.installations for reading in part.readings]


def telegram_path(meter: str, at: datetime) -> str:
    """Where `/v1` has the telegram of a meter's readings at an instant."""
    written = at.astimezone(UTC).isoformat().replace("+00:00", "Z")
    return f"/v1/telegrams/{quote(meter, safe='')}/{quote(written, safe=':')}"
