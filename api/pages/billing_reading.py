"""One billed figure, explained in words: from the month down to the bytes that the meter sent."""

from datetime import timedelta
from typing import Annotated

from fastapi import APIRouter, Path, Request
from fastapi.responses import Response

from api.authentication import PageVisitor, Store, requires
from api.evidence import BoundaryEvidence
from api.models import offset_text
from api.pages.rendering import page
from api.presentation import method_in_words
from api.problems import not_found
from api.trace import trace_of
from store.access import Scope
from telemetry.micro import to_micro
from telemetry.quality import Quality

router = APIRouter(include_in_schema=False)

_QUALITIES: dict[int, str] = {
    Quality.VALID: "the values at both ends were measured",
    Quality.INTERPOLATED: "the values at both ends were interpolated",
    Quality.MIXED: "one end was measured and another interpolated",
    Quality.QUESTIONABLE: "a finding says that the register stood still, and nobody has resolved it",
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
    return page(
        request,
        visitor,
        "billing_reading.html",
        trace=trace,
        row=trace.row,
        parts=trace.evidence.installations,
        latest=trace.versions[-1],
        why_quality=_QUALITIES.get(trace.row.quality),
        offsets=(offset_text(trace.row.start_offset), offset_text(trace.row.end_offset)),
        micro=to_micro,
        found_by=found_by,
        passed_over=passed_over,
    )


def found_by(boundary: BoundaryEvidence) -> str:
    """How the value at a boundary was found, as a sentence."""
    if boundary.method == "reading" and boundary.readings:
        distance = boundary.readings[0].at - boundary.instant
        if not distance:
            return "A reading at this very instant."
        side = "before" if distance < timedelta(0) else "after"
        return f"The nearest usable reading, {duration(abs(distance))} {side} this instant."
    return {
        "set_day": "The value that the meter itself kept for this instant.",
        "interpolation": "On the straight line from the last usable reading before to the first one after.",
        "installation": "Written down by the person who installed or removed the meter.",
    }.get(boundary.method or "", f"Found by: {method_in_words(boundary.method or 'nothing')}.")


def passed_over(boundary: BoundaryEvidence) -> list[tuple[str, str]]:
    """(method, why it gave no value) for each better one than that which was taken."""
    split = (text.partition(": ") for text in boundary.passed_over)
    return [(method_in_words(method), why) for method, _, why in split]


def duration(length: timedelta) -> str:
    """'40 s', '12 min', '3 h 5 min', '2 days 4 h': at most two units, rounded down."""
    minutes, seconds = divmod(int(length.total_seconds()), 60)
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    if days:
        first, second = "1 day" if days == 1 else f"{days} days", f" {hours} h" if hours else ""
    elif hours:
        first, second = f"{hours} h", f" {minutes} min" if minutes else ""
    else:
        first, second = f"{minutes} min" if minutes else f"{seconds} s", ""
    return first + second
