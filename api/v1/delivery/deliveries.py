"""`/v1/deliveries`: messages that were pushed or wait to be, and the totals that billing reports for each.

An acknowledgement is a count and sums. Where they are not ours it is refused and kept beside ours, so that
the delivery shows both sides until they agree.
"""

from datetime import datetime
from http import HTTPStatus
from typing import Annotated

from fastapi import Path, Query, Request
from fastapi.responses import Response
from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from api.identity.authentication import KeyCaller, Store, requires
from api.v1.idempotency import ONCE
from api.v1.models import DecimalText, decimal_text, document_of
from api.v1.routing import resources
from api.web.problems import Problem, not_found, respond
from api.web.services import services
from metering.access import Scope
from metering.delivery.control_totals import differences
from store.delivery import outbox
from store.delivery.acknowledgements import acknowledge, last_report, sent_totals
from store.delivery.outbox import MessageRow, MessageState

router = resources("deliveries")

_PERIOD = r"^\d{4}-(0[1-9]|1[0-2])$"
DeliveryId = Annotated[int, Path(ge=1, le=2**63 - 1)]
Totals = dict[Annotated[str, StringConstraints(max_length=64)], DecimalText]


class ControlTotals(BaseModel):
    """Count and sums of a delivery as one side has them; totals by `<obis> <unit>`."""

    count: int
    totals: dict[str, str]


class ReportedTotals(ControlTotals):
    """Control totals that a billing system reported last."""

    key: str
    accepted: bool
    at: datetime


class BillingDelivery(BaseModel):
    """A message with billing readings, waiting or sent. `cursors`: its first and last billing reading."""

    id: int
    message: str = Field(description="Its webhook-id.", examples=["msg_7a0c..."])
    period: str
    destination: str
    state: MessageState
    readings: int
    cursors: tuple[int, int]
    attempts: int
    created_at: datetime
    delivered_at: datetime | None
    acknowledged_at: datetime | None
    last_error: str | None


class DeliveryDetail(BillingDelivery):
    """A delivery with both sides: the totals sent, and those that billing reported."""

    sent: ControlTotals
    acknowledged: ReportedTotals | None
    differences: dict[str, str] = Field(description="Ours minus theirs, where they differ.")


class DeliveryPage(BaseModel):
    """Deliveries in order of id; `next_cursor` null: this is the last page."""

    deliveries: list[BillingDelivery]
    next_cursor: int | None


class DeliveryAcknowledgement(BaseModel):
    """Control totals of one delivery: all its readings, counted and summed as they are in it."""

    model_config = ConfigDict(extra="forbid")

    count: int = Field(ge=0, le=2**31 - 1)
    totals: Totals = Field(max_length=1000)


@router.get(
    "/deliveries",
    dependencies=[requires(Scope.DELIVERIES_READ)],
    summary="Deliveries, sent or waiting",
)
def list_deliveries(
    caller: KeyCaller,
    store: Store,
    *,
    state: MessageState | None = None,
    period: Annotated[str | None, Query(pattern=_PERIOD)] = None,
    cursor: Annotated[int, Query(ge=0, le=2**63 - 1)] = 0,
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
) -> DeliveryPage:
    """Deliveries behind `cursor`, in order; those in `state=dead` need somebody's attention."""
    rows = outbox.messages(
        store, utility_id=caller.utility.id, state=state, period=period, after=cursor, limit=limit + 1
    )
    page = rows[:limit]
    return DeliveryPage(
        deliveries=[document_of(BillingDelivery, row) for row in page],
        next_cursor=page[-1].id if len(rows) > limit else None,
    )


@router.get(
    "/deliveries/{delivery_id}",
    dependencies=[requires(Scope.DELIVERIES_READ)],
    summary="A delivery with the control totals of both sides",
)
def get_delivery(caller: KeyCaller, store: Store, delivery_id: DeliveryId) -> DeliveryDetail:
    """The totals sent, those that billing reported last, and where they differ."""
    row = _found(caller, store, delivery_id)
    sent, report = _sent_totals(store, row), last_report(store, row.id)
    return document_of(
        DeliveryDetail,
        row,
        sent=ControlTotals(count=row.readings, totals=sent),
        acknowledged=None
        if report is None
        else document_of(ReportedTotals, report, key=report.key_name, count=report.readings),
        differences={} if report is None else differences(sent, report.totals),
    )


@router.post(
    "/deliveries/{delivery_id}/acknowledgements",
    dependencies=[requires(Scope.BILLING_ACKNOWLEDGE), ONCE],
    status_code=201,
    response_model=ReportedTotals,
    summary="Acknowledge a delivery with control totals",
)
def acknowledge_delivery(
    request: Request, caller: KeyCaller, store: Store, delivery_id: DeliveryId, taken: DeliveryAcknowledgement
) -> ReportedTotals | Response:
    """Accepted where count and totals are those sent; else 409 with both sides, as `GET` shows them too."""
    row = _found(caller, store, delivery_id)
    if row.state not in (MessageState.DELIVERED, MessageState.ACKNOWLEDGED):
        raise Problem(
            HTTPStatus.CONFLICT,
            "not-delivered",
            f"This message is {row.state}: it can be acknowledged once it was delivered.",
        )
    ours = _sent_totals(store, row)
    accepted = taken.count == row.readings and not differences(ours, taken.totals)
    now = services(request).clock()
    acknowledge(
        store,
        row,
        caller.key_id,
        readings=taken.count,
        totals=dict(taken.totals),
        accepted=accepted,
        now=now,
    )
    if not accepted:
        problem = Problem(
            HTTPStatus.CONFLICT,
            "control-totals-differ",
            "What you hold differs from what was sent. Count and sum all readings of the message as they "
            "are in it, and acknowledge again.",
            yours={"count": taken.count, "totals": dict(taken.totals)},
            ours={"count": row.readings, "totals": ours},
        )
        return respond(request, problem)  # returned, not raised: the report is kept
    return ReportedTotals(
        key=caller.name, count=taken.count, totals=dict(taken.totals), accepted=True, at=now
    )


def _found(caller: KeyCaller, store: Store, delivery_id: int) -> MessageRow:
    row = outbox.message(store, delivery_id, utility_id=caller.utility.id)
    if row is None:
        raise not_found("This delivery", "/v1/deliveries lists them.")
    return row


def _sent_totals(store: Store, row: MessageRow) -> dict[str, str]:
    return {name: decimal_text(total) for name, total in sent_totals(store, row).items()}
