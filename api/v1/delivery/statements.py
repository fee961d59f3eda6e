"""`/v1/accounts/{account}/statement`: an account's figures on both sides, every difference explained."""

from typing import Annotated

from fastapi import Path, Query, Request
from pydantic import BaseModel, Field

from api.identity.authentication import KeyCaller, Store, requires
from api.v1.models import Amount, document_of
from api.v1.routing import resources
from api.web.problems import invalid
from api.web.services import services
from metering.access import Scope
from metering.delivery.statement import statement_months
from metering.periods.calendar import PeriodError
from store.delivery.statements import statement

router = resources("billing")

PeriodQuery = Annotated[str | None, Query(pattern=r"^\d{4}-(0[1-9]|1[0-2])$", examples=["2026-10"])]


class AccountStatementSide(BaseModel):
    """Version of a billing reading that one side holds."""

    version: int
    consumption: str


class AccountStatementLine(BaseModel):
    """Register in a month; `remarks` explain estimates, exclusions and every difference."""

    period: str
    service_point: str
    obis: str
    unit: str
    issued: AccountStatementSide | None
    acknowledged: AccountStatementSide | None
    difference: str
    remarks: list[str]


class AccountStatementTotal(BaseModel):
    """Sums of a month by `<obis> <unit>`."""

    period: str
    register_: str = Field(serialization_alias="register")
    issued: Amount
    acknowledged: Amount
    difference: Amount


class AccountStatement(BaseModel):
    """Reconciliation statement of an account; `agreed`: nothing differs."""

    account: str
    agreed: bool
    lines: list[AccountStatementLine]
    totals: list[AccountStatementTotal]


@router.get(
    "/accounts/{account}/statement",
    dependencies=[requires(Scope.BILLING_READ)],
    summary="Reconciliation statement of an account",
)
def get_statement(
    request: Request,
    caller: KeyCaller,
    store: Store,
    account: Annotated[str, Path(max_length=200)],
    *,
    from_: Annotated[PeriodQuery, Query(alias="from")] = None,
    to: PeriodQuery = None,
) -> AccountStatement:
    """Figures as issued and as acknowledged, by month from `from` to `to`; by default the last twelve."""
    present = services(request).clock().astimezone(caller.utility.zone)
    try:
        months = statement_months(from_, to, f"{present:%Y-%m}")
    except PeriodError as error:
        raise invalid("query.to", str(error)) from None
    found = statement(store, caller.utility.id, account, *months)
    return AccountStatement(
        account=account,
        agreed=found.agreed,
        lines=[AccountStatementLine(**line.document()) for line in found.lines],
        totals=[
            document_of(AccountStatementTotal, total, register_=total.register) for total in found.totals
        ],
    )
