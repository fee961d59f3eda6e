"""Quarantine and new meters: what could not be used, why, and what becomes of it.

What a person decides here is a request that a worker does (`hesper worker run`): the page shows those of
late, and what came of them.
"""

from http import HTTPStatus
from typing import Annotated

from fastapi import Form, Path, Query
from fastapi.responses import RedirectResponse, Response

from api.identity.authentication import requires
from api.pages.frame.visit import PageVisit, Visit
from api.v1.parameters import LARGEST_ID
from api.v1.quarantine import payloads
from api.web.answering import page_routes
from api.web.problems import invalid, not_found
from api.words.presentation import N_
from metering.access import Scope
from store import quarantine
from store.fleet.places import sites_page
from store.quarantine import Selection
from store.registry.strangers import stranger, strangers_page
from store.tasks import TaskKind, ask, tasks_page

router = page_routes()

Why = Annotated[str, Form(min_length=1, max_length=2000, pattern=r"\S")]
Reason = Annotated[str | None, Form(max_length=64)]
Entry = Annotated[int | None, Form(ge=1, le=LARGEST_ID)]

_NEW = "unknown_meter"  # has a section of its own
_NEW_METERS, _SITES, _REQUESTS, _OF_EACH = 100, 500, 5, 3
_PAGE = 50
_TASKS = frozenset({TaskKind.REPLAY, TaskKind.DISCARD, TaskKind.ACCEPT})

# What each reason means, and what to do before a replay; ingest/receive/quarantine.py has their names.
REASONS = {
    "malformed": (
        N_("Not readable"),
        N_(
            "The message does not follow the wire contract. Update the gateway that sent it; "
            "discard what it sent before."
        ),
    ),
    "unknown_gateway": (
        N_("Unknown gateway"),
        N_("No gateway of this name is registered. Register it, and replay."),
    ),
    "unknown_meter": (
        N_("Unknown meter"),
        N_("No meter of this id is registered. Accept it, or discard it if it is not yours."),
    ),
    "wrong_gateway": (
        N_("Read by another gateway"),
        N_("The meter belongs to another gateway. Correct the registry if the meter was moved, and replay."),
    ),
    "obis": (
        N_("Not a register"),
        N_("The value has no OBIS code, or the meter too many. Correct the meter's profile, and discard."),
    ),
    "unit": (
        N_("Unit does not fit"),
        N_(
            "The value's unit cannot be converted to the register's. Correct the register's unit "
            "or the profile, and replay."
        ),
    ),
    "range": (
        N_("Value out of range"),
        N_("No register shows such a number. Look at the telegram, and discard."),
    ),
    "instant": (
        N_("Impossible time"),
        N_(
            "It was read in the future, or before there was remote reading. Set the clock of its meter right."
        ),
    ),
    "conflict": (
        N_("Another value is stored"),
        N_(
            "The same register had another value at the same instant. The first one stays. "
            "Find out why the meter, or two of them, told both."
        ),
    ),
    "refused": (
        N_("Refused by the database"),
        N_("The database would not take it. Look at the log of that time, and replay."),
    ),
}


@router.get("/quarantine", dependencies=[requires(Scope.TELEGRAMS_READ)])
def show_quarantine(
    visit: PageVisit,
    reason: Annotated[str | None, Query(max_length=64)] = None,
    after: Annotated[int, Query(ge=0, le=LARGEST_ID)] = 0,
) -> Response:
    """All that waits by reason, or all of one reason."""
    store, utility_id = visit.store, visit.utility.id
    waits = Selection(utility_id=utility_id)
    counts = quarantine.count(store, waits)
    if reason is None:
        shown = quarantine.oldest(store, utility_id, each=_OF_EACH)
        more = None
    else:
        one = Selection(reason=reason, utility_id=utility_id)
        found = quarantine.select(store, one, after=after, limit=_PAGE + 1)
        shown = found[:_PAGE]
        more = shown[-1].id if len(found) > _PAGE else None
        counts = {name: count for name, count in counts.items() if name == reason}
    return visit.page(
        "quarantine/quarantine.html",
        reason=reason,
        reasons=REASONS,
        groups=[
            (name, count, [entry for entry in shown if entry.reason == name])
            for name, count in counts.items()
            if name != _NEW or reason == _NEW
        ],
        new_meters=strangers_page(store, utility_id, limit=_NEW_METERS) if reason is None else [],
        sites=sites_page(store, utility_id, after=None, limit=_SITES),
        requests=tasks_page(store, utility_id, limit=_REQUESTS, kinds=_TASKS),
        next_after=more,
    )


@router.get("/quarantine/{entry_id}", dependencies=[requires(Scope.TELEGRAMS_READ)])
def show_entry(visit: PageVisit, entry_id: Annotated[int, Path(ge=1, le=LARGEST_ID)]) -> Response:
    """One thing that could not be used, decoded as far as it can be."""
    wanted = Selection([entry_id], state="", utility_id=visit.utility.id)
    found = quarantine.select(visit.store, wanted, limit=1)
    if not found:
        raise not_found(N_("This entry"), N_("The quarantine page lists those that wait."))
    (entry,) = found
    said = payloads.read(entry.payload)
    return visit.page("quarantine/entry.html", entry=entry, reasons=REASONS, said=said)


@router.post("/quarantine/replay", dependencies=[requires(Scope.READINGS_WRITE)])
def replay(visit: PageVisit, why: Why, reason: Reason = None, entry: Entry = None) -> Response:
    """Have one entry, or all of a reason, taken as if it came now."""
    return _ask(visit, TaskKind.REPLAY, _chosen(reason, entry), why)


@router.post("/quarantine/discard", dependencies=[requires(Scope.READINGS_WRITE)])
def discard(visit: PageVisit, why: Why, reason: Reason = None, entry: Entry = None) -> Response:
    """Say of one entry, or all of a reason, that it will never be used."""
    return _ask(visit, TaskKind.DISCARD, _chosen(reason, entry), why)


@router.post("/quarantine/accept", dependencies=[requires(Scope.REGISTRY_WRITE)])
def accept(
    visit: PageVisit,
    meter: Annotated[str, Form(max_length=64)],
    why: Why,
    model: Annotated[str, Form(max_length=200)] = "",
    site: Annotated[str, Form(max_length=100)] = "",
) -> Response:
    """Register a new meter, with all that waits of it."""
    if stranger(visit.store, visit.utility.id, meter) is None:
        raise not_found(N_("This meter"), N_("The quarantine page lists those that wait."))
    known = {name: text.strip() for name, text in (("model", model), ("site", site)) if text.strip()}
    return _ask(visit, TaskKind.ACCEPT, {"meter": meter, **known}, why)


def _chosen(reason: str | None, entry: int | None) -> dict[str, object]:
    """Subject of a request, as the form means it. Raises Problem."""
    if (reason is None) == (entry is None):
        raise invalid("form", N_("Choose one entry, or all of a reason."))
    return {"reason": reason} if entry is None else {"ids": [entry]}


def _ask(visit: Visit, task: TaskKind, subject: dict[str, object], why: str) -> Response:
    ask(visit.store, visit.utility.id, task, subject, author=visit.caller.actor, reason=why.strip())
    return RedirectResponse("/quarantine", HTTPStatus.SEE_OTHER)
