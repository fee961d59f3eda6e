"""Documents of `/v1/closes`: closes and drafts, what they leave to people, and what is odd about them."""

from datetime import datetime
from typing import Any, Literal

from pydantic import BaseModel, Field

from api.v1.billing.reading_models import Methods
from api.v1.fields import Sparse
from api.v1.models import Amount, CodedQuality, MediumLabel, Plain, ServicePoint


class Messages(BaseModel):
    """Messages of a close by how far they are; `dead` are those that a person has to look at."""

    sent: int
    taken: int
    acknowledged: int
    dead: int


CloseState = Literal["drafting", "drafted", "approved", "delivered"]


class Close(Sparse):
    """Close by its period and run; a draft has the run that it will be.

    `summary` has the counts: `billed`, `new`, `corrected`, `qualities`, `exceptions` by reason and more; null
    while it is drafting, when `blocks_done` of `blocks` say how far that is. `pulled`: a billing system
    acknowledged all of it by cursor.
    """

    period: str
    run: int
    state: CloseState
    starts_at: datetime
    ends_at: datetime
    drafted_by: str
    drafted_at: datetime | None
    approved_by: str | None
    approved_at: datetime | None
    delivered_at: datetime | None
    summary: dict[str, Any] | None
    blocks_done: int
    blocks: int
    messages: Messages
    pulled: bool


class CloseList(BaseModel):
    """Closes, the latest period and run first; `next_cursor` null: this is the last page."""

    closes: list[Close]
    next_cursor: str | None


class CloseException(BaseModel):
    """Exception of a close: why a register has no billing reading; `detail` says what can be done.

    `standing`: what was issued for it before stands until then.
    """

    service_point: ServicePoint
    obis: str
    reason: str
    detail: str
    standing: bool


class CloseExceptionList(BaseModel):
    """Exceptions by service point and register; `next_cursor` null: this is the last page."""

    exceptions: list[CloseException]
    counts: dict[str, int] = Field(description="Of all exceptions, by reason.")
    next_cursor: str | None


class QualityShare(BaseModel):
    """Share of billing readings that are alike in these respects, and their sums."""

    medium: MediumLabel
    unit: str
    quality: CodedQuality
    methods: Methods
    readings: int
    consumption: Amount
    true_up: Amount


class Distribution(BaseModel):
    """Distribution of what holds as of a close or draft, counted and summed."""

    shares: list[QualityShare]


class Outlier(BaseModel):
    """Register whose month is far from the last one, or from the same month a year before.

    Ratios are to these; null where there is none or it is nothing. `factor` is the greater distance of both,
    up or down, with one unit added to either side.
    """

    service_point: ServicePoint
    obis: str
    unit: str
    quality: CodedQuality
    consumption: Amount
    last_month: Amount | None
    last_year: Amount | None
    ratio_to_last_month: Plain | None
    ratio_to_last_year: Plain | None
    factor: Plain


class OutlierList(BaseModel):
    """Outliers, the furthest first; `next_cursor` null: this is the last page."""

    outliers: list[Outlier]
    next_cursor: str | None
