"""History of a gateway over a day, a week or a month, for its charts."""

from datetime import datetime, timedelta
from enum import Enum
from typing import Annotated, Any

from fastapi import Query

from api.identity.authentication import requires
from api.pages.frame.visit import PageVisit
from api.v1.gateways.health import GatewayCode, find_gateway
from api.web.answering import page_routes
from api.words.presentation import N_
from metering.access import Scope
from store.gateways import reports

router = page_routes()


class TrendSpan(Enum):
    """Reach of the charts, and the stretch of time that each point stands for."""

    DAY = ("day", N_("Day"), timedelta(days=1), timedelta(minutes=15))
    WEEK = ("week", N_("Week"), timedelta(days=7), timedelta(hours=2))
    MONTH = ("month", N_("Month"), timedelta(days=30), timedelta(hours=8))

    def __init__(self, code: str, title: str, length: timedelta, stretch: timedelta) -> None:
        self.code = code
        self.title = title
        self.length = length
        self.stretch = stretch


SpanCode = Annotated[str, Query(alias="range", pattern="^(day|week|month)$")]


@router.get("/gateways/{gateway}/trend", dependencies=[requires(Scope.METERS_READ)])
def trend(visit: PageVisit, gateway: GatewayCode, span: SpanCode = TrendSpan.DAY.code) -> dict[str, Any]:
    """Panes for `static/gateway.js`: series by the same instants (seconds since 1970)."""
    store, language, now = visit.store, visit.language, visit.now
    row = find_gateway(visit.caller, store, gateway)
    chosen = span_of(span)
    start = now - chosen.length
    points = reports.trend(store, row.id, start, now, chosen.stretch)
    busy: dict[str, dict[datetime, float]] = {}
    for one in reports.line_trend(store, row.id, start, now, chosen.stretch):
        busy.setdefault(one.line, {})[one.at] = one.utilisation
    # a stretch without a word is a gap, not a straight line
    instants = [start + n * chosen.stretch for n in range(int(chosen.length / chosen.stretch) + 1)]
    told = {point.at: point for point in points}
    shown = [told.get(at) for at in instants]

    def pane(title: str, unit: str, series: list[tuple[str, list[float | None]]]) -> dict[str, Any]:
        return {
            "title": title,
            "unit": unit,
            "series": [{"label": label, "values": values} for label, values in series],
        }

    waiting = language.gettext("Readouts that wait")
    disk, heat = language.gettext("Disk in use"), language.gettext("Temperature")
    return {
        "zone": visit.utility.time_zone,
        "locale": "en-GB" if language.code == "en" else language.code,  # the day before the month
        "time": language.gettext("Time"),
        "decimal": language.decimal("0.5")[1],
        "from": start.timestamp(),
        "to": now.timestamp(),
        "empty": not points,
        "at": [at.timestamp() for at in instants],
        "panes": [
            pane(
                language.gettext("Lines: share of the wire's time"),
                "%",
                [
                    (line, [_percent(shares.get(at)) for at in instants])
                    for line, shares in sorted(busy.items())
                ],
            ),
            pane(waiting, "", [(waiting, [one.buffered_readouts if one else None for one in shown])]),
            pane(disk, "%", [(disk, [_percent(one.disk_used) if one else None for one in shown])]),
            pane(heat, "°C", [(heat, [one.cpu_celsius if one else None for one in shown])]),
        ],
    }


def span_of(code: str) -> TrendSpan:
    return next(one for one in TrendSpan if one.code == code)


def _percent(share: float | None) -> float | None:
    return None if share is None else round(share * 100, 2)
