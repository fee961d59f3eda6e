"""Who is asking: an API key in a header for `/v1`, a session cookie for the pages. Each is worth one utility.

`/v1` takes keys only and the pages take sessions only, so that no other site can make a browser call the API.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from http import HTTPStatus
from typing import Annotated, Any
from urllib.parse import quote

import psycopg
from fastapi import Depends, Request

from api.problems import Problem
from api.services import Services, services
from api.sessions import Session
from store import api_keys
from store.queries.utilities import UtilityRow, utility

_ADVICE = "Send `Authorization: Bearer <key>` or `X-API-Key: <key>`; `hesper key` makes keys."


@dataclass(frozen=True, slots=True)
class Caller:
    """A key that is valid now, and the one utility whose rows it may see."""

    key_id: int
    key_name: str
    utility: UtilityRow


class SignInRequiredError(Exception):
    """A page was asked for without a session: the browser is sent to the sign-in page and back."""

    def __init__(self, back_to: str) -> None:
        super().__init__(back_to)
        self.location = f"/sign-in?next={quote(back_to)}" if back_to != "/" else "/sign-in"


def _presented_key(request: Request) -> str:
    scheme, _, bearer = request.headers.get("authorization", "").partition(" ")
    key = bearer.strip() if scheme.lower() == "bearer" else request.headers.get("x-api-key", "").strip()
    if not key:
        raise _unauthenticated(f"No API key came with the request. {_ADVICE}")
    return key


def connection(request: Request) -> Iterator[psycopg.Connection]:
    """A connection for one request: committed before the response leaves, rolled back on an error."""
    with services(request).pool.connection() as session:
        yield session


# scope="function": what a caller is told has been stored is committed by then
Presented = Annotated[str, Depends(_presented_key)]
Store = Annotated[psycopg.Connection, Depends(connection, scope="function")]


def _key_caller(key: Presented, store: Store) -> Caller:
    found = api_keys.verify(store, key)
    if found is None:
        raise _unauthenticated(f"The API key is not known, has expired or was revoked. {_ADVICE}")
    return Caller(found.id, found.name, utility(store, found.utility_id))


def _unauthenticated(detail: str) -> Problem:
    return Problem(HTTPStatus.UNAUTHORIZED, "unauthenticated", detail, headers={"WWW-Authenticate": "Bearer"})


KeyCaller = Annotated[Caller, Depends(_key_caller, scope="function")]


@dataclass(frozen=True, slots=True)
class Visitor:
    """A signed-in person; `form_token` goes into every form shown to them."""

    caller: Caller
    form_token: str


def cookie_name(shared: Services) -> str:
    """`__Host-` binds the cookie to this host and https, where there is https."""
    return "__Host-hesper-session" if shared.settings.secure_cookies else "hesper-session"


def _session(request: Request) -> Session:
    shared = services(request)
    session = shared.signer.read_session(request.cookies.get(cookie_name(shared), ""))
    if session is None:
        raise SignInRequiredError(_back_to(request))
    return session


def _visitor(request: Request, session: Annotated[Session, Depends(_session)], store: Store) -> Visitor:
    found = api_keys.find(store, session.key_id)
    if found is None:
        raise SignInRequiredError(_back_to(request))
    caller = Caller(found.id, found.name, utility(store, found.utility_id))
    return Visitor(caller, services(request).signer.form_token(session.nonce))


def _back_to(request: Request) -> str:
    """The page to come back to after signing in."""
    if request.method != "GET":
        return "/"
    return request.url.path + (f"?{request.url.query}" if request.url.query else "")


PageVisitor = Annotated[Visitor, Depends(_visitor, scope="function")]


def check_form(request: Request, token: str, nonce: str) -> None:
    """Refuse a form that our page did not make for this browser. Raises Problem."""
    site = request.headers.get("sec-fetch-site", "same-origin")
    if site not in {"same-origin", "none"} or not services(request).signer.accepts_form(nonce, token):
        raise Problem(
            HTTPStatus.FORBIDDEN,
            "form-expired",
            "The form is too old or does not come from this site. Open the page again and repeat it.",
        )


def form_nonce(request: Request) -> str:
    """What ties a form to a signed-in browser: its session's nonce. Empty without a session."""
    shared = services(request)
    session = shared.signer.read_session(request.cookies.get(cookie_name(shared), ""))
    return session.nonce if session else ""


def session_cookie(shared: Services) -> dict[str, Any]:
    """The attributes of every cookie that we set."""
    return {"httponly": True, "samesite": "strict", "secure": shared.settings.secure_cookies, "path": "/"}
