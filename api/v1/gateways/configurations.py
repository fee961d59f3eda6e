"""`/v1/gateways/{gateway}/configuration` and `/configurations`: the desired one, and all that were sent."""

from dataclasses import asdict
from datetime import datetime
from http import HTTPStatus
from typing import Annotated

from fastapi import Path, Query, Request
from pydantic import BaseModel, ConfigDict, Field

from api.identity.authentication import KeyCaller, Store, requires
from api.identity.callers import Caller
from api.v1.conditional import UNCHANGED, Conditional, Match
from api.v1.fields import Fields, Sparse, fields_of
from api.v1.gateways.configuration_preview import ConfigurationText, look_at
from api.v1.gateways.health import GatewayCode, find_gateway
from api.v1.routing import resources
from api.web.problems import Problem, not_found
from api.web.services import Services, services
from metering.access import Scope
from store.gateways import request_list as queries
from store.gateways import requests
from store.gateways.reports import GatewayReportRow
from store.gateways.requests import ConfigurationRequest

router = resources("gateways")

Version = Annotated[int, Path(ge=1, le=2**31 - 1)]


class ConfigurationOrder(ConfigurationText):
    """Configuration that a gateway is to run from now on."""

    reason: str = Field("", max_length=500)


class Restoration(BaseModel):
    """Reason for which an earlier configuration is to run again."""

    model_config = ConfigDict(extra="forbid")

    reason: str = Field("", max_length=500)


class DesiredConfiguration(Sparse):
    """Newest version that a gateway is to run. 0: nothing was ever sent, the installer's file runs."""

    gateway: str
    version: int
    toml: str
    restores: int | None = Field(description="The earlier version whose text it is.")
    author: str
    reason: str
    created_at: datetime | None


class GatewayConfiguration(BaseModel):
    """Version of a configuration without its text.

    `state`: queued, sent (to the broker), tried (it runs, until meters have answered), kept, rolled back (the
    one before runs again), refused (not even tried), or superseded by a later one before it was answered.
    """

    version: int
    restores: int | None
    author: str
    reason: str
    created_at: datetime
    state: str
    state_at: datetime
    detail: str | None = Field(description="What the gateway said.")


class GatewayConfigurationDetail(GatewayConfiguration):
    """Version of a configuration with its text."""

    toml: str


class GatewayConfigurationPage(BaseModel):
    """Configurations, the newest first; `next_cursor` null: this is the last page.

    `running`: the version that runs by the last health message, empty for the installer's file.
    """

    gateway: str
    running: str
    configurations: list[GatewayConfiguration]
    next_cursor: int | None


@router.get(
    "/gateways/{gateway}/configurations",
    dependencies=[requires(Scope.METERS_READ)],
    summary="List the configurations of a gateway",
)
def list_configurations(
    *,
    caller: KeyCaller,
    store: Store,
    gateway: GatewayCode,
    cursor: Annotated[int | None, Query(ge=1, le=2**31 - 1)] = None,
    limit: Annotated[int, Query(ge=1, le=100)] = 50,
) -> GatewayConfigurationPage:
    """Versions that were sent from here; nothing is ever taken out."""
    row = find_gateway(caller, store, gateway)
    found = queries.configurations(store, row.id, before=cursor, limit=limit + 1)
    page = found[:limit]
    return GatewayConfigurationPage(
        gateway=row.code,
        running=queries.present(store, row.id).version,
        configurations=[GatewayConfiguration.model_validate(one, from_attributes=True) for one in page],
        next_cursor=page[-1].version if len(found) > limit else None,
    )


@router.get(
    "/gateways/{gateway}/configurations/{version}",
    dependencies=[requires(Scope.METERS_READ)],
    summary="Get one configuration with its text",
)
def get_configuration(
    caller: KeyCaller, store: Store, gateway: GatewayCode, version: Version
) -> GatewayConfigurationDetail:
    """As it was sent."""
    found = find_configuration(store, find_gateway(caller, store, gateway), version)
    return GatewayConfigurationDetail.model_validate(found, from_attributes=True)


@router.get(
    "/gateways/{gateway}/configuration",
    dependencies=[requires(Scope.METERS_READ)],
    summary="Get the desired configuration of a gateway",
    responses=UNCHANGED,
)
def get_desired(
    caller: KeyCaller,
    store: Store,
    gateway: GatewayCode,
    asked: Conditional,
    only: Annotated[Fields, fields_of(DesiredConfiguration)],
) -> DesiredConfiguration:
    """Its ETag goes into `If-Match` of a change."""
    return asked.answer(_desired(store, find_gateway(caller, store, gateway)), only)


@router.put(
    "/gateways/{gateway}/configuration",
    dependencies=[requires(Scope.GATEWAYS_WRITE)],
    summary="Change the desired configuration of a gateway",
)
def put_desired(
    *,
    request: Request,
    caller: KeyCaller,
    store: Store,
    gateway: GatewayCode,
    order: ConfigurationOrder,
    match: Match,
) -> DesiredConfiguration:
    """It is tried by the gateway, and kept if the meters of every line still answer. Preview it first."""
    row = find_gateway(caller, store, gateway)
    before = _desired(store, row)
    match.check(before)
    send(services(request), caller, store, row, order, after=before.version)
    return match.answer(_desired(store, row))


@router.post(
    "/gateways/{gateway}/configurations/{version}/restore",
    dependencies=[requires(Scope.GATEWAYS_WRITE)],
    summary="Restore an earlier configuration",
)
def restore_configuration(
    *,
    request: Request,
    caller: KeyCaller,
    store: Store,
    gateway: GatewayCode,
    version: Version,
    why: Restoration,
    match: Match,
) -> DesiredConfiguration:
    """Its text becomes a new version. `If-Match` has the ETag of `/configuration`."""
    row = find_gateway(caller, store, gateway)
    before = _desired(store, row)
    match.check(before)
    earlier = find_configuration(store, row, version)
    order = ConfigurationOrder(toml=earlier.toml, reason=why.reason)
    send(services(request), caller, store, row, order, after=before.version, restores=version)
    return match.answer(_desired(store, row))


def find_configuration(store: Store, row: GatewayReportRow, version: int) -> queries.ConfigurationRow:
    """A version of a gateway. Raises Problem."""
    found = queries.configuration(store, row.id, version)
    if found is None:
        raise not_found("This version", f"/v1/gateways/{row.code}/configurations lists them.")
    return found


def send(
    shared: Services,
    caller: Caller,
    store: Store,
    row: GatewayReportRow,
    order: ConfigurationOrder,
    *,
    after: int,
    restores: int | None = None,
) -> int:
    """Queue a configuration as the version after `after`; its version. Raises Problem."""
    checked, _, _ = look_at(shared, caller, store, row, order.toml)
    if checked and checked.problems:
        raise Problem(
            HTTPStatus.UNPROCESSABLE_ENTITY,
            "configuration-refused",
            "The gateway would refuse this. Mend what `errors` names and send it again.",
            errors=[
                {"where": f"line {one.line}" if one.line else "toml", "what": one.what}
                for one in checked.problems
            ],
        )
    request = ConfigurationRequest(order.toml, caller.actor, order.reason, shared.clock(), restores)
    version = requests.put_configuration(store, row.id, after, request)
    if version is None:
        raise Problem(
            HTTPStatus.PRECONDITION_FAILED,
            "changed-meanwhile",
            "Somebody sent another configuration meanwhile. Look at it, and send yours again if it still "
            "holds.",
        )
    return version


def _desired(store: Store, row: GatewayReportRow) -> DesiredConfiguration:
    newest = queries.configurations(store, row.id, limit=1)
    if not newest:
        return DesiredConfiguration(
            gateway=row.code, version=0, toml="", restores=None, author="", reason="", created_at=None
        )
    return DesiredConfiguration.model_validate({"gateway": row.code, **asdict(newest[0])})
