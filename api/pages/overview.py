"""The first page: what needs attention, then every meter by site with its last reading and recent days."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from itertools import groupby
from typing import Annotated

from fastapi import APIRouter, Query, Request
from fastapi.responses import Response

from api.authentication import PageVisitor, Store, requires
from api.language import Language, language_of
from api.pages.rendering import page
from api.presentation import Sparkline, local_midnights, sparkline
from api.services import services
from store.access import Scope
from store.queries import billing as billing_queries
from store.queries import overview as queries
from store.queries.findings import gravest_findings

router = APIRouter(include_in_schema=False)

DAYS = 14
_PAGE = 200
_FINDINGS_SHOWN = 6
_SILENT_AFTER = timedelta(minutes=10)  # a gateway says how it is once a minute
_LATE_AFTER = timedelta(hours=36)  # where a register does not say how often a reading is due
_MISSED_READINGS = 3


class MeterState(StrEnum):
    """What a row says of its meter, in words that are also its class in the style sheet."""

    FINDING = "finding"
    LATE = "late"
    EMPTY = "empty"
    GOOD = "good"
    REMOVED = "removed"


_RANK = {state: rank for rank, state in enumerate(MeterState)}  # what needs attention comes first


@dataclass(frozen=True, slots=True)
class MeterLine:
    """A row of the table."""

    meter: queries.MeterStateRow
    state: MeterState
    alarm: bool
    spark: Sparkline | None


@router.get("/", dependencies=[requires(Scope.METERS_READ)])
def overview(
    *,
    request: Request,
    visitor: PageVisitor,
    store: Store,
    site: Annotated[str | None, Query(max_length=100)] = None,
    q: Annotated[str | None, Query(max_length=100)] = None,
    after: Annotated[str | None, Query(max_length=40)] = None,
) -> Response:
    """All meters, or those of a site or that a search finds, in pages of 200; troubled ones first."""
    caller, now = visitor.caller, services(request).clock()
    utility, language = caller.utility, language_of(request)
    rows = queries.meter_states(
        store, utility.id, after=after, limit=_PAGE + 1, site=site or None, search=q or None
    )
    shown = rows[:_PAGE]
    counters = {row.register_id: row.capacity for row in shown if row.register_id and row.kind == "counter"}
    days = queries.consumption_between(
        store,
        counters if caller.may(Scope.READINGS_READ) else {},
        local_midnights(now, utility.zone, DAYS),
    )
    groups = []
    for name, site_rows in groupby(shown, lambda row: row.site_name):
        lines = [_line(row, days.get(row.register_id or 0, []), now, language) for row in site_rows]
        groups.append((name, sorted(lines, key=lambda line: (_RANK[line.state], not line.alarm))))
    gateways = queries.gateways(store, utility.id)
    closes = billing_queries.closes(store, utility.id, 1) if caller.may(Scope.BILLING_READ) else []
    gravest = (
        gravest_findings(store, utility.id, limit=_FINDINGS_SHOWN) if caller.may(Scope.FINDINGS_READ) else []
    )
    return page(
        request,
        visitor,
        "overview.html",
        totals=queries.totals(store, utility.id, now - _LATE_AFTER),
        gateways=gateways,
        silent=[gateway for gateway in gateways if _silent(gateway, now)],
        findings=[finding for finding in gravest if finding.severity != "info"],
        close=closes[0] if closes else None,
        exceptions=queries.exception_count(store, closes[0].id) if closes else 0,
        sites=queries.sites(store, utility.id),
        groups=groups,
        site=site,
        q=q,
        after=after,
        next_after=shown[-1].code if len(rows) > _PAGE else None,
        days=DAYS,
    )


def _line(
    row: queries.MeterStateRow, days: Sequence[int | None], now: datetime, language: Language
) -> MeterLine:
    due = _MISSED_READINGS * row.expected_interval if row.expected_interval else _LATE_AFTER
    if row.removed_at is not None:
        state = MeterState.REMOVED
    elif row.measured_at is None:
        state = MeterState.EMPTY
    elif row.open_findings:
        state = MeterState.FINDING
    elif now - row.measured_at > due:
        state = MeterState.LATE
    else:
        state = MeterState.GOOD
    alarm = state is MeterState.FINDING and row.gravest_severity == "alarm"
    return MeterLine(row, state, alarm, sparkline(days, row.unit or "", language))


def _silent(gateway: queries.GatewayRow, now: datetime) -> bool:
    if gateway.state != "online":
        return True
    return gateway.health_at is not None and now - gateway.health_at > _SILENT_AFTER
