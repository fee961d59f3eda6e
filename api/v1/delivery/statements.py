"""`/v1/accounts/{account}/statement`: both sides' figures by month, every difference explained."""

from typing import Annotated

from fastapi import Path, Query, Request
from pydantic import BaseModel, Field

from api.identity.authentication import KeyCaller, Store, requires
from api.v1.models import decimal_text
from api.v1.routing import resources
from api.web.problems import invalid
from api.web.services import services
from metering.access import Scope
from store.delivery.statements import Line, Side, exclusions, reconcile, totals, versions

router = resources("billing")

_MOST_YEARS = 10
PeriodQuery = Annotated[str | None, Query(pattern=r"^\d{4}-(0[1-9]|1[0-2])$", examples=["2026-10"])]


class StatementSide(BaseModel):
    """A billing reading as one side holds it."""

    version: int
    consumption: str


class StatementLine(BaseModel):
    """A register in a month; `remarks` explain estimates, exclusions and every difference."""

    period: str
    service_point: str
    obis: str
    unit: str
    issued: StatementSide | None
    acknowledged: StatementSide | None
    difference: str
    remarks: list[str]


class StatementTotal(BaseModel):
    """The sums of a month by `<obis> <unit>`."""

    period: str
    register_: str = Field(serialization_alias="register")
    issued: str
    acknowledged: str
    difference: str


class Statement(BaseModel):
    """The reconciliation statement of an account; `agreed`: nothing differs."""

    account: str
    agreed: bool
    lines: list[StatementLine]
    totals: list[StatementTotal]


@router.get(
    "/accounts/{account}/statement",
    dependencies=[requires(Scope.BILLING_READ)],
    summary="The reconciliation statement of an account",
)
def get_statement(
    request: Request,
    caller: KeyCaller,
    store: Store,
    account: Annotated[str, Path(max_length=200)],
    *,
    from_: Annotated[PeriodQuery, Query(alias="from")] = None,
    to: PeriodQuery = None,
) -> Statement:
    """What was issued and acknowledged by month, `from` and `to` included; by default the last twelve."""
    now = services(request).clock().astimezone(caller.utility.zone)
    to = to or f"{now:%Y-%m}"
    from_ = from_ or f"{int(to[:4]) - (to[5:] != '12')}-{int(to[5:]) % 12 + 1:02d}"
    if to < from_:
        raise invalid("query.to", "Name the earlier period first: `from` is after `to`.")
    if int(to[:4]) - int(from_[:4]) > _MOST_YEARS:
        raise invalid("query.to", "Ask for at most ten years at once.")
    span = (from_, to)
    lines = reconcile(
        versions(store, caller.utility.id, account, *span),
        exclusions(store, caller.utility.id, account, *span),
    )
    return Statement(
        account=account,
        agreed=not any(line.difference for line in lines),
        lines=[_line(line) for line in lines],
        totals=[
            StatementTotal(
                period=total.period,
                register_=total.register,
                issued=decimal_text(total.ours),
                acknowledged=decimal_text(total.theirs),
                difference=decimal_text(total.ours - total.theirs),
            )
            for total in totals(lines)
        ],
    )


def _line(line: Line) -> StatementLine:
    return StatementLine(
        period=line.period,
        service_point=line.service_point,
        obis=line.obis,
        unit=line.unit,
        issued=_side(line.ours),
        acknowledged=_side(line.theirs),
        difference=decimal_text(line.difference),
        remarks=list(line.remarks),
    )


def _side(side: Side | None) -> StatementSide | None:
    return (
        None
        if side is None
        else StatementSide(version=side.version, consumption=decimal_text(side.consumption))
    )
