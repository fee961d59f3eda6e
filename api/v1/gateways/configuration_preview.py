"""`/v1/gateways/{gateway}/configuration/preview`: a configuration looked at before it is sent."""

from typing import Annotated

from fastapi import Request
from pydantic import BaseModel, ConfigDict, Field

from api.identity.authentication import KeyCaller, Store, requires
from api.identity.callers import Caller
from api.v1.gateways.health import GatewayCode, find_gateway
from api.v1.idempotency import ONCE
from api.v1.routing import resources
from api.web.configuration_check import MAX_CHARACTERS, Checked, difference
from api.web.services import Services, services
from metering.access import Scope
from store.gateways import request_list
from store.gateways.reports import GatewayReportRow

router = resources("gateways")


class ConfigurationText(BaseModel):
    """Text of a gateway's whole TOML; empty: back to the installer's file."""

    model_config = ConfigDict(extra="forbid")

    toml: Annotated[str, Field(max_length=MAX_CHARACTERS)]


class PreviewProblem(BaseModel):
    """Fault to be mended. `line` counts from 1; null where the whole text is meant."""

    line: int | None
    what: str


class PreviewLine(BaseModel):
    """Plan of a line: whether it keeps its schedules. `utilisation`: the share of its time, 1 is all of it.

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


class ConfigurationPreview(BaseModel):
    """Findings before a configuration is sent. The gateway has the last word.

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


@router.post(
    "/gateways/{gateway}/configuration/preview",
    dependencies=[requires(Scope.GATEWAYS_WRITE), ONCE],
    summary="Preview a configuration",
)
def preview_configuration(
    request: Request, caller: KeyCaller, store: Store, gateway: GatewayCode, text: ConfigurationText
) -> ConfigurationPreview:
    """Nothing is sent and nothing is kept."""
    row = find_gateway(caller, store, gateway)
    checked, present, changes = look_at(services(request), caller, store, row, text.toml)
    found = checked or Checked()
    return ConfigurationPreview(
        checked=checked is not None,
        problems=[PreviewProblem.model_validate(one, from_attributes=True) for one in found.problems],
        lines=[PreviewLine.model_validate(one, from_attributes=True) for one in found.lines],
        fits=checked.fits if checked else None,
        running=present.version,
        present=present.toml is not None,
        difference=changes,
    )


def look_at(
    shared: Services, caller: Caller, store: Store, row: GatewayReportRow, toml: str
) -> tuple[Checked | None, request_list.PresentConfiguration, list[str]]:
    """Findings in a text (None: nobody here can tell), the text that runs, and the lines that change."""
    present = request_list.present(store, row.id)
    changes = [] if present.toml is None or not toml else difference(present.toml, toml)
    if not toml:  # the installer's own file: the gateway has it, and has run it
        return Checked(), present, changes
    if shared.check is None:
        return None, present, changes
    checked = shared.check(
        toml, present.toml, utility=caller.utility.code, gateway=row.code, now=shared.clock()
    )
    return checked, present, changes
