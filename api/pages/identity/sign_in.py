"""Signing in, and out: with login, password and code, by a provider, or with an API key.

What is typed is posted once, never kept in the browser, never in a URL. Whoever is refused is told the same
whatever was wrong, after the same time; whoever fails often has to wait, by address and by account.
"""

import re
import secrets
from dataclasses import dataclass
from datetime import timedelta
from http import HTTPStatus
from typing import Annotated

import structlog
from fastapi import APIRouter, Form, Query, Request
from fastapi.responses import RedirectResponse, Response

from api.identity.authentication import OPEN, PageVisitor, Store, check_form, client_address, requires
from api.identity.callers import roles_of
from api.identity.cookies import cookie_name, session_cookie
from api.identity.oidc import ATTEMPT_SECONDS, OidcError
from api.identity.passwords import recovery_hash
from api.web.services import Services, services
from api.words.language import language_of
from api.words.presentation import N_
from metering.access import Scope
from store import audit
from store.access import api_keys, sessions, users
from store.postgres.roles import enter_utility

router = APIRouter(include_in_schema=False)
log = structlog.get_logger(__name__)

_FORM_SECONDS = 3600
_OWN_PATH = re.compile(r"/(?![/\\])[^\\\r\n]*")
_WRONG = N_("Login, password and code do not belong together, or there is no such account.")
_WRONG_KEY = N_("This key is not known, has expired or was revoked. Check that it was copied whole.")
_NO_ROLE = N_("You are known, and have no role at any utility yet. Ask whoever administers Hesper.")
_PROVIDER = N_("The sign-in with your organisation did not succeed. Begin it again.")
_NO_PROVIDER = N_("No provider is set up here.")
_WAIT = N_("There were too many failed attempts. Try again in %(minutes)s min.")


@dataclass(frozen=True, slots=True)
class _Entry:
    """Subject of a session that is to begin."""

    actor: str
    utility_id: int
    user_id: int | None = None
    api_key_id: int | None = None
    granted: dict[str, list[str]] | None = None


@router.get("/sign-in", dependencies=[OPEN])
def show_sign_in(request: Request, next: Annotated[str, Query(max_length=500)] = "/") -> Response:  # noqa: A002 - the name in the URL
    """The form."""
    return _form(request, next, None, HTTPStatus.OK)


@router.post("/sign-in", dependencies=[OPEN])
def sign_in(
    *,
    request: Request,
    store: Store,
    form_token: Annotated[str, Form(max_length=128)],
    key: Annotated[str, Form(max_length=256)] = "",
    login: Annotated[str, Form(max_length=64)] = "",
    password: Annotated[str, Form(max_length=256)] = "",
    code: Annotated[str, Form(max_length=64)] = "",
    next: Annotated[str, Form(max_length=500)] = "/",  # noqa: A002 - the name in the form
) -> Response:
    """A session cookie and the way back to the page that was asked for, or the form again."""
    shared = services(request)
    check_form(request, form_token, request.cookies.get(_form_cookie(request), ""))
    address, account = client_address(request), login.strip().lower()
    wait = max(shared.addresses.wait(address), timedelta(0) if key else shared.accounts.wait(account))
    if wait:
        return _wait(request, next, wait)
    if key:
        found = api_keys.verify(store, key.strip())
        if found is None:
            return _refuse(request, store, next, _WRONG_KEY, "with a key")
        return _enter(request, store, _Entry(found.actor, found.utility_id, api_key_id=found.id), next)
    person = _person(shared, store, account, password, code.replace(" ", ""))
    if person is None:
        shared.accounts.failed(account)
        return _refuse(request, store, next, _WRONG, _named(store, account))
    shared.accounts.forgive(account)
    known = _entry(store, person, {})
    return _enter(request, store, known, next) if known else _unwelcome(request, next)


@router.get("/sign-in/start", dependencies=[OPEN])
def go_to_provider(request: Request, next: Annotated[str, Query(max_length=500)] = "/") -> Response:  # noqa: A002 - the name in the URL
    """On to the provider's own page."""
    provider = services(request).provider
    if provider is None:
        return _form(request, next, _NO_PROVIDER, HTTPStatus.NOT_FOUND)
    try:
        location, attempt = provider.begin(own_path(next))
    except OidcError as error:
        log.error("the identity provider cannot be used", error=str(error))
        return _form(request, next, _PROVIDER, HTTPStatus.BAD_GATEWAY)
    answer = RedirectResponse(location, HTTPStatus.SEE_OTHER)
    answer.set_cookie(
        _attempt_cookie(request), attempt, max_age=ATTEMPT_SECONDS, **session_cookie(services(request))
    )
    return answer


@router.get("/sign-in/provider", dependencies=[OPEN])
def come_from_provider(
    request: Request,
    code: Annotated[str, Query(max_length=4096)] = "",
    state: Annotated[str, Query(max_length=256)] = "",
) -> Response:
    """Back from the provider, with a code that is good for one ID token."""
    shared = services(request)
    provider = shared.provider
    if provider is None:
        return _form(request, "/", _NO_PROVIDER, HTTPStatus.NOT_FOUND)
    try:  # before a connection is taken: the provider may be slow
        identity, back_to = provider.finish(request.cookies.get(_attempt_cookie(request), ""), state, code)
    except OidcError as error:
        log.info("sign-in by a provider refused", error=str(error))
        with shared.pool.connection() as store:
            return _refuse(request, store, "/", _PROVIDER, "by a provider")
    issuer = provider.settings.issuer
    with shared.pool.connection() as store:
        person = users.enter_by_subject(
            store,
            issuer=issuer,
            subject=identity.subject,
            login=f"{identity.subject} ({issuer})",
            name=identity.name,
        )
        known = _entry(store, person, identity.roles) if person else None
        answer = _enter(request, store, known, back_to) if known else _unwelcome(request, back_to)
    answer.delete_cookie(_attempt_cookie(request), **session_cookie(shared))
    return answer


@router.post("/sign-out", dependencies=[requires(Scope.OWN)])
def sign_out(request: Request, _visitor: PageVisitor, store: Store) -> Response:
    """The session ends, and its cookie is taken away."""
    shared = services(request)
    sessions.end(store, request.cookies[cookie_name(shared)], shared.clock())
    answer = RedirectResponse("/sign-in", HTTPStatus.SEE_OTHER)
    answer.delete_cookie(cookie_name(shared), **session_cookie(shared))
    return answer


def renew_session(request: Request, store: Store, visitor: PageVisitor, answer: Response) -> None:
    """Another token for a person who stays: what was known of the old one is worth nothing from here on."""
    assert visitor.person is not None
    shared, token = services(request), request.cookies[cookie_name(services(request))]
    sessions.end(store, token, shared.clock())
    entry = _Entry(
        visitor.caller.actor,
        visitor.caller.utility.id,
        user_id=visitor.person.id,
        granted=visitor.session.granted,
    )
    _set_session(shared, store, entry, answer)


def _person(shared: Services, store: Store, login: str, password: str, code: str) -> users.User | None:
    """Person, if password and second factor are right; a code counts once."""
    person = users.enter_by_login(store, login)
    if not shared.passwords.matches(person.password_hash if person else None, password) or person is None:
        return None
    if person.totp_secret is not None:
        step = shared.second_factor.step_of(bytes(person.totp_secret), code, shared.clock())
        right = (
            users.use_totp_step(store, person.id, step)
            if step is not None
            else users.use_recovery_code(store, person.id, recovery_hash(code))
        )
        if not right:
            return None
    assert person.password_hash is not None
    if shared.passwords.outdated(person.password_hash):
        users.set_password_hash(store, person.id, shared.passwords.hash(password))
    return person


def _entry(store: Store, person: users.User, granted: dict[str, list[str]]) -> _Entry | None:
    """A session at the first of the person's utilities, by code; None if there is none."""
    for code in sorted(roles_of(store, person, granted)):
        utility_id = users.utility_of_code(store, code)
        if utility_id is not None:  # a provider's settings may name one that is not registered
            return _Entry(person.login, utility_id, user_id=person.id, granted=granted)
    return None


def _enter(request: Request, store: Store, entry: _Entry, back_to: str) -> Response:
    shared = services(request)
    answer = RedirectResponse(own_path(back_to), HTTPStatus.SEE_OTHER)
    if old := request.cookies.get(cookie_name(shared)):
        found = sessions.find(store, old, now=shared.clock(), idle=shared.settings.session_idle)
        if found is not None:
            sessions.end(store, old, shared.clock())
    enter_utility(store, entry.utility_id)
    audit.sign_as(store, entry.actor, client_address(request))
    audit.note(store, "signed in", "/sign-in", utility_id=entry.utility_id)
    _set_session(shared, store, entry, answer)
    answer.delete_cookie(_form_cookie(request), **session_cookie(shared))
    return answer


def _set_session(shared: Services, store: Store, entry: _Entry, answer: Response) -> None:
    lasts = timedelta(hours=shared.settings.session_hours)
    token = sessions.begin(
        store,
        utility_id=entry.utility_id,
        user_id=entry.user_id,
        api_key_id=entry.api_key_id,
        granted=entry.granted,
        now=shared.clock(),
        lasts=lasts,
    )
    answer.set_cookie(
        cookie_name(shared), token, max_age=int(lasts.total_seconds()), **session_cookie(shared)
    )


def _refuse(request: Request, store: Store, back_to: str, message: str, tried: str) -> Response:
    address = client_address(request)
    services(request).addresses.failed(address)
    audit.sign_as(store, "nobody", address)
    audit.note(store, "sign-in refused", tried, utility_id=None)
    return _form(request, back_to, message, HTTPStatus.UNAUTHORIZED)


def _unwelcome(request: Request, back_to: str) -> Response:
    return _form(request, back_to, _NO_ROLE, HTTPStatus.FORBIDDEN)


def _named(store: Store, login: str) -> str:
    """The login, if somebody has it: what else is typed there may be a password."""
    return login if users.enter_by_login(store, login) else "an unknown login"


def _wait(request: Request, back_to: str, wait: timedelta) -> Response:
    minutes = int(wait.total_seconds()) // 60 + 1
    answer = _form(request, back_to, _WAIT, HTTPStatus.TOO_MANY_REQUESTS, minutes=minutes)
    answer.headers["Retry-After"] = str(int(wait.total_seconds()) + 1)
    return answer


def _form(
    request: Request, back_to: str, error: str | None, status: HTTPStatus, **values: object
) -> Response:
    shared = services(request)
    nonce = request.cookies.get(_form_cookie(request)) or secrets.token_urlsafe(16)
    answer = shared.templates.TemplateResponse(
        request,
        "identity/sign_in.html",
        {
            "form_token": shared.signer.form_token(nonce),
            "next": own_path(back_to),
            "error": language_of(request).gettext(error, **values) if error else None,
            "provider": shared.provider.settings.name if shared.provider else None,
        },
        status_code=status,
    )
    answer.set_cookie(_form_cookie(request), nonce, max_age=_FORM_SECONDS, **session_cookie(shared))
    return answer


def _form_cookie(request: Request) -> str:
    return cookie_name(services(request)).replace("session", "form")


def _attempt_cookie(request: Request) -> str:
    return cookie_name(services(request)).replace("session", "attempt")


def own_path(path: str) -> str:
    """`path` if it stays on this site, else the overview."""
    return path if _OWN_PATH.fullmatch(path) else "/"
