"""`/v1/deliveries`: the messages that were pushed or wait to be, and what billing says of each.

An acknowledgement is a count and sums. Where they are not ours it is refused and kept beside ours, so that
the message shows both sides until they agree.
"""

from datetime import datetime
from http import HTTPStatus
from typing import Annotated, Any

from fastapi import Path, Query, Request
from fastapi.responses import Response
from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from api.identity.authentication import KeyCaller, Store, requires
from api.v1.idempotency import ONCE
from api.v1.models import DecimalText, decimal_text
from api.v1.routing import resources
from api.web.problems import Problem, not_found, respond
from api.web.services import services
from metering.access import Scope
from store.delivery import outbox
from store.delivery.outbox import MessageRow, State

router = resources("deliveries")

_PERIOD = r"^\d{4}-(0[1-9]|1[0-2])$"
DeliveryId = Annotated[int, Path(ge=1, le=2**63 - 1)]
Totals = dict[Annotated[str, StringConstraints(max_length=64)], DecimalText]


class Count(BaseModel):
    """One side's count and sums of a message; totals by `<obis> <unit>`."""

    count: int
    totals: dict[str, str]


class DeliveryClaim(Count):
    """What a billing system last said of a message."""

    key: str
    accepted: bool
    at: datetime


class Delivery(BaseModel):
    """A message of the outbox. `cursors`: the first and last billing reading of it."""

    id: int
    message: str = Field(description="Its webhook-id.", examples=["msg_7a0c..."])
    period: str
    destination: str
    state: State
    readings: int
    cursors: tuple[int, int]
    attempts: int
    created_at: datetime
    delivered_at: datetime | None
    acknowledged_at: datetime | None
    last_error: str | None


class DeliveryDetail(Delivery):
    """A message with both sides: what we sent, and what billing says it has."""

    sent: Count
    acknowledged: DeliveryClaim | None
    differences: dict[str, str] = Field(description="Ours minus theirs, where they differ.")


class DeliveryPage(BaseModel):
    """In order of id; `next_cursor` null: this is the last page."""

    deliveries: list[Delivery]
    next_cursor: int | None


class DeliveryAcknowledgement(BaseModel):
    """What a billing system took from one message: all its rows, counted and summed as they are in it."""

    model_config = ConfigDict(extra="forbid")

    count: int = Field(ge=0, le=2**31 - 1)
    totals: Totals = Field(max_length=1000)


@router.get(
    "/deliveries",
    dependencies=[requires(Scope.DELIVERIES_READ)],
    summary="Messages that were pushed or wait to be",
)
def list_deliveries(
    caller: KeyCaller,
    store: Store,
    *,
    state: State | None = None,
    period: Annotated[str | None, Query(pattern=_PERIOD)] = None,
    cursor: Annotated[int, Query(ge=0, le=2**63 - 1)] = 0,
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
) -> DeliveryPage:
    """Behind `cursor`, in order; `state=dead` are those that a person has to look at."""
    rows = outbox.messages(
        store, utility_id=caller.utility.id, state=state, period=period, after=cursor, limit=limit + 1
    )
    page = rows[:limit]
    return DeliveryPage(
        deliveries=[Delivery(**_delivery(row)) for row in page],
        next_cursor=page[-1].id if len(rows) > limit else None,
    )


@router.get(
    "/deliveries/{delivery_id}",
    dependencies=[requires(Scope.DELIVERIES_READ)],
    summary="A message with both sides' count and sums",
)
def get_delivery(caller: KeyCaller, store: Store, delivery_id: DeliveryId) -> DeliveryDetail:
    """What was sent, what billing last said it has of it, and where they differ."""
    row = _found(caller, store, delivery_id)
    sent = {name: decimal_text(total) for name, total in outbox.sent_totals(store, row).items()}
    claim = outbox.last_claim(store, row.id)
    return DeliveryDetail(
        **_delivery(row),
        sent=Count(count=row.readings, totals=sent),
        acknowledged=None
        if claim is None
        else DeliveryClaim(
            key=claim.key_name,
            count=claim.readings,
            totals=claim.totals,
            accepted=claim.accepted,
            at=claim.at,
        ),
        differences={} if claim is None else outbox.differences(sent, claim.totals),
    )


@router.post(
    "/deliveries/{delivery_id}/acknowledgements",
    dependencies=[requires(Scope.BILLING_ACKNOWLEDGE), ONCE],
    status_code=201,
    response_model=DeliveryClaim,
    summary="Say what you have taken of a message",
)
def acknowledge_delivery(
    request: Request, caller: KeyCaller, store: Store, delivery_id: DeliveryId, taken: DeliveryAcknowledgement
) -> DeliveryClaim | Response:
    """Accepted if count and totals are ours; else 409 with both sides, which `GET` then shows too."""
    row = _found(caller, store, delivery_id)
    if row.state not in (State.DELIVERED, State.ACKNOWLEDGED):
        raise Problem(
            HTTPStatus.CONFLICT,
            "not-delivered",
            f"This message is {row.state}: it can be acknowledged once it was delivered.",
        )
    ours = {name: decimal_text(total) for name, total in outbox.sent_totals(store, row).items()}
    accepted = taken.count == row.readings and not outbox.differences(ours, taken.totals)
    now = services(request).clock()
    outbox.acknowledge(
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
        return respond(request, problem)  # returned, not raised: what was said is kept
    return DeliveryClaim(key=caller.name, count=taken.count, totals=dict(taken.totals), accepted=True, at=now)


def _found(caller: KeyCaller, store: Store, delivery_id: int) -> MessageRow:
    row = outbox.message(store, delivery_id, utility_id=caller.utility.id)
    if row is None:
        raise not_found("This delivery", "/v1/deliveries lists them.")
    return row


def _delivery(row: MessageRow) -> dict[str, Any]:
    return {
        "id": row.id,
        "message": f"msg_{row.message_id.hex}",
        "period": row.period,
        "destination": row.url.partition("?")[0],  # a query may hold a token
        "state": row.state,
        "readings": row.readings,
        "cursors": (row.first_reading, row.last_reading),
        "attempts": row.attempts,
        "created_at": row.created_at,
        "delivered_at": row.delivered_at,
        "acknowledged_at": row.acknowledged_at,
        "last_error": row.last_error,
    }
