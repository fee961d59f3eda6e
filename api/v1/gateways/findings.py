"""`/v1/gateways/{gateway}/findings`: the validator's findings at a gateway and its lines."""

from datetime import datetime
from typing import Any

from pydantic import BaseModel

from api.identity.authentication import KeyCaller, Store, requires
from api.v1.gateways.health import GatewayCode, find_gateway
from api.v1.models import Instant, TextOrNone, document_of, local_instant
from api.v1.parameters import Before, FindingStateFilter, Limit
from api.v1.routing import resources
from metering.access import Scope
from store.validation.finding_list import gateway_findings

router = resources("gateways")


class GatewayFinding(BaseModel):
    """Finding at a gateway, or at its line `line`; `ended_at` null: it still holds."""

    id: int
    line: TextOrNone
    kind: str
    severity: str
    state: str
    started_at: Instant
    ended_at: Instant | None
    detected_at: datetime
    evidence: dict[str, Any]


class GatewayFindingPage(BaseModel):
    """Findings, the last detected first; `next_cursor` null: this is the last page."""

    gateway: str
    findings: list[GatewayFinding]
    next_cursor: int | None


@router.get(
    "/gateways/{gateway}/findings",
    dependencies=[requires(Scope.FINDINGS_READ)],
    summary="List the findings at a gateway",
)
def list_gateway_findings(
    *,
    caller: KeyCaller,
    store: Store,
    gateway: GatewayCode,
    state: FindingStateFilter = None,
    cursor: Before = None,
    limit: Limit = 100,
) -> GatewayFindingPage:
    """Silence, full disks, heat, clocks, and lines that damage or repeat."""
    row = find_gateway(caller, store, gateway)
    found = gateway_findings(
        store, caller.utility.id, gateway=row.code, state=state, before=cursor, limit=limit + 1
    )
    page, zone = found[:limit], caller.utility.zone
    return GatewayFindingPage(
        gateway=row.code,
        findings=[
            document_of(
                GatewayFinding,
                one,
                started_at=local_instant(one.started_at, zone),
                ended_at=one.ended_at and local_instant(one.ended_at, zone),
            )
            for one in page
        ],
        next_cursor=page[-1].id if len(found) > limit else None,
    )
