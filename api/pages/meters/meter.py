"""One meter: a chart of register and consumption, its health, telegrams, places, edits and bills."""

from dataclasses import dataclass
from datetime import timedelta
from http import HTTPStatus

import psycopg
from fastapi import APIRouter, Request
from fastapi.responses import Response
from pydantic import AwareDatetime

from api.identity.authentication import PageVisitor, Store, requires
from api.identity.callers import Visitor
from api.pages.frame.rendering import page
from api.pages.meters.choice import Asked, AskedFor, choose, find_meter, shown_of
from api.pages.meters.edit_drafts import EditDraft, chosen_reading
from api.pages.meters.health import health_of
from api.pages.meters.spans import Span
from api.pages.meters.subject import RegisterView
from api.web.services import services
from api.words.language import language_of
from metering.access import Scope
from store.billing import issued as billing_queries
from store.fleet import meters as meter_queries
from store.readings import by_meter as reading_queries
from store.validation import finding_list as finding_queries
from store.validation.edits import edits_page

router = APIRouter(include_in_schema=False)

_FINDINGS_SHOWN = 50
_EDITS_SHOWN = 20
_TELEGRAMS_SHOWN = 8
_BILLS_SHOWN = 13  # months
_BILLED_REGISTERS = 4


@router.get("/meters/{meter_id}", dependencies=[requires(Scope.READINGS_READ)])
def show_meter(
    *,
    request: Request,
    visitor: PageVisitor,
    store: Store,
    asked: AskedFor,
    at: AwareDatetime | None = None,
) -> Response:
    """The chart and the rest; `at` is the instant of a reading that somebody wants to change."""
    return meter_page(request, visitor, store, asked, EditDraft(at=at))


def meter_page(
    request: Request, visitor: Visitor, store: psycopg.Connection, asked: Asked, draft: EditDraft
) -> Response:
    """The page with what somebody is about to change, and what was wrong with it."""
    shared, may = services(request), visitor.caller.may
    utility, now, language = visitor.caller.utility, shared.clock(), language_of(request)
    meter = find_meter(store, utility.id, asked.meter_id)
    registers = meter_queries.registers(store, meter.id)
    chosen = choose(registers, asked.register)
    shown = shown_of(store, asked, register=chosen, now=now, zone=utility.zone)
    last_day = (shown.end - timedelta(microseconds=1)).astimezone(utility.zone).date()
    telegrams = (
        reading_queries.telegrams(store, utility.id, meter.id, limit=_TELEGRAMS_SHOWN)
        if may(Scope.TELEGRAMS_READ)
        else []
    )
    answer = page(
        request,
        visitor,
        "meters/meter.html",
        meter=meter,
        registers=registers,
        chosen=chosen,
        asked=asked,
        spans=list(Span),
        shown=shown,
        buckets=shown.span.buckets(chosen) if chosen else [],
        last_day=last_day,
        earlier=last_day - timedelta(days=shown.span.days),
        later=last_day + timedelta(days=shown.span.days) if shown.end < now else None,
        today=now.astimezone(utility.zone).date(),
        health=health_of(store, utility, meter, now, language),
        findings=finding_queries.findings_page(
            store, utility.id, finding_queries.FindingFilter(meter_id=meter.id), limit=_FINDINGS_SHOWN
        ),
        installations=meter_queries.installations(store, utility.id, meter.id),
        exchanges=meter_queries.exchanges(store, utility.id, meter.id),
        verifications=meter_queries.verifications(store, meter.id),
        telegrams=telegrams,
        decoded=shared.decode(telegrams[0].raw, meter.model) if telegrams else None,
        months=_months(store, utility.id, meter.id, chosen),
        draft=draft,
        reading=chosen_reading(RegisterView(store, utility, meter, chosen, now, language), draft.at)
        if chosen
        else None,
        edits=edits_page(store, utility.id, meter=meter.code, limit=_EDITS_SHOWN),
        actor=visitor.caller.actor,
    )
    if draft.faults:
        answer.status_code = HTTPStatus.UNPROCESSABLE_ENTITY
    return answer


@dataclass(frozen=True, slots=True)
class MonthLine:
    """A month of a register: its billing reading, or why there is none."""

    period: str
    bill: billing_queries.IssuedReading | None
    unbilled: meter_queries.UnbilledRow | None


def _months(
    store: psycopg.Connection, utility_id: int, meter_id: int, register: meter_queries.RegisterRow | None
) -> list[MonthLine]:
    """Last closed months of the register, the latest first."""
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
