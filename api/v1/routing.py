"""Route of `/v1`: the one place where a route's transaction is still open and the
response is already made.

`resources("meters")` is the router of a module of `/v1`. Below its routes `Answered` may be raised to answer
at once, and is committed as any other answer is, where an error is rolled back. The answer to an
`Idempotency-Key` (`idempotency.py`) is kept in the transaction of the change.
"""

from collections.abc import Callable, Coroutine
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import Response
from fastapi.routing import APIRoute
from starlette.concurrency import run_in_threadpool


class Answered(Exception):  # noqa: N818 - no error: the answer is known already
    """Raised below a route when the answer is known without it."""

    def __init__(self, response: Response) -> None:
        super().__init__(response.status_code)
        self.response = response


class ResourceRoute(APIRoute):
    """A route of `/v1`."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """FastAPI's handler, and what is done while the transaction that it began is still open."""
        handle = super().get_route_handler()

        async def answer(request: Request) -> Response:
            try:
                response = await handle(request)
            except Answered as early:
                return early.response
            keep: Callable[[Response], None] | None = getattr(request.state, "keep_answer", None)
            if keep is not None:
                await run_in_threadpool(keep, response)
            return response

        return answer


def resources(tag: str) -> APIRouter:
    """The router of a module of `/v1`; `tag` groups its operations for readers of the OpenAPI."""
    return APIRouter(prefix="/v1", tags=[tag], route_class=ResourceRoute)
