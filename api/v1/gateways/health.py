"""`/v1/gateways/{gateway}/health` with its history, `/lines` and `/meters`: a gateway's health messages."""

from dataclasses import asdict
from datetime import datetime, timedelta
from typing import Annotated, Any

import msgspec
from fastapi import Path, Query, Request
from pydantic import AwareDatetime, BaseModel, Field

from api.identity.authentication import KeyCaller, Store, requires
from api.identity.callers import Caller
from api.v1.routing import resources
from api.web.problems import invalid, not_found
from api.web.services import services
from metering.access import Scope
from store.gateways import reports as queries
from telemetry.wire import LineHealth, MeterHealth, from_milliseconds

router = resources("gateways")

MISSED_SINCE = timedelta(hours=24)
DEFAULT_SPAN = timedelta(hours=24)
LONGEST_SPAN = timedelta(days=31)
_STATES_SHOWN = 50

GatewayCode = Annotated[str, Path(max_length=64, examples=["gw-lindenhof"])]


class GatewayLine(BaseModel):
    """Line of a gateway. Counters since its start; `utilisation`: the share of wire time used, 0 to 1."""

    line: str
    utilisation: float
    down: bool
    exchanges: int
    retries: int
    timeouts: int
    crc_errors: int
    errors: int


class GatewayHealth(BaseModel):
    """Health message of a gateway, at an instant of its clock. Null: it did not say.

    `clock_ahead`: seconds that its clock was ahead of ours when this came; its way here makes that less.
    `config_version`: of the configuration that runs, empty for the installer's file.
    """

    at: datetime
    received_at: datetime
    clock_ahead: float
    clock_synchronised: bool
    buffered_readouts: int
    oldest_unacknowledged: datetime | None
    buffer_full: bool
    disk_free_bytes: int | None
    disk_total_bytes: int | None
    memory_bytes: int | None
    memory_total_bytes: int | None
    cpu_celsius: float | None
    version: str
    config_version: str
    lines: list[GatewayLine]


class GatewayState(BaseModel):
    """Change of a gateway's connection, when it was noticed."""

    state: str
    noticed_at: datetime


class GatewayCondition(BaseModel):
    """Condition of a gateway: `state` is online, offline or never seen. `health` null: it never told."""

    gateway: str
    state: str
    state_at: datetime | None
    health: GatewayHealth | None
    versions: dict[str, str] = Field(description="Of its software: hesper, python, sqlite, os.")
    states: list[GatewayState] = Field(description="The last changes, the newest first.")


class GatewayHealthPage(BaseModel):
    """Messages from `from` (included) to `to` (not), the newest first; `next_cursor` is the next `to`."""

    gateway: str
    health: list[GatewayHealth]
    next_cursor: datetime | None


class GatewayLines(BaseModel):
    """Lines as the last health message has them; `at` null: there was none."""

    gateway: str
    at: datetime | None
    lines: list[GatewayLine]


class GatewayMeter(BaseModel):
    """Meter of a gateway. `polls` and `errors` since the gateway's start; null: it does not tell of it.

    `missed_24h`: due polls of the last 24 hours that gave nothing, mostly for `missed_reason`.
    `clock_drift`: seconds that the meter's clock is ahead. `registered`: whether the registry has it here.
    """

    meter: str
    registered: bool
    last_success: datetime | None
    failures: int | None = Field(description="Polls in a row without an answer.")
    polls: int | None
    errors: int | None
    clock_drift: float | None
    missed_24h: int
    missed_reason: str | None


class GatewayMeters(BaseModel):
    """Meters that a gateway reads by the registry, by its own word, or both."""

    gateway: str
    meters: list[GatewayMeter]


@router.get(
    "/gateways/{gateway}/health",
    dependencies=[requires(Scope.METERS_READ)],
    summary="Get a gateway's health",
)
def get_health(caller: KeyCaller, store: Store, gateway: GatewayCode) -> GatewayCondition:
    """Its connection and its last health message."""
    row = find_gateway(caller, store, gateway)
    last = queries.latest(store, row.id)
    return GatewayCondition(
        gateway=row.code,
        state=row.state,
        state_at=row.state_at,
        health=_health(last) if last else None,
        versions={str(name): str(text) for name, text in said(row, "versions", {}).items()},
        states=[
            GatewayState.model_validate(one, from_attributes=True)
            for one in queries.states(store, row.id, _STATES_SHOWN)
        ],
    )


@router.get(
    "/gateways/{gateway}/health/history",
    dependencies=[requires(Scope.METERS_READ)],
    summary="List earlier health messages of a gateway",
)
def list_health(
    *,
    request: Request,
    caller: KeyCaller,
    store: Store,
    gateway: GatewayCode,
    start: Annotated[AwareDatetime | None, Query(alias="from")] = None,
    end: Annotated[AwareDatetime | None, Query(alias="to")] = None,
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
) -> GatewayHealthPage:
    """By default the last 24 hours, at most 31 days; how long they are kept is a setting of the operator."""
    row = find_gateway(caller, store, gateway)
    until = end or services(request).clock()
    since = start or until - DEFAULT_SPAN
    if not timedelta(0) < until - since <= LONGEST_SPAN:
        raise invalid(
            "query.from", f"`from` has to lie before `to`, at most {LONGEST_SPAN.days} days; ask in parts."
        )
    rows = queries.history(store, row.id, since, until, limit + 1)
    page = rows[:limit]
    return GatewayHealthPage(
        gateway=row.code,
        health=[_health(one) for one in page],
        next_cursor=page[-1].at if len(rows) > limit else None,
    )


@router.get(
    "/gateways/{gateway}/lines",
    dependencies=[requires(Scope.METERS_READ)],
    summary="List the lines of a gateway",
)
def list_lines(caller: KeyCaller, store: Store, gateway: GatewayCode) -> GatewayLines:
    """As the last health message has them."""
    row = find_gateway(caller, store, gateway)
    last = queries.latest(store, row.id)
    return GatewayLines(
        gateway=row.code, at=last.at if last else None, lines=_lines(last.lines) if last else []
    )


@router.get(
    "/gateways/{gateway}/meters",
    dependencies=[requires(Scope.METERS_READ)],
    summary="List the meters of a gateway",
)
def list_gateway_meters(
    request: Request, caller: KeyCaller, store: Store, gateway: GatewayCode
) -> GatewayMeters:
    """By id."""
    row = find_gateway(caller, store, gateway)
    since = services(request).clock() - MISSED_SINCE
    return GatewayMeters(
        gateway=row.code,
        meters=[
            gateway_meter(code, known, told)
            for code, known, told in meters_of(store, caller.utility.id, row, since)
        ],
    )


def find_gateway(caller: Caller, store: Store, code: str) -> queries.GatewayReportRow:
    """The gateway of the caller's utility. Raises Problem."""
    row = queries.gateway(store, caller.utility.id, code)
    if row is None:
        raise not_found("This gateway", "/v1/gateways lists the gateways of your utility.")
    return row


def meters_of(
    store: Store, utility_id: int, row: queries.GatewayReportRow, since: datetime
) -> list[tuple[str, queries.ReadMeterRow | None, MeterHealth | None]]:
    """(name, what the registry has, what the gateway says) of each meter that either knows."""
    told = {one.meter: one for one in msgspec.convert(said(row, "meters", []), list[MeterHealth])}
    known = {one.code: one for one in queries.meters(store, utility_id, row.id, since)}
    return [(code, known.get(code), told.get(code)) for code in sorted(known.keys() | told.keys())]


def said(row: queries.GatewayReportRow, name: str, otherwise: Any) -> Any:
    """A field of the last health message."""
    return (row.said or {}).get(name, otherwise)


def gateway_meter(code: str, known: queries.ReadMeterRow | None, told: MeterHealth | None) -> GatewayMeter:
    """The document of a meter."""
    return GatewayMeter(
        meter=code,
        registered=known is not None,
        last_success=from_milliseconds(told.last_success) if told and told.last_success is not None else None,
        failures=told.failures if told else None,
        polls=told.polls if told else None,
        errors=told.errors if told else None,
        clock_drift=told.clock_drift if told else None,
        missed_24h=known.missed if known else 0,
        missed_reason=known.reason if known else None,
    )


def _health(row: queries.HealthRow) -> GatewayHealth:
    told = {**asdict(row), "clock_ahead": round(row.clock_ahead, 1), "lines": _lines(row.lines)}
    return GatewayHealth.model_validate(told)


def _lines(told: list[dict[str, Any]]) -> list[GatewayLine]:
    """Of whatever version the gateway is: what it does not tell is 0."""
    return [GatewayLine(**msgspec.structs.asdict(line)) for line in msgspec.convert(told, list[LineHealth])]
