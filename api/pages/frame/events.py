"""`/events`: the changes that keep an open page up to date, for `static/live.js`."""

from fastapi import Request
from fastapi.responses import StreamingResponse

from api.identity.authentication import PageVisitor, requires
from api.v1.events import stream_to
from api.web.answering import page_routes
from metering.access import Scope

router = page_routes()


@router.get("/events", dependencies=[requires(Scope.METERS_READ)])
def page_events(request: Request, visitor: PageVisitor) -> StreamingResponse:
    """The stream of all that the visitor may see."""
    return stream_to(request, visitor.caller)
