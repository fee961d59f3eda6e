"""`/v1/audit`: the utility's audit log, for those who answer for it."""

import json
from datetime import datetime
from typing import Annotated, Any

from fastapi import Query
from pydantic import BaseModel

from api.identity.authentication import KeyCaller, Store, requires
from api.v1.models import document_of
from api.v1.routing import resources
from metering.access import Scope
from store import audit

router = resources("audit")


class AuditEntry(BaseModel):
    """Entry of the audit log; `hash` covers the entry and the hash of the one before."""

    position: int
    at: datetime
    actor: str
    address: str
    action: str
    subject: str
    detail: dict[str, Any]
    hash: str


class AuditPage(BaseModel):
    """The newest first; `next_cursor` null: this is the last page."""

    entries: list[AuditEntry]
    next_cursor: int | None


@router.get(
    "/audit", dependencies=[requires(Scope.AUDIT_READ)], summary="List audit log entries, the newest first"
)
def list_audit(
    caller: KeyCaller,
    store: Store,
    cursor: Annotated[int | None, Query(ge=1, le=2**63 - 1)] = None,
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
) -> AuditPage:
    """`hesper audit verify` shows that nothing of it was altered or removed."""
    rows = audit.entries(store, caller.utility.id, before=cursor, limit=limit + 1)
    page = rows[:limit]
    return AuditPage(
        entries=[
            document_of(AuditEntry, row, detail=json.loads(row.detail), hash=bytes(row.hash).hex())
            for row in page
        ],
        next_cursor=page[-1].position if len(rows) > limit else None,
    )
