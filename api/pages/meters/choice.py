"""Choice of meter, register and time for a page or a chart."""

from dataclasses import dataclass
from datetime import date, datetime
from typing import Annotated
from urllib.parse import urlencode

from fastapi import Depends, Path, Query

from api.pages.frame.visit import Visit
from api.pages.meters.spans import Span, SpanCode, bounds, span_of
from api.pages.meters.subject import RegisterView
from api.web.answering import in_place
from api.web.problems import not_found
from api.words.presentation import N_
from store.fleet import meters as meter_queries
from store.fleet.meters import MeterRow, RegisterRow
from store.readings import by_meter as reading_queries
from store.readings.by_meter import Bucket

MeterId = Annotated[str, Path(max_length=40)]
RegisterCode = Annotated[str | None, Query(max_length=20)]
LastDay = Annotated[date | None, Query(ge=date(1970, 1, 2), le=date(2100, 1, 1))]


@dataclass(frozen=True, slots=True)
class Asked:
    """Query of a page or a chart of a meter, as its address says it.

    Of `register` (default: the leading one), `range` up to the end of local day `to`, added up `by` hour ...
    """

    meter_id: MeterId
    register: RegisterCode = None
    span: SpanCode = Span.MONTH.code
    by: Bucket | None = None
    to: LastDay = None

    def query(self, **other: str | date | None) -> str:
        """The address's query with some of it changed; None takes a part out."""
        parts: dict[str, object] = {
            "register": self.register,
            "range": self.span,
            "by": self.by,
            "to": self.to,
        }
        return urlencode({name: str(value) for name, value in (parts | other).items() if value is not None})


AskedFor = Annotated[Asked, Depends(in_place(Asked))]


@dataclass(frozen=True, slots=True)
class ShownSpan:
    """A span of time in buckets: from `start` (excluded) to `end`."""

    span: Span
    bucket: Bucket
    start: datetime
    end: datetime


def find_meter(visit: Visit, meter_id: str) -> MeterRow:
    """The utility's meter. Raises Problem."""
    meter = meter_queries.meter(visit.store, visit.utility.id, meter_id)
    if meter is None:
        raise not_found(N_("This meter"), N_("The overview lists the meters of your utility."))
    return meter


def choose(registers: list[RegisterRow], obis: str | None) -> RegisterRow | None:
    """The register of that name, else the leading one, else None. Raises Problem."""
    if obis is None:
        return registers[0] if registers else None
    for register in registers:
        if register.obis == obis:
            return register
    raise not_found(N_("This register"), N_("The meter's page lists its registers."))


def subject(visit: Visit, meter_id: str, obis: str | None) -> RegisterView:
    """The meter and its register, which has to have one. Raises Problem."""
    meter = find_meter(visit, meter_id)
    register = choose(meter_queries.registers(visit.store, meter.id), obis)
    if register is None:
        raise not_found(N_("A register of this meter"), N_("Its first readings bring its registers."))
    return view_of(visit, meter, register)


def view_of(visit: Visit, meter: MeterRow, register: RegisterRow) -> RegisterView:
    return RegisterView(visit.store, visit.utility, meter, register, visit.now, visit.language)


def shown_of(visit: Visit, asked: Asked, register: RegisterRow | None) -> ShownSpan:
    """Span and bucket that were asked for, as far as they fit."""
    chosen = span_of(asked.span)
    bucket = chosen.bucket_for(register, asked.by) if register else chosen.bucket
    first = None
    if register and chosen is Span.LIFE:
        first = reading_queries.first_reading_at(visit.store, register.id)
    zone = visit.utility.zone
    start, end = bounds(chosen, asked.to, register, visit.now, zone=zone, bucket=bucket, first=first)
    return ShownSpan(chosen, bucket, start, end)
