"""`/v1/meters/{meter_id}/findings`: what validation and detectors found at a meter."""

from datetime import datetime
from typing import Any

from pydantic import BaseModel

from api.identity.authentication import KeyCaller, Store, requires
from api.v1.models import Instant, document_of, local_instant
from api.v1.parameters import Before, FindingStateFilter, Limit
from api.v1.registry.meters import MeterId, find_meter
from api.v1.routing import resources
from metering.access import Scope
from store.validation import finding_list as finding_queries

router = resources("meters")


class FindingDocument(BaseModel):
    """Finding of validation or a detector; `ended_at` null: it still holds."""

    id: int
    meter: str
    obis: str
    kind: str
    severity: str
    state: str
    started_at: Instant
    ended_at: Instant | None
    detected_at: datetime
    evidence: dict[str, Any]


class FindingPage(BaseModel):
    """The last detected first; `next_cursor` null: this is the last page."""

    findings: list[FindingDocument]
    next_cursor: int | None


@router.get(
    "/meters/{meter_id}/findings",
    dependencies=[requires(Scope.FINDINGS_READ)],
    summary="What was found at a meter",
)
def list_meter_findings(
    *,
    caller: KeyCaller,
    store: Store,
    meter_id: MeterId,
    state: FindingStateFilter = None,
    cursor: Before = None,
    limit: Limit = 100,
) -> FindingPage:
    """The last detected first."""
    row = find_meter(caller, store, meter_id)
    found = finding_queries.findings_page(
        store,
        caller.utility.id,
        finding_queries.FindingFilter(state=state, meter_id=row.id),
        before=cursor,
        limit=limit + 1,
    )
    page = found[:limit]
    zone = caller.utility.zone
    return FindingPage(
        findings=[
            document_of(
                FindingDocument,
                finding,
                started_at=local_instant(finding.started_at, zone),
                ended_at=finding.ended_at and local_instant(finding.ended_at, zone),
            )
            for finding in page
        ],
        next_cursor=page[-1].id if len(found) > limit else None,
    )
