"""Changes as server-sent events: what programs are told at `/v1/events`, and pages at `/events`."""

from http import HTTPStatus

from fastapi import Request
from fastapi.responses import StreamingResponse

from api.identity.authentication import KeyCaller, requires
from api.identity.callers import Caller
from api.v1.routing import resources
from api.web.problems import Problem
from api.web.services import services
from api.web.streams import TooManyStreamsError
from metering.access import Scope
from store.postgres.notices import ChangeTopic

router = resources("events")

SCOPES = {
    ChangeTopic.READINGS: Scope.METERS_READ,  # that some came, not which
    ChangeTopic.FINDINGS: Scope.FINDINGS_READ,
    ChangeTopic.EDITS: Scope.READINGS_READ,
    ChangeTopic.QUARANTINE: Scope.METERS_READ,
    ChangeTopic.GATEWAYS: Scope.METERS_READ,
    ChangeTopic.MONTHS: Scope.BILLING_READ,
    ChangeTopic.DELIVERIES: Scope.DELIVERIES_READ,
}


class EventStream(StreamingResponse):
    """Answer of type `text/event-stream`."""

    media_type = "text/event-stream"


_EVENT = {
    "type": "object",
    "properties": {
        "event": {"enum": ["hello", "ping", *ChangeTopic]},
        "data": {"type": "string", "description": "JSON; `topic` and `at` of a change."},
        "retry": {"type": "integer", "description": "After how many milliseconds to come back."},
    },
}
_EVENTS = {200: {"content": {"text/event-stream": {"schema": _EVENT}}}}


@router.get(
    "/events",
    dependencies=[requires(Scope.METERS_READ)],
    response_class=EventStream,
    responses=_EVENTS,  # type: ignore[arg-type]
    summary="Stream changes",
)
def events(request: Request, caller: KeyCaller) -> StreamingResponse:
    """Server-sent events: `hello`, then `readings`, `findings`, `edits`, `quarantine`, `gateways`, `months`
    or `deliveries` when something of that kind changed, with `{"topic": ..., "at": ...}`, and `ping` after
    15 s in which nothing did: a stream that is silent for longer hangs. After `hello`, ask for everything
    anew: what changed while no stream was open is told to nobody."""
    return stream_to(request, caller)


def stream_to(request: Request, caller: Caller) -> StreamingResponse:
    """The stream of all that the caller may see. Raises Problem where too many are open."""
    shared = services(request)
    topics = frozenset(topic for topic, scope in SCOPES.items() if caller.may(scope))
    try:
        stream = shared.streams.open(
            caller.utility.id, caller.subject, topics, shared.settings.stream_seconds
        )
    except TooManyStreamsError as error:
        raise Problem(
            HTTPStatus.TOO_MANY_REQUESTS,
            "too-many-streams",
            "Too many event streams are open already. Close one, or use one for several purposes.",
            headers={"Retry-After": "30"},
        ) from error
    return EventStream(shared.streams.messages(stream, shared.clock))
