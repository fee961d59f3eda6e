"""The first page: what needs attention before anything else, the fleet as a tree of sites, and one search."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Annotated, Any

from fastapi import Query
from fastapi.responses import Response

from api.identity.authentication import requires
from api.pages.frame.visit import PageVisit
from api.web.answering import page_routes
from metering.access import Scope
from metering.periods.calendar import neighbour
from store.billing import issued as billing_queries
from store.fleet import overview
from store.fleet import tree as queries
from store.validation.finding_list import gateway_findings, gravest_findings

router = page_routes()

LATE_AFTER = timedelta(hours=36)  # where a register does not say how often a reading is due
_FINDINGS_SHOWN = 10
_SILENT_AFTER = timedelta(minutes=10)  # a gateway says how it is once a minute
_UNFOLDED = 200  # sites that are shown with all below them; of more only the uppermost
_FULL = 0.85  # share of its wire time from which on a line is near what it can carry


@dataclass(frozen=True, slots=True)
class FullLine:
    """A line that is down, or has little wire time left."""

    gateway: str
    line: str
    utilisation: float  # 0 to 1
    down: bool


@router.get("/", dependencies=[requires(Scope.METERS_READ)])
def fleet(visit: PageVisit, q: Annotated[str | None, Query(max_length=100)] = None) -> Response:
    """The whole utility, or what a search for `q` finds in it."""
    store, utility, now, today, may = visit.store, visit.utility, visit.now, visit.today, visit.caller.may
    text, last_month = (q or "").strip(), neighbour(f"{today:%Y-%m}", -1)
    gateways = overview.gateways(store, utility.id)
    counts = visit.services.fleets.get(
        utility.id, lambda: queries.fleet_counts(store, utility.id, today, now, now - LATE_AFTER)
    )
    closes = billing_queries.closes(store, utility.id, 1) if may(Scope.BILLING_READ) else []
    gravest, of_gateways = [], []
    if may(Scope.FINDINGS_READ):
        gravest = gravest_findings(store, utility.id, limit=_FINDINGS_SHOWN)
        of_gateways = gateway_findings(store, utility.id, limit=_FINDINGS_SHOWN)
    return visit.page(
        "fleet/fleet.html",
        q=text,
        hits=queries.search(store, utility.id, text) if text else [],
        totals=overview.totals(store, utility.id),
        gateways=gateways,
        silent=[gateway for gateway in gateways if is_silent(gateway, now)],
        full=[line for gateway in gateways for line in _full_lines(gateway)],
        of_gateways=[one for one in of_gateways if one.severity != "info"],
        findings=[finding for finding in gravest if finding.severity != "info"],
        close=closes[0] if closes else None,
        exceptions=overview.exception_count(store, closes[0].id) if closes else 0,
        waiting_month=last_month if not closes or closes[0].period < last_month else None,
        branches=queries.tree(counts.sites),
        unfolded=len(counts.sites) <= _UNFOLDED,
        arrived=counts.total,
        by_site=counts.arrived,
        expired=sum(site.expired for site in counts.sites),
    )


def is_silent(gateway: overview.GatewayOverview, now: datetime) -> bool:
    """Whether a gateway says that it is gone, or says nothing any more."""
    if gateway.state != "online":
        return True
    return gateway.health_at is not None and now - gateway.health_at > _SILENT_AFTER


def _full_lines(gateway: overview.GatewayOverview) -> list[FullLine]:
    """From the last health message, which a gateway of another version may have written."""
    lines: Any = (gateway.health or {}).get("lines")
    found = []
    for line in lines if isinstance(lines, list) else []:
        if not isinstance(line, dict):
            continue
        used, down = line.get("utilisation", 0), bool(line.get("down"))
        share = float(used) if isinstance(used, int | float) else 0.0
        if down or share >= _FULL:
            found.append(FullLine(gateway.code, str(line.get("line", "")), share, down))
    return found
