"""What people do with a month: ask for a draft, approve with four eyes, withdraw, send messages again."""

from datetime import timedelta
from http import HTTPStatus
from typing import Annotated

from fastapi import Form
from fastapi.responses import RedirectResponse, Response

from api.identity.authentication import requires
from api.pages.billing.month import MonthQuery, PeriodPath, show_month
from api.pages.frame.visit import PageVisit, Visit
from api.web.answering import page_routes
from api.words.presentation import N_
from metering.access import Scope
from store.billing import approval
from store.billing.approval import ApprovalError, SecondPersonError
from store.billing.locks import PeriodBusyError
from store.delivery import outbox
from store.postgres.database import allow_statements
from store.postgres.errors import StoreError
from store.tasks import TaskKind, ask

router = page_routes()

_APPROVING = timedelta(minutes=10)  # a million billing readings are issued in one of them
_MOST = 1000  # messages
_BUSY = N_("Somebody else is working on a month right now. Wait until that is done, then try again.")


@router.post("/months/{period}/draft", dependencies=[requires(Scope.BILLING_CLOSE)])
def draft(visit: PageVisit, period: PeriodPath) -> Response:
    """A worker makes it; the page tells how far it is."""
    if period >= f"{visit.today:%Y-%m}":
        return _refused(visit, period, N_("This month is not over yet: draft it after that."))
    ask(visit.store, visit.utility.id, TaskKind.DRAFT, {"period": period}, author=visit.caller.actor)
    return _back(period)


@router.post("/months/{period}/approve", dependencies=[requires(Scope.BILLING_APPROVE)])
def approve(visit: PageVisit, period: PeriodPath) -> Response:
    """Issue what another person drafted."""
    allow_statements(visit.store, _APPROVING)
    try:
        approval.approve(visit.store, visit.utility.id, period, visit.caller.actor)
    except PeriodBusyError as error:
        return _refused(visit, period, _BUSY, error)
    except SecondPersonError as error:
        said = N_("Another person has to approve this: you drafted it, or edited what it rests on.")
        return _refused(visit, period, said, error)
    except ApprovalError as error:
        said = N_("It cannot be approved as it is.")
        return _refused(visit, period, said, error)
    return _back(period)


@router.post("/months/{period}/withdraw", dependencies=[requires(Scope.BILLING_CLOSE)])
def withdraw(visit: PageVisit, period: PeriodPath) -> Response:
    """Leave nothing of the draft but the fact."""
    try:
        approval.withdraw(visit.store, visit.utility.id, period, visit.caller.actor)
    except PeriodBusyError as error:
        return _refused(visit, period, _BUSY, error)
    except ApprovalError as error:
        said = N_("There is no draft to withdraw.")
        return _refused(visit, period, said, error)
    return _back(period)


@router.post("/months/{period}/deliveries", dependencies=[requires(Scope.DELIVERIES_WRITE)])
def send_again(
    visit: PageVisit,
    period: PeriodPath,
    message: Annotated[list[int], Form(max_length=_MOST)] = [],  # noqa: B006 - FastAPI copies it
) -> Response:
    """Let dead messages wait again, with all their attempts."""
    outbox.requeue(visit.store, message, visit.now, utility_id=visit.utility.id)
    return _back(period)


def _refused(visit: Visit, period: str, said: str, error: StoreError | None = None) -> Response:
    """The page as it was, and why nothing was changed."""
    told = (visit.language.gettext(said), f"{error}." if error else "")
    return show_month(visit, period, MonthQuery(), told)


def _back(period: str) -> Response:
    return RedirectResponse(f"/months/{period}", HTTPStatus.SEE_OTHER)
