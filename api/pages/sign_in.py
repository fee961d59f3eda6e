"""Signing in with an API key, and out. The key is posted once, never kept in the browser, never in a URL."""

import re
import secrets
from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter, Form, Query, Request
from fastapi.responses import RedirectResponse, Response

from api.authentication import Store, check_form, cookie_name, form_nonce, session_cookie
from api.services import services
from store import api_keys

router = APIRouter(include_in_schema=False)

_FORM_SECONDS = 3600
_OWN_PATH = re.compile(r"/(?![/\\])[^\\\r\n]*")
_WRONG = "This key is not known, has expired or was revoked. Check that it was copied whole."


@router.get("/sign-in")
def show_sign_in(request: Request, next: Annotated[str, Query(max_length=500)] = "/") -> Response:  # noqa: A002 - the name in the URL
    """The form."""
    return _form(request, next, None, HTTPStatus.OK)


@router.post("/sign-in")
def sign_in(
    request: Request,
    store: Store,
    key: Annotated[str, Form(max_length=256)],
    form_token: Annotated[str, Form(max_length=128)],
    next: Annotated[str, Form(max_length=500)] = "/",  # noqa: A002 - the name in the form
) -> Response:
    """A session cookie and the way back to the page that was asked for, or the form again."""
    shared = services(request)
    check_form(request, form_token, request.cookies.get(_form_cookie(request), ""))
    client = request.client.host if request.client else "unknown"
    wait = shared.failures.wait(client)
    if wait is not None:
        minutes = int(wait.total_seconds()) // 60 + 1
        answer = _form(
            request,
            next,
            f"Too many failed attempts from this address. Try again in {minutes} min.",
            HTTPStatus.TOO_MANY_REQUESTS,
        )
        answer.headers["Retry-After"] = str(int(wait.total_seconds()) + 1)
        return answer
    found = api_keys.verify(store, key.strip())
    if found is None:
        shared.failures.failed(client)
        return _form(request, next, _WRONG, HTTPStatus.UNAUTHORIZED)
    hours = shared.settings.session_hours
    answer = RedirectResponse(_own(next), HTTPStatus.SEE_OTHER)
    answer.set_cookie(
        cookie_name(shared),
        shared.signer.session(found.id, hours),
        max_age=hours * 3600,
        **session_cookie(shared),
    )
    answer.delete_cookie(_form_cookie(request), **session_cookie(shared))
    return answer


@router.post("/sign-out")
def sign_out(request: Request, form_token: Annotated[str, Form(max_length=128)]) -> Response:
    """The cookie is taken away."""
    shared = services(request)
    check_form(request, form_token, form_nonce(request))
    answer = RedirectResponse("/sign-in", HTTPStatus.SEE_OTHER)
    answer.delete_cookie(cookie_name(shared), **session_cookie(shared))
    return answer


def _form(request: Request, back_to: str, error: str | None, status: HTTPStatus) -> Response:
    shared = services(request)
    nonce = request.cookies.get(_form_cookie(request)) or secrets.token_urlsafe(16)
    answer = shared.templates.TemplateResponse(
        request,
        "sign_in.html",
        {"form_token": shared.signer.form_token(nonce), "next": _own(back_to), "error": error},
        status_code=status,
    )
    answer.set_cookie(_form_cookie(request), nonce, max_age=_FORM_SECONDS, **session_cookie(shared))
    return answer


def _form_cookie(request: Request) -> str:
    return cookie_name(services(request)).replace("session", "form")


def _own(path: str) -> str:
    """`path` if it stays on this site, else the overview."""
    return path if _OWN_PATH.fullmatch(path) else "/"
