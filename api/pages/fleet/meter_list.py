"""Meters by site, each with its last reading, recent days and state: all of them, or those of a site."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import groupby
from typing import Annotated

from fastapi import Path, Query
from fastapi.responses import Response

from api.identity.authentication import requires
from api.pages.fleet.fleet import LATE_AFTER
from api.pages.frame.visit import PageVisit, Visit
from api.web.answering import page_routes
from api.web.problems import not_found
from api.words.presentation import N_, Sparkline, local_midnights, sparkline
from metering.access import Scope
from store.fleet import overview as queries
from store.fleet.overview import SiteWithParent, site_of_code

router = page_routes()

DAYS = 14
_PAGE = 200
_MISSED_READINGS = 3

Search = Annotated[str | None, Query(max_length=100)]
After = Annotated[str | None, Query(max_length=40)]


class MeterState(StrEnum):
    """State of a meter in its row; the word is also its class in the style sheet."""

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


@router.get("/meters", dependencies=[requires(Scope.METERS_READ)])
def meters(visit: PageVisit, q: Search = None, after: After = None) -> Response:
    return _list(visit, None, q, after)


@router.get("/sites/{site}", dependencies=[requires(Scope.METERS_READ)])
def site_meters(
    visit: PageVisit,
    site: Annotated[str, Path(max_length=100)],
    q: Search = None,
    after: After = None,
) -> Response:
    """The meters of a site and of all below it."""
    return _list(visit, find_site(visit, site), q, after)


def find_site(visit: Visit, code: str) -> SiteWithParent:
    """The site of this code. Raises Problem where there is none."""
    found = site_of_code(visit.store, visit.utility.id, code)
    if found is None:
        raise not_found(N_("This site"), N_("The overview shows the sites of your utility."))
    return found


def _list(visit: Visit, site: SiteWithParent | None, q: str | None, after: str | None) -> Response:
    """In pages of 200; troubled ones first within their site."""
    rows = queries.meter_states(
        *(visit.store, visit.utility.id),
        after=after,
        limit=_PAGE + 1,
        site=site.code if site else None,
        search=q or None,
    )
    shown = rows[:_PAGE]
    counters = {row.register_id: row.capacity for row in shown if row.register_id and row.kind == "counter"}
    days = queries.consumption_between(
        visit.store,
        counters if visit.caller.may(Scope.READINGS_READ) else {},
        local_midnights(visit.now, visit.utility.zone, DAYS),
    )
    groups = []
    for name, site_rows in groupby(shown, lambda row: row.site_name):
        lines = [_line(visit, row, days.get(row.register_id or 0, [])) for row in site_rows]
        groups.append((name, sorted(lines, key=lambda line: (_RANK[line.state], not line.alarm))))
    return visit.page(
        "fleet/meter_list.html",
        site=site,
        groups=groups,
        q=q,
        after=after,
        next_after=shown[-1].code if len(rows) > _PAGE else None,
        days=DAYS,
    )


def _line(visit: Visit, row: queries.MeterStateRow, days: Sequence[int | None]) -> MeterLine:
    due = _MISSED_READINGS * row.expected_interval if row.expected_interval else LATE_AFTER
    if row.removed_at is not None:
        state = MeterState.REMOVED
    elif row.measured_at is None:
        state = MeterState.EMPTY
    elif row.open_findings:
        state = MeterState.FINDING
    elif visit.now - row.measured_at > due:
        state = MeterState.LATE
    else:
        state = MeterState.GOOD
    alarm = state is MeterState.FINDING and row.gravest_severity == "alarm"
    return MeterLine(row, state, alarm, sparkline(days, row.unit or "", visit.language))
