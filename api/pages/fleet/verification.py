"""The verification calendar: which meters have to be verified again, and when."""

from datetime import date, timedelta
from typing import Annotated, Any

from fastapi import Query
from fastapi.responses import Response

from api.identity.authentication import requires
from api.pages.fleet.meter_list import After
from api.pages.frame.visit import PageVisit
from api.web.answering import page_routes
from metering.access import Scope
from metering.periods.calendar import neighbour
from store.fleet import verification as queries

router = page_routes()

_PAGE = 100
_MONTHS = 24
_SOON = timedelta(days=90)

Month = Annotated[str | None, Query(pattern=r"^((19|[2-8]\d)\d\d-(0[1-9]|1[0-2])|expired|unknown|later)$")]


@router.get("/verification", dependencies=[requires(Scope.METERS_READ)])
def verification(
    visit: PageVisit,
    month: Month = None,
    site: Annotated[str | None, Query(max_length=100)] = None,
    medium: Annotated[int | None, Query(ge=0, le=9)] = None,
    after: After = None,
) -> Response:
    """Two years by month, and the meters of one of them; by default those that have expired."""
    store, utility, today = visit.store, visit.utility, visit.today
    where: dict[str, Any] = {"site": site or None, "medium": medium}
    by_month = queries.months(store, utility.id, **where)
    expired = queries.ending(store, utility.id, (None, today), **where)
    this = f"{today:%Y-%m}"
    horizon = neighbour(this, _MONTHS)
    counts = {f"{one.month:%Y-%m}": one.meters for one in by_month if one.month}
    chosen = month or ("expired" if expired else next((one for one in sorted(counts) if one >= this), this))
    rows = queries.due(
        store,
        utility.id,
        first=_first(chosen, horizon),
        until=_until(chosen, today),
        limit=_PAGE + 1,
        after=after,
        **where,
    )
    calendar = {one: counts.get(one, 0) for one in (neighbour(this, n) for n in range(_MONTHS))}
    return visit.page(
        "fleet/verification.html",
        calendar=calendar,
        most=max(1, *calendar.values()),
        expired=expired,
        soon=queries.ending(store, utility.id, (today, today + _SOON), **where),
        later=sum(meters for one, meters in counts.items() if one >= horizon),
        unknown=sum(one.meters for one in by_month if one.month is None),
        chosen=chosen,
        rows=rows[:_PAGE],
        next_after=rows[_PAGE - 1].code if len(rows) > _PAGE else None,
        site=site,
        medium=medium,
    )


def _first(chosen: str, horizon: str) -> date | None:
    if chosen == "later":
        return date.fromisoformat(horizon + "-01")
    return None if chosen in {"expired", "unknown"} else date.fromisoformat(chosen + "-01")


def _until(chosen: str, today: date) -> date | None:
    if chosen == "expired":
        return today
    return None if chosen in {"later", "unknown"} else date.fromisoformat(neighbour(chosen, 1) + "-01")
