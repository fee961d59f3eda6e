"""One meter: its registers, a chart of register and consumption with findings marked, places, and bills."""

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Annotated, Any

from fastapi import APIRouter, Path, Query, Request
from fastapi.responses import Response

from api.authentication import PageVisitor, Store, requires
from api.explanations import finding_title
from api.language import language_of
from api.models import decimal_text
from api.pages.rendering import page
from api.pages.spans import Span, SpanCode, bounds, gap_after, span_of
from api.problems import not_found
from api.services import services
from api.vocabulary import register_name
from store.access import Scope
from store.queries import billing as billing_queries
from store.queries import findings as finding_queries
from store.queries import meters as meter_queries
from store.queries import readings as reading_queries
from store.queries.consumption import step

router = APIRouter(include_in_schema=False)

_FINDINGS_SHOWN = 50
_MARKED_FINDINGS = 200
_BILLS_SHOWN = 13  # months
_BILLED_REGISTERS = 4


MeterId = Annotated[str, Path(max_length=40)]
Register = Annotated[str | None, Query(max_length=20)]


@router.get("/meters/{meter_id}", dependencies=[requires(Scope.READINGS_READ)])
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
    shown = span_of(span)
    start, end = bounds(shown, to, chosen, now, utility.zone)
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
        findings=finding_queries.findings_page(
            store, utility.id, finding_queries.FindingFilter(meter_id=meter.id), limit=_FINDINGS_SHOWN
        ),
        installations=meter_queries.installations(store, utility.id, meter.id),
        exchanges=meter_queries.exchanges(store, utility.id, meter.id),
        telegram=reading_queries.telegram(store, utility.id, meter.id, None)
        if visitor.caller.may(Scope.TELEGRAMS_READ)
        else None,
        months=_months(store, utility.id, meter.id, chosen),
    )


@router.get("/meters/{meter_id}/chart", dependencies=[requires(Scope.READINGS_READ)])
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

    `consumption` of a point is counted since `since`, null where the register dropped; `gap`: readings are
    missing in between.
    """
    utility, now, language = visitor.caller.utility, services(request).clock(), language_of(request)
    meter = _find(store, utility.id, meter_id)
    chosen = _choose(meter_queries.registers(store, meter.id), register)
    if chosen is None:
        raise not_found("A register of this meter", "Its first readings bring its registers.")
    shown = span_of(span)
    bucket = shown.bucket_for(chosen)
    start, end = bounds(shown, to, chosen, now, utility.zone)
    lookback = timedelta(days=2)  # finds what the first bucket is counted from
    series = reading_queries.series(
        store,
        chosen.id,
        start=start - lookback,
        end=end,
        bucket=bucket,
        time_zone=utility.time_zone,
    )
    found = finding_queries.findings_of_register(store, chosen.id, start, end, _MARKED_FINDINGS)
    return {
        "register": {
            "obis": chosen.obis,
            "name": register_name(chosen.obis, language),
            "unit": language.unit(chosen.unit),
            "counter": chosen.kind == "counter",
        },
        "zone": utility.time_zone,
        "bucket": bucket.value,
        "from": start.timestamp(),
        "to": end.timestamp(),
        "points": _points(series, start, chosen, gap_after(bucket, chosen.expected_interval)),
        "findings": [
            {
                "id": finding.id,
                "title": finding_title(finding.kind, language),
                "severity": finding.severity,
                "from": finding.started_at.timestamp(),
                "to": finding.ended_at.timestamp() if finding.ended_at else None,
            }
            for finding in found
        ],
    }


def _points(
    series: list[tuple[datetime, datetime, int]],
    start: datetime,
    register: meter_queries.RegisterRow,
    gap: timedelta,
) -> dict[str, list[Any]]:
    points: dict[str, list[Any]] = {
        name: [] for name in ("bucket", "at", "value", "consumption", "since", "gap")
    }
    capacity = register.capacity if register.kind == "counter" else None
    earlier: tuple[datetime, int] | None = None
    for bucket, at, value in series:
        if at > start:
            counted = step(earlier[1], value, capacity) if earlier else None
            points["bucket"].append(bucket.timestamp())
            points["at"].append(at.timestamp())
            points["value"].append(decimal_text(value))
            points["consumption"].append(None if counted is None else decimal_text(counted))
            points["since"].append(earlier[0].timestamp() if earlier else None)
            points["gap"].append(earlier is not None and at - earlier[0] > gap)
        earlier = (at, value)
    return points


@dataclass(frozen=True, slots=True)
class MonthLine:
    """A month of a register: its billing reading, or why there is none."""

    period: str
    bill: billing_queries.BillingRow | None
    unbilled: meter_queries.UnbilledRow | None


def _months(
    store: Store, utility_id: int, meter_id: int, register: meter_queries.RegisterRow | None
) -> list[MonthLine]:
    """What became of the register's last closed months, the latest first."""
    if register is None:
        return []
    history = billing_queries.billing_history(store, utility_id, meter_id, _BILLS_SHOWN * _BILLED_REGISTERS)
    bills = {bill.period: bill for bill in history if bill.obis == register.obis}
    unbilled = {
        one.period: one
        for one in meter_queries.unbilled_months(store, utility_id, meter_id, register.obis, _BILLS_SHOWN)
    }
    periods = sorted(bills.keys() | unbilled.keys(), reverse=True)[:_BILLS_SHOWN]
    return [MonthLine(period, bills.get(period), unbilled.get(period)) for period in periods]


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
