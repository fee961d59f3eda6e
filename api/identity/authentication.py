"""Who is asking, and may they: an API key in a header for `/v1`, a session cookie for the pages.

Each is worth one utility, and there what its scopes or roles allow. `/v1` takes keys only and the pages take
sessions only, so that no other site can make a browser call the API. Every route says what it takes:

    @router.get("/meters", dependencies=[requires(Scope.METERS_READ)])

A form of a page is checked here too, for whatever route it is sent to.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Annotated, Any
from urllib.parse import quote

import psycopg
from fastapi import Depends, Request, Security
from fastapi.security import APIKeyHeader, HTTPAuthorizationCredentials, HTTPBearer

from api.web.problems import Problem, Refusal
from api.web.services import Services, services
from api.words.presentation import N_
from metering.access import PRIVILEGED, Scope, UserRole, scopes_of
from store import audit
from store.access import api_keys, sessions, users
from store.access.sessions import Session
from store.fleet.utilities import UtilityRow, utility

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


@dataclass(frozen=True, slots=True)
class Caller:
    """Somebody who is known now, the one utility whose rows they see, and what they may do there."""

    utility: UtilityRow
    name: str
    scopes: frozenset[Scope]

    @property
    def actor(self) -> str:
        """The name in the audit log."""
        return self.name

    @property
    def subject(self) -> str:
        """Whose requests are counted together."""
        return f"person {self.name}"

    def may(self, scope: Scope | str) -> bool:
        """Whether a route that requires this would answer."""
        return scope in self.scopes


@dataclass(frozen=True, slots=True)
class KeyHolder(Caller):
    """A program with an API key, or a browser that signed in with one."""

    key: api_keys.ApiKey

    @property
    def key_id(self) -> int:
        """The number of the key."""
        return self.key.id

    @property
    def actor(self) -> str:
        """The name in the audit log."""
        return self.key.actor

    @property
    def subject(self) -> str:
        """Whose requests are counted together."""
        return f"key {self.key_id}"


@dataclass(frozen=True, slots=True)
class Visitor:
    """A signed-in browser; `form_token` goes into every form shown to it.

    `person` is None where the session began with a key.
    """

    caller: Caller
    form_token: str = field(repr=False)
    session: Session
    person: users.User | None
    roles: dict[str, frozenset[UserRole]]  # by the code of each utility that the session may show


class SignInRequiredError(Exception):
    """A page was asked for without a session: the browser is sent to the sign-in page and back."""

    def __init__(self, back_to: str) -> None:
        super().__init__(back_to)
        self.location = f"/sign-in?next={quote(back_to)}" if back_to != "/" else "/sign-in"


def connection(request: Request) -> Iterator[psycopg.Connection]:
    """A connection for one request: committed before the response leaves, rolled back on an error."""
    with services(request).pool.connection() as session:
        yield session


# scope="function": what a caller is told has been stored is committed by then
Store = Annotated[psycopg.Connection, Depends(connection, scope="function")]

# What asks nothing of the database is `async`, as in every dependency: else it costs two changes of thread.
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
    """What a form brought along: the hidden field, or the header of a request that a script of ours makes."""
    if request.method in _SAFE or _is_api(request):
        return ""
    if token := request.headers.get("x-form-token"):
        return token
    given = (await request.form()).get("form_token", "")
    return given if isinstance(given, str) else ""


def _authenticated(
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


Authenticated = Annotated[KeyHolder | Visitor, Depends(_authenticated, scope="function")]


async def _key_caller(who: Authenticated) -> KeyHolder:
    assert isinstance(who, KeyHolder), "a route outside of /v1 asks for a key"
    return who


async def _visitor(who: Authenticated) -> Visitor:
    assert isinstance(who, Visitor), "a route of /v1 asks for a session"
    return who


KeyCaller = Annotated[KeyHolder, Depends(_key_caller, scope="function")]
PageVisitor = Annotated[Visitor, Depends(_visitor, scope="function")]


@dataclass(frozen=True, slots=True)
class Requires:
    """Lets a request through whose caller has the scope, and notes it where it shows or changes something."""

    scope: Scope

    def __call__(self, request: Request, who: Authenticated, store: Store) -> Iterator[None]:
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
                refusal=Refusal(
                    caller.actor, client_address(request), caller.utility.id, str(self.scope), request.method
                ),
            )
        yield  # the route does its work; an error leaves by here, and nothing was shown
        action = _NOTED.get(self.scope) if request.method in _SAFE else "asked for a change"
        if action:
            audit.note(
                store,
                action,
                request.url.path,
                utility_id=caller.utility.id,
                method=request.method,
                query=dict(request.query_params),
            )


def requires(scope: Scope) -> Any:
    """The dependency of a route that takes this scope. A route has this or `OPEN`, or it fails the tests."""
    return Depends(Requires(scope), scope="function")


async def _anyone() -> None:
    """Asks nothing."""


OPEN: Any = Depends(_anyone)  # said by a route that is meant for strangers too


def _holder_of(request: Request, store: Store, key: str) -> KeyHolder:
    found = api_keys.verify(store, key)
    if found is None:
        raise _unauthenticated(
            f"The API key is not known, has expired or was revoked. {_ADVICE}",
            Refusal("", client_address(request), None, "no key in force", request.method),
        )
    return _holder(store, found)


def _holder(store: Store, key: api_keys.ApiKey) -> KeyHolder:
    scopes = frozenset(scope for scope in Scope if scope in key.scopes) | {Scope.OWN}
    return KeyHolder(utility(store, key.utility_id), key.name, scopes, key)


def _visitor_with(request: Request, store: Store, token: str) -> Visitor:
    shared = services(request)
    session = sessions.find(store, token, now=shared.clock(), idle=shared.settings.session_idle)
    visitor = _visitor_of(store, session, shared.signer.form_token(token)) if session else None
    if visitor is None:
        raise SignInRequiredError(_back_to(request))
    return visitor


def _visitor_of(store: Store, session: Session, form_token: str) -> Visitor | None:
    """None where the account, the key or the last role has ended since the session began."""
    if session.api_key_id is not None:
        key = api_keys.find(store, session.api_key_id)
        return Visitor(_holder(store, key), form_token, session, None, {}) if key else None
    assert session.user_id is not None
    person = users.enter(store, session.user_id)
    if person is None:
        return None
    roles = roles_of(store, person, session.granted)
    shown = utility(store, session.utility_id)
    if shown.code not in roles:
        return None
    caller = Caller(shown, person.login, scopes_of(effective(roles[shown.code], person)) | {Scope.OWN})
    return Visitor(caller, form_token, session, person, roles)


def roles_of(
    store: Store, person: users.User, granted: dict[str, list[str]]
) -> dict[str, frozenset[UserRole]]:
    """What the person who was entered is to each utility, by its code; `granted` is by claims."""
    roles = {
        one.utility: frozenset(UserRole(role) for role in one.roles)
        for one in users.memberships(store, person.id)
    }
    for code, names in granted.items():
        given = frozenset(role for role in UserRole if role in names)
        roles[code] = roles.get(code, frozenset()) | given
    return {code: held for code, held in roles.items() if held}


def effective(roles: frozenset[UserRole], person: users.User) -> frozenset[UserRole]:
    """The roles that count: those over money and people only with a second factor, ours or a provider's."""
    return roles if person.totp_secret or person.issuer else roles - PRIVILEGED


def client_address(request: Request) -> str:
    """The address that the request came from: the proxy's word, where uvicorn was told to trust it."""
    return request.client.host if request.client else "unknown"


def _is_api(request: Request) -> bool:
    return request.url.path.startswith("/v1/")


def _unauthenticated(detail: str, refusal: Refusal | None = None) -> Problem:
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


def cookie_name(shared: Services) -> str:
    """`__Host-` binds the cookie to this host and https, where there is https."""
    return "__Host-hesper-session" if shared.settings.secure_cookies else "hesper-session"


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


def session_cookie(shared: Services) -> dict[str, Any]:
    """The attributes of every cookie that we set.

    Lax, not strict: a sign-in that began at a provider comes back from its site. No GET changes anything.
    """
    return {"httponly": True, "samesite": "lax", "secure": shared.settings.secure_cookies, "path": "/"}
