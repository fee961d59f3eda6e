"""`/v1/requests`: tasks that were asked for and are done by a worker, and what came of them."""

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
from store.tasks import TaskKind, TaskRow, TaskState, task, tasks_page

router = resources("tasks")


class TaskDocument(Sparse):
    """A task that was asked for. `outcome`: what it came to; `failure`: why not, and what to do."""

    id: int
    task: TaskKind
    state: TaskState
    subject: dict[str, Any] = Field(examples=[{"period": "2026-10"}])
    author: str
    reason: str
    asked_at: datetime
    done_at: datetime | None
    outcome: dict[str, Any] | None
    failure: str | None


class TaskList(BaseModel):
    """The last one first; `next_cursor` null: this is the last page."""

    requests: list[TaskDocument]
    next_cursor: int | None


@router.get(
    "/requests", dependencies=[requires(Scope.METERS_READ)], summary="List the tasks that were asked for"
)
def list_requests(
    *,
    caller: KeyCaller,
    store: Store,
    kind: Annotated[TaskKind | None, Query(alias="task")] = None,
    before: Before = None,
    limit: Limit = 100,
    only: Annotated[Fields, fields_of(TaskDocument)],
) -> TaskList:
    """The last one first. Tasks that wait are worked on in their order."""
    rows = tasks_page(
        store,
        caller.utility.id,
        kinds=frozenset(TaskKind) if kind is None else frozenset({kind}),
        before=before,
        limit=limit + 1,
    )
    page = rows[:limit]
    return TaskList(
        requests=[only.of(_document(row)) for row in page],
        next_cursor=page[-1].id if len(rows) > limit else None,
    )


@router.get(
    "/requests/{request_id}",
    dependencies=[requires(Scope.METERS_READ)],
    summary="Get a task and what came of it",
    responses=UNCHANGED,
)
def get_request(
    caller: KeyCaller,
    store: Store,
    request_id: Id,
    asked: Conditional,
    only: Annotated[Fields, fields_of(TaskDocument)],
) -> TaskDocument:
    """`waiting` until a worker is done with it."""
    row = task(store, caller.utility.id, request_id)
    if row is None:
        raise not_found("This task", "/v1/requests lists them.")
    return asked.answer(_document(row), only)


def document(row: TaskRow, response: Response) -> TaskDocument:
    """The answer to somebody who asked for it: 202, and where it is told what becomes of it."""
    response.headers["Location"] = f"/v1/requests/{row.id}"
    return _document(row)


def _document(row: TaskRow) -> TaskDocument:
    return TaskDocument(
        id=row.id,
        task=row.kind,
        state=row.state,
        subject=row.subject,
        author=row.author,
        reason=row.reason,
        asked_at=row.asked_at,
        done_at=row.done_at,
        outcome=row.outcome,
        failure=row.failure,
    )
