"""`/v1/service-points`: where something is delivered, and the meter that measures there.

An exchanged meter ends one installation and begins another; its service point's ETag covers both, so that two
people do not exchange it twice.
"""

from datetime import datetime
from typing import Annotated

import msgspec
from fastapi import Path, Query, Response
from pydantic import BaseModel, Field

from api.identity.authentication import KeyCaller, Store, requires
from api.identity.callers import Caller
from api.v1.conditional import UNCHANGED, Conditional, Match, tagged
from api.v1.fields import Fields, Sparse, fields_of
from api.v1.idempotency import ONCE
from api.v1.models import MediumLabel, TextOrNone, document_of
from api.v1.registry.installations import (
    InstallationDetail,
    Ratio,
    Values,
    installation_document,
    point_entry,
)
from api.v1.registry.registration import (
    Code,
    EntryChange,
    Reference,
    RegistryInstant,
    Text,
    already_registered,
    medium_code,
    refused,
    register,
    sign_change,
)
from api.v1.routing import resources
from api.web.problems import not_found
from metering.access import Scope
from metering.registry.checks import RegistryError
from metering.registry.entries import InstallationEntry, ServicePointEntry
from store.fleet import places
from store.postgres.locks import hold
from store.registry.exchange import Exchange, swap

router = resources("registry")

PointCode = Annotated[str, Path(max_length=200, examples=["flat-01-8"])]


class ServicePointSummary(Sparse):
    """Service point; `account` is the billing system's reference, `ended_at` the end of delivery."""

    code: str
    name: str
    medium: MediumLabel
    site: str | None
    account: TextOrNone
    ended_at: datetime | None


class ServicePointDetail(ServicePointSummary):
    """A service point with all installations, the first one first."""

    installations: list[InstallationDetail]


class ServicePointPage(BaseModel):
    """In order of code; `next_cursor` null: this is the last page."""

    service_points: list[ServicePointSummary]
    next_cursor: str | None


class ServicePointChange(EntryChange):
    """Changes of a service point. From `ended_at` on nothing is delivered, and no meter is missed."""

    name: Text = ""
    site: Reference | None = None
    account: Text = ""
    ended_at: RegistryInstant | None = None


class NewServicePoint(ServicePointChange):
    """A service point."""

    code: Code = Field(examples=["flat-12-heat"])
    medium: str = Field(max_length=30, examples=["heat"])


class NewInstallation(EntryChange):
    """A meter that measures at a service point from an instant on."""

    meter: Reference = Field(examples=["KAM-06855817"])
    valid_from: RegistryInstant
    multiplier: Ratio = "1"
    start_values: Values = Field(default_factory=dict)


class MeterExchange(EntryChange):
    """Exchange of a meter for another in its place, both read at that instant.

    `removed` is needed where several meters measure. The same meter with another `multiplier`: its
    transformers were exchanged, and its `start_values` are its `end_values`.
    """

    installed: Reference = Field(examples=["KAM-06855818"])
    at: RegistryInstant
    end_values: Values
    start_values: Values = Field(default_factory=dict)
    removed: Reference | None = None
    multiplier: Ratio | None = None


@router.get(
    "/service-points",
    dependencies=[requires(Scope.METERS_READ)],
    summary="The utility's service points, by code",
)
def list_service_points(
    *,
    caller: KeyCaller,
    store: Store,
    site: Annotated[str | None, Query(max_length=100)] = None,
    medium: Annotated[str | None, Query(max_length=30, examples=["heat"])] = None,
    account: Annotated[str | None, Query(max_length=200)] = None,
    cursor: Annotated[str | None, Query(max_length=200)] = None,
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
    only: Annotated[Fields, fields_of(ServicePointSummary)],
) -> ServicePointPage:
    """Narrowed by site, medium, or account of the billing system."""
    rows = places.service_points_page(
        store,
        caller.utility.id,
        after=cursor,
        limit=limit + 1,
        site=site,
        medium=None if medium is None else medium_code(medium),
        account=account,
    )
    page = rows[:limit]
    return ServicePointPage(
        service_points=[only.of(document_of(ServicePointSummary, row)) for row in page],
        next_cursor=page[-1].code if len(rows) > limit else None,
    )


@router.get(
    "/service-points/{code}",
    dependencies=[requires(Scope.METERS_READ)],
    summary="A service point with its installations",
    responses=UNCHANGED,
)
def get_service_point(
    caller: KeyCaller,
    store: Store,
    code: PointCode,
    asked: Conditional,
    only: Annotated[Fields, fields_of(ServicePointDetail)],
) -> ServicePointDetail:
    """The service point as it is registered."""
    return asked.answer(_detail(caller, store, code), only)


@router.post(
    "/service-points",
    dependencies=[requires(Scope.REGISTRY_WRITE), ONCE],
    status_code=201,
    summary="Register a service point",
)
def create_service_point(
    caller: KeyCaller, store: Store, new: NewServicePoint, response: Response
) -> ServicePointDetail:
    """A meter is put there with POST .../installations."""
    address = f"/v1/service-points/{new.code}"
    if places.service_point(store, caller.utility.id, new.code) is not None:
        raise already_registered(f"Service point {new.code}", address)
    medium_code(new.medium, "body.medium")
    register(store, caller, new, service_points=[ServicePointEntry(**new.named())])
    response.headers["Location"] = address
    return tagged(response, _detail(caller, store, new.code))


@router.patch(
    "/service-points/{code}",
    dependencies=[requires(Scope.REGISTRY_WRITE), ONCE],
    summary="Change a service point",
)
def change_service_point(
    caller: KeyCaller, store: Store, code: PointCode, change: ServicePointChange, match: Match
) -> ServicePointDetail:
    """Fields that the body does not name stay as they are."""
    row = _held(caller, store, code, match)
    register(
        store, caller, change, service_points=[msgspec.structs.replace(point_entry(row), **change.named())]
    )
    return match.answer(_detail(caller, store, code))


@router.post(
    "/service-points/{code}/installations",
    dependencies=[requires(Scope.REGISTRY_WRITE), ONCE],
    status_code=201,
    summary="Put a meter at a service point",
)
def install_meter(
    caller: KeyCaller, store: Store, code: PointCode, new: NewInstallation, match: Match
) -> ServicePointDetail:
    """The first one there, or one more; in the place of another, exchange them."""
    row = _held(caller, store, code, match)
    if any(
        (one.meter, one.valid_from) == (new.meter, new.valid_from) for one in places.placed_at(store, row.id)
    ):
        raise already_registered(f"{new.meter} from that instant on", f"/v1/service-points/{code}")
    entry = msgspec.structs.replace(point_entry(row), installations=[InstallationEntry(**new.named())])
    register(store, caller, new, service_points=[entry])
    return match.answer(_detail(caller, store, code))


@router.post(
    "/service-points/{code}/exchanges",
    dependencies=[requires(Scope.REGISTRY_WRITE), ONCE],
    status_code=201,
    summary="Exchange the meter at a service point",
)
def exchange_meter(
    caller: KeyCaller, store: Store, code: PointCode, exchange: MeterExchange, match: Match
) -> ServicePointDetail:
    """A new meter that is not registered yet is, on the gateway, line and site of the old one."""
    _held(caller, store, code, match)
    sign_change(store, caller, exchange)
    try:
        swap(store, Exchange(caller.utility.code, code, **exchange.model_dump(exclude={"reason"})))
    except RegistryError as error:
        raise refused(error) from None
    return match.answer(_detail(caller, store, code))


def _found(caller: Caller, store: Store, code: str) -> places.ServicePointRow:
    row = places.service_point(store, caller.utility.id, code)
    if row is None:
        raise not_found("This service point", "/v1/service-points lists those of your utility.")
    return row


def _held(caller: Caller, store: Store, code: str, match: Match) -> places.ServicePointRow:
    """The service point, which nobody else changes now, as the asker has seen it. Raises Problem."""
    hold(store, "service_points", _found(caller, store, code).id)
    match.check(_detail(caller, store, code))
    return _found(caller, store, code)


def _detail(caller: Caller, store: Store, code: str) -> ServicePointDetail:
    row = _found(caller, store, code)
    installations = [installation_document(caller, one) for one in places.placed_at(store, row.id)]
    return document_of(ServicePointDetail, row, installations=installations)
