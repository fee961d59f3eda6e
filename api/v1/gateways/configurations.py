"""`/v1/gateways/{gateway}/configuration` and `/configurations`: what a gateway is to run, and has run."""

from dataclasses import asdict
from datetime import datetime
from http import HTTPStatus
from typing import Annotated, Any

from fastapi import Path, Query, Request
from pydantic import BaseModel, ConfigDict, Field

from api.identity.authentication import Caller, KeyCaller, Store, requires
from api.v1.conditional import UNCHANGED, Conditional, Match
from api.v1.fields import Fields, Sparse, fields_of
from api.v1.gateways.health import GatewayCode, find_gateway
from api.v1.idempotency import ONCE
from api.v1.routing import resources
from api.web.configuration_check import MAX_CHARACTERS, Checked, difference
from api.web.problems import Problem, not_found
from api.web.services import Services, services
from metering.access import Scope
from store.gateways import request_list as queries
from store.gateways import requests
from store.gateways.reports import GatewayRow
from store.gateways.requests import ConfigurationRequest

router = resources("gateways")

Version = Annotated[int, Path(ge=1, le=2**31 - 1)]
Text = Annotated[str, Field(max_length=MAX_CHARACTERS)]


class ConfigurationText(BaseModel):
    """The whole text of a gateway's TOML; empty: back to the installer's file."""

    model_config = ConfigDict(extra="forbid")

    toml: Text


class ConfigurationOrder(ConfigurationText):
    """What a gateway is to run from now on."""

    reason: str = Field("", max_length=500)


class Restoration(BaseModel):
    """Why an earlier configuration is to run again."""

    model_config = ConfigDict(extra="forbid")

    reason: str = Field("", max_length=500)


class DesiredConfiguration(Sparse):
    """What a gateway is to run: the newest version. 0: nothing was ever sent, the installer's file runs."""

    gateway: str
    version: int
    toml: str
    restores: int | None = Field(description="The earlier version whose text it is.")
    author: str
    reason: str
    created_at: datetime | None


class GatewayConfiguration(BaseModel):
    """A version without its text.

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
    """A version with its text."""

    toml: str


class GatewayConfigurationPage(BaseModel):
    """The newest first; `next_cursor` null: this is the last page.

    `running`: the version that runs by the last health message, empty for the installer's file.
    """

    gateway: str
    running: str
    configurations: list[GatewayConfiguration]
    next_cursor: int | None


class PreviewProblem(BaseModel):
    """What is to be mended. `line` counts from 1; null where the whole text is meant."""

    line: int | None
    what: str


class PreviewLine(BaseModel):
    """Whether a line keeps its schedules. `utilisation`: the share of its time, 1 is all of it.

    `midnight_seconds`: until all that is due at midnight has been read; null: some of it never is. `tight`:
    little is left for repetitions. `unknown` meters have a wire time that is not known, and are not counted.
    """

    name: str
    meters: int
    utilisation: float
    midnight_seconds: float | None
    fits: bool
    tight: bool
    unknown: int


class Preview(BaseModel):
    """What can be known before a configuration is sent. The gateway has the last word.

    `checked` false: this server does not have the gateway's software, and knows nothing. `present`: whether
    the text that runs is known, which `difference` (a unified diff) is against; the command `show-config`
    asks for it.
    """

    checked: bool
    problems: list[PreviewProblem]
    lines: list[PreviewLine]
    fits: bool | None
    running: str
    present: bool
    difference: list[str]


@router.get(
    "/gateways/{gateway}/configurations",
    dependencies=[requires(Scope.METERS_READ)],
    summary="What a gateway was to run, and what became of it",
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
        configurations=[GatewayConfiguration(**_fields(one)) for one in page],
        next_cursor=page[-1].version if len(found) > limit else None,
    )


@router.get(
    "/gateways/{gateway}/configurations/{version}",
    dependencies=[requires(Scope.METERS_READ)],
    summary="A version with its text",
)
def get_configuration(
    caller: KeyCaller, store: Store, gateway: GatewayCode, version: Version
) -> GatewayConfigurationDetail:
    """As it was sent."""
    found = find_configuration(store, find_gateway(caller, store, gateway), version)
    return GatewayConfigurationDetail(**_fields(found), toml=found.toml)


@router.get(
    "/gateways/{gateway}/configuration",
    dependencies=[requires(Scope.METERS_READ)],
    summary="What a gateway is to run",
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
    summary="Let a gateway run another configuration",
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
    "/gateways/{gateway}/configuration/preview",
    dependencies=[requires(Scope.GATEWAYS_WRITE), ONCE],
    summary="What another configuration would change, and whether it can be",
)
def preview_configuration(
    request: Request, caller: KeyCaller, store: Store, gateway: GatewayCode, text: ConfigurationText
) -> Preview:
    """Nothing is sent and nothing is kept."""
    row = find_gateway(caller, store, gateway)
    checked, present, changes = look_at(services(request), caller, store, row, text.toml)
    return Preview(
        checked=checked is not None,
        problems=[PreviewProblem(**asdict(one)) for one in checked.problems] if checked else [],
        lines=[PreviewLine(**asdict(one)) for one in checked.lines] if checked else [],
        fits=checked.fits if checked else None,
        running=present.version,
        present=present.toml is not None,
        difference=changes,
    )


@router.post(
    "/gateways/{gateway}/configurations/{version}/restore",
    dependencies=[requires(Scope.GATEWAYS_WRITE)],
    summary="Let a gateway run an earlier version again",
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


def find_configuration(store: Store, row: GatewayRow, version: int) -> queries.ConfigurationRow:
    """A version of a gateway. Raises Problem."""
    found = queries.configuration(store, row.id, version)
    if found is None:
        raise not_found("This version", f"/v1/gateways/{row.code}/configurations lists them.")
    return found


def look_at(
    shared: Services, caller: Caller, store: Store, row: GatewayRow, toml: str
) -> tuple[Checked | None, queries.PresentConfiguration, list[str]]:
    """What is found in a text (None: nobody here can tell), what runs, and the lines that change."""
    present = queries.present(store, row.id)
    changes = [] if present.toml is None or not toml else difference(present.toml, toml)
    if not toml:  # the installer's own file: the gateway has it, and has run it
        return Checked(), present, changes
    if shared.check is None:
        return None, present, changes
    checked = shared.check(
        toml, present.toml, utility=caller.utility.code, gateway=row.code, now=shared.clock()
    )
    return checked, present, changes


def send(
    shared: Services,
    caller: Caller,
    store: Store,
    row: GatewayRow,
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


def _desired(store: Store, row: GatewayRow) -> DesiredConfiguration:
    newest = queries.configurations(store, row.id, limit=1)
    if not newest:
        return DesiredConfiguration(
            gateway=row.code, version=0, toml="", restores=None, author="", reason="", created_at=None
        )
    one = newest[0]
    return DesiredConfiguration(
        gateway=row.code,
        version=one.version,
        toml=one.toml,
        restores=one.restores,
        author=one.author,
        reason=one.reason,
        created_at=one.created_at,
    )


def _fields(row: queries.ConfigurationRow) -> dict[str, Any]:
    return {name: value for name, value in asdict(row).items() if name != "toml"}
