"""A month: is it closed, how were its figures found, what is left for people, and who has taken it."""

from collections import Counter
from datetime import timedelta
from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter, Path, Query, Request
from fastapi.responses import RedirectResponse, Response

from api.authentication import PageVisitor, Store, requires
from api.pages.rendering import page
from api.presentation import neighbour_month
from api.services import services
from store.access import Scope
from store.queries import billing as queries

router = APIRouter(include_in_schema=False)

_PAGE = 200
_CLOSES_SHOWN = 36
_EXCEPTIONS_SHOWN = 500


@router.get("/months", dependencies=[requires(Scope.BILLING_READ)])
def latest_month(request: Request, visitor: PageVisitor, store: Store) -> Response:
    """On to the month that was closed last, or the one before this."""
    utility = visitor.caller.utility
    closes = queries.closes(store, utility.id, 1)
    if closes:
        period = closes[0].period
    else:
        now = services(request).clock().astimezone(utility.zone)
        period = f"{now.replace(day=1) - timedelta(days=1):%Y-%m}"
    return RedirectResponse(f"/months/{period}", HTTPStatus.SEE_OTHER)


@router.get("/months/{period}", dependencies=[requires(Scope.BILLING_READ)])
def month(
    request: Request,
    visitor: PageVisitor,
    store: Store,
    period: Annotated[str, Path(pattern=r"^[1-9]\d{3}-(0[1-9]|1[0-2])$")],
    after: Annotated[str | None, Query(max_length=200)] = None,
) -> Response:
    """One period, closed or not."""
    utility = visitor.caller.utility
    closes = queries.closes(store, utility.id, _CLOSES_SHOWN)
    close = next((one for one in closes if one.period == period), None)
    shares = queries.shares(store, utility.id, period)
    rows = queries.current_billing_readings(store, utility.id, period, after=after, limit=_PAGE + 1)
    shown = rows[:_PAGE]
    by_quality: Counter[int] = Counter()
    by_method: Counter[str] = Counter()
    sums: Counter[tuple[int, str]] = Counter()
    for share in shares:
        by_quality[share.quality] += share.readings
        by_method[share.start_method] += share.readings
        by_method[share.end_method] += share.readings
        sums[share.medium, share.unit] += share.consumption
    return page(
        request,
        visitor,
        "month.html",
        period=period,
        earlier=neighbour_month(period, -1),
        later=neighbour_month(period, 1),
        closes=closes,
        close=close,
        readings=sum(by_quality.values()),
        by_quality=sorted(by_quality.items()),
        by_method=by_method.most_common(),
        sums=sorted(sums.items()),
        rows=shown,
        after=after,
        next_after=f"{shown[-1].service_point} {shown[-1].obis}" if len(rows) > _PAGE else None,
        exceptions=queries.exceptions(store, utility.id, close.id, _EXCEPTIONS_SHOWN) if close else [],
        acknowledgements=queries.acknowledgements(store, utility.id, period),
        highest=queries.highest_cursor(store, utility.id, period),
    )
