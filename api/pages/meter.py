"""One meter: its registers, a chart of register and consumption with findings marked, places, and bills."""

from datetime import date, datetime, timedelta
from enum import Enum
from typing import Annotated, Any
from zoneinfo import ZoneInfo

from fastapi import APIRouter, Path, Query, Request
from fastapi.responses import Response

from api.authentication import PageVisitor, Store
from api.models import decimal_text, register_name
from api.pages.rendering import page
from api.presentation import in_words, unit_sign
from api.problems import not_found
from api.services import services
from store.queries import billing as billing_queries
from store.queries import findings as finding_queries
from store.queries import meters as meter_queries
from store.queries import readings as reading_queries
from store.queries.consumption import step
from store.queries.readings import Bucket

router = APIRouter(include_in_schema=False)

_FINDINGS_SHOWN = 50
_MARKED_FINDINGS = 200
_BILLS_SHOWN = 24


class Span(Enum):
    """What a chart shows: (name in the URL, words, days, bucket)."""

    TWO_DAYS = ("2d", "2 days", 2, Bucket.READING)
    WEEK = ("7d", "7 days", 7, Bucket.HOUR)
    MONTH = ("30d", "30 days", 30, Bucket.DAY)
    YEAR = ("13m", "13 months", 396, Bucket.DAY)

    def __init__(self, code: str, label: str, days: int, bucket: Bucket) -> None:
        self.code = code
        self.label = label
        self.days = days
        self.bucket = bucket


MeterId = Annotated[str, Path(max_length=40)]
SpanCode = Annotated[str, Query(alias="range", pattern="^(2d|7d|30d|13m)$")]
Register = Annotated[str | None, Query(max_length=20)]


@router.get("/meters/{meter_id}")
def show_meter(
    *,
    request: Request,
    visitor: PageVisitor,
    store: Store,
    meter_id: MeterId,
    register: Register = None,
    span: SpanCode = Span.MONTH.code,
    to: date | None = None,
) -> Response:
    """The chart is of `register` (default: the leading one), over `range` up to the end of local day `to`."""
    utility, now = visitor.caller.utility, services(request).clock()
    meter = _find(store, utility.id, meter_id)
    registers = meter_queries.registers(store, meter.id)
    chosen = _choose(registers, register)
    shown = _span(span)
    start, end = _bounds(shown, to, chosen, now, utility.zone)
    last_day = (end - timedelta(microseconds=1)).astimezone(utility.zone).date()
    return page(
        request,
        visitor,
        "meter.html",
        meter=meter,
        registers=registers,
        chosen=chosen,
        spans=list(Span),
        span=shown,
        start=start,
        end=end,
        last_day=last_day,
        earlier=last_day - timedelta(days=shown.days),
        later=last_day + timedelta(days=shown.days) if end < now else None,
        last_at=reading_queries.last_reading_at(store, meter.id),
        findings=finding_queries.findings_page(store, utility.id, meter_id=meter.id, limit=_FINDINGS_SHOWN),
        installations=meter_queries.installations(store, utility.id, meter.id),
        telegram=reading_queries.telegram(store, utility.id, meter.id, None),
        bills=billing_queries.billing_history(store, utility.id, meter.id, _BILLS_SHOWN),
    )


@router.get("/meters/{meter_id}/chart")
def chart(
    *,
    request: Request,
    visitor: PageVisitor,
    store: Store,
    meter_id: MeterId,
    register: Register = None,
    span: SpanCode = Span.MONTH.code,
    to: date | None = None,
) -> dict[str, Any]:
    """What `static/chart.js` draws. Instants in seconds since 1970, figures as exact decimal strings.

    `consumption` of a point is counted since `since`, null where the register dropped.
    """
    utility, now = visitor.caller.utility, services(request).clock()
    meter = _find(store, utility.id, meter_id)
    chosen = _choose(meter_queries.registers(store, meter.id), register)
    if chosen is None:
        raise not_found("A register of this meter", "Its first readings bring its registers.")
    shown = _span(span)
    start, end = _bounds(shown, to, chosen, now, utility.zone)
    lookback = timedelta(days=2)  # finds what the first bucket is counted from
    series = reading_queries.series(
        store,
        chosen.id,
        start=start - lookback,
        end=end,
        bucket=shown.bucket,
        time_zone=utility.time_zone,
    )
    found = finding_queries.findings_of_register(store, chosen.id, start, end, _MARKED_FINDINGS)
    return {
        "register": {
            "obis": chosen.obis,
            "name": register_name(chosen.obis),
            "unit": unit_sign(chosen.unit),
            "counter": chosen.kind == "counter",
        },
        "zone": utility.time_zone,
        "bucket": shown.bucket.value,
        "from": start.timestamp(),
        "to": end.timestamp(),
        "points": _points(series, start, chosen.capacity if chosen.kind == "counter" else None),
        "findings": [
            {
                "id": finding.id,
                "title": in_words(finding.kind),
                "severity": finding.severity,
                "from": finding.started_at.timestamp(),
                "to": finding.ended_at.timestamp() if finding.ended_at else None,
            }
            for finding in found
        ],
    }


def _points(
    series: list[tuple[datetime, datetime, int]], start: datetime, capacity: int | None
) -> dict[str, list[Any]]:
    points: dict[str, list[Any]] = {name: [] for name in ("bucket", "at", "value", "consumption", "since")}
    earlier: tuple[datetime, int] | None = None
    for bucket, at, value in series:
        if at > start:
            counted = step(earlier[1], value, capacity) if earlier else None
            points["bucket"].append(bucket.timestamp())
            points["at"].append(at.timestamp())
            points["value"].append(decimal_text(value))
            points["consumption"].append(None if counted is None else decimal_text(counted))
            points["since"].append(earlier[0].timestamp() if earlier else None)
        earlier = (at, value)
    return points


def _find(store: Store, utility_id: int, meter_id: str) -> meter_queries.MeterRow:
    meter = meter_queries.meter(store, utility_id, meter_id)
    if meter is None:
        raise not_found("This meter", "The overview lists the meters of your utility.")
    return meter


def _choose(registers: list[meter_queries.RegisterRow], obis: str | None) -> meter_queries.RegisterRow | None:
    if obis is None:
        return registers[0] if registers else None
    for register in registers:
        if register.obis == obis:
            return register
    raise not_found("This register", "The meter's page lists its registers.")


def _span(code: str) -> Span:
    return next(span for span in Span if span.code == code)


def _bounds(
    span: Span,
    to: date | None,
    register: meter_queries.RegisterRow | None,
    now: datetime,
    zone: ZoneInfo,
) -> tuple[datetime, datetime]:
    """(start, end): up to the end of `to`, else to now, else to where the readings ended before this span."""
    days = timedelta(days=span.days)
    end = now
    if to is not None:
        following = datetime(to.year, to.month, to.day) + timedelta(days=1)  # noqa: DTZ001 - local wall time
        end = min(now, following.replace(tzinfo=zone))
    elif register is not None and register.measured_at is not None and register.measured_at < now - days:
        end = register.measured_at
    wall = end.astimezone(zone).replace(tzinfo=None) - days
    if span.bucket is Bucket.DAY:
        wall = wall.replace(hour=0, minute=0, second=0, microsecond=0)
    return wall.replace(tzinfo=zone), end
