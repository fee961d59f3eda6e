"""Authentication: an API key in a header for `/v1`, a session cookie for the pages.

Each opens one utility, and there what its scopes or roles allow (`callers.py`). `/v1` takes keys only and the
pages take sessions only, so that no other site can make a browser call the API. Every route says what it
takes:

    @router.get("/meters", dependencies=[requires(Scope.METERS_READ)])

A form of a page is checked here too, for whatever route it is sent to.
"""

from dataclasses import dataclass
from http import HTTPStatus
from typing import Annotated, Any
from urllib.parse import quote

import psycopg
from fastapi import Depends, Request, Security
from fastapi.security import APIKeyHeader, HTTPAuthorizationCredentials, HTTPBearer

from api.identity.callers import Caller, KeyHolder, Visitor, key_holder, visitor_of
from api.identity.cookies import cookie_name
from api.web.answering import hold_connection
from api.web.problems import Problem, RefusedRequest
from api.web.services import services
from api.words.presentation import N_
from metering.access import Scope
from store import audit
from store.access import api_keys, sessions

_ADVICE = "Send `Authorization: Bearer <key>` or `X-API-Key: <key>`; `hesper key create` makes keys."
_SAFE = {"GET", "HEAD"}
_KEY_LENGTH = 256  # characters that a key can have at the most

# What a request that was answered leaves in the audit log; with any other scope a change does.
READ_PERSONAL = "read personal data"
_NOTED = {
    Scope.READINGS_READ: READ_PERSONAL,
    Scope.TELEGRAMS_READ: READ_PERSONAL,
    Scope.BILLING_READ: "read billing data",
    Scope.AUDIT_READ: "read the audit log",
}


class SignInRequiredError(Exception):
    """A page was asked for without a session: the browser is sent to the sign-in page and back."""

    def __init__(self, back_to: str) -> None:
        super().__init__(back_to)
        self.location = f"/sign-in?next={quote(back_to)}" if back_to != "/" else "/sign-in"


Store = Annotated[psycopg.Connection, Depends(hold_connection)]

_bearer = HTTPBearer(auto_error=False, scheme_name="key", description=_ADVICE)
_header = APIKeyHeader(name="X-API-Key", auto_error=False, scheme_name="key in X-API-Key")


async def _credential(
    request: Request,
    bearer: Annotated[HTTPAuthorizationCredentials | None, Security(_bearer)],
    header: Annotated[str | None, Security(_header)],
) -> str:
    """The key, or the session's token, before anything is asked of the database."""
    if _is_api(request):
        key = (bearer.credentials if bearer else header or "").strip()
        if not key:
            raise _unauthenticated(f"No API key came with the request. {_ADVICE}")
        return key[:_KEY_LENGTH]
    token = request.cookies.get(cookie_name(services(request)), "")
    if not token:
        raise SignInRequiredError(_back_to(request))
    return token


async def _submitted_token(request: Request) -> str:
    """Token that a form brought along: its hidden field, or the header of a request by a script of ours."""
    if request.method in _SAFE or _is_api(request):
        return ""
    if token := request.headers.get("x-form-token"):
        return token
    given = (await request.form()).get("form_token", "")
    return given if isinstance(given, str) else ""


async def _authenticated(
    request: Request,
    credential: Annotated[str, Depends(_credential)],
    form_token: Annotated[str, Depends(_submitted_token)],
    store: Store,
) -> KeyHolder | Visitor:
    shared = services(request)
    who: KeyHolder | Visitor
    if _is_api(request):
        who = _holder_of(request, store, credential)
        caller: Caller = who
    else:
        who = _visitor_with(request, store, credential)
        caller = who.caller
        if request.method not in _SAFE:
            check_form(request, form_token, credential)
    wait = shared.rates.take(caller.subject)
    if wait is not None:
        raise Problem(
            HTTPStatus.TOO_MANY_REQUESTS,
            "too-many-requests",
            N_("Too many requests at once. Wait as long as Retry-After says."),
            headers={"Retry-After": str(int(wait.total_seconds()) + 1)},
        )
    audit.sign_as(store, caller.actor, client_address(request))
    return who


Authenticated = Annotated[KeyHolder | Visitor, Depends(_authenticated)]


async def _key_caller(who: Authenticated) -> KeyHolder:
    assert isinstance(who, KeyHolder), "a route outside of /v1 asks for a key"
    return who


async def _visitor(who: Authenticated) -> Visitor:
    assert isinstance(who, Visitor), "a route of /v1 asks for a session"
    return who


KeyCaller = Annotated[KeyHolder, Depends(_key_caller)]
PageVisitor = Annotated[Visitor, Depends(_visitor)]


@dataclass(frozen=True, slots=True)
class Requires:
    """Lets a request through whose caller has the scope, and notes it where it shows or changes something."""

    scope: Scope

    async def __call__(self, request: Request, who: Authenticated, store: Store) -> None:
        caller = who if isinstance(who, KeyHolder) else who.caller
        if not caller.may(self.scope):
            raise Problem(
                HTTPStatus.FORBIDDEN,
                "forbidden",
                N_(
                    "This needs the right `%(right)s`, which %(who)s does not have at %(utility)s. "
                    "Ask the Hesper administrator there."
                ),
                values={"right": self.scope, "who": caller.name, "utility": caller.utility.name},
                refusal=RefusedRequest(
                    caller.actor, client_address(request), caller.utility.id, str(self.scope), request.method
                ),
            )
        action = _NOTED.get(self.scope) if request.method in _SAFE else "asked for a change"

        def note(error: type[BaseException] | None, *_: object) -> None:
            if action and error is None:  # after an error nothing was shown, and nothing changed
                audit.note(
                    store,
                    action,
                    request.url.path,
                    utility_id=caller.utility.id,
                    method=request.method,
                    query=dict(request.query_params),
                )

        request.state.held.push(note)  # last, and then the commit: the log's chain is locked by whoever notes


def requires(scope: Scope) -> Any:
    """The dependency of a route that takes this scope. A route has this or `OPEN`, or it fails the tests."""
    return Depends(Requires(scope))


async def _anyone() -> None:
    """Asks nothing."""


OPEN: Any = Depends(_anyone)  # said by a route that is meant for strangers too


def _holder_of(request: Request, store: Store, key: str) -> KeyHolder:
    found = api_keys.verify(store, key)
    if found is None:
        raise _unauthenticated(
            f"The API key is not known, has expired or was revoked. {_ADVICE}",
            RefusedRequest("", client_address(request), None, "no key in force", request.method),
        )
    return key_holder(store, found)


def _visitor_with(request: Request, store: Store, token: str) -> Visitor:
    shared = services(request)
    session = sessions.find(store, token, now=shared.clock(), idle=shared.settings.session_idle)
    visitor = visitor_of(store, session, shared.signer.form_token(token)) if session else None
    if visitor is None:
        raise SignInRequiredError(_back_to(request))
    return visitor


def client_address(request: Request) -> str:
    """The address that the request came from: the proxy's word, where uvicorn was told to trust it."""
    return request.client.host if request.client else "unknown"


def _is_api(request: Request) -> bool:
    return request.url.path.startswith("/v1/")


def _unauthenticated(detail: str, refusal: RefusedRequest | None = None) -> Problem:
    return Problem(
        HTTPStatus.UNAUTHORIZED,
        "unauthenticated",
        detail,
        headers={"WWW-Authenticate": "Bearer"},
        refusal=refusal,
    )


def _back_to(request: Request) -> str:
    """The page to come back to after signing in."""
    if request.method != "GET":
        return "/"
    return request.url.path + (f"?{request.url.query}" if request.url.query else "")


def check_form(request: Request, token: str, nonce: str) -> None:
    """Refuse a form that our page did not make for this browser. Raises Problem."""
    site = request.headers.get("sec-fetch-site", "same-origin")
    if site not in {"same-origin", "none"} or not services(request).signer.accepts_form(nonce, token):
        raise Problem(
            HTTPStatus.FORBIDDEN,
            "form-expired",
            N_(
                "The form is too old or was not sent from this site. Open the page again and repeat the step."
            ),
        )
