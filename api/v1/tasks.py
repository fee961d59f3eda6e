"""`/v1/requests`: what was asked for and is done by a worker, and what came of it."""

from datetime import datetime
from typing import Annotated, Any

from fastapi import Query, Response
from pydantic import BaseModel, Field

from api.identity.authentication import KeyCaller, Store, requires
from api.v1.conditional import UNCHANGED, Conditional
from api.v1.fields import Fields, Sparse, fields_of
from api.v1.parameters import Before, Id, Limit
from api.v1.routing import resources
from api.web.problems import not_found
from metering.access import Scope
from store.tasks import RequestRow, Task, TaskState, request, requests_page

router = resources("requests")


class RequestDocument(Sparse):
    """Something that was asked for. `outcome`: what it came to; `failure`: why not, and what to do."""

    id: int
    task: Task
    state: TaskState
    subject: dict[str, Any] = Field(examples=[{"period": "2026-10"}])
    author: str
    reason: str
    asked_at: datetime
    done_at: datetime | None
    outcome: dict[str, Any] | None
    failure: str | None


class RequestList(BaseModel):
    """The last one first; `next_cursor` null: this is the last page."""

    requests: list[RequestDocument]
    next_cursor: int | None


@router.get(
    "/requests", dependencies=[requires(Scope.METERS_READ)], summary="What was asked for, the last first"
)
def list_requests(
    *,
    caller: KeyCaller,
    store: Store,
    task: Annotated[Task | None, Query()] = None,
    before: Before = None,
    limit: Limit = 100,
    only: Annotated[Fields, fields_of(RequestDocument)],
) -> RequestList:
    """Those that wait are worked on in their order."""
    rows = requests_page(
        store,
        caller.utility.id,
        tasks=frozenset(Task) if task is None else frozenset({task}),
        before=before,
        limit=limit + 1,
    )
    page = rows[:limit]
    return RequestList(
        requests=[only.of(_document(row)) for row in page],
        next_cursor=page[-1].id if len(rows) > limit else None,
    )


@router.get(
    "/requests/{request_id}",
    dependencies=[requires(Scope.METERS_READ)],
    summary="What was asked for, and what came of it",
    responses=UNCHANGED,
)
def get_request(
    caller: KeyCaller,
    store: Store,
    request_id: Id,
    asked: Conditional,
    only: Annotated[Fields, fields_of(RequestDocument)],
) -> RequestDocument:
    """`waiting` until a worker is done with it."""
    row = request(store, caller.utility.id, request_id)
    if row is None:
        raise not_found("This request", "/v1/requests lists them.")
    return asked.answer(_document(row), only)


def document(row: RequestRow, response: Response) -> RequestDocument:
    """The answer to somebody who asked for it: 202, and where it is told what becomes of it."""
    response.headers["Location"] = f"/v1/requests/{row.id}"
    return _document(row)


def _document(row: RequestRow) -> RequestDocument:
    return RequestDocument(
        id=row.id,
        task=row.task,
        state=row.state,
        subject=row.subject,
        author=row.author,
        reason=row.reason,
        asked_at=row.asked_at,
        done_at=row.done_at,
        outcome=row.outcome,
        failure=row.failure,
    )
