"""Route that is answered by one worker, from its first dependency to the response.

FastAPI gives each dependency and each route that is not `async` a thread for itself, one after the other,
so that a request which holds a connection would wait for a thread again. Here a request waits once, for a
worker (`workers.py`). What its dependencies take, they put into `request.state.held`, which ends when the
response is made: what a caller is told has been stored is committed by then.

A route that needs something costly raises `Aside`, and is asked again with what came of it.
"""

from collections.abc import Callable, Coroutine
from contextlib import ExitStack
from functools import wraps
from http import HTTPStatus
from typing import Any, TypeVar

import psycopg
from fastapi import APIRouter, Request
from fastapi.responses import Response
from fastapi.routing import APIRoute

from api.web.problems import Problem, no_database, note_refusal
from api.web.services import Services, services
from api.web.workers import QueueFullError, finished
from api.words.presentation import N_

T = TypeVar("T")
Handler = Callable[[Request], Coroutine[Any, Any, Response]]


class Aside(Exception):  # noqa: N818 - no error
    """Costly work that a route asks for: done with neither a worker nor a connection in hand.

    The route is called again with what came of it in `request.state.aside`; what is to last is committed.
    """

    def __init__(self, work: Callable[..., Any], *arguments: Any) -> None:
        super().__init__()
        self.work = work
        self.arguments = arguments


async def costly(shared: Services, work: Callable[..., T], *arguments: Any) -> T:
    """What `work` returns. Raises Problem (429) where too many wait for the like."""
    try:
        return await shared.hashing.run(work, *arguments)
    except QueueFullError:
        raise Problem(
            HTTPStatus.TOO_MANY_REQUESTS,
            "too-many-requests",
            N_("Too many people sign in just now. Try again in a few seconds."),
            headers={"Retry-After": "5"},
        ) from None


class WorkerRoute(APIRoute):
    """Route whose dependencies and endpoint run in the thread of one worker.

    The dependencies are `async`, so that FastAPI calls them where it is; they may ask the database, and wait
    for nothing that needs the event loop.
    """

    def get_route_handler(self) -> Handler:
        """FastAPI's handler, run by a worker."""
        handle = super().get_route_handler()

        async def answer(request: Request) -> Response:
            await request.body()  # while there is a loop; the worker finds it read
            if not services(request).pulse.beats:
                raise no_database()
            shared, request.state.aside = services(request), None
            try:
                return await shared.workers.run(self.answered, handle, request)
            except Aside as asked:
                request.state.aside = await costly(shared, asked.work, *asked.arguments)
            return await shared.workers.run(self.answered, handle, request)

        return answer

    def answered(self, handle: Handler, request: Request) -> Response:
        """The response, made in the worker; whatever was taken for it is given back."""
        client = getattr(request.state, "client", None)
        if client is not None and client.gone:
            return Response(status_code=HTTPStatus.REQUEST_TIMEOUT)  # for nobody
        try:
            with ExitStack() as request.state.held:
                return self.response(handle, request)
        except Problem as problem:
            note_refusal(request, problem)
            raise

    def response(self, handle: Handler, request: Request) -> Response:
        """The response, while the transaction of the request is open."""
        return finished(handle(request))


class WorkerRouter(APIRouter):
    """Router whose routes are answered by workers."""

    def add_api_route(self, path: str, endpoint: Callable[..., Any], **options: Any) -> None:
        """A plain function becomes one that FastAPI calls in the thread of the worker."""
        super().add_api_route(path, in_place(endpoint), **options)


def page_routes() -> WorkerRouter:
    """The router of a module of pages."""
    return WorkerRouter(include_in_schema=False, route_class=WorkerRoute)


async def hold_connection(request: Request) -> psycopg.Connection:
    """A connection to the end of the request: committed then, or rolled back on an error."""
    held: ExitStack = request.state.held
    return held.enter_context(services(request).connection())


def in_place(call: Callable[..., T]) -> Callable[..., Coroutine[Any, Any, T]]:
    """The same as an `async` function, which FastAPI runs where it is."""

    @wraps(call)
    async def run(*given: Any, **named: Any) -> T:
        return call(*given, **named)

    return run
