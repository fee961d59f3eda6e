"""`/events`: the changes that keep an open page up to date, for `static/live.js`."""

from fastapi import APIRouter, Request
from fastapi.responses import StreamingResponse

from api.identity.authentication import PageVisitor, requires
from api.v1.events import stream_to
from metering.access import Scope

router = APIRouter(include_in_schema=False)


@router.get("/events", dependencies=[requires(Scope.METERS_READ)])
async def page_events(request: Request, visitor: PageVisitor) -> StreamingResponse:
    """The stream of all that the visitor may see."""
    return stream_to(request, visitor.caller)
