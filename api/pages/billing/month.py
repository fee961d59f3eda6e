"""A month: how far its close is, what is left for people, how its figures were found, and who has taken them.

Where a draft waits for approval the page is about the draft; else about the last close. What can be done with
it is in `month_actions.py`.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Annotated

from fastapi import Depends, Path, Query
from fastapi.responses import RedirectResponse, Response

from api.identity.authentication import requires
from api.pages.frame.visit import PageVisit, Visit
from api.web.answering import in_place, page_routes
from metering.access import Scope
from metering.periods.calendar import neighbour
from store.billing import close_list, outliers
from store.billing import issued as queries
from store.delivery import outbox
from store.delivery.outbox import MessageRow
from store.fleet.meters import meters_at
from store.tasks import TaskKind, TaskRow, tasks_page

router = page_routes()

_PAGE = 100
_EXCEPTIONS = 50
_OUTLIERS = 20
_RUNS = 20
_MONTHS = 36
_MESSAGES = 1000
_ESTIMATES = ("average", "normative")
_REQUESTS = 50

PeriodPath = Annotated[str, Path(pattern=r"^(19|[2-8]\d)\d\d-(0[1-9]|1[0-2])$")]
RowSeen = Annotated[str | None, Query(max_length=200, pattern=r"^\S.* \S+$")]  # service point and register


@dataclass(frozen=True, slots=True)
class MonthQuery:
    """Query of a month's page. `exception` and `after` are the last rows seen of either list.

    `reason`, `quality` and `method` (`estimate`: any of them) narrow them; empty texts narrow nothing.
    """

    reason: Annotated[str | None, Query(max_length=100)] = None
    exception: RowSeen = None
    quality: Annotated[int | None, Query(ge=0, le=99)] = None
    method: Annotated[str | None, Query(max_length=40)] = None
    after: RowSeen = None


@dataclass(frozen=True, slots=True)
class Delivered:
    """What a destination was sent of a month, how much of it is in which state, and what is dead."""

    destination: str  # without its query, which may hold a token
    states: Counter[str]
    dead: list[MessageRow]


@router.get("/months", dependencies=[requires(Scope.BILLING_READ)])
def latest_month(visit: PageVisit) -> Response:
    """On to the month that is drafted or closed last, or the one before this."""
    latest = close_list.states(visit.store, visit.utility.id, limit=1)
    period = latest[0].period if latest else neighbour(f"{visit.today:%Y-%m}", -1)
    return RedirectResponse(f"/months/{period}", HTTPStatus.SEE_OTHER)


AskedForMonth = Annotated[MonthQuery, Depends(in_place(MonthQuery))]


@router.get("/months/{period}", dependencies=[requires(Scope.BILLING_READ)])
def month(visit: PageVisit, period: PeriodPath, asked: AskedForMonth) -> Response:
    """One period, whatever its state."""
    return show_month(visit, period, asked)


def show_month(
    visit: Visit, period: str, asked: MonthQuery, error: tuple[str, str] | None = None
) -> Response:
    """The page of a period; `error`: why something was not done, in the reader's words and the store's."""
    store, utility = visit.store, visit.utility
    runs = close_list.states(store, utility.id, limit=_RUNS, period=period)
    current = runs[0] if runs else None
    exceptions: list[close_list.ExceptionRow] = []
    odd: list[outliers.OutlierRow] = []
    shares: list[close_list.ShareRow] = []
    counts: dict[str, int] = {}
    if current:
        about = (store, utility.id, period, current.run)
        exceptions = close_list.exceptions_page(
            *about, limit=_EXCEPTIONS + 1, after=_seen(asked.exception), reason=asked.reason or None
        )
        counts = close_list.exception_counts(*about)
        shares = close_list.shares(*about)
        odd = outliers.outliers_page(*about, limit=_OUTLIERS)
    rows = queries.current_billing_readings(
        *(store, utility.id, period),
        after=asked.after,
        limit=_PAGE + 1,
        quality=asked.quality,
        methods=_ESTIMATES if asked.method == "estimate" else (asked.method,) if asked.method else (),
    )
    places = {row.service_point for row in exceptions} | {row.service_point for row in odd}
    return visit.page(
        "billing/month.html",
        status=HTTPStatus.CONFLICT if error else HTTPStatus.OK,
        period=period,
        earlier=neighbour(period, -1),
        later=neighbour(period, 1),
        last_year=neighbour(period, -12),
        ended=period < f"{visit.today:%Y-%m}",
        current=current,
        runs=runs,
        issued=next((run for run in runs if run.approved_at is not None), None),
        asked=_draft_task(visit, period),
        own_draft=current is not None and current.drafted_by == visit.caller.actor,
        exceptions=exceptions[:_EXCEPTIONS],
        next_exception=_row(exceptions[_EXCEPTIONS - 1]) if len(exceptions) > _EXCEPTIONS else None,
        reason=asked.reason or None,
        reasons=counts,
        excepted=sum(counts.values()),
        outliers=odd,
        meters=meters_at(store, utility.id, sorted(places)),
        **_distribution(shares),
        rows=rows[:_PAGE],
        quality=asked.quality,
        method=asked.method or None,
        next_after=_row(rows[_PAGE - 1]) if len(rows) > _PAGE else None,
        deliveries=_deliveries(visit, period),
        acknowledgements=queries.acknowledgements(store, utility.id, period),
        highest=queries.highest_cursor(store, utility.id, period),
        months=queries.closes(store, utility.id, _MONTHS),
        error=error,
    )


def _distribution(shares: Sequence[close_list.ShareRow]) -> dict[str, object]:
    """Figures by quality, boundary values by method, and sums by medium."""
    by_quality: Counter[int] = Counter()
    by_method: Counter[str] = Counter()
    sums: Counter[tuple[int, str]] = Counter()
    for share in shares:
        by_quality[share.quality] += share.readings
        by_method[share.start_method] += share.readings
        by_method[share.end_method] += share.readings
        sums[share.medium, share.unit] += share.consumption + share.true_up
    return {
        "readings": by_quality.total(),
        "estimated": sum(
            share.readings for share in shares if {share.start_method, share.end_method} & {*_ESTIMATES}
        ),
        "by_quality": sorted(by_quality.items()),
        "by_method": by_method.most_common(),
        "sums": sorted(sums.items()),
    }


def _draft_task(visit: Visit, period: str) -> TaskRow | None:
    """The last draft that somebody asked for of this period in the browser or over `/v1`."""
    asked = tasks_page(visit.store, visit.utility.id, limit=_REQUESTS, kinds=frozenset({TaskKind.DRAFT}))
    return next((one for one in asked if one.subject.get("period") == period), None)


def _deliveries(visit: Visit, period: str) -> list[Delivered]:
    """By destination, for those who may see them."""
    if not visit.caller.may(Scope.DELIVERIES_READ):
        return []
    found: dict[str, Delivered] = {}
    for row in outbox.messages(visit.store, utility_id=visit.utility.id, period=period, limit=_MESSAGES):
        destination = row.url.partition("?")[0]
        delivered = found.setdefault(row.url, Delivered(destination, Counter(), []))
        delivered.states[row.state] += 1
        if row.state == outbox.MessageState.DEAD:
            delivered.dead.append(row)
    return list(found.values())


def _seen(row: str | None) -> tuple[str, str] | None:
    if row is None:
        return None
    point, _, obis = row.rpartition(" ")
    return point, obis


def _row(row: close_list.ExceptionRow | queries.IssuedReading) -> str:
    return f"{row.service_point} {row.obis}"
