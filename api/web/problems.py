"""Errors of the API as RFC 9457 problem details; in a browser the same as a page, in its language.

`detail` always says what to do next. Nothing of the inside (statements, traces, secrets) is ever in one.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

import structlog
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response
from psycopg import DataError, OperationalError
from psycopg.errors import QueryCanceled
from psycopg_pool import PoolTimeout
from starlette.exceptions import HTTPException

from api.web.problem_types import TYPES, path_of
from api.web.rate_limits import network_of
from api.web.services import services
from api.web.workers import QueueFullError
from api.words.language import Language, language_of
from api.words.presentation import N_
from store import audit
from store.postgres.roles import enter_utility

MEDIA_TYPE = "application/problem+json"

log = structlog.get_logger(__name__)

_ADVICE = {
    404: N_("There is nothing at this address; /v1/openapi.json lists all addresses."),
    405: N_("This address does not accept that method; the Allow header lists those it accepts."),
}
_BY_THE_FRAMEWORK = ("not-found", "method-not-allowed", "body-too-large")  # anything else is a bad request


@dataclass(frozen=True, slots=True)
class RefusedRequest:
    """Refused request as the audit log has it; `utility_id` None: nobody knows whose it is."""

    actor: str
    address: str
    utility_id: int | None
    reason: str
    method: str


class Problem(Exception):  # noqa: N818 - the word of RFC 9457
    """Raised anywhere below a route; `name` is one of `problem_types.TYPES`.

    `detail` is a text for the catalogues where a page may show it, with `%(name)s` for each of `values`.
    """

    def __init__(
        self,
        status: HTTPStatus,
        name: str,
        detail: str,
        *,
        headers: Mapping[str, str] | None = None,
        refusal: RefusedRequest | None = None,
        values: Mapping[str, str] | None = None,
        **extensions: Any,
    ) -> None:
        self.detail = detail % values if values else detail
        super().__init__(self.detail)
        self.status = status
        self.name = name
        self._text = detail
        self._values = values or {}
        self.headers = dict(headers or {})
        self.refusal = refusal
        self.extensions = extensions

    def told(self, language: Language) -> str:
        """The detail in the reader's language, where there is one of it."""
        values = {name: language.gettext(value) for name, value in self._values.items()}
        return language.gettext(self._text, **values)

    def document(self) -> dict[str, Any]:
        """The members of the problem document."""
        return {
            "type": path_of(self.name),
            "title": TYPES[self.name].title,
            "status": self.status.value,
            "detail": self.detail,
            **self.extensions,
        }


_DOCUMENT = {
    "type": "object",
    "required": ["type", "title", "status", "detail"],
    "properties": {
        "type": {
            "type": "string",
            "format": "uri-reference",
            "description": "Leads to a page on what it means and what to do.",
            "examples": [path_of("not-found")],
        },
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string", "description": "What to do next."},
    },
}
RESPONSES: dict[int | str, dict[str, Any]] = {
    status: {"description": HTTPStatus(status).phrase, "content": {MEDIA_TYPE: {"schema": _DOCUMENT}}}
    for status in (400, 401, 403, 404, 405, 409, 412, 413, 422, 428, 429, 503)
}


def not_found(what: str, advice: str) -> Problem:
    """A 404 for something that this utility does not have (whether or not another has it)."""
    text = N_("%(what)s is not known here. %(advice)s")
    return Problem(HTTPStatus.NOT_FOUND, "not-found", text, values={"what": what, "advice": advice})


def no_database(
    advice: str = N_("The database does not answer now. Try again; if it persists, tell the operator."),
) -> Problem:
    """A 503 for what the database did not answer in time."""
    headers = {"Retry-After": "5"}
    return Problem(HTTPStatus.SERVICE_UNAVAILABLE, "database-unavailable", advice, headers=headers)


def invalid(parameter: str, detail: str) -> Problem:
    """A 422 for a parameter that is well-formed for the framework and still not usable."""
    return Problem(
        HTTPStatus.UNPROCESSABLE_ENTITY,
        "invalid-request",
        detail,
        errors=[{"where": parameter, "what": detail}],
    )


def wants_page(request: Request) -> bool:
    """True where a browser navigates, which is shown a page."""
    return not request.url.path.startswith("/v1") and "text/html" in request.headers.get("accept", "")


def respond(request: Request, problem: Problem) -> Response:
    """The problem as JSON, or as a page where a browser navigates."""
    if wants_page(request):
        page = services(request).templates.TemplateResponse(
            request,
            "frame/error.html",
            {
                "status": problem.status,
                "title": TYPES[problem.name].title,
                "detail": problem.told(language_of(request)),
            },
            status_code=problem.status,
        )
        page.headers.update(problem.headers)
        return page
    return JSONResponse(problem.document(), problem.status, problem.headers, MEDIA_TYPE)


def install(app: FastAPI) -> None:
    """Let every error of the app leave as a problem."""

    @app.exception_handler(Problem)
    async def on_problem(request: Request, error: Problem) -> Response:
        return respond(request, error)

    @app.exception_handler(HTTPException)
    async def on_http(request: Request, error: HTTPException) -> Response:
        status = HTTPStatus(error.status_code)
        detail = _ADVICE.get(status, str(error.detail))
        name = next((name for name in _BY_THE_FRAMEWORK if TYPES[name].status == status), "bad-request")
        return respond(request, Problem(status, name, detail, headers=error.headers))

    @app.exception_handler(RequestValidationError)
    async def on_invalid(request: Request, error: RequestValidationError) -> Response:
        errors = [
            {"where": ".".join(str(part) for part in item["loc"]), "what": str(item["msg"])}
            for item in error.errors()
        ]
        summary = "; ".join(f"{item['where']}: {item['what']}" for item in errors)
        return respond(
            request,
            Problem(
                HTTPStatus.UNPROCESSABLE_ENTITY,
                "invalid-request",
                N_("Correct the request and send it again. %(faults)s"),
                values={"faults": summary},
                errors=errors,
            ),
        )

    @app.exception_handler(PoolTimeout)
    @app.exception_handler(OperationalError)
    async def on_database(request: Request, error: Exception) -> Response:
        if not isinstance(error, QueryCanceled):
            log.info(
                "the database did not answer a request", path=request.url.path, error=type(error).__name__
            )
            services(request).pulse.missed()  # which logs when the database has gone, and when it is back
            return respond(request, no_database())
        log.error("a query took too long", path=request.url.path)
        advice = N_("The query took the database too long: ask for a shorter time span or a smaller page.")
        return respond(request, no_database(advice))

    @app.exception_handler(QueueFullError)
    async def on_end(request: Request, _error: Exception) -> Response:
        return respond(request, no_database(N_("Hesper is being restarted. Try again in a few seconds.")))

    @app.exception_handler(DataError)
    async def on_data(request: Request, _error: Exception) -> Response:
        return respond(
            request,
            Problem(
                HTTPStatus.UNPROCESSABLE_ENTITY,
                "invalid-request",
                N_("A parameter contains what the database cannot compare, such as a NUL character."),
            ),
        )

    @app.exception_handler(Exception)
    async def on_bug(request: Request, error: Exception) -> Response:
        log.error("unexpected error", path=request.url.path, exc_info=error)
        return respond(
            request,
            Problem(
                HTTPStatus.INTERNAL_SERVER_ERROR,
                "internal-error",
                N_("Something went wrong on our side. Try again; if it persists, report it with the time."),
            ),
        )


def note_refusal(request: Request, problem: Problem) -> None:
    """Let the audit log have who was refused, in a transaction of its own, that of the request being undone.

    A network of strangers that is refused again and again has a row every ten seconds: refusing them has to
    stay cheap. Callers whom we know have a row each time.
    """
    refusal, shared = problem.refusal, services(request)
    if refusal is None:
        return
    if refusal.utility_id is None and shared.refusals.take(network_of(refusal.address)) is not None:
        return
    with shared.connection() as connection:
        if refusal.utility_id is not None:
            enter_utility(connection, refusal.utility_id)
        audit.sign_as(connection, refusal.actor or "nobody", refusal.address)
        audit.note(
            connection,
            "refused",
            request.url.path,
            utility_id=refusal.utility_id,
            method=refusal.method,
            reason=refusal.reason,
        )
