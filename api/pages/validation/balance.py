"""The balance of a site: what the house meters counted against what the flats did, by medium and day."""

from dataclasses import dataclass
from datetime import date, timedelta
from typing import Annotated

from fastapi import Path, Query
from fastapi.responses import Response

from api.identity.authentication import requires
from api.pages.fleet.meter_list import find_site
from api.pages.frame.visit import PageVisit
from api.web.answering import page_routes
from metering.access import Scope
from store.validation import balance_days as queries

router = page_routes()

_DAYS = 31


@dataclass(frozen=True, slots=True)
class DayBar:
    """A day with its parts of the longest bar, 0 to 1; `share` of the house's figure is the difference."""

    row: queries.BalanceDayRow
    flats: float
    house: float
    share: float | None


@router.get("/sites/{site}/balance", dependencies=[requires(Scope.READINGS_READ)])
def balance(
    visit: PageVisit,
    site: Annotated[str, Path(max_length=100)],
    medium: Annotated[int | None, Query(ge=0, le=9)] = None,
    to: date | None = None,
) -> Response:
    """31 whole days up to `to`, by default yesterday."""
    store, utility = visit.store, visit.utility
    found = find_site(visit, site)
    yesterday = visit.today - timedelta(days=1)
    last = min(to or yesterday, yesterday)
    first = last - timedelta(days=_DAYS - 1)
    media = queries.balances(store, utility.id, first, last, site=found.code)
    chosen = medium if medium is not None else (media[0].medium if media else None)
    days = (
        queries.balance_days(store, utility.id, first, last, site=found.code, medium=chosen)
        if chosen is not None
        else []
    )
    return visit.page(
        "validation/balance.html",
        site=found,
        media=media,
        chosen=chosen,
        bars=_bars(days),
        first=first,
        last=last,
        earlier=first - timedelta(days=1),
        later=min(last + timedelta(days=_DAYS), yesterday) if last < yesterday else None,
        share_of=share_of,
    )


def share_of(difference: int | None, house: int | None) -> float | None:
    """The difference as a share of what the house meter counted; None where that is not known or nothing."""
    return difference / house if difference is not None and house else None


def _bars(days: list[queries.BalanceDayRow]) -> list[DayBar]:
    longest = max([1, *(max(row.house or 0, row.flats) for row in days)])
    return [
        DayBar(row, row.flats / longest, (row.house or 0) / longest, share_of(row.difference, row.house))
        for row in days
    ]
