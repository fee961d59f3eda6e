"""One billed figure, explained in words: from the month down to the bytes that the meter sent."""

from datetime import timedelta
from functools import partial
from typing import Annotated

from fastapi import APIRouter, Path, Request
from fastapi.responses import Response

from api.authentication import PageVisitor, Store, requires
from api.evidence import BoundaryEvidence
from api.language import Language, language_of
from api.models import offset_text
from api.pages.rendering import page
from api.presentation import N_
from api.problems import not_found
from api.trace import trace_of
from api.vocabulary import method_name
from store.access import Scope
from telemetry.micro import to_micro
from telemetry.quality import Quality

router = APIRouter(include_in_schema=False)

_QUALITIES: dict[int, str] = {
    Quality.VALID: N_("the values at both ends were measured"),
    Quality.INTERPOLATED: N_("the values at both ends were interpolated"),
    Quality.MIXED: N_("one end was measured and another interpolated"),
    Quality.QUESTIONABLE: N_("a finding says that the register stood still, and nobody has resolved it"),
}


@router.get("/billing/{reading_id}", dependencies=[requires(Scope.BILLING_READ)])
def show_billing_reading(
    request: Request,
    visitor: PageVisitor,
    store: Store,
    reading_id: Annotated[int, Path(ge=1, le=2**63 - 1)],
) -> Response:
    """A version of a billing reading, whether or not it is the one that holds."""
    trace = trace_of(store, visitor.caller.utility.id, reading_id)
    if trace is None:
        raise not_found("This billing reading", "A month's page lists its billing readings.")
    language = language_of(request)
    why = _QUALITIES.get(trace.row.quality)
    return page(
        request,
        visitor,
        "billing_reading.html",
        trace=trace,
        row=trace.row,
        parts=trace.evidence.installations,
        latest=trace.versions[-1],
        why_quality=language.gettext(why) if why else None,
        offsets=(offset_text(trace.row.start_offset), offset_text(trace.row.end_offset)),
        micro=to_micro,
        found_by=partial(found_by, language=language),
        passed_over=partial(passed_over, language=language),
    )


_FOUND = {
    "set_day": N_("The value that the meter itself kept for this instant."),
    "interpolation": N_("On the straight line from the last usable reading before to the first one after."),
    "installation": N_("Written down by the person who installed or removed the meter."),
}


def found_by(boundary: BoundaryEvidence, language: Language) -> str:
    """How the value at a boundary was found, as a sentence."""
    if boundary.method == "reading" and boundary.readings:
        distance = boundary.readings[0].at - boundary.instant
        if not distance:
            return language.gettext("A reading at this very instant.")
        written = language.duration(abs(distance))
        if distance < timedelta(0):
            return language.gettext(
                "The nearest usable reading, %(distance)s before this instant.", distance=written
            )
        return language.gettext(
            "The nearest usable reading, %(distance)s after this instant.", distance=written
        )
    method = boundary.method or "nothing"
    if method in _FOUND:
        return language.gettext(_FOUND[method])
    return language.gettext("Found by: %(method)s.", method=method_name(method, language))


def passed_over(boundary: BoundaryEvidence, language: Language) -> list[tuple[str, str]]:
    """(method, why it gave no value) for each better one than that which was taken."""
    split = (text.partition(": ") for text in boundary.passed_over)
    return [(method_name(method, language), why) for method, _, why in split]
