"""One meter: a chart of register and consumption, its health, telegrams, places, edits and bills."""

from datetime import timedelta
from http import HTTPStatus

from fastapi.responses import Response
from pydantic import AwareDatetime

from api.identity.authentication import requires
from api.pages.frame.visit import PageVisit, Visit
from api.pages.meters.choice import Asked, AskedFor, choose, find_meter, shown_of, view_of
from api.pages.meters.edit_drafts import EditDraft, chosen_reading
from api.pages.meters.health import health_of
from api.pages.meters.spans import Span
from api.pages.meters.subject import RegisterView
from api.web.answering import page_routes
from metering.access import Scope
from store.billing.issued import IssuedReading
from store.fleet import meters as meter_queries
from store.fleet.meters import UnbilledRow
from store.readings import by_meter as reading_queries
from store.validation import finding_list as finding_queries
from store.validation.edits import edits_page

router = page_routes()

_FINDINGS_SHOWN = 50
_EDITS_SHOWN = 20
_BILLS_SHOWN = 13  # months
_BILLED_REGISTERS = 4


@router.get("/meters/{meter_id}", dependencies=[requires(Scope.READINGS_READ)])
def show_meter(visit: PageVisit, asked: AskedFor, at: AwareDatetime | None = None) -> Response:
    """The chart and the rest; `at` is the instant of a reading that somebody wants to change."""
    return meter_page(visit, asked, EditDraft(at=at))


def meter_page(visit: Visit, asked: Asked, draft: EditDraft) -> Response:
    """The page with what somebody is about to change, and what was wrong with it."""
    store, utility, now = visit.store, visit.utility, visit.now
    meter = find_meter(visit, asked.meter_id)
    registers = meter_queries.registers(store, meter.id)
    chosen = choose(registers, asked.register)
    about = view_of(visit, meter, chosen) if chosen else None
    shown = shown_of(visit, asked, chosen)
    last_day = (shown.end - timedelta(microseconds=1)).astimezone(utility.zone).date()
    telegrams = []
    if visit.caller.may(Scope.TELEGRAMS_READ):
        telegrams = reading_queries.telegrams(store, utility.id, meter.id, limit=1)
    return visit.page(
        "meters/meter.html",
        status=HTTPStatus.UNPROCESSABLE_ENTITY if draft.fault else HTTPStatus.OK,
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
        health=health_of(visit, meter),
        findings=finding_queries.findings_page(
            store, utility.id, finding_queries.FindingFilter(meter_id=meter.id), limit=_FINDINGS_SHOWN
        ),
        installations=meter_queries.installations(store, utility.id, meter.id),
        exchanges=meter_queries.exchanges(store, utility.id, meter.id),
        verifications=meter_queries.verifications(store, meter.id),
        telegrams=telegrams,
        decoded=visit.services.decode(telegrams[0].raw, meter.model) if telegrams else None,
        months=_months(about) if about else [],
        draft=draft,
        reading=chosen_reading(about, draft.at) if about else None,
        edits=edits_page(store, utility.id, meter=meter.code, limit=_EDITS_SHOWN),
        actor=visit.caller.actor,
    )


def _months(about: RegisterView) -> list[tuple[str, IssuedReading | None, UnbilledRow | None]]:
    """Last closed months of the register, the latest first: its billing reading, or why there is none."""
    bills = {bill.period: bill for bill in about.bills(_BILLS_SHOWN * _BILLED_REGISTERS)}
    unbilled = {one.period: one for one in about.unbilled(_BILLS_SHOWN)}
    periods = sorted(bills.keys() | unbilled.keys(), reverse=True)[:_BILLS_SHOWN]
    return [(period, bills.get(period), unbilled.get(period)) for period in periods]
