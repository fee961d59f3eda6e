"""The arrival heatmap of a site: its meters by local days, and the reason behind a cell."""

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Annotated

from fastapi import Path, Query
from fastapi.responses import Response

from api.identity.authentication import requires
from api.pages.fleet.meter_list import After, find_site
from api.pages.frame.visit import PageVisit, Visit
from api.web.answering import page_routes
from api.words.presentation import N_
from metering.access import Scope
from store.fleet import meters as meter_queries
from store.readings import arrival_days as queries

router = page_routes()

_DAYS = 31
_PAGE = 100
_MOSTLY = 0.98  # what utilities ask of their suppliers, every day (Ontario)

MISSED = {  # telemetry.wire.MissReason: what it means and what to try
    "no answer": N_("The meter did not answer. Is it wired, powered, and at this address?"),
    "garbled": N_("Bytes came, but no telegram. Check wiring, termination and the speed of the line."),
    "refused": N_("The meter answered that it cannot."),
    "not understood": N_("A telegram came that breaks its protocol's rules, or is another meter's."),
    "backing off": N_("Not asked: it had failed before, and is asked at growing distances."),
    "resting": N_("Not asked: its battery is not made for the next time so soon."),
    "line down": N_("The port or socket of the line could not be used."),
    "line busy": N_("The line was too slow for its schedule: read less often, or split the line."),
    "not running": N_("The gateway did not run at that time."),
    "not kept": N_("Read, but neither disk nor memory of the gateway had room for it."),
}


@dataclass(frozen=True, slots=True)
class MeterDay:
    """Day of a meter: what arrived, and why the rest did not."""

    meter: meter_queries.MeterRow
    cell: queries.DayCell
    begins: datetime
    ends: datetime
    missed: list[queries.MissedReason]


@router.get("/sites/{site}/arrival", dependencies=[requires(Scope.METERS_READ)])
def arrival(
    *,
    visit: PageVisit,
    site: Annotated[str, Path(max_length=100)],
    to: date | None = None,
    after: After = None,
    meter: Annotated[str | None, Query(max_length=40)] = None,
    day: date | None = None,
) -> Response:
    """31 days up to `to`; with `meter` and `day` also the reason of that cell."""
    found = find_site(visit, site)
    today = visit.today
    last = min(to or today, today)
    first = last - timedelta(days=_DAYS - 1)
    rows = queries.meter_days(
        *(visit.store, visit.utility.id, found.code, (first, last)),
        now=visit.now,
        limit=_PAGE + 1,
        after=after,
    )
    shown = rows[:_PAGE]
    return visit.page(
        "fleet/arrival.html",
        site=found,
        rows=shown,
        days=[first + timedelta(days=n) for n in range((last - first).days + 1)],
        first=first,
        last=last,
        earlier=first - timedelta(days=1),
        later=min(last + timedelta(days=_DAYS), today) if last < today else None,
        after=after,
        next_after=shown[-1].code if len(rows) > _PAGE else None,
        reason=_reason(visit, shown, meter, day) if meter and day else None,
        missed_in_words=MISSED,
        level=level,
    )


def level(cell: queries.DayCell) -> str:
    """The class of a cell: `none due`, `all`, `most`, `some` or `nothing` arrived."""
    if not cell.due:
        return "undue"
    share = cell.arrived / cell.due
    if share >= 1:
        return "all"
    if share >= _MOSTLY:
        return "most"
    return "some" if cell.arrived else "nothing"


def _reason(visit: Visit, rows: list[queries.MeterDays], code: str, day: date) -> MeterDay | None:
    """None where the rows have no cell of that meter and day."""
    store, utility = visit.store, visit.utility
    cell = next((cell for row in rows if row.code == code for cell in row.days if cell.day == day), None)
    meter = meter_queries.meter(store, utility.id, code) if cell else None
    if cell is None or meter is None:
        return None
    begins, ends = queries.local_day(day, utility.zone)
    return MeterDay(meter, cell, begins, ends, queries.missed_reasons(store, meter.id, begins, ends))
