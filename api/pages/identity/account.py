"""One's own account: password, second factor, sessions, and which utility is shown."""

from dataclasses import dataclass
from http import HTTPStatus
from typing import Annotated, Any, Self

from fastapi import Form
from fastapi.responses import RedirectResponse, Response

from api.identity.authentication import requires
from api.identity.callers import effective
from api.identity.cookies import session_cookie
from api.identity.passwords import (
    LONGEST,
    SHORTEST,
    Passwords,
    provisioning_uri,
    qr_code,
    recovery_codes,
    recovery_hash,
)
from api.pages.frame.visit import PageVisit, Visit
from api.pages.identity.sign_in import own_path, renew_session
from api.web.answering import Aside, page_routes
from api.web.problems import Problem, not_found
from api.words.language import COOKIE, languages
from api.words.presentation import N_
from metering.access import Scope
from store.access import attempts, sessions, users

router = page_routes()

_OWN = [requires(Scope.OWN)]
_YEAR = 366 * 24 * 3600  # s
Password = Annotated[str, Form(max_length=LONGEST)]


@dataclass(frozen=True, slots=True)
class _Proof:
    """The hash that a password was compared with, and the hash of the new one; None where it was wrong."""

    present: str | None
    renewed: str | None

    @classmethod
    def of(cls, passwords: Passwords, present: str | None, current: str, password: str) -> Self:
        """For a thread that may take its time."""
        right = passwords.matches(present, current)
        return cls(present, passwords.hash(password) if right else None)


@router.get("/account", dependencies=_OWN)
def account(visit: PageVisit) -> Response:
    """Page of the signed-in person: what they may do, and the forms to change what is theirs."""
    return _account(visit)


@router.post("/account/password", dependencies=_OWN)
def change_password(visit: PageVisit, current: Password, password: Password) -> Response:
    """Every other session ends, and this one gets another token."""
    person = _with_password(visit)
    if len(password) < SHORTEST:
        return _account(visit, error=N_("Take at least %(shortest)s characters."))
    proof: _Proof | None = visit.request.state.aside
    if proof is None and not _too_often(visit, person):
        visit.store.commit()  # the attempt counts, whatever comes of it
        raise Aside(_Proof.of, visit.services.passwords, person.password_hash, current, password)
    if proof is None or proof.renewed is None or proof.present != person.password_hash:
        return _account(visit, error=N_("The present password is not right. Nothing was changed."))
    _was_right(visit, person)
    users.set_password_hash(visit.store, person.id, proof.renewed)
    sessions.end_of_person(visit.store, person.id, visit.now)
    answer = _back()
    renew_session(visit.request, visit.store, visit.visitor, answer)
    return answer


@router.post("/account/second-factor", dependencies=_OWN)
def offer_second_factor(visit: PageVisit) -> Response:
    """A secret for an authenticator app, shown this once; it counts when a code has confirmed it."""
    shared, person = visit.services, _with_password(visit)
    if person.totp_secret is not None:
        raise Problem(
            HTTPStatus.CONFLICT,
            "second-factor-set",
            N_("A second factor is set already. `hesper user reset` removes it."),
        )
    secret = shared.second_factor.new_secret()
    users.set_totp_pending(visit.store, person.id, shared.second_factor.seal(secret))
    uri = provisioning_uri(secret, person.login)
    return _account(visit, secret=secret, uri=uri, qr=qr_code(uri))


@router.post("/account/second-factor/confirm", dependencies=_OWN)
def confirm_second_factor(visit: PageVisit, code: Annotated[str, Form(max_length=16)]) -> Response:
    """The second factor counts from here on; recovery codes are shown this once."""
    shared, person = visit.services, _with_password(visit)
    pending = None if _too_often(visit, person) or person.totp_secret is not None else person.totp_pending
    step = shared.second_factor.step_of(bytes(pending), code.replace(" ", ""), visit.now) if pending else None
    if step is None:
        return _account(visit, error=N_("The code is not right. Begin the second factor anew."))
    _was_right(visit, person)
    codes = recovery_codes()
    users.confirm_totp(visit.store, person.id, step, [recovery_hash(one) for one in codes])
    sessions.end_of_person(visit.store, person.id, visit.now, but=visit.visitor.session.id)
    return _account(visit, codes=codes)


@router.post("/account/sessions/end", dependencies=_OWN)
def end_other_sessions(visit: PageVisit) -> Response:
    sessions.end_of_person(visit.store, _person(visit).id, visit.now, but=visit.visitor.session.id)
    return _back()


@router.post("/account/utility", dependencies=_OWN)
def show_utility(visit: PageVisit, utility: Annotated[str, Form(max_length=64)]) -> Response:
    """Let the pages show another of one's utilities."""
    _person(visit)
    utility_id = users.utility_of_code(visit.store, utility) if utility in visit.visitor.roles else None
    if utility_id is None:
        raise not_found(N_("This utility"), N_("Your account names those that you have a role for."))
    sessions.move(visit.store, visit.visitor.session.id, utility_id)
    return RedirectResponse("/", HTTPStatus.SEE_OTHER)


@router.post("/language", dependencies=_OWN)
def choose_language(
    visit: PageVisit,
    code: Annotated[str, Form(max_length=8)],
    next: Annotated[str, Form(max_length=500)] = "/",  # noqa: A002 - the name in the form
) -> Response:
    """Let the pages speak another language in this browser, from the page on that was shown."""
    if code not in languages():
        raise not_found(N_("This language"), N_("The foot of each page names those that there are."))
    answer = RedirectResponse(own_path(next), HTTPStatus.SEE_OTHER)
    answer.set_cookie(COOKIE, code, max_age=_YEAR, **session_cookie(visit.services))
    return answer


def _account(visit: Visit, *, error: str | None = None, **shown_once: Any) -> Response:
    visitor, idle = visit.visitor, visit.services.settings.session_idle
    person = users.enter(visit.store, visitor.person.id) if visitor.person else None
    return visit.page(
        "identity/account.html",
        status=HTTPStatus.UNPROCESSABLE_ENTITY if error else HTTPStatus.OK,
        person=person,
        roles={code: sorted(roles) for code, roles in visitor.roles.items()},
        waiting={
            code: sorted(roles - effective(roles, person)) if person else []
            for code, roles in visitor.roles.items()
        },
        scopes=sorted(visit.caller.scopes),
        sessions=sessions.of_person(visit.store, person.id, visit.now, idle) if person else [],
        current=visitor.session.id,
        error=visit.language.gettext(error, shortest=SHORTEST) if error else None,
        shortest=SHORTEST,
        **{"secret": None, "uri": None, "qr": None, "codes": None, **shown_once},
    )


def _person(visit: Visit) -> users.User:
    if visit.visitor.person is None:
        raise Problem(
            HTTPStatus.FORBIDDEN, "no-account", N_("This session was started with a key: it has no account.")
        )
    return visit.visitor.person


def _with_password(visit: Visit) -> users.User:
    person = _person(visit)
    if person.password_hash is None:
        raise Problem(
            HTTPStatus.FORBIDDEN,
            "no-password",
            N_(
                "Your organisation's identity provider manages your password and second factor: "
                "change them there."
            ),
        )
    return person


def _too_often(visit: Visit, person: users.User) -> bool:
    """Counts what a person proves who is signed in already, apart from attempts to sign in."""
    patience = visit.services.settings.account_patience
    return bool(attempts.begin(visit.store, f"{person.login}, signed in", patience, visit.now))


def _was_right(visit: Visit, person: users.User) -> None:
    attempts.right(visit.store, f"{person.login}, signed in", forgive=True)


def _back() -> RedirectResponse:
    return RedirectResponse("/account", HTTPStatus.SEE_OTHER)
