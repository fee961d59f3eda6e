"""All findings, the gravest first."""

from typing import Annotated

from fastapi import APIRouter, Query, Request
from fastapi.responses import Response

from api.authentication import PageVisitor, Store, requires
from api.pages.rendering import page
from store.access import Scope
from store.queries.findings import gravest_findings

router = APIRouter(include_in_schema=False)

STATES = ("open", "acknowledged", "resolved", "false alarm")
_PAGE = 50


@router.get("/findings", dependencies=[requires(Scope.FINDINGS_READ)])
def findings(
    request: Request,
    visitor: PageVisitor,
    store: Store,
    state: Annotated[str, Query(pattern="^(open|acknowledged|resolved|false alarm|all)$")] = "open",
    after: Annotated[int | None, Query(ge=1, le=2**63 - 1)] = None,
) -> Response:
    """Those in one state, or `all`."""
    rows = gravest_findings(
        store,
        visitor.caller.utility.id,
        state=None if state == "all" else state,
        after=after,
        limit=_PAGE + 1,
    )
    shown = rows[:_PAGE]
    return page(
        request,
        visitor,
        "findings.html",
        findings=shown,
        states=STATES,
        state=state,
        after=after,
        next_after=shown[-1].id if len(rows) > _PAGE else None,
    )
