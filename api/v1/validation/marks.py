"""`/v1/marks`: what rules and people say of single readings. A reading without a mark is valid."""

from datetime import datetime
from typing import Annotated, Any

from fastapi import Query, Request
from pydantic import BaseModel

from api.identity.authentication import KeyCaller, Store, requires
from api.v1.fields import Fields, Sparse, fields_of
from api.v1.models import CodedQuality, Instant, document_of, local_instant
from api.v1.parameters import Code, From, Limit, ObisFilter, To, cursor_of, place_of, span
from api.v1.routing import resources
from api.web.services import services
from metering.access import Scope
from store.fleet.utilities import UtilityRow
from store.validation.marks import ListedMark, MarkFilter, marks_page

router = resources("readings")


class ReadingMark(Sparse):
    """`usable` false: never a boundary value of a bill. `evidence`: the numbers that a person can check."""

    meter: str
    obis: str
    measured_at: Instant
    rule: str
    quality: CodedQuality
    usable: bool
    author: str
    created_at: datetime
    evidence: dict[str, Any]


class MarkList(BaseModel):
    """By register, instant and rule; `next_cursor` null: this is the last page."""

    marks: list[ReadingMark]
    next_cursor: str | None


@router.get(
    "/marks", dependencies=[requires(Scope.READINGS_READ)], summary="What rules and people say of readings"
)
def list_marks(
    *,
    request: Request,
    caller: KeyCaller,
    store: Store,
    meter: Code = None,
    obis: ObisFilter = None,
    rule: Annotated[str | None, Query(max_length=60, examples=["glitch", "edit"])] = None,
    start: From = None,
    end: To = None,
    cursor: Annotated[str | None, Query(max_length=100)] = None,
    limit: Limit = 100,
    only: Annotated[Fields, fields_of(ReadingMark)],
) -> MarkList:
    """Of readings from `from` to `to`, at most 400 days."""
    since, until = span(start, end, services(request).clock())
    rows = marks_page(
        store,
        caller.utility.id,
        MarkFilter(since, until, meter, obis, rule),
        after=place_of(cursor),
        limit=limit + 1,
    )
    page = rows[:limit]
    return MarkList(
        marks=[only.of(_mark(row, caller.utility)) for row in page],
        next_cursor=cursor_of(page[-1].register_id, page[-1].measured_at, page[-1].rule)
        if len(rows) > limit
        else None,
    )


def _mark(row: ListedMark, utility: UtilityRow) -> ReadingMark:
    return document_of(ReadingMark, row, measured_at=local_instant(row.measured_at, utility.zone))
