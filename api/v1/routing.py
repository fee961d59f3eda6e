"""Route of `/v1`: where a transaction is still open and the response is already made.

`resources("meters")` is the router of a module of `/v1`. Below its routes `Answered` may be raised to answer
at once, and is committed as any other answer is, where an error is rolled back. The answer to an
`Idempotency-Key` (`idempotency.py`) is kept in the transaction of the change.
"""

from collections.abc import Callable

from fastapi import Request
from fastapi.responses import Response

from api.web.answering import Handler, WorkerRoute, WorkerRouter


class Answered(Exception):  # noqa: N818 - no error: the answer is known already
    """Raised below a route when the answer is known without it."""

    def __init__(self, response: Response) -> None:
        super().__init__(response.status_code)
        self.response = response


class ResourceRoute(WorkerRoute):
    """A route of `/v1`."""

    def response(self, handle: Handler, request: Request) -> Response:
        """The response, kept where the request came with a key for it."""
        try:
            response = super().response(handle, request)
        except Answered as early:
            return early.response
        keep: Callable[[Response], None] | None = getattr(request.state, "keep_answer", None)
        if keep is not None:
            keep(response)
        return response


def resources(tag: str) -> WorkerRouter:
    """The router of a module of `/v1`; `tag` groups its operations for readers of the OpenAPI."""
    return WorkerRouter(prefix="/v1", tags=[tag], route_class=ResourceRoute)
