"""Findings as a work list: the gravest first, to be acknowledged, assigned, resolved, one or many at once.

What is chosen in the list is changed by a form above it, which works without JavaScript as well; with it,
htmx puts the new list into the page.
"""

from dataclasses import asdict, dataclass, replace
from http import HTTPStatus
from typing import Annotated, Literal
from urllib.parse import urlencode

from fastapi import Depends, Form, Path, Query
from fastapi.responses import RedirectResponse, Response

from api.identity.authentication import requires
from api.identity.callers import Visitor
from api.pages.frame.visit import PageVisit, Visit
from api.web.answering import in_place, page_routes
from api.web.problems import Problem, not_found
from api.words.presentation import N_
from metering.access import Scope
from store.access.users import colleagues
from store.validation.finding_changes import (
    LONGEST_NOTE,
    MOST,
    NOBODY,
    ChangeOutcome,
    FindingChange,
    FindingChangeError,
    FindingState,
    change,
    changes_of,
    last_changes,
)
from store.validation.finding_list import FindingFilter, finding, finding_choices, gravest_findings

router = page_routes()

SEVERITIES = ("alarm", "warning", "info")
_PAGE = 50
_NOBODYS = "nobody"  # in addresses, where an empty choice means everybody's
_MINE = "me"
_ID = 2**63 - 1

Action = Literal["acknowledge", "resolve", "false alarm", "reopen", "assign", "take", "note"]
_STATES: dict[str, FindingState] = {
    "acknowledge": FindingState.ACKNOWLEDGED,
    "resolve": FindingState.RESOLVED,
    "false alarm": FindingState.FALSE_ALARM,
    "reopen": FindingState.OPEN,
}
_NEED_A_NOTE = ("resolve", "false alarm", "note")


@dataclass(frozen=True, slots=True)
class FindingQuery:
    """Query of the list, as its address says it."""

    state: Annotated[str, Query(pattern="^(open|acknowledged|resolved|false alarm|all)$")] = "open"
    severity: Annotated[str, Query(pattern="^(alarm|warning|info)?$")] = ""
    kind: Annotated[str, Query(max_length=60)] = ""
    site: Annotated[str, Query(max_length=100)] = ""
    medium: Annotated[str, Query(pattern=r"^\d{0,2}$")] = ""
    assignee: Annotated[str, Query(max_length=200)] = ""
    q: Annotated[str, Query(max_length=100)] = ""

    def __str__(self) -> str:
        return urlencode({name: text.strip() for name, text in asdict(self).items() if text.strip()})

    def filter(self, visitor: Visitor) -> FindingFilter:
        """What the list is narrowed to."""
        return FindingFilter(
            state=None if self.state == "all" else self.state,
            kind=self.kind or None,
            severity=self.severity or None,
            site=self.site or None,
            medium=int(self.medium) if self.medium else None,
            assignee=_login(self.assignee, visitor),
            text=self.q.strip() or None,
        )


Narrowed = Annotated[FindingQuery, Depends(in_place(FindingQuery))]
FindingId = Annotated[int, Path(ge=1, le=_ID)]


@router.get("/findings", dependencies=[requires(Scope.FINDINGS_READ)])
def findings(
    visit: PageVisit, wanted: Narrowed, after: Annotated[int | None, Query(ge=1, le=_ID)] = None
) -> Response:
    """Those in one state, or `all`, narrowed by what was chosen."""
    return _list(visit, wanted, after=after)


@router.post("/findings", dependencies=[requires(Scope.FINDINGS_WRITE)])
def change_chosen(
    *,
    visit: PageVisit,
    wanted: Narrowed,
    action: Annotated[Action, Form()] = "note",
    finding: Annotated[list[int], Form(max_length=MOST)] = [],  # noqa: B006 - FastAPI copies it
    assignee: Annotated[str, Form(max_length=200)] = "",
    note: Annotated[str, Form(max_length=LONGEST_NOTE)] = "",
) -> Response:
    """Do something with the findings that were chosen, and show the list again."""
    if finding:
        error = _change(visit, finding, action, assignee, note.strip())
    else:
        error = visit.language.gettext("Choose the findings first: tick the box before each.")
    if error:
        return _list(visit, wanted, error=error, note=note)
    return RedirectResponse(f"/findings?{wanted}", HTTPStatus.SEE_OTHER)


@router.get("/findings/{finding_id}", dependencies=[requires(Scope.FINDINGS_READ)])
def show_finding(visit: PageVisit, finding_id: FindingId) -> Response:
    """One finding: its evidence, and who did what with it."""
    return _one(visit, finding_id)


@router.post("/findings/{finding_id}", dependencies=[requires(Scope.FINDINGS_WRITE)])
def change_one(
    visit: PageVisit,
    finding_id: FindingId,
    action: Annotated[Action, Form()] = "note",
    assignee: Annotated[str, Form(max_length=200)] = "",
    note: Annotated[str, Form(max_length=LONGEST_NOTE)] = "",
) -> Response:
    """Do something with it, and show it again."""
    if finding(visit.store, visit.utility.id, finding_id) is None:
        raise _unknown()
    error = _change(visit, [finding_id], action, assignee, note.strip())
    if error:
        return _one(visit, finding_id, error=error, note=note)
    return RedirectResponse(f"/findings/{finding_id}", HTTPStatus.SEE_OTHER)


def _list(
    visit: Visit, wanted: FindingQuery, *, after: int | None = None, error: str | None = None, note: str = ""
) -> Response:
    store, utility = visit.store, visit.utility
    narrowed = wanted.filter(visit.visitor)
    rows = gravest_findings(store, utility.id, narrowed, after=after, limit=_PAGE + 1)
    shown = rows[:_PAGE]
    choices = finding_choices(store, utility.id)
    return visit.page(
        "validation/findings.html",
        status=HTTPStatus.UNPROCESSABLE_ENTITY if error else HTTPStatus.OK,
        findings=shown,
        last=last_changes(store, utility.id, [one.id for one in shown]),
        choices=choices,
        total=sum(choices.states.values()),
        states=list(FindingState),
        severities=SEVERITIES,
        wanted=narrowed,
        assignee=wanted.assignee,
        query=str(wanted),
        narrowed=narrowed != FindingFilter(state=narrowed.state),
        people=colleagues(store),
        me=_me(visit.visitor),
        after=after,
        next_after=shown[-1].id if len(rows) > _PAGE else None,
        error=error,
        note=note,
    )


def _one(visit: Visit, finding_id: int, *, error: str | None = None, note: str = "") -> Response:
    store, utility = visit.store, visit.utility
    row = finding(store, utility.id, finding_id)
    if row is None:
        raise _unknown()
    return visit.page(
        "validation/finding.html",
        status=HTTPStatus.UNPROCESSABLE_ENTITY if error else HTTPStatus.OK,
        finding=row,
        history=changes_of(store, utility.id, finding_id),
        people=colleagues(store),
        me=_me(visit.visitor),
        error=error,
        note=note,
    )


def _change(visit: Visit, ids: list[int], action: Action, assignee: str, note: str) -> str | None:
    """Change them; what to say where nothing was changed. Raises Problem where none of them is known."""
    if action in _NEED_A_NOTE and not note:
        return visit.language.gettext("Write a note: whoever reads the bill later wants to know why.")
    wanted = FindingChange(state=_STATES.get(action), note=note)
    if action == "take":
        wanted = replace(wanted, assignee=_me(visit.visitor))
    elif action == "assign":
        wanted = replace(wanted, assignee=NOBODY if assignee == _NOBODYS else assignee)
    try:
        outcomes = change(visit.store, visit.utility.id, ids, wanted, author=visit.caller.actor)
    except FindingChangeError as error:
        return f"{error}: {error.advice}."
    if all(outcome is ChangeOutcome.UNKNOWN for outcome in outcomes.values()):
        raise _unknown()
    return None


def _me(visitor: Visitor) -> str:
    """The login of whoever looks; nobody's where the session began with a key."""
    return visitor.person.login if visitor.person else NOBODY


def _login(assignee: str, visitor: Visitor) -> str | None:
    if assignee == _MINE:
        return _me(visitor)
    return NOBODY if assignee == _NOBODYS else assignee or None


def _unknown() -> Problem:
    return not_found(N_("This finding"), N_("The list shows those of your utility."))
