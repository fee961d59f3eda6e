"""`/v1/installations`: which meter measured at which service point, from when to when."""

from typing import Annotated

import msgspec
from fastapi import Path, Query
from pydantic import AwareDatetime, BaseModel, Field, StringConstraints

from api.identity.authentication import KeyCaller, Store, requires
from api.identity.callers import Caller
from api.v1.conditional import UNCHANGED, Conditional, Match
from api.v1.fields import Fields, Sparse, fields_of
from api.v1.idempotency import ONCE
from api.v1.models import (
    DecimalText,
    Instant,
    Plain,
    decimal_text,
    document_of,
    local_instant,
    medium_label,
    written,
)
from api.v1.registry.registration import EntryChange, RegistryInstant, register
from api.v1.routing import resources
from api.web.problems import not_found
from metering.access import Scope
from metering.registry.entries import InstallationEntry, ServicePointEntry
from store.fleet import places
from store.postgres.locks import hold

router = resources("registry")

InstallationId = Annotated[int, Path(ge=1, le=2**31 - 1)]
ObisCode = Annotated[str, StringConstraints(pattern=r"^\d{1,3}-\d{1,3}:\d{1,3}\.\d{1,3}\.\d{1,3}$")]
Ratio = Annotated[str, StringConstraints(pattern=r"^[0-9]{1,7}(\.[0-9]{1,6})?$")]
Values = Annotated[
    dict[ObisCode, DecimalText],
    Field(max_length=50, description="By OBIS code, in its unit.", examples=[{"8-0:1.0.0": "412.318"}]),
]

Amounts = Annotated[
    dict[str, str],
    written(lambda values: {obis: decimal_text(value) for obis, value in sorted(values.items())}),
]


class InstallationDetail(Sparse):
    """A meter's time at a service point; `valid_to` null: until now. `multiplier` is the CT/VT ratio.

    The values are what the registers showed at both ends.
    """

    id: int
    service_point: str
    meter: str
    valid_from: Instant
    valid_to: Instant | None
    multiplier: Plain
    start_values: Amounts
    end_values: Amounts


class InstallationPage(BaseModel):
    """In order of id; `next_cursor` null: this is the last page."""

    installations: list[InstallationDetail]
    next_cursor: int | None


class InstallationChange(EntryChange):
    """Corrections of an installation; its beginning names it and stays."""

    valid_to: RegistryInstant | None = None
    multiplier: Ratio = "1"
    start_values: Values = Field(default_factory=dict)
    end_values: Values = Field(default_factory=dict)


@router.get(
    "/installations", dependencies=[requires(Scope.METERS_READ)], summary="Which meter was where, and when"
)
def list_installations(
    *,
    caller: KeyCaller,
    store: Store,
    service_point: Annotated[str | None, Query(max_length=200)] = None,
    meter: Annotated[str | None, Query(max_length=40)] = None,
    at: Annotated[AwareDatetime | None, Query(description="Those that held at that instant.")] = None,
    cursor: Annotated[int, Query(ge=0, le=2**31 - 1)] = 0,
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
    only: Annotated[Fields, fields_of(InstallationDetail)],
) -> InstallationPage:
    """In the order in which they were registered."""
    rows = places.placed_page(
        store,
        caller.utility.id,
        after=cursor,
        limit=limit + 1,
        service_point=service_point,
        meter=meter,
        at=at,
    )
    page = rows[:limit]
    return InstallationPage(
        installations=[only.of(installation_document(caller, row)) for row in page],
        next_cursor=page[-1].id if len(rows) > limit else None,
    )


@router.get(
    "/installations/{installation_id}",
    dependencies=[requires(Scope.METERS_READ)],
    summary="An installation",
    responses=UNCHANGED,
)
def get_installation(
    caller: KeyCaller,
    store: Store,
    installation_id: InstallationId,
    asked: Conditional,
    only: Annotated[Fields, fields_of(InstallationDetail)],
) -> InstallationDetail:
    """An installation is a meter's time at a service point."""
    return asked.answer(installation_document(caller, _placed(caller, store, installation_id)), only)


@router.patch(
    "/installations/{installation_id}",
    dependencies=[requires(Scope.REGISTRY_WRITE), ONCE],
    summary="Correct an installation",
)
def correct_installation(
    caller: KeyCaller,
    store: Store,
    installation_id: InstallationId,
    change: InstallationChange,
    match: Match,
) -> InstallationDetail:
    """The history keeps the former values. Periods closed with it are corrected when closed again."""
    hold(store, "service_points", _placed(caller, store, installation_id).service_point_id)
    row = _placed(caller, store, installation_id)
    document = installation_document(caller, row)
    match.check(document)
    point = places.service_point(store, caller.utility.id, row.service_point)
    assert point is not None
    before = InstallationEntry(
        row.meter,
        row.valid_from,
        row.valid_to,
        document.multiplier,
        document.start_values,
        document.end_values,
    )
    after = msgspec.structs.replace(before, **change.named())
    entry = msgspec.structs.replace(point_entry(point), installations=[after])
    register(store, caller, change, service_points=[entry])
    return match.answer(installation_document(caller, _placed(caller, store, installation_id)))


def point_entry(row: places.ServicePointRow) -> ServicePointEntry:
    """The registry's entry of a service point, as it is stored."""
    return ServicePointEntry(
        row.code, medium_label(row.medium), row.name, row.site, row.account, row.ended_at
    )


def installation_document(caller: Caller, row: places.PlacedRow) -> InstallationDetail:
    """An installation with the instants of the caller's zone."""
    zone = caller.utility.zone
    return document_of(
        InstallationDetail,
        row,
        valid_from=local_instant(row.valid_from, zone),
        valid_to=row.valid_to and local_instant(row.valid_to, zone),
    )


def _placed(caller: Caller, store: Store, installation_id: int) -> places.PlacedRow:
    row = places.placed(store, caller.utility.id, installation_id)
    if row is None:
        raise not_found("This installation", "/v1/installations lists those of your utility.")
    return row
