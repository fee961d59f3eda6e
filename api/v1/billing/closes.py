"""`/v1/closes`: months as they are drafted, looked at, approved by a second person, and delivered.

A draft is asked for and made by a worker: the answer is a request, and its address tells when it is done.
"""

import re
from datetime import timedelta
from decimal import Decimal
from http import HTTPStatus
from typing import Annotated

from fastapi import Path, Query, Request, Response

from api.identity.authentication import KeyCaller, Store, requires
from api.v1.billing.close_models import (
    Close,
    CloseException,
    CloseExceptionList,
    CloseList,
    Distribution,
    Messages,
    Outlier,
    OutlierList,
    QualityShare,
)
from api.v1.billing.reading_models import methods_of, point_of
from api.v1.conditional import UNCHANGED, Conditional
from api.v1.fields import Fields, fields_of
from api.v1.idempotency import ONCE
from api.v1.models import document_of
from api.v1.parameters import Limit, Period, PeriodFilter
from api.v1.routing import resources
from api.v1.tasks import TaskDocument, document
from api.web.problems import Problem, invalid, not_found
from api.web.services import services
from metering.access import Scope
from store.billing import approval, close_list, outliers
from store.billing.approval import ApprovalError, SecondPersonError
from store.billing.locks import PeriodBusyError
from store.postgres.database import allow_statements
from store.tasks import TaskKind, ask

router = resources("closes")

_APPROVING = timedelta(minutes=10)  # a million billing readings are issued in one of them
_CLOSE = re.compile(r"(\d{4}-(?:0[1-9]|1[0-2]))\.(\d{1,9})")

Run = Annotated[int, Path(ge=1, le=2**31 - 1, description="The number of the close; a draft's will be that.")]
Row = Annotated[str | None, Query(alias="cursor", max_length=200)]


@router.get(
    "/closes", dependencies=[requires(Scope.BILLING_READ)], summary="Closes and drafts, the latest first"
)
def list_closes(
    *,
    caller: KeyCaller,
    store: Store,
    period: PeriodFilter = None,
    before: Annotated[str | None, Query(alias="cursor", max_length=40)] = None,
    limit: Limit = 100,
    only: Annotated[Fields, fields_of(Close)],
) -> CloseList:
    """How far each is: drafting, drafted, approved or delivered."""
    rows = close_list.states(
        store, caller.utility.id, period=period, before=_close_of(before), limit=limit + 1
    )
    page = rows[:limit]
    return CloseList(
        closes=[only.of(_close(row)) for row in page],
        next_cursor=f"{page[-1].period}.{page[-1].run}" if len(rows) > limit else None,
    )


@router.get(
    "/closes/{period}/{run}",
    dependencies=[requires(Scope.BILLING_READ)],
    summary="A close or draft",
    responses=UNCHANGED,
)
def get_close(
    *,
    caller: KeyCaller,
    store: Store,
    period: Period,
    run: Run,
    asked: Conditional,
    only: Annotated[Fields, fields_of(Close)],
) -> Close:
    """Who drafted and approved it, what it came to, and how far its delivery is."""
    return asked.answer(_close(_found(caller, store, period, run)), only)


@router.get(
    "/closes/{period}/{run}/exceptions",
    dependencies=[requires(Scope.BILLING_READ)],
    summary="What a close or draft leaves to work off",
)
def list_exceptions(
    *,
    caller: KeyCaller,
    store: Store,
    period: Period,
    run: Run,
    reason: Annotated[str | None, Query(max_length=64)] = None,
    after: Row = None,
    limit: Limit = 100,
) -> CloseExceptionList:
    """Each with what can be done about it."""
    _found(caller, store, period, run)
    rows = close_list.exceptions_page(
        store, caller.utility.id, period, run, reason=reason, after=_row_of(after), limit=limit + 1
    )
    page = rows[:limit]
    return CloseExceptionList(
        exceptions=[document_of(CloseException, row, service_point=point_of(row)) for row in page],
        counts=close_list.exception_counts(store, caller.utility.id, period, run),
        next_cursor=f"{page[-1].obis} {page[-1].service_point}" if len(rows) > limit else None,
    )


@router.get(
    "/closes/{period}/{run}/qualities",
    dependencies=[requires(Scope.BILLING_READ)],
    summary="The qualities of a close or draft",
)
def get_qualities(caller: KeyCaller, store: Store, period: Period, run: Run) -> Distribution:
    """What holds as of it, counted and summed by medium, unit, quality and methods."""
    _found(caller, store, period, run)
    return Distribution(
        shares=[
            document_of(QualityShare, row, methods=methods_of(row))
            for row in close_list.shares(store, caller.utility.id, period, run)
        ]
    )


@router.get(
    "/closes/{period}/{run}/outliers",
    dependencies=[requires(Scope.BILLING_READ)],
    summary="What is far from last month and last year",
)
def list_outliers(
    *,
    caller: KeyCaller,
    store: Store,
    period: Period,
    run: Run,
    least: Annotated[str, Query(pattern=r"^[1-9][0-9]{0,2}(\.[0-9]{1,3})?$")] = "3",
    after: Row = None,
    limit: Limit = 100,
) -> OutlierList:
    """Those that are `least` times more or less than one of them."""
    _found(caller, store, period, run)
    rows = outliers.outliers_page(
        store, caller.utility.id, period, run, least=Decimal(least), after=_row_of(after), limit=limit + 1
    )
    page = rows[:limit]
    return OutlierList(
        outliers=[document_of(Outlier, row, service_point=point_of(row)) for row in page],
        next_cursor=f"{page[-1].obis} {page[-1].service_point}" if len(rows) > limit else None,
    )


@router.post(
    "/closes/{period}/draft",
    dependencies=[requires(Scope.BILLING_CLOSE), ONCE],
    status_code=HTTPStatus.ACCEPTED,
    summary="Ask for a draft of a period",
)
def ask_for_draft(
    request: Request, response: Response, caller: KeyCaller, store: Store, period: Period
) -> TaskDocument:
    """A worker makes it, in place of the one that is there. `Location` tells when it is done, or why not."""
    now = services(request).clock().astimezone(caller.utility.zone)
    if period > f"{now:%Y-%m}":
        raise invalid("path.period", f"{period} has not begun yet.")
    asked = ask(store, caller.utility.id, TaskKind.DRAFT, {"period": period}, author=caller.actor)
    return document(asked, response)


@router.post(
    "/closes/{period}/approval",
    dependencies=[requires(Scope.BILLING_APPROVE), ONCE],
    status_code=HTTPStatus.CREATED,
    summary="Approve the draft of a period that somebody else made",
)
def approve_draft(caller: KeyCaller, store: Store, period: Period) -> Close:
    """Issues its billing readings, all or none. Whoever drafted it, or edited what it rests on, may not."""
    allow_statements(store, _APPROVING)
    try:
        issued = approval.approve(store, caller.utility.id, period, caller.actor)
    except PeriodBusyError as error:
        raise _busy(error) from None
    except SecondPersonError as error:
        raise Problem(HTTPStatus.CONFLICT, "second-person-needed", f"{error}.") from None
    except ApprovalError as error:
        raise _not_possible(error) from None
    return _close(_found(caller, store, period, issued.base_run + 1))


@router.delete(
    "/closes/{period}/draft",
    dependencies=[requires(Scope.BILLING_CLOSE), ONCE],
    status_code=HTTPStatus.NO_CONTENT,
    response_class=Response,
    summary="Withdraw the draft of a period",
)
def withdraw_draft(caller: KeyCaller, store: Store, period: Period) -> None:
    """Nothing is left of it but the fact."""
    try:
        approval.withdraw(store, caller.utility.id, period, caller.actor)
    except PeriodBusyError as error:
        raise _busy(error) from None
    except ApprovalError as error:
        raise _not_possible(error) from None


def _busy(error: PeriodBusyError) -> Problem:
    return Problem(HTTPStatus.CONFLICT, "period-busy", f"{error}: {error.advice}.")


def _not_possible(error: ApprovalError) -> Problem:
    return Problem(HTTPStatus.CONFLICT, "nothing-to-approve", f"{error}.")


def _found(caller: KeyCaller, store: Store, period: str, run: int) -> close_list.CloseProgress:
    row = close_list.state(store, caller.utility.id, period, run)
    if row is None:
        raise not_found("This close", "/v1/closes lists them.")
    return row


def _close(row: close_list.CloseProgress) -> Close:
    messages = Messages(
        sent=row.messages,
        taken=row.messages_taken,
        acknowledged=row.messages_acknowledged,
        dead=row.messages_dead,
    )
    return document_of(Close, row, messages=messages)


def _close_of(cursor: str | None) -> tuple[str, int] | None:
    """The (period, run) that a cursor of closes stands for. Raises Problem."""
    if cursor is None:
        return None
    match = _CLOSE.fullmatch(cursor)
    if match is None:
        raise _foreign_cursor()
    return match[1], int(match[2])


def _row_of(cursor: str | None) -> tuple[str, str] | None:
    """The (service point, register) that a cursor `<obis> <service point>` stands for. Raises Problem."""
    if cursor is None:
        return None
    obis, space, point = cursor.partition(" ")
    if not space:
        raise _foreign_cursor()
    return point, obis


def _foreign_cursor() -> Problem:
    return invalid("query.cursor", "The cursor is not one of ours: give `next_cursor` of the page before.")
