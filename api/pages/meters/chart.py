"""Content of a register's chart and its table: figures, what is said of readings, and events.

Figures are exact decimal strings, instants are seconds since 1970; words are in the reader's language.
"""

from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any

from fastapi import Query

from api.identity.authentication import requires
from api.pages.frame.visit import PageVisit
from api.pages.meters.chart_events import events
from api.pages.meters.chart_words import words
from api.pages.meters.choice import AskedFor, shown_of, subject
from api.pages.meters.spans import finest, gap_after
from api.pages.meters.subject import RegisterView
from api.v1.models import decimal_text
from api.web.answering import page_routes
from api.web.problems import invalid
from api.words.explanations import explain, finding_title
from api.words.mark_words import EDIT, kind_of, reasons_of
from api.words.presentation import N_
from api.words.vocabulary import register_name, state_name
from metering.access import Scope
from metering.billing.differences import step
from store.readings import by_meter as reading_queries
from store.readings.by_meter import Bucket
from store.validation import finding_list as finding_queries
from store.validation import judged_readings as judged_queries
from store.validation.finding_list import ListedFinding
from store.validation.judged_readings import JudgedRow

router = page_routes()

_MARKED_FINDINGS = 200
_JUDGED = 500
_LATEST = 4_102_444_800  # 2100: seconds that any calendar can hold
_LOOKBACK = timedelta(days=2)  # finds what the first bucket is counted from
Seconds = Annotated[int | None, Query(ge=0, le=_LATEST)]


@router.get("/meters/{meter_id}/chart", dependencies=[requires(Scope.READINGS_READ)])
def chart(visit: PageVisit, asked: AskedFor, since: Seconds = None, until: Seconds = None) -> dict[str, Any]:
    """A span as the page chooses it, or what was zoomed into: `since` to `until`, as finely as fits.

    `consumption` of a point is counted since `since`, null where the register dropped; `gap`: readings are
    missing in between. `kind` is what is said of a point's reading, `counted` of what was counted to it.
    """
    about = subject(visit, asked.meter_id, asked.register)
    if since is not None and until is not None:
        start, end = datetime.fromtimestamp(since, UTC), min(about.now, datetime.fromtimestamp(until, UTC))
        if end <= start:
            raise invalid("until", N_("The time has to end after it begins, and to begin in the past."))
        bucket = finest(end - start, about.register)
    else:
        shown = shown_of(visit, asked, about.register)
        bucket, start, end = shown.bucket, shown.start, shown.end
    store, language, chosen = visit.store, about.language, about.register
    said = judged_queries.judged(store, chosen.id, start, end, _JUDGED)
    found = finding_queries.findings_of_register(store, chosen.id, start, end, _MARKED_FINDINGS)
    return {
        "register": {
            "obis": chosen.obis,
            "name": register_name(chosen.obis, language),
            "unit": language.unit(chosen.unit),
            "counter": chosen.kind == "counter",
        },
        "language": language.code,
        "words": words(language),
        "zone": about.utility.time_zone,
        "bucket": bucket.value,
        "from": start.timestamp(),
        "to": end.timestamp(),
        "points": _points(about, start, end, bucket, said),
        "marked": [_marked(row, about) for row in said],
        "more": len(said) == _JUDGED,
        "findings": [_finding(one, about) for one in found],
        "events": [asdict(one) | {"at": one.at.timestamp()} for one in events(about, start, end)],
    }


def _points(
    about: RegisterView, start: datetime, end: datetime, bucket: Bucket, said: list[JudgedRow]
) -> dict[str, list[Any]]:
    register = about.register
    series = reading_queries.series(
        about.store,
        register.id,
        start=start - max(_LOOKBACK, gap_after(bucket, None)),
        end=end,
        bucket=bucket,
        time_zone=about.utility.time_zone,
    )
    longest = gap_after(bucket, register.expected_interval)
    kinds = {row.measured_at: kind_of(row).code for row in said}
    points: dict[str, list[Any]] = {
        name: []
        for name in ("bucket", "at", "instant", "value", "consumption", "since", "gap", "kind", "counted")
    }
    capacity = register.capacity if register.kind == "counter" else None
    earlier: tuple[datetime, int] | None = None
    gaps: list[tuple[datetime, datetime]] = []
    for begins, at, value in series:
        if at > start:
            counted = step(earlier[1], value, capacity) if earlier else None
            missing = earlier is not None and at - earlier[0] > longest
            if missing and earlier:
                gaps.append((earlier[0], at))
            points["bucket"].append(begins.timestamp())
            points["at"].append(at.timestamp())
            points["instant"].append(at.isoformat())
            points["value"].append(decimal_text(value))
            points["consumption"].append(None if counted is None else decimal_text(counted))
            points["since"].append(earlier[0].timestamp() if earlier else None)
            points["gap"].append(missing)
            points["kind"].append(kinds.get(at))
            points["counted"].append(kinds.get(at) or (kinds.get(earlier[0]) if earlier else None))
        earlier = (at, value)
    points["missed"] = _missed(about, gaps, points["gap"])
    return points


def _missed(
    about: RegisterView, gaps: list[tuple[datetime, datetime]], flags: list[bool]
) -> list[str | None]:
    """Beside each point that ends a gap why nothing was read in it, where the gateway told."""
    told: dict[int, list[str]] = {}
    for row in judged_queries.missed_between(about.store, about.meter.id, gaps):
        count = about.language.ngettext("%(num)s poll", "%(num)s polls", row.count)
        told.setdefault(row.place, []).append(f"{state_name(row.reason, about.language)} ({count})")
    places = iter(range(len(gaps)))
    return [", ".join(told.get(next(places), [])) or None if flag else None for flag in flags]


def _marked(row: JudgedRow, about: RegisterView) -> dict[str, Any]:
    kind = kind_of(row)
    return {
        "at": row.measured_at.timestamp(),
        "instant": row.measured_at.isoformat(),
        "value": decimal_text(row.value),
        "kind": kind.code,
        "title": about.language.gettext(kind.words),
        "reason": reasons_of(row, about.register.unit, about.zone, about.language),
        "edited": any(said.rule == EDIT for said in row.said),
    }


def _finding(finding: ListedFinding, about: RegisterView) -> dict[str, Any]:
    return {
        "id": finding.id,
        "title": finding_title(finding.kind, about.language),
        "reason": explain(finding.kind, finding.evidence, finding.unit, about.zone, about.language) or "",
        "severity": finding.severity,
        "from": finding.started_at.timestamp(),
        "to": finding.ended_at.timestamp() if finding.ended_at else None,
    }
