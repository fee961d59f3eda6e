"""`/v1/meters`: meters with their registers."""

from datetime import date, timedelta
from typing import Annotated, Any, Literal, TypeVar

import msgspec
from fastapi import Path, Query, Response
from pydantic import Field, StringConstraints

from api.identity.authentication import KeyCaller, Store, requires
from api.identity.callers import Caller
from api.v1.conditional import UNCHANGED, Conditional, Match, tagged
from api.v1.fields import Fields, fields_of
from api.v1.idempotency import ONCE
from api.v1.models import (
    Installation,
    LastReading,
    MeterDetail,
    MeterPage,
    MeterRegister,
    MeterSummary,
    RegisterList,
    RegisterWithReading,
    ServicePoint,
    Site,
    decimal_text,
    document_of,
    medium_label,
    register_name,
)
from api.v1.registry.registration import (
    EntryChange,
    Reference,
    Text,
    already_registered,
    medium_code,
    register,
)
from api.v1.routing import resources
from api.web.problems import not_found
from metering.access import Scope
from metering.registry.entries import MeterEntry
from store.fleet import meters as meter_queries
from store.postgres.locks import hold

router = resources("meters")

_Meter = TypeVar("_Meter", bound=MeterSummary)
_Register = TypeVar("_Register", bound=MeterRegister)

MeterId = Annotated[str, Path(max_length=40, examples=["KAM-06855817"])]
Flow = Annotated[str, StringConstraints(pattern=r"^[0-9]{1,6}(\.[0-9]{1,6})?$")]


class MeterChange(EntryChange):
    """Changes of a meter; its medium stays, as its readings do."""

    model: Text = ""
    site: Reference | None = None
    gateway: Reference | None = Field(default=None, description="Null: any gateway may read it.")
    line: Reference | None = Field(default=None, description="One of that gateway's.")
    qmax: Flow | None = Field(default=None, description="The highest permitted flow, in m3/h.")
    imax: Flow | None = Field(default=None, description="The largest current, in A.")
    phases: Literal[1, 3] | None = None


class NewMeter(MeterChange):
    """A meter; its registers come with its first reading."""

    id: Reference = Field(examples=["KAM-06855817"])
    medium: str = Field(max_length=30, examples=["cold water"])


@router.get("/meters", dependencies=[requires(Scope.METERS_READ)], summary="The utility's meters, by id")
def list_meters(
    *,
    caller: KeyCaller,
    store: Store,
    cursor: Annotated[str | None, Query(max_length=40)] = None,
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
    medium: Annotated[str | None, Query(max_length=30, examples=["cold water"])] = None,
    site: Annotated[str | None, Query(max_length=100)] = None,
    gateway: Annotated[str | None, Query(max_length=64)] = None,
    service_point: Annotated[str | None, Query(max_length=200)] = None,
    account: Annotated[str | None, Query(min_length=1, max_length=200)] = None,
    verification_due_before: date | None = None,
    q: Annotated[str | None, Query(max_length=100)] = None,
    only: Annotated[Fields, fields_of(MeterSummary)],
) -> MeterPage:
    """`q` is a part of the meter id, model, site, service point or account, `service_point` and `account` are
    those of where they are now. `verification_due_before`: the verification holds no longer on that day."""
    rows = meter_queries.meters_page(
        store,
        caller.utility.id,
        after=cursor,
        limit=limit + 1,
        medium=None if medium is None else medium_code(medium),
        site=site,
        gateway=gateway,
        service_point=service_point,
        account=account,
        verification_due_before=verification_due_before,
        search=q,
    )
    page = rows[:limit]
    return MeterPage(
        meters=[only.of(_meter(MeterSummary, row)) for row in page],
        next_cursor=page[-1].code if len(rows) > limit else None,
    )


@router.get(
    "/meters/{meter_id}",
    dependencies=[requires(Scope.METERS_READ)],
    summary="A meter with its registers and installations",
    responses=UNCHANGED,
)
def get_meter(
    caller: KeyCaller,
    store: Store,
    meter_id: MeterId,
    asked: Conditional,
    only: Annotated[Fields, fields_of(MeterDetail)],
) -> MeterDetail:
    """The meter as it is registered."""
    return asked.answer(_detail(caller, store, find_meter(caller, store, meter_id)), only)


@router.get(
    "/meters/{meter_id}/registers",
    dependencies=[requires(Scope.METERS_READ)],
    summary="A meter's registers with their last readings",
)
def list_registers(caller: KeyCaller, store: Store, meter_id: MeterId) -> RegisterList:
    """The billed ones first."""
    row = find_meter(caller, store, meter_id)
    return RegisterList(
        meter=row.code,
        registers=[
            _register(RegisterWithReading, register, last=_last(register))
            for register in meter_queries.registers(store, row.id)
        ],
    )


@router.post(
    "/meters",
    dependencies=[requires(Scope.REGISTRY_WRITE), ONCE],
    status_code=201,
    summary="Register a meter",
)
def create_meter(caller: KeyCaller, store: Store, new: NewMeter, response: Response) -> MeterDetail:
    """A meter that reports already and waits in quarantine is accepted there, with all that it sent."""
    address = f"/v1/meters/{new.id}"
    if meter_queries.meter(store, caller.utility.id, new.id) is not None:
        raise already_registered(f"Meter {new.id}", address)
    medium_code(new.medium, "body.medium")
    named = new.named()
    register(store, caller, new, meters=[MeterEntry(code=named.pop("id"), **named)])
    response.headers["Location"] = address
    return tagged(response, _detail(caller, store, find_meter(caller, store, new.id)))


@router.patch(
    "/meters/{meter_id}",
    dependencies=[requires(Scope.REGISTRY_WRITE), ONCE],
    summary="Change a meter's attributes",
)
def change_meter(
    caller: KeyCaller, store: Store, meter_id: MeterId, change: MeterChange, match: Match
) -> MeterDetail:
    """Fields that the body does not name stay as they are."""
    hold(store, "meters", find_meter(caller, store, meter_id).id)
    row = find_meter(caller, store, meter_id)
    match.check(_detail(caller, store, row))
    register(store, caller, change, meters=[msgspec.structs.replace(meter_entry(row), **change.named())])
    return match.answer(_detail(caller, store, find_meter(caller, store, meter_id)))


def find_meter(caller: Caller, store: Store, meter_id: str) -> meter_queries.MeterRow:
    """The caller's meter with this id. Raises Problem."""
    row = meter_queries.meter(store, caller.utility.id, meter_id)
    if row is None:
        raise not_found("This meter", "/v1/meters lists the meters of your utility.")
    return row


def _detail(caller: Caller, store: Store, row: meter_queries.MeterRow) -> MeterDetail:
    return _meter(
        MeterDetail,
        row,
        registers=[_register(MeterRegister, register) for register in meter_queries.registers(store, row.id)],
        installations=[
            document_of(
                Installation,
                place,
                service_point=ServicePoint(
                    code=place.point_code, name=place.point_name, account=place.account or None
                ),
            )
            for place in meter_queries.installations(store, caller.utility.id, row.id)
        ],
    )


def meter_entry(row: meter_queries.MeterRow) -> MeterEntry:
    """The registry's entry of a meter, as it is stored."""
    return MeterEntry(
        code=row.code,
        medium=medium_label(row.medium),
        model=row.model,
        gateway=row.gateway,
        site=row.site_code,
        verified_until=row.verified_until,
        line=row.line,
        qmax=None if row.qmax is None else decimal_text(row.qmax),
        imax=None if row.imax is None else decimal_text(row.imax),
        phases=row.phases,
    )


def _meter(kind: type[_Meter], row: meter_queries.MeterRow, **given: Any) -> _Meter:
    return document_of(
        kind,
        row,
        id=row.code,
        site=Site(code=row.site_code, name=row.site_name or "") if row.site_code else None,
        service_point=ServicePoint(code=row.point_code, name=row.point_name or "")
        if row.point_code
        else None,
        **given,
    )


def _register(kind: type[_Register], row: meter_queries.RegisterRow, **given: Any) -> _Register:
    interval = row.expected_interval
    return document_of(
        kind,
        row,
        name=register_name(row.obis),
        rolls_over_at=row.capacity,
        interval_seconds=None if interval is None else interval // timedelta(seconds=1),
        **given,
    )


def _last(row: meter_queries.RegisterRow) -> LastReading | None:
    return None if row.measured_at is None or row.value is None else document_of(LastReading, row)
