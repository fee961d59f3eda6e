"""What people do with a month: ask for a draft, approve with four eyes, withdraw, send messages again."""

from datetime import timedelta
from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter, Form, Request
from fastapi.responses import RedirectResponse, Response

from api.identity.authentication import PageVisitor, Store, requires
from api.identity.callers import Visitor
from api.pages.billing.month import PeriodPath, show_month
from api.web.services import services
from api.words.language import language_of
from api.words.presentation import N_
from metering.access import Scope
from store.billing import approval
from store.billing.approval import ApprovalError, SecondPersonError
from store.delivery import outbox
from store.postgres.database import allow_statements
from store.tasks import TaskKind, ask

router = APIRouter(include_in_schema=False)

_APPROVING = timedelta(minutes=10)  # a million billing readings are issued in one of them
_MOST = 1000  # messages


@router.post("/months/{period}/draft", dependencies=[requires(Scope.BILLING_CLOSE)])
def draft(request: Request, visitor: PageVisitor, store: Store, period: PeriodPath) -> Response:
    """A worker makes it; the page tells how far it is."""
    utility = visitor.caller.utility
    if period >= f"{services(request).clock().astimezone(utility.zone):%Y-%m}":
        return _refused(
            *(request, visitor, store),
            period=period,
            said=N_("This month is not over yet: draft it after that."),
        )
    ask(store, utility.id, TaskKind.DRAFT, {"period": period}, author=visitor.caller.actor)
    return _back(period)


@router.post("/months/{period}/approve", dependencies=[requires(Scope.BILLING_APPROVE)])
def approve(request: Request, visitor: PageVisitor, store: Store, period: PeriodPath) -> Response:
    """Issue what another person drafted."""
    allow_statements(store, _APPROVING)
    try:
        approval.approve(store, visitor.caller.utility.id, period, visitor.caller.actor)
    except SecondPersonError as error:
        said = N_("Another person has to approve this: you drafted it, or edited what it rests on.")
        return _refused(request, visitor, store, period=period, said=said, error=error)
    except ApprovalError as error:
        said = N_("It cannot be approved as it is.")
        return _refused(request, visitor, store, period=period, said=said, error=error)
    return _back(period)


@router.post("/months/{period}/withdraw", dependencies=[requires(Scope.BILLING_CLOSE)])
def withdraw(request: Request, visitor: PageVisitor, store: Store, period: PeriodPath) -> Response:
    """Leave nothing of the draft but the fact."""
    try:
        approval.withdraw(store, visitor.caller.utility.id, period, visitor.caller.actor)
    except ApprovalError as error:
        said = N_("There is no draft to withdraw.")
        return _refused(request, visitor, store, period=period, said=said, error=error)
    return _back(period)


@router.post("/months/{period}/deliveries", dependencies=[requires(Scope.DELIVERIES_WRITE)])
def send_again(
    request: Request,
    visitor: PageVisitor,
    store: Store,
    period: PeriodPath,
    message: Annotated[list[int], Form(max_length=_MOST)] = [],  # noqa: B006 - FastAPI copies it
) -> Response:
    """Let dead messages wait again, with all their attempts."""
    outbox.requeue(store, message, services(request).clock(), utility_id=visitor.caller.utility.id)
    return _back(period)


def _refused(
    request: Request,
    visitor: Visitor,
    store: Store,
    *,
    period: str,
    said: str,
    error: ApprovalError | None = None,
) -> Response:
    """The page as it was, and why nothing was changed."""
    told = (language_of(request).gettext(said), f"{error}." if error else "")
    return show_month(request, visitor, store, period, error=told)


def _back(period: str) -> Response:
    return RedirectResponse(f"/months/{period}", HTTPStatus.SEE_OTHER)
