"""Documents of the evidence of a billing reading, with the way to the telegrams behind it.

They are made of `metering/billing/evidence.py` by attribute. Values are decimals in the register's unit,
instants UTC.
"""

from collections.abc import Collection
from datetime import UTC, datetime
from typing import Annotated, Any, TypeVar
from urllib.parse import quote

import msgspec
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from metering.billing.evidence import Evidence

_Item = TypeVar("_Item")
_Several = Annotated[list[_Item], BeforeValidator(lambda items: items or [])]
_Plain = BeforeValidator(msgspec.to_builtins)


class _Document(BaseModel):
    model_config = ConfigDict(from_attributes=True, coerce_numbers_to_str=True)


class BoundaryReading(_Document):
    """Reading that a boundary value rests on; `telegram` null: imported, or no longer kept."""

    at: datetime
    value: str
    status: int
    status_labels: list[str]
    telegram: str | None = None


class BoundaryDocument(_Document):
    """Value at one end, how it was found, and why each better method was not taken.

    `reason` instead of `value` and `method` where there was none.
    """

    instant: datetime
    value: str | None = None
    method: str | None = None
    reason: str | None = None
    settled_at: datetime | None = None
    readings: _Several[BoundaryReading] = []
    passed_over: list[str] = []
    basis: Annotated[dict[str, Any] | None, _Plain] = Field(
        None, description="What an estimate was computed from."
    )


class CarriedDocument(_Document):
    """Start that is the end of what was billed for `from`, although `found_now` would be its value today."""

    period: str = Field(serialization_alias="from")
    found_now: BoundaryDocument


class EventDocument(_Document):
    """Reading after which the register's count was another, such as a rollover."""

    rule: str
    at: datetime


class OpenFindingDocument(_Document):
    """Finding that nobody had resolved at the close."""

    kind: str
    since: datetime


class InstallationPartDocument(_Document):
    """One meter's part of the period.

    `consumption` = (end - start + rollovers * capacity) * multiplier. `marks`: how many of its readings in
    the period have which mark.
    """

    installation: int
    meter: str
    register_id: int = Field(alias="register")
    multiplier: str
    capacity: str | None
    start: BoundaryDocument
    end: BoundaryDocument
    consumption: str
    marks: dict[str, int] = {}
    events: _Several[EventDocument] = []
    findings: list[OpenFindingDocument] = []
    carried: CarriedDocument | None = None
    settled: Annotated[dict[str, str] | None, _Plain] = Field(
        None, description="How the estimates before were settled; `true_up` is a line beside the consumption."
    )


class EvidenceDocument(_Document):
    """Evidence of a billing reading, in order of time; `rules` null: those built in."""

    installations: list[InstallationPartDocument]
    rules: str | None = None


def evidence_document(evidence: Evidence, kept: Collection[tuple[str, datetime]]) -> EvidenceDocument:
    """The evidence as `/v1` gives it; `kept`: meter and instant of the telegrams that are there."""
    document = EvidenceDocument.model_validate(evidence)
    for part in document.installations:
        for reading in (*part.start.readings, *part.end.readings):
            if (part.meter, reading.at) in kept:
                reading.telegram = telegram_path(part.meter, reading.at)
    return document


def telegram_path(meter: str, at: datetime) -> str:
    """Where `/v1` has the telegram of a meter's readings at an instant."""
    written = at.astimezone(UTC).isoformat().replace("+00:00", "Z")
    return f"/v1/telegrams/{quote(meter, safe='')}/{quote(written, safe=':')}"
