"""One billed figure, explained in words: from the month down to the bytes that the meter sent."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal, InvalidOperation
from functools import partial
from typing import Annotated

from fastapi import Path
from fastapi.responses import Response

from api.identity.authentication import requires
from api.pages.frame.visit import PageVisit, Visit
from api.v1.billing.evidence import telegram_path
from api.v1.billing.trace import Trace, trace_of
from api.v1.models import offset_text
from api.web.answering import page_routes
from api.web.problems import not_found
from api.web.telegrams import Telegram, Undecoded
from api.words.ladder import found_by, passed_over, rests_on
from api.words.presentation import N_
from metering.access import Scope
from metering.billing.evidence import InstallationEvidence
from store.billing.trace import TelegramBehind
from store.validation.edits import EditRow, edits_page
from store.validation.marks import ListedMark, MarkFilter, marks_page
from telemetry.micro import to_micro
from telemetry.quality import Quality

router = page_routes()

_MARKS = 20
_EDITS = 200

_QUALITIES: dict[int, str] = {
    Quality.VALID: N_("the values at both ends were measured"),
    Quality.INTERPOLATED: N_("the values at both ends were interpolated"),
    Quality.MIXED: N_("one end was measured and another interpolated"),
    Quality.QUESTIONABLE: N_("a finding says that the register stood still, and nobody has resolved it"),
}
_ESTIMATED = N_("a value at one end was estimated, because nothing usable was measured there")


@router.get("/billing/{reading_id}", dependencies=[requires(Scope.BILLING_READ)])
def show_billing_reading(visit: PageVisit, reading_id: Annotated[int, Path(ge=1, le=2**63 - 1)]) -> Response:
    """A version of a billing reading, whether or not it is the one that holds."""
    utility, language = visit.utility, visit.language
    trace = trace_of(visit.store, utility.id, reading_id)
    if trace is None:
        raise not_found(N_("This billing reading"), N_("A month's page lists its billing readings."))
    parts = trace.evidence.installations
    why = _ESTIMATED if _is_estimated(parts) else _QUALITIES.get(trace.row.quality)
    return visit.page(
        "billing/billing_reading.html",
        trace=trace,
        row=trace.row,
        parts=parts,
        latest=trace.versions[-1],
        why_quality=language.gettext(why) if why else None,
        offsets=(offset_text(trace.row.start_offset), offset_text(trace.row.end_offset)),
        micro=to_micro,
        found_by=partial(found_by, language=language),
        passed_over=lambda boundary: list(passed_over(boundary, utility.zone, language)),
        rests_on=lambda basis: list(rests_on(basis, trace.row.unit, utility.zone, language)),
        telegram_path=telegram_path,
        telegrams=_said(visit, trace),
        touched={part.meter: _touched(visit, trace, part) for part in parts},
    )


def _said(
    visit: Visit, trace: Trace
) -> dict[tuple[str, datetime], tuple[TelegramBehind, Telegram, frozenset[int]]]:
    """Telegrams behind the figure, decoded: with the records among them that it rests on."""
    if not visit.caller.may(Scope.TELEGRAMS_READ):
        return {}
    found = {}
    for part in trace.evidence.installations:
        for reading in part.readings:
            behind = trace.telegrams.get((part.meter, reading.at))
            if behind is not None:
                said = visit.services.decode(behind.raw, behind.model)
                records = records_of(said, trace.row.obis, reading.value)
                found[part.meter, reading.at] = behind, said, records
    return found


def _is_estimated(parts: Sequence[InstallationEvidence]) -> bool:
    return any(end.basis is not None for part in parts for end in (part.start, part.end))


def records_of(said: Telegram, obis: str, value: Decimal) -> frozenset[int]:
    """Which records of a telegram a reading is: those of its value, or else of its register."""
    if isinstance(said, Undecoded):
        return frozenset()
    equal = {place for place, one in enumerate(said.records) if _decimal(one.value) == value}
    named = {place for place, one in enumerate(said.records) if one.obis == obis}
    return frozenset(equal & named or equal or named)


def _decimal(text: str | None) -> Decimal | None:
    try:
        return Decimal(text) if text is not None else None
    except InvalidOperation:
        return None


@dataclass(frozen=True, slots=True)
class Touched:
    """What was said of a part's readings in the period: marks, the latest first, and edits by people."""

    marks: list[ListedMark]
    more: bool
    edits: list[EditRow]


def _touched(visit: Visit, trace: Trace, part: InstallationEvidence) -> Touched:
    first, last = min(part.instants), max(part.instants)
    wanted = MarkFilter(first, last + timedelta(microseconds=1), meter=part.meter, obis=trace.row.obis)
    marks = marks_page(visit.store, visit.utility.id, wanted, limit=_MARKS + 1)
    edits = [
        edit
        for edit in edits_page(visit.store, visit.utility.id, limit=_EDITS, meter=part.meter)
        if edit.obis == trace.row.obis and first <= edit.measured_at <= last
    ]
    return Touched(marks[:_MARKS], len(marks) > _MARKS, edits)
