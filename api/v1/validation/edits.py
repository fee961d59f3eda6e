"""`/v1/edits`: what people decide about single readings; nothing is altered, and each can be undone.

An edit within a closed period waits for a second person, whoever holds the key.
"""

from datetime import datetime
from http import HTTPStatus
from typing import Annotated

from fastapi import Request
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, StringConstraints

from api.identity.authentication import KeyCaller, Store, requires
from api.v1.conditional import UNCHANGED, Conditional
from api.v1.fields import Fields, Sparse, fields_of
from api.v1.idempotency import ONCE
from api.v1.models import Amount, Instant, document_of, local_instant
from api.v1.parameters import Before, Code, Id, Limit
from api.v1.routing import resources
from api.web.problems import Problem, invalid, not_found
from api.web.services import services
from metering.access import Scope
from store.fleet.utilities import UtilityRow
from store.validation import edits
from store.validation.edits import Action, EditError, EditRow
from telemetry.micro import to_micro

router = resources("readings")


class EditDocument(Sparse):
    """A decision about one reading. `waits`: a second person has to approve it before it holds."""

    id: int
    meter: str
    obis: str
    measured_at: Instant
    action: Action
    value: Amount | None
    unit: str
    undoes: int | None = Field(description="The edit that a `restore` takes back.")
    waits: bool
    approved_by: str | None
    author: str
    reason: str
    created_at: datetime


class EditList(BaseModel):
    """The last one first; `next_cursor` null: this is the last page."""

    edits: list[EditDocument]
    next_cursor: int | None


class EditRequest(BaseModel):
    """What is decided. `value`, in the register's unit, for `enter` alone: a reading where there was none."""

    model_config = ConfigDict(extra="forbid")

    meter: str = Field(max_length=40, examples=["KAM-06855817"])
    obis: str = Field(max_length=32, examples=["8-0:1.0.0"])
    measured_at: AwareDatetime = Field(description="The reading's instant, exactly.")
    action: Action
    value: Annotated[str, StringConstraints(pattern=r"^-?[0-9]{1,9}(\.[0-9]{1,6})?$")] | None = None
    reason: Annotated[str, StringConstraints(min_length=1, max_length=2000, pattern=r"\S")]


@router.get("/edits", dependencies=[requires(Scope.READINGS_READ)], summary="Edits, the last one first")
def list_edits(
    *,
    caller: KeyCaller,
    store: Store,
    meter: Code = None,
    waiting: bool | None = None,
    before: Before = None,
    limit: Limit = 100,
    only: Annotated[Fields, fields_of(EditDocument)],
) -> EditList:
    """`waiting=true`: those that a second person has to approve."""
    rows = edits.edits_page(
        store, caller.utility.id, meter=meter, waiting=waiting, before=before, limit=limit + 1
    )
    page = rows[:limit]
    return EditList(
        edits=[only.of(_document(row, caller.utility)) for row in page],
        next_cursor=page[-1].id if len(rows) > limit else None,
    )


@router.get(
    "/edits/{edit_id}",
    dependencies=[requires(Scope.READINGS_READ)],
    summary="An edit",
    responses=UNCHANGED,
)
def get_edit(
    caller: KeyCaller,
    store: Store,
    edit_id: Id,
    asked: Conditional,
    only: Annotated[Fields, fields_of(EditDocument)],
) -> EditDocument:
    """Who decided what, why, and who approved it."""
    row = edits.edit(store, caller.utility.id, edit_id)
    if row is None:
        raise not_found("This edit", "/v1/edits lists them.")
    return asked.answer(_document(row, caller.utility), only)


@router.post(
    "/edits",
    dependencies=[requires(Scope.READINGS_WRITE), ONCE],
    status_code=HTTPStatus.CREATED,
    summary="Leave a reading out, accept or enter one, or undo that",
)
def make_edit(request: Request, caller: KeyCaller, store: Store, wanted: EditRequest) -> EditDocument:
    """It holds at once, but for one within a closed period: that `waits` for its approval."""
    if (wanted.value is not None) != (wanted.action is Action.ENTER):
        raise invalid("body.value", "`enter` takes a value, and no other action does.")
    if wanted.measured_at > services(request).clock():
        raise invalid("body.measured_at", "This instant has not come yet.")
    try:
        register_id = edits.register_named(store, caller.utility.id, wanted.meter, wanted.obis)
    except EditError:
        raise not_found("This register", "/v1/meters/{id}/registers lists a meter's registers.") from None
    value = None if wanted.value is None else to_micro(wanted.value)
    made = edits.Edit(register_id, wanted.measured_at, wanted.action, caller.actor, wanted.reason, value)
    try:
        return _document(edits.add(store, made), caller.utility)
    except EditError as error:
        raise _refused(error) from None


@router.post(
    "/edits/{edit_id}/approval",
    dependencies=[requires(Scope.BILLING_APPROVE), ONCE],
    status_code=HTTPStatus.CREATED,
    summary="Approve somebody else's edit of a closed period",
)
def approve_edit(caller: KeyCaller, store: Store, edit_id: Id) -> EditDocument:
    """It holds from then on; the next close of the period has it in its corrections."""
    if edits.edit(store, caller.utility.id, edit_id) is None:
        raise not_found("This edit", "/v1/edits lists them.")
    try:
        return _document(edits.approve(store, caller.utility.id, edit_id, caller.actor), caller.utility)
    except EditError as error:
        raise _refused(error) from None


def _refused(error: EditError) -> Problem:
    detail = f"{error}; {error.advice}." if error.advice else f"{error}."
    return Problem(HTTPStatus.CONFLICT, "edit-refused", detail)


def _document(row: EditRow, utility: UtilityRow) -> EditDocument:
    return document_of(EditDocument, row, measured_at=local_instant(row.measured_at, utility.zone))
