"""Rules for every request and response: security headers, no caching, limits on rates and bodies.

Plain ASGI.
"""

import re
from collections.abc import Mapping
from datetime import timedelta
from http import HTTPStatus

from starlette.datastructures import MutableHeaders
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.web.problems import MEDIA_TYPE, Problem
from api.web.rate_limits import TokenBuckets, network_of

_SECURITY = {
    "Content-Security-Policy": (
        "default-src 'self'; object-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
}
_HSTS = "max-age=31536000; includeSubDomains"
_STATIC = "/static/"


class SecurityHeaders:
    """Adds them to every response; only files under /static/ may be kept, and are asked for anew."""

    def __init__(self, app: ASGIApp, *, https: bool) -> None:
        self._app = app
        self._headers = _SECURITY | ({"Strict-Transport-Security": _HSTS} if https else {})

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        cache = "no-cache" if scope["path"].startswith(_STATIC) else "no-store"

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                headers.update(self._headers)
                headers["Cache-Control"] = cache
            await send(message)

        await self._app(scope, receive, send_with_headers)


class RateLimit:
    """Refuses an address that asks too often with 429, before anything is done for it."""

    def __init__(self, app: ASGIApp, *, buckets: TokenBuckets) -> None:
        self._app = app
        self._buckets = buckets

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        client = scope.get("client")
        wait = (
            self._buckets.take(network_of(client[0]) if client else "unknown")
            if scope["type"] == "http"
            else None
        )
        if wait is None:
            await self._app(scope, receive, send)
            return
        problem = Problem(
            HTTPStatus.TOO_MANY_REQUESTS,
            "too-many-requests",
            "More requests come from this address than may come at once. Wait as long as Retry-After says.",
            headers={"Retry-After": str(wait // timedelta(seconds=1) + 1)},
        )
        await _answer(problem)(scope, receive, send)


class BodyLimit:
    """Refuses bodies over `limit` bytes with 413, whether they announce their size or not.

    `larger`: the limits of paths that take more.
    """

    def __init__(
        self, app: ASGIApp, *, limit: int, larger: Mapping[re.Pattern[str], int] | None = None
    ) -> None:
        self._app = app
        self._limit = limit
        self._larger = larger or {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        # The body is taken whole before the app sees it: it is small, and a refusal can still be answered.
        path: str = scope["path"]
        limit = next((more for where, more in self._larger.items() if where.fullmatch(path)), self._limit)
        body = bytearray()
        more = True
        while more:
            message = await receive()
            if message["type"] == "http.disconnect":
                return
            body += message.get("body", b"")
            more = message.get("more_body", False)
            if len(body) > limit:
                await self._refuse(scope, receive, send, limit)
                return
        pending: list[Message] = [{"type": "http.request", "body": bytes(body), "more_body": False}]

        async def replay() -> Message:
            return pending.pop() if pending else await receive()

        await self._app(scope, replay, send)

    async def _refuse(self, scope: Scope, receive: Receive, send: Send, limit: int) -> None:
        problem = Problem(
            HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
            "body-too-large",
            f"The body is larger than {limit} bytes. Send less at once.",
            headers={"Connection": "close"},
        )
        await _answer(problem)(scope, receive, send)


def _answer(problem: Problem) -> JSONResponse:
    return JSONResponse(problem.document(), problem.status, problem.headers, MEDIA_TYPE)
