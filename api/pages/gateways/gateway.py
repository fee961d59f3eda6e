"""One gateway: how it is and was, its lines and meters, what it is asked to do, and what it is to run.

Forms work without scripts, too: each answers with the page. With htmx only the part that changed is taken.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from http import HTTPStatus
from typing import Annotated
from urllib.parse import quote

from fastapi import Form
from fastapi.responses import RedirectResponse, Response
from pydantic import AwareDatetime, BeforeValidator, ConfigDict

from api.identity.authentication import requires
from api.pages.frame.visit import PageVisit, Visit
from api.pages.gateways.reply import told_by
from api.pages.gateways.signs import FULL, SILENT_AFTER, signs_of
from api.pages.gateways.trend import SpanCode, TrendSpan, span_of
from api.v1.gateways.commands import (
    CommandId,
    CommandOrder,
    Name,
    find_command,
    for_caller,
    give,
    personal,
    without_values,
)
from api.v1.gateways.configuration_preview import look_at
from api.v1.gateways.configurations import ConfigurationOrder, Version, find_configuration, send
from api.v1.gateways.health import (
    MISSED_SINCE,
    GatewayCode,
    GatewayMeter,
    find_gateway,
    gateway_meter,
    meters_of,
    said,
)
from api.web.answering import page_routes
from api.web.configuration_check import MAX_CHARACTERS, Checked
from api.web.problems import Problem
from api.words.presentation import N_
from metering.access import Scope
from store.gateways import reports, request_list
from store.gateways.reports import GatewayReportRow, ReadMeterRow
from store.gateways.requests import latest_version

router = page_routes()

_COMMANDS_SHOWN = 20
_VERSIONS_SHOWN = 20
_STATES_SHOWN = 10
_BUSY = 0.7  # share of a line's time

TITLES: dict[Name, str] = {
    "read-now": N_("Read now"),
    "scan": N_("Search the line for meters"),
    "restart-line": N_("Restart the line"),
    "set-clock": N_("Set the meter's clock"),
    "log-level": N_("Write a more detailed log for an hour"),
    "show-config": N_("Show the configuration that runs"),
    "send-again": N_("Send again what it still has"),
}


_SINCE = (
    (timedelta(hours=1), N_("an hour ago")),
    (timedelta(days=1), N_("a day ago")),
    (timedelta(days=7), N_("a week ago")),
    (timedelta(days=10_000), N_("the beginning")),
)


@dataclass(frozen=True, slots=True)
class GatewayMeterLine:
    """A row of the table of meters; `known` is what the registry has of it."""

    meter: GatewayMeter
    known: ReadMeterRow | None
    error_share: float | None


@dataclass(frozen=True, slots=True)
class PreviewedText:
    """Text that somebody wants to send, with the findings in it; `checked` None: nobody here could tell."""

    toml: str
    checked: Checked | None
    changes: Sequence[str]


class CommandForm(CommandOrder):
    """Form that asks for a command; it brings its token along, and empty fields for what is not chosen."""

    model_config = ConfigDict(extra="ignore")

    since: Annotated[AwareDatetime | None, BeforeValidator(lambda given: given or None)] = None


Reason = Annotated[str, Form(max_length=500)]
Toml = Annotated[str, Form(max_length=2 * MAX_CHARACTERS)]  # browsers send line ends as two characters


@router.get("/gateways/{gateway}", dependencies=[requires(Scope.METERS_READ)])
def show_gateway(
    visit: PageVisit,
    gateway: GatewayCode,
    span: SpanCode = TrendSpan.DAY.code,
) -> Response:
    """The charts go back by `range`."""
    return _show(visit, gateway, span=span)


@router.post("/gateways/{gateway}/commands", dependencies=[requires(Scope.GATEWAYS_WRITE)])
def post_command(visit: PageVisit, gateway: GatewayCode, order: Annotated[CommandForm, Form()]) -> Response:
    """The command as it stands, which asks for its reply by itself; without scripts the page again."""
    command_id = give(visit.caller, visit.store, gateway, order, visit.now)
    if "hx-request" not in visit.request.headers:
        return RedirectResponse(f"{_address(gateway)}#commands", HTTPStatus.SEE_OTHER)
    return show_command(visit, gateway, command_id)


@router.get("/gateways/{gateway}/commands/{command_id}", dependencies=[requires(Scope.METERS_READ)])
def show_command(visit: PageVisit, gateway: GatewayCode, command_id: CommandId) -> Response:
    """State of a command; for htmx as a part of the page."""
    row = find_command(visit.caller, visit.store, gateway, command_id)
    command = for_caller(visit.request, visit.caller, visit.store, row)
    part = "hx-request" in visit.request.headers
    return visit.page(
        "gateways/command_part.html" if part else "gateways/command.html",
        gateway=gateway,
        address=_address(gateway),
        command=command,
        told=told_by(command, visit.language),
        titles=TITLES,
    )


@router.post("/gateways/{gateway}/configurations/preview", dependencies=[requires(Scope.GATEWAYS_WRITE)])
def preview(visit: PageVisit, gateway: GatewayCode, toml: Toml = "") -> Response:
    """The page with what was found in a text. Nothing is sent."""
    return _preview(visit, gateway, toml)


@router.post("/gateways/{gateway}/configurations", dependencies=[requires(Scope.GATEWAYS_WRITE)])
def send_configuration(
    visit: PageVisit,
    gateway: GatewayCode,
    after: Annotated[int, Form(ge=0, le=2**31 - 2)],
    toml: Toml = "",
    reason: Reason = "",
) -> Response:
    """Let the gateway run this text, if nobody has sent another one since version `after`."""
    row = find_gateway(visit.caller, visit.store, gateway)
    order = ConfigurationOrder(toml=_unix(toml), reason=reason)
    try:
        send(visit.services, visit.caller, visit.store, row, order, after=after)
    except Problem as problem:
        if problem.name != "configuration-refused":
            raise
        return _preview(visit, gateway, toml, status=HTTPStatus.UNPROCESSABLE_ENTITY)
    return _to_configuration(gateway)


@router.post(
    "/gateways/{gateway}/configurations/{version}/restore", dependencies=[requires(Scope.GATEWAYS_WRITE)]
)
def restore(
    visit: PageVisit,
    gateway: GatewayCode,
    version: Version,
    after: Annotated[int, Form(ge=0, le=2**31 - 2)],
    reason: Reason = "",
) -> Response:
    """Let the gateway run an earlier version again."""
    row = find_gateway(visit.caller, visit.store, gateway)
    earlier = find_configuration(visit.store, row, version)
    order = ConfigurationOrder(toml=earlier.toml, reason=reason)
    send(visit.services, visit.caller, visit.store, row, order, after=after, restores=version)
    return _to_configuration(gateway)


def _preview(visit: Visit, gateway: str, toml: str, *, status: HTTPStatus = HTTPStatus.OK) -> Response:
    row, text = find_gateway(visit.caller, visit.store, gateway), _unix(toml)
    checked, _, changes = look_at(visit.services, visit.caller, visit.store, row, text)
    return _show(visit, gateway, status=status, preview=PreviewedText(text, checked, changes))


def _show(
    visit: Visit,
    gateway: str,
    *,
    status: HTTPStatus = HTTPStatus.OK,
    span: str = TrendSpan.DAY.code,
    preview: PreviewedText | None = None,
) -> Response:
    store, now, language = visit.store, visit.now, visit.language
    row = find_gateway(visit.caller, store, gateway)
    health = reports.latest(store, row.id)
    present = request_list.present(store, row.id)
    commands = request_list.commands(store, row.id, limit=_COMMANDS_SHOWN)
    reads = visit.caller.may(Scope.READINGS_READ)
    meters = [
        _meter_line(gateway_meter(code, known, told), known)
        for code, known, told in meters_of(store, visit.utility.id, row, now - MISSED_SINCE)
    ]
    return visit.page(
        "gateways/gateway.html",
        since=[(now - ago, title) for ago, title in _SINCE],
        status=status,
        gateway=row,
        address=_address(row.code),
        midnight=lambda seconds: timedelta(seconds=seconds),
        silent=silent(row, now),
        health=health,
        signs=signs_of(health, now, language, said(row, "held_readouts", 0)) if health else [],
        versions=said(row, "versions", {}),
        meters=sorted(meters, key=lambda one: (-(one.error_share or 0), one.meter.meter)),
        states=reports.states(store, row.id, _STATES_SHOWN),
        spans=list(TrendSpan),
        span=span_of(span),
        commands=commands,
        told={
            one.id: told_by(without_values(one), language, more=reads and personal(one)) for one in commands
        },
        titles=TITLES,
        present=present,
        latest=latest_version(store, row.id),
        configurations=request_list.configurations(store, row.id, limit=_VERSIONS_SHOWN),
        preview=preview,
        busy_from=_BUSY,
        full_from=FULL,
    )


def silent(row: GatewayReportRow, now: datetime) -> bool:
    """True where it is not connected, or has not said how it is for a while."""
    return row.state != "online" or row.health_at is None or now - row.health_at > SILENT_AFTER


def _address(gateway: str) -> str:
    return f"/gateways/{quote(gateway, safe='')}"


def _meter_line(meter: GatewayMeter, known: ReadMeterRow | None) -> GatewayMeterLine:
    share = meter.errors / meter.polls if meter.polls and meter.errors is not None else None
    return GatewayMeterLine(meter, known, share)


def _unix(text: str) -> str:
    """Browsers send line ends as CR LF."""
    return text.replace("\r\n", "\n")


def _to_configuration(gateway: str) -> RedirectResponse:
    return RedirectResponse(f"{_address(gateway)}#configuration", HTTPStatus.SEE_OTHER)
