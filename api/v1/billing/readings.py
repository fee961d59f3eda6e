"""`/v1/billing/{period}`: billing readings pulled by cursor, and the acknowledgement with control totals;
`/v1/billing-readings/{id}`: all that one of them rests on.

A cursor is `billing_readings.id`: a correction is a later row with a higher version, so that a billing system
that asks again from its last cursor gets just what is new to it.
"""

from decimal import Decimal
from http import HTTPStatus
from typing import Annotated, Any

import msgspec
from fastapi import Query
from fastapi.responses import Response

from api.identity.authentication import KeyCaller, Store, requires
from api.v1.billing.evidence import evidence_document
from api.v1.billing.reading_models import (
    Acknowledgement,
    AcknowledgementRequest,
    BillingPage,
    BillingReading,
    BillingReadingDetail,
    BillingVersion,
    BillingVersions,
    CloseRun,
)
from api.v1.billing.trace import trace_of
from api.v1.idempotency import ONCE
from api.v1.models import decimal_text, document_of
from api.v1.parameters import LARGEST_ID, Code, Id, Limit, Period, PeriodFilter
from api.v1.routing import resources
from api.web.problems import Problem, not_found
from metering.access import Scope
from metering.delivery.document import reading
from store.billing import issued as queries

router = resources("billing")


@router.get(
    "/billing/{period}",
    dependencies=[requires(Scope.BILLING_READ)],
    response_model=BillingPage,
    summary="A period's billing readings, in order of cursor",
)
def list_billing_readings(
    caller: KeyCaller,
    store: Store,
    period: Period,
    cursor: Annotated[int, Query(ge=0, le=LARGEST_ID)] = 0,
    limit: Annotated[int, Query(ge=1, le=5000)] = 500,
) -> Response:
    """Everything behind `cursor`, the highest that you have taken: 0 at first."""
    # Thousands of rows: written as they are. That each is a BillingReading is for the tests to show.
    rows = queries.billing_page(store, caller.utility.id, period, after=cursor, limit=limit + 1)
    page = rows[:limit]
    told = {
        "period": period,
        "readings": [_reading(row) for row in page],
        "next_cursor": page[-1].id if page else cursor,
        "complete": len(rows) <= limit,
    }
    return Response(msgspec.json.encode(told), media_type="application/json")


@router.post(
    "/billing/{period}/acknowledgements",
    dependencies=[requires(Scope.BILLING_ACKNOWLEDGE), ONCE],
    status_code=201,
    summary="Say what you have taken",
)
def acknowledge(
    caller: KeyCaller, store: Store, period: Period, taken: AcknowledgementRequest
) -> Acknowledgement:
    """Stored if count and totals are ours; else 409 with both sides, and nothing is stored.

    Count and sum the highest version of each service point and register. Totals are by `<obis> <unit>`.
    """
    highest = queries.highest_cursor(store, caller.utility.id, period)
    if highest is None or taken.cursor > highest:
        raise Problem(
            HTTPStatus.CONFLICT,
            "cursor-ahead",
            "No page of this period ended with that cursor. Pull the period and acknowledge its last cursor.",
            yours=taken.cursor,
            ours=highest,
        )
    count, sums = queries.control_totals(store, caller.utility.id, period, taken.cursor)
    ours = {name: decimal_text(total) for name, total in sums.items()}
    if count != taken.count or _decimals(ours) != _decimals(taken.totals):
        raise Problem(
            HTTPStatus.CONFLICT,
            "control-totals-differ",
            "What you hold differs from what was given. Pull the period again from cursor 0, keep the "
            "highest version of each service point and register, and acknowledge again.",
            yours={"cursor": taken.cursor, "count": taken.count, "totals": taken.totals},
            ours={"cursor": taken.cursor, "count": count, "totals": ours},
        )
    at = queries.record_acknowledgement(
        store,
        caller.utility.id,
        caller.key_id,
        period,
        cursor=taken.cursor,
        readings=taken.count,
        totals=dict(taken.totals),
    )
    return Acknowledgement(
        period=period, cursor=taken.cursor, count=count, totals=dict(taken.totals), acknowledged_at=at
    )


@router.get(
    "/billing-readings",
    dependencies=[requires(Scope.BILLING_READ)],
    summary="Billing readings of a service point, an account or a period",
)
def list_billing_versions(
    *,
    caller: KeyCaller,
    store: Store,
    service_point: Code = None,
    account: Code = None,
    period: PeriodFilter = None,
    current: Annotated[bool, Query(description="Only the versions that hold.")] = False,
    cursor: Annotated[int, Query(ge=0, le=LARGEST_ID)] = 0,
    limit: Limit = 100,
) -> BillingVersions:
    """All their versions, in order of cursor. To keep up with a period, `/v1/billing/{period}` is made."""
    rows = queries.billing_versions(
        store,
        caller.utility.id,
        after=cursor,
        limit=limit + 1,
        period=period,
        service_point=service_point,
        account=account,
        current=current,
    )
    page = rows[:limit]
    return BillingVersions(
        readings=[BillingReading(**_reading(row)) for row in page],
        next_cursor=page[-1].id if len(rows) > limit else None,
    )


@router.get(
    "/billing-readings/{reading_id}",
    dependencies=[requires(Scope.BILLING_READ)],
    summary="A billing reading with all that it rests on",
)
def get_billing_reading(caller: KeyCaller, store: Store, reading_id: Id) -> BillingReadingDetail:
    """The readings at both ends, the methods that were tried, the meters, the close, and all versions."""
    trace = trace_of(store, caller.utility.id, reading_id)
    if trace is None:
        raise not_found("This billing reading", "/v1/billing/{period} lists those of a period.")
    return BillingReadingDetail(
        **_reading(trace.row),
        close=document_of(CloseRun, trace.version),
        evidence=evidence_document(trace.evidence, trace.telegrams),
        versions=[
            document_of(BillingVersion, each, close=document_of(CloseRun, each), details=_details(each.id))
            for each in trace.versions
        ],
        content=trace.issued.canonical(),
        intact=trace.issued.intact,
    )


def _details(reading_id: int) -> str:
    return f"/v1/billing-readings/{reading_id}"


def _decimals(totals: dict[str, str]) -> dict[str, Decimal]:
    return {name: Decimal(total) for name, total in totals.items()}


def _reading(row: queries.IssuedReading) -> dict[str, Any]:
    """The document that a message holds too, with the name of the service point, which may change."""
    told = reading(row)
    account = told["service_point"]["account"]
    told["service_point"] = {"code": row.service_point, "name": row.service_point_name, "account": account}
    return told
