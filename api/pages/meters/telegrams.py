"""The telegrams of a meter, the last ones first, and one of them decoded."""

from typing import Annotated

from fastapi import Query
from fastapi.responses import Response
from pydantic import AwareDatetime

from api.identity.authentication import requires
from api.pages.frame.visit import PageVisit
from api.pages.meters.choice import MeterId, find_meter
from api.web.answering import page_routes
from api.web.problems import not_found
from api.words.presentation import N_
from metering.access import Scope
from store.readings import by_meter as reading_queries

router = page_routes()

_SHOWN = 50


@router.get("/meters/{meter_id}/telegrams", dependencies=[requires(Scope.TELEGRAMS_READ)])
def show_telegrams(
    visit: PageVisit,
    meter_id: MeterId,
    at: Annotated[AwareDatetime | None, Query()] = None,
    before: Annotated[AwareDatetime | None, Query()] = None,
) -> Response:
    """`at` is the instant of the telegram to be decoded (default: the last one); `before` turns the pages."""
    store, utility = visit.store, visit.utility
    meter = find_meter(visit, meter_id)
    rows = reading_queries.telegrams(store, utility.id, meter.id, before=before, limit=_SHOWN + 1)
    shown = rows[0] if at is None and rows else None
    if at is not None:
        shown = reading_queries.telegram(store, utility.id, meter.id, at)
        if shown is None:
            raise not_found(N_("A telegram of that instant"), N_("The list has all that are kept."))
    return visit.page(
        "meters/telegrams.html",
        meter=meter,
        telegrams=rows[:_SHOWN],
        earlier=rows[_SHOWN - 1].measured_at if len(rows) > _SHOWN else None,
        before=before,
        shown=shown,
        decoded=visit.services.decode(shown.raw, meter.model) if shown else None,
    )
