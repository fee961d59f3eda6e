"""Documents of `/v1/billing` and `/v1/billing-readings`, made of rows by attribute."""

from datetime import datetime
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from api.v1.billing.evidence import EvidenceDocument
from api.v1.models import (
    Amount,
    CodedQuality,
    DecimalText,
    Instant,
    QualityCode,
    ServicePoint,
    written,
)

Hash = Annotated[str, written(bytes.hex)]


def point_of(row: Any) -> ServicePoint:
    """Service point of a row."""
    return ServicePoint(code=row.service_point, name=row.service_point_name, account=row.account or None)


class Methods(BaseModel):
    """Methods by which the values at both ends of the period were found."""

    start: str
    end: str


class BillingReading(BaseModel):
    """Version of a billing reading; a higher one of the same point and register replaces it."""

    cursor: int
    service_point: ServicePoint
    meters: list[str]
    obis: str
    unit: str
    period: str
    version: int
    starts_at: Instant
    ends_at: Instant
    start_value: str
    end_value: str
    consumption: str
    true_up: str | None = Field(
        None,
        description="Beside the consumption: what earlier estimates fell short by; negative: a credit.",
    )
    quality: QualityCode
    methods: Methods
    content_hash: str
    created_at: datetime
    details: str = Field(description="Where its evidence is.", examples=["/v1/billing-readings/4711"])


class CloseRun(BaseModel):
    """Run of a close: who closed the period, and when; `run` counts the closes that changed something."""

    run: int
    author: str
    closed_at: datetime


class BillingVersion(BaseModel):
    """Version among those of a billing reading; the highest holds."""

    version: int
    consumption: Amount
    quality: CodedQuality
    content_hash: Hash
    created_at: datetime
    close: CloseRun
    details: str


class BillingReadingDetail(BillingReading):
    """Billing reading with all that it rests on.

    `content` is the text that `content_hash` is the SHA-256 of (in UTF-8); `intact`: the row still says it.
    """

    close: CloseRun
    evidence: EvidenceDocument
    versions: list[BillingVersion]
    content: str
    intact: bool


class BillingPage(BaseModel):
    """In order of cursor; pull on from `next_cursor` until `complete`, and later for corrections."""

    period: str
    readings: list[BillingReading]
    next_cursor: int
    complete: bool


class BillingVersions(BaseModel):
    """In order of cursor; `next_cursor` null: this is the last page."""

    readings: list[BillingReading]
    next_cursor: int | None


class AcknowledgementRequest(BaseModel):
    """Acknowledgement to be stored: what a billing system has of a period, having taken all up to `cursor`.

    Of each service point and register it counts and sums the highest version only.
    """

    model_config = ConfigDict(extra="forbid")

    cursor: int = Field(ge=0, le=2**63 - 1)
    count: int = Field(ge=0, le=2**31 - 1)
    totals: dict[Annotated[str, StringConstraints(max_length=64)], DecimalText] = Field(max_length=1000)


class Acknowledgement(BaseModel):
    """Acknowledgement as it was stored."""

    period: str
    cursor: int
    count: int
    totals: dict[str, str]
    acknowledged_at: datetime


def methods_of(row: Any) -> Methods:
    """Methods of a row."""
    return Methods(start=row.start_method, end=row.end_method)
