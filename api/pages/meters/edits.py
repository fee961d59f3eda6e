"""Edits on a meter's page: leave a reading out, take it although rules object, enter one, undo; approve.

An edit of a closed month waits for a second person (store/validation/edits.py). What is wrong is said on the
page itself, beside what was typed in."""

from dataclasses import replace
from http import HTTPStatus
from typing import Annotated
from urllib.parse import quote

from fastapi import Form, Path
from fastapi.responses import RedirectResponse, Response
from pydantic import AwareDatetime

from api.identity.authentication import requires
from api.pages.frame.visit import PageVisit
from api.pages.meters.choice import Asked, AskedFor, find_meter, subject
from api.pages.meters.edit_drafts import EditDraft, edit_of
from api.pages.meters.meter import meter_page
from api.web.answering import page_routes
from api.web.problems import not_found
from api.words.presentation import N_
from metering.access import Scope
from store.validation import edits
from store.validation.edits import EditError

router = page_routes()

Text = Annotated[str, Form(max_length=500)]


@router.post("/meters/{meter_id}/edits", dependencies=[requires(Scope.READINGS_WRITE)])
def add_edit(
    *,
    visit: PageVisit,
    asked: AskedFor,
    action: Text = "",
    reason: Text = "",
    at: Annotated[AwareDatetime | None, Form()] = None,
    local: Text = "",
    value: Text = "",
    confirmed: Annotated[bool, Form()] = False,
) -> Response:
    """Write the edit down and go back to the page, or show it with what is wrong."""
    about = subject(visit, asked.meter_id, asked.register)
    draft = EditDraft(at, action, local, value, reason, confirmed)
    try:
        edits.add(visit.store, edit_of(draft, about, visit.caller.actor))
    except EditError as error:
        return meter_page(visit, asked, replace(draft, fault=_told(error)))
    return _back(asked)


@router.post("/meters/{meter_id}/edits/{edit_id}/approval", dependencies=[requires(Scope.BILLING_APPROVE)])
def approve_edit(
    visit: PageVisit,
    asked: AskedFor,
    edit_id: Annotated[int, Path(ge=1, le=2**62)],
) -> Response:
    """Let an edit of a closed month hold, as the second person."""
    store, utility = visit.store, visit.utility
    meter = find_meter(visit, asked.meter_id)
    found = edits.edit(store, utility.id, edit_id)
    if found is None or found.meter != meter.code:
        raise not_found(N_("This edit"), N_("The meter's page lists its edits."))
    try:
        edits.approve(store, utility.id, edit_id, visit.caller.actor)
    except EditError as error:
        return meter_page(visit, asked, EditDraft(fault=_told(error)))
    return _back(asked)


def _told(error: EditError) -> str:
    return f"{error}: {error.advice}" if error.advice else str(error)


def _back(asked: Asked) -> Response:
    address = f"/meters/{quote(asked.meter_id, safe='')}?{asked.query()}#edits"
    return RedirectResponse(address, HTTPStatus.SEE_OTHER)
