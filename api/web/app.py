"""The FastAPI application: `/v1` for programs, pages for people, `/health` for supervisors."""

import asyncio
import re
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from functools import partial
from http import HTTPStatus
from importlib.metadata import version
from pathlib import Path
from threading import BoundedSemaphore
from typing import Any

import httpx
from fastapi import FastAPI, Request
from fastapi.responses import RedirectResponse, Response
from fastapi.staticfiles import StaticFiles
from starlette.middleware.gzip import GZipMiddleware

from api.identity.authentication import SignInRequiredError, requires
from api.identity.form_tokens import Signer
from api.identity.oidc import Provider
from api.identity.passwords import AT_ONCE as HASHES_AT_ONCE
from api.identity.passwords import Passwords, SecondFactor
from api.pages.frame.rendering import templates
from api.pages.routes import ROUTERS as PAGES
from api.v1.routes import ROUTERS as RESOURCES
from api.web import health, problems
from api.web.adaptive_cache import AdaptiveCache
from api.web.answering import page_routes
from api.web.configuration_check import ConfigurationCheck
from api.web.middleware import BodyLimit, RateLimit, SecurityHeaders
from api.web.pulse import DatabasePulse
from api.web.rate_limits import TokenBuckets
from api.web.services import Services
from api.web.settings import ApiSettings
from api.web.streams import ChangeStreams
from api.web.telegrams import Decode, undecoded
from api.web.workers import Workers
from metering.access import Scope
from store.postgres.database import connect, pool
from store.postgres.roles import Role

_STATIC = Path(__file__).resolve().parents[1] / "static"
_GZIP_FROM = 1000  # bytes
_GZIP_LEVEL = 4  # half the time of 9, and a fifth more bytes at the most
_PROVIDER_SECONDS = 5
_HASHES_WAITING = 30  # some seconds' worth
# Refusals of strangers of one network that the audit log takes, a second and at once.
_REFUSAL_RATE, _REFUSAL_BURST = 0.1, 10
_CONFIGURATION = re.compile(r"(/v1)?/gateways/[^/]+/configurations?(/preview)?")  # hundreds of meters
_MAX_CONFIGURATION_BYTES = 512 * 1024

_TAGS = [
    {"name": "registry", "description": "Sites, gateways, service points, installations, and their history."},
    {"name": "meters", "description": "Meters, their registers, and what was found at them."},
    {"name": "readings", "description": "What meters showed, and what people hand in."},
    {"name": "findings", "description": "What somebody should look at, and what people make of it."},
    {"name": "closes", "description": "Months as they are drafted, looked at, approved, delivered."},
    {"name": "billing", "description": "Billing readings by cursor, their evidence, and acknowledgements."},
    {"name": "deliveries", "description": "What is pushed to billing systems."},
    {"name": "quarantine", "description": "What could not be used, and meters that nobody registered."},
    {"name": "tasks", "description": "Tasks that were asked for and are done by a worker."},
    {
        "name": "exports",
        "description": "Readings of a range, billing readings of a period: files.",
    },
    {"name": "events", "description": "What changes, as it changes."},
    {"name": "gateways", "description": "How gateways are, and what they are asked to do and to run."},
    {"name": "audit", "description": "Who did what."},
    {"name": "health", "description": "For supervisors."},
]


def utc_now() -> datetime:
    """The clock of an app that is not under test."""
    return datetime.now(UTC)


def openapi(request: Request) -> dict[str, Any]:
    """The description of `/v1`. Knows no app: FastAPI remembers for good what it was given as a route."""
    app: FastAPI = request.app
    return app.openapi()


def create_app(
    settings: ApiSettings,
    *,
    clock: Callable[[], datetime] = utc_now,
    check: ConfigurationCheck | None = None,
    decode: Decode = undecoded,
) -> FastAPI:
    """The app; its pool is opened when it starts and closed when it ends.

    `check` judges configurations of gateways, `decode` explains telegrams.

    Starting raises store.database.UnreachableError where the database cannot be had.
    """

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        sessions = pool(
            settings.database_url,
            settings.workers + settings.exports_at_once,  # nobody waits for one while holding another
            role=Role.API,
            application="hesper api",
            statement_timeout=timedelta(seconds=settings.statement_seconds),
        )
        workers = Workers(settings.workers, "hesper answer")
        hashing = Workers(HASHES_AT_ONCE, "hesper hashing", most=_HASHES_WAITING, yielding=True)
        pulse = DatabasePulse(
            partial(connect, settings.database_url, application="hesper pulse", role=Role.API),
            settings.answer_seconds,
        )
        pulse.start()
        client = httpx.Client(timeout=_PROVIDER_SECONDS) if settings.oidc else None
        app.state.services = Services(
            settings=settings,
            pool=sessions,
            workers=workers,
            hashing=hashing,
            pulse=pulse,
            clock=clock,
            signer=Signer(settings.session_secret),
            passwords=Passwords(settings.password_memory_kib),
            second_factor=SecondFactor(settings.session_secret, settings.keyring),
            rates=TokenBuckets(settings.caller_rate, settings.caller_burst, clock),
            refusals=TokenBuckets(_REFUSAL_RATE, _REFUSAL_BURST, clock),
            provider=Provider(settings.oidc, settings.session_secret, clock, client)
            if settings.oidc and client
            else None,
            check=check,
            templates=templates(),
            decode=decode,
            streams=ChangeStreams(settings.database_url, asyncio.get_running_loop()),
            fleets=AdaptiveCache(),
            exports=BoundedSemaphore(settings.exports_at_once),
        )
        try:
            yield
        finally:
            app.state.services.streams.close()
            await pulse.close()
            workers.close()
            hashing.close()
            sessions.close()
            if client:
                client.close()

    app = FastAPI(
        title="Hesper",
        version=version("hesper"),
        lifespan=lifespan,
        docs_url=None,
        redoc_url=None,
        openapi_url=None,  # served below, to those with a key
        openapi_tags=_TAGS,
        generate_unique_id_function=lambda route: route.name,  # what client generators name their methods
    )
    app.include_router(health.router)
    for resource in RESOURCES:
        app.include_router(resource, responses=problems.RESPONSES)
    for page in PAGES:
        app.include_router(page)
    app.mount("/static", StaticFiles(directory=_STATIC), name="static")
    problems.install(app)

    description = page_routes()
    description.get("/v1/openapi.json", dependencies=[requires(Scope.OWN)])(openapi)
    app.include_router(description)

    @app.exception_handler(SignInRequiredError)
    async def to_sign_in(request: Request, error: SignInRequiredError) -> Response:
        if "hx-request" in request.headers:  # a page that refreshes itself: the whole page has to go there
            return Response(status_code=HTTPStatus.UNAUTHORIZED, headers={"HX-Redirect": error.location})
        return RedirectResponse(error.location, HTTPStatus.SEE_OTHER)

    app.add_middleware(
        BodyLimit, limit=settings.max_body_bytes, larger={_CONFIGURATION: _MAX_CONFIGURATION_BYTES}
    )
    app.add_middleware(GZipMiddleware, minimum_size=_GZIP_FROM, compresslevel=_GZIP_LEVEL)
    app.add_middleware(RateLimit, buckets=TokenBuckets(settings.address_rate, settings.address_burst, clock))
    app.add_middleware(SecurityHeaders, https=settings.secure_cookies)
    return app
