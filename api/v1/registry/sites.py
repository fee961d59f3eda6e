"""`/v1/sites`: buildings and their parts; `/v1/gateways`: the gateways there and their lines."""

from collections import defaultdict
from dataclasses import asdict
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
from api.v1.registry.registration import Code, EntryChange, Reference, Text, already_registered, register
from api.v1.routing import resources
from api.web.problems import not_found
from metering.access import Scope
from metering.registry.entries import SiteEntry
from store.fleet import places
from store.postgres.locks import hold

router = resources("registry")

SiteCode = Annotated[str, Path(max_length=100, examples=["house-1"])]
GatewayCode = Annotated[str, Path(max_length=64, examples=["gw-lindenhof"])]


class SiteDetail(Sparse):
    """A building or a part of one; `parent` is the code of the site that it is a part of."""

    code: str
    name: str
    address: str
    parent: str | None


class SitePage(BaseModel):
    """In order of code; `next_cursor` null: this is the last page."""

    sites: list[SiteDetail]
    next_cursor: str | None


class SiteChange(EntryChange):
    """Changes of a site."""

    name: Text = ""
    address: Text = ""
    parent: Reference | None = None


class NewSite(SiteChange):
    """A site; without a name it is called as its code."""

    code: Code = Field(examples=["house-2"])


class RegisteredLine(BaseModel):
    """A wire of a gateway: `protocol` such as mbus, `address` such as /dev/ttyUSB0."""

    code: str
    protocol: str
    address: str


class Gateway(Sparse):
    """A gateway; one of kind import speaks for imported files. `state` is by its last word or last will."""

    code: str
    kind: str
    site: str | None
    state: str
    state_at: datetime | None
    lines: list[RegisteredLine]


class GatewayPage(BaseModel):
    """In order of code; `next_cursor` null: this is the last page."""

    gateways: list[Gateway]
    next_cursor: str | None


@router.get("/sites", dependencies=[requires(Scope.METERS_READ)], summary="The utility's sites, by code")
def list_sites(
    *,
    caller: KeyCaller,
    store: Store,
    parent: Annotated[str | None, Query(max_length=100)] = None,
    cursor: Annotated[str | None, Query(max_length=100)] = None,
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
    only: Annotated[Fields, fields_of(SiteDetail)],
) -> SitePage:
    """With `parent`, the parts of that site."""
    rows = places.sites_page(store, caller.utility.id, after=cursor, limit=limit + 1, parent=parent)
    page = rows[:limit]
    return SitePage(
        sites=[only.of(_site(row)) for row in page],
        next_cursor=page[-1].code if len(rows) > limit else None,
    )


@router.get(
    "/sites/{site}", dependencies=[requires(Scope.METERS_READ)], summary="A site", responses=UNCHANGED
)
def get_site(
    caller: KeyCaller,
    store: Store,
    site: SiteCode,
    asked: Conditional,
    only: Annotated[Fields, fields_of(SiteDetail)],
) -> SiteDetail:
    """The site as it is registered."""
    return asked.answer(_site(_found(caller, store, site)), only)


@router.post(
    "/sites",
    dependencies=[requires(Scope.REGISTRY_WRITE), ONCE],
    status_code=201,
    summary="Register a site",
)
def create_site(caller: KeyCaller, store: Store, new: NewSite, response: Response) -> SiteDetail:
    """A part of another site names its code as `parent`."""
    address = f"/v1/sites/{new.code}"
    if places.site(store, caller.utility.id, new.code) is not None:
        raise already_registered(f"Site {new.code}", address)
    register(store, caller, new, sites=[SiteEntry(**new.named())])
    response.headers["Location"] = address
    return tagged(response, _site(_found(caller, store, new.code)))


@router.patch("/sites/{site}", dependencies=[requires(Scope.REGISTRY_WRITE), ONCE], summary="Change a site")
def change_site(
    caller: KeyCaller, store: Store, site: SiteCode, change: SiteChange, match: Match
) -> SiteDetail:
    """Fields that the body does not name stay as they are."""
    hold(store, "sites", _found(caller, store, site).id)
    document = _site(_found(caller, store, site))
    match.check(document)
    entry = SiteEntry(**document.model_dump())
    register(store, caller, change, sites=[msgspec.structs.replace(entry, **change.named())])
    return match.answer(_site(_found(caller, store, site)))


@router.get(
    "/gateways", dependencies=[requires(Scope.METERS_READ)], summary="The utility's gateways, by code"
)
def list_gateways(
    *,
    caller: KeyCaller,
    store: Store,
    site: Annotated[str | None, Query(max_length=100)] = None,
    cursor: Annotated[str | None, Query(max_length=64)] = None,
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
    only: Annotated[Fields, fields_of(Gateway)],
) -> GatewayPage:
    """With their lines, as they are registered."""
    rows = places.gateways_page(store, caller.utility.id, after=cursor, limit=limit + 1, site=site)
    page = rows[:limit]
    return GatewayPage(
        gateways=[only.of(gateway) for gateway in _gateways(store, page)],
        next_cursor=page[-1].code if len(rows) > limit else None,
    )


@router.get(
    "/gateways/{gateway}",
    dependencies=[requires(Scope.METERS_READ)],
    summary="A gateway",
    responses=UNCHANGED,
)
def get_gateway(
    caller: KeyCaller,
    store: Store,
    gateway: GatewayCode,
    asked: Conditional,
    only: Annotated[Fields, fields_of(Gateway)],
) -> Gateway:
    """The gateway as it is registered, and whether it is online."""
    row = places.gateway(store, caller.utility.id, gateway)
    if row is None:
        raise not_found("This gateway", "/v1/gateways lists those of your utility.")
    (document,) = _gateways(store, [row])
    return asked.answer(document, only)


def _found(caller: Caller, store: Store, code: str) -> places.SiteRow:
    row = places.site(store, caller.utility.id, code)
    if row is None:
        raise not_found("This site", "/v1/sites lists those of your utility.")
    return row


def _site(row: places.SiteRow) -> SiteDetail:
    return SiteDetail(code=row.code, name=row.name, address=row.address, parent=row.parent)


def _gateways(store: Store, rows: list[places.GatewayRow]) -> list[Gateway]:
    lines = defaultdict(list)
    for line in places.lines(store, [row.id for row in rows]):
        lines[line.gateway_id].append(
            RegisteredLine(code=line.code, protocol=line.protocol, address=line.address)
        )
    return [Gateway(**asdict(row), lines=lines[row.id]) for row in rows]
