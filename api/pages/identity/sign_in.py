"""Signing in, and out: with login, password and code, by a provider, or with an API key.

What is typed is posted once, never kept in the browser, never in a URL. Whoever is refused is told the same
whatever was wrong, after the same time; whoever fails often has to wait, by address and by account.
"""

import re
import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta
from http import HTTPStatus
from typing import Annotated

import structlog
from fastapi import APIRouter, Form, Query, Request
from fastapi.responses import RedirectResponse, Response
from starlette.concurrency import run_in_threadpool

from api.identity.authentication import OPEN, PageVisitor, Store, check_form, client_address, requires
from api.identity.callers import effective, roles_of
from api.identity.cookies import cookie_name, session_cookie
from api.identity.oidc import ATTEMPT_SECONDS, OidcError, ProvidedIdentity
from api.identity.passwords import recovery_hash
from api.web.answering import costly, page_routes
from api.web.rate_limits import network_of
from api.web.services import Services, services
from api.words.language import language_of
from api.words.presentation import N_
from metering.access import Scope
from store import audit
from store.access import api_keys, attempts, sessions, users
from store.access.attempts import Patience
from store.postgres.roles import enter_utility

router = page_routes()
strangers = APIRouter(include_in_schema=False)  # whoever signs in may be anybody: no worker waits for them
log = structlog.get_logger(__name__)

_FORM_SECONDS = 3600
_OWN_PATH = re.compile(r"/(?![/\\])[^\\\r\n]*")
_WRONG = N_("Login, password and code do not belong together, or there is no such account.")
_WRONG_KEY = N_("This key is not known, has expired or was revoked. Check that it was copied whole.")
_NO_ROLE = N_("You are known, and have no role at any utility yet. Ask whoever administers Hesper.")
_PROVIDER = N_("The sign-in with your organisation did not succeed. Begin it again.")
_NO_PROVIDER = N_("No provider is set up here.")
_WAIT = N_("There were too many failed attempts. Try again in %(minutes)s min.")


@dataclass(slots=True)
class _Attempt:
    """Attempt that was counted and is not judged yet; `password_hash` None: nobody has this login."""

    account: str
    password_hash: str | None
    renewed: str | None = None  # the hash with today's parameters, where it had others


@dataclass(frozen=True, slots=True)
class _Entry:
    """Subject of a session that is to begin."""

    actor: str
    utility_id: int
    user_id: int | None = None
    api_key_id: int | None = None
    granted: dict[str, list[str]] | None = None


@strangers.get("/sign-in", dependencies=[OPEN])
async def show_sign_in(request: Request, next: Annotated[str, Query(max_length=500)] = "/") -> Response:  # noqa: A002 - the name in the URL
    """The form."""
    return _form(request, next, None, HTTPStatus.OK)


@strangers.post("/sign-in", dependencies=[OPEN])
async def sign_in(
    *,
    request: Request,
    form_token: Annotated[str, Form(max_length=128)],
    key: Annotated[str, Form(max_length=256)] = "",
    login: Annotated[str, Form(max_length=64)] = "",
    password: Annotated[str, Form(max_length=256)] = "",
    code: Annotated[str, Form(max_length=64)] = "",
    next: Annotated[str, Form(max_length=500)] = "/",  # noqa: A002 - the name in the form
) -> Response:
    """A session cookie and the way back to the page that was asked for, or the form again.

    While a password is hashed, neither a worker nor a connection is held: it is costly on purpose.
    """
    shared = services(request)
    check_form(request, form_token, request.cookies.get(_form_cookie(request), ""))
    account = login.strip().lower()
    if key:
        return await shared.workers.run(_sign_in_with_key, request, key.strip(), next)
    begun = await shared.workers.run(_begin, request, account, next)
    if isinstance(begun, Response):
        return begun
    right = await costly(shared, shared.passwords.matches, begun.password_hash, password)
    if right and shared.passwords.outdated(begun.password_hash or ""):
        begun.renewed = await costly(shared, shared.passwords.hash, password)
    return await shared.workers.run(_end, request, begun, right, code.replace(" ", ""), next)


def _sign_in_with_key(request: Request, key: str, back_to: str) -> Response:
    shared = services(request)
    with shared.connection() as store:
        wait = attempts.begin(store, *_by_network(request))
        store.commit()
        if wait:
            return _wait(request, back_to, wait)
        found = api_keys.verify(store, key)
        if found is None:
            return _refuse(request, store, back_to, _WRONG_KEY, "with a key")
        attempts.right(store, _by_network(request)[0], forgive=False)
        return _enter(request, store, _Entry(found.actor, found.utility_id, api_key_id=found.id), back_to)


def _begin(request: Request, account: str, back_to: str) -> _Attempt | Response:
    """Hash to compare with, once the attempt is counted; the form again where there were too many."""
    with services(request).connection() as store:
        wait = attempts.begin(store, *_by_account(request, account))
        wait = wait or attempts.begin(store, *_by_network(request))
        if wait:
            store.rollback()  # what is not judged counts for neither
            return _wait(request, back_to, wait)
        store.commit()
        person = users.enter_by_login(store, account)
        return _Attempt(account, person.password_hash if person else None)


def _end(request: Request, begun: _Attempt, password_right: bool, code: str, back_to: str) -> Response:
    with services(request).connection() as store:
        person = users.enter_by_login(store, begun.account)
        if (
            not password_right
            or person is None
            or person.password_hash != begun.password_hash
            or not _second_factor_is_right(services(request), store, person, code)
        ):
            return _refuse(request, store, back_to, _WRONG, begun.account if person else "an unknown login")
        if begun.renewed:
            users.set_password_hash(store, person.id, begun.renewed)
        attempts.right(store, _by_account(request, begun.account)[0], forgive=True)
        attempts.right(store, _by_network(request)[0], forgive=False)
        known = _entry(store, person, {})
        if _waits_for_second_factor(store, person):
            back_to = "/account#second-factor"
        return _enter(request, store, known, back_to) if known else _unwelcome(request, back_to)


@strangers.get("/sign-in/start", dependencies=[OPEN])
async def go_to_provider(request: Request, next: Annotated[str, Query(max_length=500)] = "/") -> Response:  # noqa: A002 - the name in the URL
    """On to the provider's own page."""
    provider = services(request).provider
    if provider is None:
        return _form(request, next, _NO_PROVIDER, HTTPStatus.NOT_FOUND)
    try:
        location, attempt = await run_in_threadpool(provider.begin, own_path(next))
    except OidcError as error:
        log.error("the identity provider cannot be used", error=str(error))
        return _form(request, next, _PROVIDER, HTTPStatus.BAD_GATEWAY)
    answer = RedirectResponse(location, HTTPStatus.SEE_OTHER)
    answer.set_cookie(
        _attempt_cookie(request), attempt, max_age=ATTEMPT_SECONDS, **session_cookie(services(request))
    )
    return answer


@strangers.get("/sign-in/provider", dependencies=[OPEN])
async def come_from_provider(
    request: Request,
    code: Annotated[str, Query(max_length=4096)] = "",
    state: Annotated[str, Query(max_length=256)] = "",
) -> Response:
    """Back from the provider, with a code that is good for one ID token."""
    shared = services(request)
    provider = shared.provider
    if provider is None:
        return _form(request, "/", _NO_PROVIDER, HTTPStatus.NOT_FOUND)
    attempt = request.cookies.get(_attempt_cookie(request), "")
    try:  # by no worker, and without a connection: the provider may be slow
        identity, back_to = await run_in_threadpool(provider.finish, attempt, state, code)
    except OidcError as error:
        log.info("sign-in by a provider refused", error=str(error))
        return await shared.workers.run(_refuse_provider, request)
    return await shared.workers.run(_enter_by_provider, request, provider.settings.issuer, identity, back_to)


def _refuse_provider(request: Request) -> Response:
    with services(request).connection() as store:
        return _refuse(request, store, "/", _PROVIDER, "by a provider")


def _enter_by_provider(request: Request, issuer: str, identity: ProvidedIdentity, back_to: str) -> Response:
    shared = services(request)
    with shared.connection() as store:
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


def _by_network(request: Request) -> tuple[str, Patience, datetime]:
    shared = services(request)
    return network_of(client_address(request)), shared.settings.network_patience, shared.clock()


def _by_account(request: Request, account: str) -> tuple[str, Patience, datetime]:
    """Counted from each network by itself: who fails on purpose makes nobody else wait."""
    network, _, now = _by_network(request)
    return f"{account} from {network}", services(request).settings.account_patience, now


def _second_factor_is_right(shared: Services, store: Store, person: users.User, code: str) -> bool:
    """True where none is set, too; a code counts once."""
    if person.totp_secret is None:
        return True
    step = shared.second_factor.step_of(bytes(person.totp_secret), code, shared.clock())
    if step is not None:
        return users.use_totp_step(store, person.id, step)
    return users.use_recovery_code(store, person.id, recovery_hash(code))


def _waits_for_second_factor(store: Store, person: users.User) -> bool:
    """True where the person has a role that counts only with a second factor, and none is set."""
    return any(roles - effective(roles, person) for roles in roles_of(store, person, {}).values())


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
    audit.sign_as(store, "nobody", client_address(request))
    audit.note(store, "sign-in refused", tried, utility_id=None)
    return _form(request, back_to, message, HTTPStatus.UNAUTHORIZED)


def _unwelcome(request: Request, back_to: str) -> Response:
    return _form(request, back_to, _NO_ROLE, HTTPStatus.FORBIDDEN)


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


router.include_router(strangers)
