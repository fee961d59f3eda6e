"""`/v1/gateways/{gateway}/commands`: commands to a gateway, and its replies."""

from dataclasses import replace
from datetime import datetime, timedelta
from http import HTTPStatus
from typing import Annotated, Any, Literal

from fastapi import Path, Query, Request
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from api.identity.authentication import READ_PERSONAL, KeyCaller, Store, requires
from api.identity.callers import Caller
from api.v1.gateways.health import GatewayCode, find_gateway
from api.v1.idempotency import ONCE
from api.v1.routing import resources
from api.web.problems import Problem, invalid, not_found
from api.web.services import services
from metering.access import Scope
from store import audit
from store.gateways import request_list as queries
from store.gateways import requests
from store.gateways.requests import CommandRequest

router = resources("gateways")

Name = Literal["read-now", "scan", "restart-line", "set-clock", "log-level", "show-config", "send-again"]
_NEEDS: dict[Name, tuple[str, ...]] = {  # one of these
    "read-now": ("meter", "line"),
    "scan": ("line",),
    "restart-line": ("line",),
    "set-clock": ("meter",),
    "log-level": ("level",),
    "show-config": (),
    "send-again": ("since",),
}
USUAL_PATIENCE = timedelta(minutes=10)
_VALUES = "values"  # of meters, in a result
_MOST_OPEN = 20  # of one gateway, which takes 30 a minute at the most by default

CommandId = Annotated[int, Path(ge=1, le=2**63 - 1)]


class CommandOrder(BaseModel):
    """Command to a gateway. `line` and `meter` say where; `level` is for log-level, `since` for send-again:
    what was read or stored from then on, as far as the gateway still has it.

    Not begun any more after `expires_in` seconds.
    """

    model_config = ConfigDict(extra="forbid")

    command: Name
    line: str = Field("", max_length=64)
    meter: str = Field("", max_length=64)
    level: Literal["", "debug", "info", "warning", "error"] = ""
    since: AwareDatetime | None = None
    reason: str = Field("", max_length=500)
    expires_in: int = Field(int(USUAL_PATIENCE.total_seconds()), ge=10, le=86_400)


class GatewayCommand(BaseModel):
    """Command with the last of its replies.

    `state`: queued, sent (to the broker), running, done, failed, or expired: nobody answered in time.
    `result` is what the gateway gave; what it read of meters takes the right `readings:read`.
    """

    id: int
    command: str
    line: str
    meter: str
    level: str
    since: datetime | None
    author: str
    reason: str
    created_at: datetime
    expires_at: datetime
    state: str
    state_at: datetime
    answered_at: datetime | None
    detail: str | None
    result: dict[str, Any] | None


class GatewayCommandPage(BaseModel):
    """Commands, the newest first; `next_cursor` null: this is the last page."""

    commands: list[GatewayCommand]
    next_cursor: int | None


@router.get(
    "/gateways/{gateway}/commands",
    dependencies=[requires(Scope.METERS_READ)],
    summary="List the commands of a gateway",
)
def list_commands(
    *,
    caller: KeyCaller,
    store: Store,
    gateway: GatewayCode,
    cursor: Annotated[int | None, Query(ge=1, le=2**63 - 1)] = None,
    limit: Annotated[int, Query(ge=1, le=500)] = 100,
) -> GatewayCommandPage:
    """By whom, why, and what became of it. What meters showed is with each command alone."""
    row = find_gateway(caller, store, gateway)
    found = queries.commands(store, row.id, before=cursor, limit=limit + 1)
    page = found[:limit]
    return GatewayCommandPage(
        commands=[GatewayCommand.model_validate(without_values(one), from_attributes=True) for one in page],
        next_cursor=page[-1].id if len(found) > limit else None,
    )


@router.get(
    "/gateways/{gateway}/commands/{command_id}",
    dependencies=[requires(Scope.METERS_READ)],
    summary="Get a command and its reply",
)
def get_command(
    request: Request, caller: KeyCaller, store: Store, gateway: GatewayCode, command_id: CommandId
) -> GatewayCommand:
    """Ask again until `state` is done, failed or expired."""
    row = find_command(caller, store, gateway, command_id)
    return GatewayCommand.model_validate(for_caller(request, caller, store, row), from_attributes=True)


@router.post(
    "/gateways/{gateway}/commands",
    dependencies=[requires(Scope.GATEWAYS_WRITE), ONCE],
    summary="Send a command to a gateway",
    status_code=HTTPStatus.ACCEPTED,
)
def post_command(
    request: Request, caller: KeyCaller, store: Store, gateway: GatewayCode, order: CommandOrder
) -> GatewayCommand:
    """It is sent within a second or two, and again until the gateway answers or the time is over."""
    command_id = give(caller, store, gateway, order, services(request).clock())
    return GatewayCommand.model_validate(
        find_command(caller, store, gateway, command_id), from_attributes=True
    )


def give(caller: Caller, store: Store, gateway: str, order: CommandOrder, now: datetime) -> int:
    """Queue a command; its id. Raises Problem."""
    row = find_gateway(caller, store, gateway)
    needed = _NEEDS[order.command]
    if needed and not any(getattr(order, name) for name in needed):
        raise invalid(f"body.{needed[0]}", f"{order.command} needs {' or '.join(needed)}.")
    if requests.open_commands(store, row.id, now) >= _MOST_OPEN:
        raise Problem(
            HTTPStatus.CONFLICT,
            "too-many-commands",
            f"{_MOST_OPEN} commands wait for {row.code} already. Wait until it has answered, or they expire.",
        )
    return requests.ask(
        store,
        row.id,
        CommandRequest(
            **order.model_dump(exclude={"expires_in"}),
            author=caller.actor,
            created_at=now,
            expires_at=now + timedelta(seconds=order.expires_in),
        ),
    )


def find_command(caller: Caller, store: Store, gateway: str, command_id: int) -> queries.CommandRow:
    """A command of the caller's gateway. Raises Problem."""
    row = find_gateway(caller, store, gateway)
    command = queries.command(store, row.id, command_id)
    if command is None:
        raise not_found("This command", f"/v1/gateways/{row.code}/commands lists them.")
    return command


def personal(row: queries.CommandRow) -> bool:
    """True where the result has values of meters."""
    return _VALUES in (row.result or {})


def without_values(row: queries.CommandRow) -> queries.CommandRow:
    """The command without what meters showed."""
    if row.result is None:
        return row
    return replace(row, result={name: told for name, told in row.result.items() if name != _VALUES})


def for_caller(request: Request, caller: Caller, store: Store, row: queries.CommandRow) -> queries.CommandRow:
    """The command as the caller may see it; that what meters showed was shown is in the audit log."""
    if not personal(row):
        return row
    if not caller.may(Scope.READINGS_READ):
        return without_values(row)
    audit.note(
        store, READ_PERSONAL, request.url.path, utility_id=caller.utility.id, method=request.method, query={}
    )
    return row
