"""One gateway: how it is and was, its lines and meters, what it is asked to do, and what it is to run.

Forms work without scripts, too: each answers with the page. With htmx only the part that changed is taken.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum
from http import HTTPStatus
from typing import Annotated, Any
from urllib.parse import quote

from fastapi import APIRouter, Form, Query, Request
from fastapi.responses import RedirectResponse, Response

from api.authentication import Caller, PageVisitor, Store, Visitor, requires
from api.gateway_check import MAX_CHARACTERS, Checked
from api.gateway_commands import CommandId, CommandOrder, Name, find_command, give, shown_result
from api.gateway_configurations import (
    ConfigurationOrder,
    Version,
    find_configuration,
    look_at,
    send,
)
from api.gateway_health import (
    MISSED_SINCE,
    GatewayCode,
    GatewayMeter,
    find_gateway,
    gateway_meter,
    meters_of,
    said,
)
from api.language import Language, language_of
from api.pages.rendering import page
from api.presentation import N_
from api.problems import Problem
from api.services import services
from store.access import Scope
from store.gateway_requests import CommandState, latest_version
from store.queries import gateway_reports, gateway_requests
from store.queries.gateway_reports import GatewayRow, HealthRow, ReadMeterRow
from store.queries.gateway_requests import CommandRow

router = APIRouter(include_in_schema=False)

SILENT_AFTER = timedelta(minutes=10)  # it says how it is once a minute
_COMMANDS_SHOWN = 20
_VERSIONS_SHOWN = 20
_STATES_SHOWN = 10
_BUSY, _FULL = 0.7, 0.9  # shares of a line's time, or of a disk
_HOT = 80.0  # degrees: from there on a Raspberry Pi slows down
_CLOCK_LIMIT = 5.0  # seconds
_OVER = (CommandState.DONE, CommandState.FAILED, CommandState.EXPIRED)
_DECIMAL = re.compile(r"-?\d+(\.\d+)?")

TITLES: dict[Name, str] = {
    "read-now": N_("Read now"),
    "scan": N_("Search the line for meters"),
    "restart-line": N_("Restart the line"),
    "set-clock": N_("Set the meter's clock"),
    "log-level": N_("Write a more detailed log for an hour"),
    "show-config": N_("Show the configuration that runs"),
}


class TrendSpan(Enum):
    """How far back the charts go, and how long a stretch of time each point stands for."""

    DAY = ("day", N_("Day"), timedelta(days=1), timedelta(minutes=15))
    WEEK = ("week", N_("Week"), timedelta(days=7), timedelta(hours=2))
    MONTH = ("month", N_("Month"), timedelta(days=30), timedelta(hours=8))

    def __init__(self, code: str, title: str, length: timedelta, stretch: timedelta) -> None:
        self.code = code
        self.title = title
        self.length = length
        self.stretch = stretch


@dataclass(frozen=True, slots=True)
class Sign:
    """A figure at a glance. `mood` is good, warning or alarm, and `word` says the same."""

    name: str
    value: str
    word: str
    mood: str = "good"


@dataclass(frozen=True, slots=True)
class MeterLine:
    """A row of the table of meters; `known` is what the registry has of it."""

    meter: GatewayMeter
    known: ReadMeterRow | None
    error_share: float | None


@dataclass(frozen=True, slots=True)
class Preview:
    """What was found in a text that somebody wants to send; `checked` None: nobody here could tell."""

    toml: str
    checked: Checked | None
    changes: Sequence[str]


@dataclass(frozen=True, slots=True)
class Told:
    """What a gateway's reply has for people. It comes from outside: what is not of its form is left out.

    `values`: of each meter, its registers as they were read. `lists`: meters found, or not read, and a word.
    """

    over: bool
    values: Sequence[tuple[str, Sequence[tuple[str, str]]]] = ()
    lists: Sequence[tuple[str, str]] = ()
    configuration: bool = False


SpanCode = Annotated[str, Query(alias="range", pattern="^(day|week|month)$")]
Reason = Annotated[str, Form(max_length=500)]
Toml = Annotated[str, Form(max_length=2 * MAX_CHARACTERS)]  # browsers send line ends as two characters


@router.get("/gateways/{gateway}", dependencies=[requires(Scope.METERS_READ)])
def show_gateway(
    *,
    request: Request,
    visitor: PageVisitor,
    store: Store,
    gateway: GatewayCode,
    span: SpanCode = TrendSpan.DAY.code,
) -> Response:
    """The charts go back by `range`."""
    return _show(request, visitor, store, gateway, span=span)


@router.get("/gateways/{gateway}/trend", dependencies=[requires(Scope.METERS_READ)])
def trend(
    *,
    request: Request,
    visitor: PageVisitor,
    store: Store,
    gateway: GatewayCode,
    span: SpanCode = TrendSpan.DAY.code,
) -> dict[str, Any]:
    """What `static/gateway.js` draws: panes of series by the same instants (seconds since 1970)."""
    row = find_gateway(visitor.caller, store, gateway)
    language, now = language_of(request), services(request).clock()
    chosen = _span(span)
    start = now - chosen.length
    points = gateway_reports.trend(store, row.id, start, now, chosen.stretch)
    busy: dict[str, dict[datetime, float]] = {}
    for one in gateway_reports.line_trend(store, row.id, start, now, chosen.stretch):
        busy.setdefault(one.line, {})[one.at] = one.utilisation
    # a stretch without a word is a gap, not a straight line
    instants = [start + n * chosen.stretch for n in range(int(chosen.length / chosen.stretch) + 1)]
    told = {point.at: point for point in points}
    shown = [told.get(at) for at in instants]

    def pane(title: str, unit: str, series: list[tuple[str, list[float | None]]]) -> dict[str, Any]:
        return {
            "title": title,
            "unit": unit,
            "series": [{"label": label, "values": values} for label, values in series],
        }

    waiting = language.gettext("Readouts that wait")
    disk, heat = language.gettext("Disk in use"), language.gettext("Temperature")
    return {
        "zone": visitor.caller.utility.time_zone,
        "locale": language.code,
        "decimal": language.decimal("0.5")[1],
        "from": start.timestamp(),
        "to": now.timestamp(),
        "empty": not points,
        "at": [at.timestamp() for at in instants],
        "panes": [
            pane(
                language.gettext("Lines: share of the wire's time"),
                "%",
                [
                    (line, [_percent(shares.get(at)) for at in instants])
                    for line, shares in sorted(busy.items())
                ],
            ),
            pane(waiting, "", [(waiting, [one.buffered_readouts if one else None for one in shown])]),
            pane(disk, "%", [(disk, [_percent(one.disk_used) if one else None for one in shown])]),
            pane(heat, "°C", [(heat, [one.cpu_celsius if one else None for one in shown])]),
        ],
    }


@router.post("/gateways/{gateway}/commands", dependencies=[requires(Scope.GATEWAYS_WRITE)])
def post_command(
    *,
    request: Request,
    visitor: PageVisitor,
    store: Store,
    gateway: GatewayCode,
    command: Annotated[Name, Form()],
    line: Annotated[str, Form(max_length=64)] = "",
    meter: Annotated[str, Form(max_length=64)] = "",
    level: Annotated[str, Form(pattern="^(debug|info|warning|error)?$")] = "",
    reason: Reason = "",
) -> Response:
    """The command as it stands, which asks for its reply by itself; without scripts the page again."""
    order = CommandOrder.model_validate(
        {"command": command, "line": line, "meter": meter, "level": level, "reason": reason}
    )
    command_id = give(visitor.caller, store, gateway, order, services(request).clock())
    if "hx-request" not in request.headers:
        return RedirectResponse(f"{_address(gateway)}#commands", HTTPStatus.SEE_OTHER)
    return _command(request, visitor, store, gateway, command_id)


@router.get("/gateways/{gateway}/commands/{command_id}", dependencies=[requires(Scope.METERS_READ)])
def show_command(
    request: Request, visitor: PageVisitor, store: Store, gateway: GatewayCode, command_id: CommandId
) -> Response:
    """How a command stands, as a part of the page."""
    return _command(request, visitor, store, gateway, command_id)


@router.post("/gateways/{gateway}/configurations/preview", dependencies=[requires(Scope.GATEWAYS_WRITE)])
def preview(
    *, request: Request, visitor: PageVisitor, store: Store, gateway: GatewayCode, toml: Toml = ""
) -> Response:
    """The page with what was found in a text. Nothing is sent."""
    row = find_gateway(visitor.caller, store, gateway)
    text = _unix(toml)
    checked, _, changes = look_at(services(request), visitor.caller, store, row, text)
    return _show(request, visitor, store, gateway, preview=Preview(text, checked, changes))


@router.post("/gateways/{gateway}/configurations", dependencies=[requires(Scope.GATEWAYS_WRITE)])
def send_configuration(
    *,
    request: Request,
    visitor: PageVisitor,
    store: Store,
    gateway: GatewayCode,
    after: Annotated[int, Form(ge=0, le=2**31 - 2)],
    toml: Toml = "",
    reason: Reason = "",
) -> Response:
    """Let the gateway run this text, if nobody has sent another one since version `after`."""
    row = find_gateway(visitor.caller, store, gateway)
    order = ConfigurationOrder(toml=_unix(toml), reason=reason)
    try:
        send(services(request), visitor.caller, store, row, order, after=after)
    except Problem as problem:
        if problem.name != "configuration-refused":
            raise
        checked, _, changes = look_at(services(request), visitor.caller, store, row, order.toml)
        answer = _show(request, visitor, store, gateway, preview=Preview(order.toml, checked, changes))
        answer.status_code = HTTPStatus.UNPROCESSABLE_ENTITY
        return answer
    return _to_configuration(gateway)


@router.post(
    "/gateways/{gateway}/configurations/{version}/restore", dependencies=[requires(Scope.GATEWAYS_WRITE)]
)
def restore(
    *,
    request: Request,
    visitor: PageVisitor,
    store: Store,
    gateway: GatewayCode,
    version: Version,
    after: Annotated[int, Form(ge=0, le=2**31 - 2)],
    reason: Reason = "",
) -> Response:
    """Let the gateway run an earlier version again."""
    row = find_gateway(visitor.caller, store, gateway)
    earlier = find_configuration(store, row, version)
    order = ConfigurationOrder(toml=earlier.toml, reason=reason)
    send(services(request), visitor.caller, store, row, order, after=after, restores=version)
    return _to_configuration(gateway)


def _show(
    request: Request,
    visitor: Visitor,
    store: Store,
    gateway: str,
    *,
    span: str = TrendSpan.DAY.code,
    preview: Preview | None = None,
) -> Response:
    utility, now, language = visitor.caller.utility, services(request).clock(), language_of(request)
    row = find_gateway(visitor.caller, store, gateway)
    health = gateway_reports.latest(store, row.id)
    present = gateway_requests.present(store, row.id)
    commands = gateway_requests.commands(store, row.id, limit=_COMMANDS_SHOWN)
    meters = [
        _meter_line(gateway_meter(code, known, told), known)
        for code, known, told in meters_of(store, utility.id, row, now - MISSED_SINCE)
    ]
    return page(
        request,
        visitor,
        "gateway.html",
        gateway=row,
        address=_address(row.code),
        midnight=lambda seconds: timedelta(seconds=seconds),
        silent=silent(row, now),
        health=health,
        signs=_signs(health, now, language) if health else [],
        versions=said(row, "versions", {}),
        meters=sorted(meters, key=lambda one: (-(one.error_share or 0), one.meter.meter)),
        states=gateway_reports.states(store, row.id, _STATES_SHOWN),
        spans=list(TrendSpan),
        span=_span(span),
        commands=commands,
        told={one.id: told_by(one, visitor.caller, language) for one in commands},
        titles=TITLES,
        present=present,
        latest=latest_version(store, row.id),
        configurations=gateway_requests.configurations(store, row.id, limit=_VERSIONS_SHOWN),
        preview=preview,
        busy_from=_BUSY,
        full_from=_FULL,
    )


def silent(row: GatewayRow, now: datetime) -> bool:
    """Whether it is not connected, or has not said how it is for a while."""
    return row.state != "online" or row.health_at is None or now - row.health_at > SILENT_AFTER


def _command(request: Request, visitor: Visitor, store: Store, gateway: str, command_id: int) -> Response:
    command = find_command(visitor.caller, store, gateway, command_id)
    return page(
        request,
        visitor,
        "gateway_command.html",
        address=_address(gateway),
        command=command,
        told=told_by(command, visitor.caller, language_of(request)),
    )


def told_by(command: CommandRow, caller: Caller, language: Language) -> Told:
    """What the last reply to a command has for people."""
    over = command.state in _OVER
    result = shown_result(command, caller)
    if not isinstance(result, dict):
        return Told(over)
    values = [
        (meter, [(obis, _figure(value, language)) for obis, value in _items(read.get("values"))])
        for meter, read in _items(result.get("values"))
        if isinstance(read, dict)
    ]
    found = [one for one in result.get("found") or () if isinstance(one, dict)]
    address = language.gettext("address")
    lists = [
        *((str(one.get("meter", "?")), f"{address} {one.get('address', '?')}") for one in found),
        *((meter, str(why)) for meter, why in _items(result.get("failed"))),
    ]
    return Told(over, values, lists, command.command == "show-config" and "toml" in result)


def _items(told: object) -> list[tuple[str, Any]]:
    return list(told.items()) if isinstance(told, dict) else []


def _figure(value: object, language: Language) -> str:
    """'56.108 m3' as the language writes it; anything else as it came."""
    number, _, unit = str(value).partition(" ")
    if not _DECIMAL.fullmatch(number):
        return str(value)
    return f"{language.decimal(number)}\u202f{language.unit(unit)}"


def _address(gateway: str) -> str:
    return f"/gateways/{quote(gateway, safe='')}"


def _signs(health: HealthRow, now: datetime, language: Language) -> list[Sign]:
    """Backlog, disk, temperature, clock and memory, as far as they are told, with what they mean."""
    say = language.gettext
    signs = [_backlog(health, now, language)]
    if health.disk_free_bytes is not None and health.disk_total_bytes:
        used = 1 - health.disk_free_bytes / health.disk_total_bytes
        free = say("%(size)s GB free", size=language.decimal(f"{health.disk_free_bytes / 1e9:.1f}"))
        mood = "alarm" if used >= _FULL else "good"
        signs.append(Sign(say("Disk in use"), language.percent(used), free, mood))
    if health.cpu_celsius is not None:
        hot = health.cpu_celsius >= _HOT
        value = language.decimal(f"{health.cpu_celsius:.0f}") + "\u202f°C"
        word = say("too hot: it slows down") if hot else say("as it should be")
        signs.append(Sign(say("Temperature"), value, word, "warning" if hot else "good"))
    signs.append(_clock(health, language))
    if health.memory_bytes is not None and health.memory_total_bytes:
        share = health.memory_bytes / health.memory_total_bytes
        size = say("%(size)s MB", size=language.decimal(f"{health.memory_bytes / 1e6:.0f}"))
        signs.append(Sign(say("Memory"), size, say("%(share)s of all", share=language.percent(share))))
    return signs


def _backlog(health: HealthRow, now: datetime, language: Language) -> Sign:
    say = language.gettext
    if health.buffer_full:
        word, mood = say("the buffer is full: what comes now is lost"), "alarm"
    elif health.oldest_unacknowledged is not None and now - health.oldest_unacknowledged > SILENT_AFTER:
        word, mood = (
            say("the oldest: %(age)s", age=language.age(health.oldest_unacknowledged, now)),
            "warning",
        )
    else:
        word, mood = say("sent as they come"), "good"
    return Sign(say("Readouts that wait"), language.count(health.buffered_readouts), word, mood)


def _clock(health: HealthRow, language: Language) -> Sign:
    """Ours is the measure. A message that was long on its way makes a clock look late, never early."""
    say = language.gettext
    off = abs(health.clock_ahead) > _CLOCK_LIMIT
    value = language.decimal(f"{health.clock_ahead:+.1f}".removeprefix("+")) + "\u202f" + say("s")
    if health.clock_ahead > 0:
        value = "+" + value
    if not health.clock_synchronised:
        return Sign(say("Clock"), value, say("not synchronised: check its time server"), "alarm")
    word = say("synchronised, and off from ours") if off else say("synchronised")
    return Sign(say("Clock"), value, word, "warning" if off else "good")


def _meter_line(meter: GatewayMeter, known: ReadMeterRow | None) -> MeterLine:
    share = meter.errors / meter.polls if meter.polls and meter.errors is not None else None
    return MeterLine(meter, known, share)


def _span(code: str) -> TrendSpan:
    return next(one for one in TrendSpan if one.code == code)


def _percent(share: float | None) -> float | None:
    return None if share is None else round(share * 100, 2)


def _unix(text: str) -> str:
    """Browsers send line ends as CR LF."""
    return text.replace("\r\n", "\n")


def _to_configuration(gateway: str) -> RedirectResponse:
    return RedirectResponse(f"{_address(gateway)}#configuration", HTTPStatus.SEE_OTHER)
